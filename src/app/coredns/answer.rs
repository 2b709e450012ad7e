//! From a message to its answer, and into the log.

use super::{CoreDns, Origin, Query, say};
use crate::app::Os;
use crate::base::dns::Rcode;
use crate::base::{SimTime, SocketId};
use crate::cluster::dns::Answer;
use crate::cluster::dns::server::{Done, Served, Step, Turn};
use crate::trace::{NamesRow, TableChange};
use crate::wire::dns::{self, Message};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// Largest payload of a client that says nothing about it (RFC 1035 section 2.3.4).
const UDP_SIZE: u16 = 512;
/// Longest message that is sent uncompressed over UDP and IPv4 where the client takes longer ones (`Request.Scrub`).
const UNFRAGMENTED: usize = 1480;
/// Most records of a zone in one message (`Transfer.ServeDNS`).
const TRANSFER_MAX: usize = 501;
/// Extended response code for a version of EDNS that there is not (RFC 6891 section 9).
const BADVERS: u8 = 16;
/// Options of the pseudo-record that are sent back: NSID, EXPIRE, COOKIE, keepalive, padding (`supportedOptions`).
const ECHOED: [u16; 5] = [3, 9, 10, 11, 12];

impl CoreDns {
    /// A message came.
    pub(super) fn received(&mut self, os: &mut dyn Os, origin: Origin, port: u16, bytes: &[u8]) {
        // What cannot be read has no identifier to answer to, and a response is no question.
        let Ok(message) = Message::parse(bytes) else { return };
        if message.has(dns::QR) {
            return;
        }
        let query = Query {
            origin,
            port,
            message,
            size: bytes.len(),
            known: Vec::new(),
            n_steps: 0,
            began: os.now(),
        };
        let id = self.next;
        self.next += 1;
        if query.message.questions.is_empty() || query.message.opcode != 0 {
            let rcode = if query.message.opcode == 0 { Rcode::ServFail } else { Rcode::NotImp };
            return self.respond(os, &query, &Answer::empty(rcode));
        }
        if query.message.class != dns::CLASS_IN {
            return self.respond(os, &query, &Answer::empty(Rcode::Refused));
        }
        if query.message.edns.as_ref().is_some_and(|edns| edns.version != 0) {
            return self.refuse_version(os, &query);
        }
        self.queries.insert(id, query);
        self.go_on(os, id);
    }

    /// A version of EDNS that there is not: the reply has no question and announces no size (`edns.Version`).
    fn refuse_version(&mut self, os: &mut dyn Os, query: &Query) {
        let mut message = query.message.reply();
        message.questions.clear();
        message.rcode = Rcode::Other(BADVERS);
        message.edns = Some(dns::Edns::default());
        let Ok(bytes) = message.to_bytes(false) else { return };
        self.send_back(os, query, &bytes);
    }

    /// Has the plugins answer, as far as they can.
    pub(super) fn go_on(&mut self, os: &mut dyn Os, id: u32) {
        let Some(server) = self.server.clone() else { return };
        let view = self.view(os);
        let Some(query) = self.queries.get(&id) else { return };
        let Some(question) = query.message.questions.first() else { return };
        let turn = Turn {
            view: &view,
            now: os.now(),
            port: query.port,
            question,
            client: query.client(),
            dnssec: query.message.edns.as_ref().is_some_and(|edns| edns.dnssec_ok),
            known: &query.known,
        };
        let mut rng = crate::base::Rng::with_seed(u64::from(os.random()));
        let served = match &query.origin {
            Origin::Refresh(refresh) => server.refresh(&mut self.state, refresh, &turn, &mut rng),
            Origin::Udp(..) | Origin::Tcp(..) => server.serve(&mut self.state, &turn, &mut rng),
        };
        match served {
            Served::Ask(ask, steps) => {
                self.write_down(os, id, &steps);
                self.ask(os, id, ask);
            }
            Served::Done(done) => {
                self.write_down(os, id, &done.steps);
                let Some(query) = self.queries.remove(&id) else { return };
                self.finish(os, &query, &done);
            }
        }
    }

    fn finish(&mut self, os: &mut dyn Os, query: &Query, done: &Done) {
        if let Some(zone) = &done.looped {
            let name = query.message.questions.first().map_or("", |question| question.name.as_str());
            let client = query.peer().map_or_else(String::new, |peer| peer.to_string());
            say(
                os,
                &format!(
                    "[FATAL] plugin/loop: Loop ({client} -> :{}) detected for zone \"{zone}\", see https://coredns.io/plugins/loop#troubleshooting. Query: \"HINFO {name}\"",
                    query.port
                ),
            );
            return os.exit(1);
        }
        if let Some(refresh) = &done.refresh {
            let origin = Origin::Refresh(refresh.clone());
            let fresh = Query { origin, known: Vec::new(), n_steps: 0, ..query.clone() };
            let id = self.next;
            self.next += 1;
            self.queries.insert(id, fresh);
            self.go_on(os, id);
        }
        let question = query.message.questions.first().cloned();
        if let (Some(error), Some(question)) = (&done.error, &question) {
            let rcode = done.answer.rcode.number();
            say(os, &format!("[ERROR] plugin/errors: {rcode} {} {}: {error}", question.name, question.kind));
        }
        for format in &done.logs {
            let line = query.log_line(format, &done.answer, os.now());
            say(os, &format!("[INFO] {line}"));
        }
        self.respond(os, query, &done.answer);
    }

    fn respond(&mut self, os: &mut dyn Os, query: &Query, answer: &Answer) {
        if matches!(query.origin, Origin::Tcp(..)) && answer.answer.len() > TRANSFER_MAX {
            // A zone that is handed over comes in several messages.
            for records in answer.answer.chunks(TRANSFER_MAX) {
                let part = Answer { answer: records.to_vec(), ..answer.clone() };
                self.respond_once(os, query, &part);
            }
        } else {
            self.respond_once(os, query, answer);
        }
    }

    fn respond_once(&mut self, os: &mut dyn Os, query: &Query, answer: &Answer) {
        let mut message = query.reply(answer);
        let bufsize = self.server.as_ref().and_then(|server| server.duties().bufsize);
        let asked = query.message.edns.as_ref().map_or(UDP_SIZE, |edns| edns.udp_size.max(UDP_SIZE));
        let most = match &query.origin {
            Origin::Udp(..) => usize::from(asked.min(bufsize.unwrap_or(u16::MAX))),
            Origin::Tcp(..) => usize::from(u16::MAX),
            Origin::Refresh(_) => return,
        };
        // A record that fits no message is in no answer: CoreDNS's library cannot pack it either.
        let Ok(compress) = message.truncate(most) else { return };
        let Ok(mut bytes) = message.to_bytes(compress) else { return };
        if matches!(query.origin, Origin::Udp(..)) && bytes.len() > UNFRAGMENTED {
            bytes = message.to_bytes(true).unwrap_or(bytes);
        }
        self.send_back(os, query, &bytes);
    }

    fn send_back(&mut self, os: &mut dyn Os, query: &Query, bytes: &[u8]) {
        match query.origin {
            Origin::Udp(socket, peer) => {
                // An answer that cannot be sent is lost, as every datagram may be.
                let _ = os.send_to(socket, peer, bytes);
            }
            Origin::Tcp(socket, _) => self.send_over(os, socket, bytes),
            Origin::Refresh(_) => {}
        }
    }

    fn send_over(&mut self, os: &mut dyn Os, socket: SocketId, bytes: &[u8]) {
        if let Some(connection) = self.connections.get_mut(&socket) {
            connection.output.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
            connection.output.extend_from_slice(bytes);
            self.flush(os, socket);
        }
    }

    /// Writes the steps of a question down that are new since it was last looked at.
    fn write_down(&mut self, os: &mut dyn Os, id: u32, steps: &[Step]) {
        let netns = os.netns();
        let Some(query) = self.queries.get_mut(&id) else { return };
        let new = steps.get(query.n_steps..).unwrap_or_default();
        query.n_steps = query.n_steps.max(steps.len());
        let question = query.message.questions.first();
        let question = question.map_or_else(String::new, |at| format!("{} {}", at.name, at.kind));
        let client = query.peer().map_or_else(String::new, |peer| peer.to_string());
        for step in new {
            os.record(TableChange::Names(Box::new(NamesRow {
                netns,
                query: id,
                client: client.as_str().into(),
                question: question.as_str().into(),
                plugin: step.plugin,
                did: step.did,
                args: step.args.clone(),
            })));
        }
    }

    /// The cluster as it stands, with the server's own addresses.
    fn view(&mut self, os: &dyn Os) -> Arc<crate::cluster::dns::View> {
        let known = self.view.as_ref().map(|(version, _)| *version);
        if let Some((version, mut view)) = os.cluster_names(known) {
            let bound = self.server.as_ref().map(|server| server.duties().bind).unwrap_or_default();
            let own = os.device_addresses("eth0").unwrap_or_default();
            view.local = if bound.is_empty() { own.into_iter().map(IpAddr::V4).collect() } else { bound };
            view.serial = os.now().unix_secs() as u32;
            self.view = Some((version, Arc::new(view)));
        }
        self.view.get_or_insert_with(|| (0, Arc::default())).1.clone()
    }
}

impl Query {
    pub(super) fn peer(&self) -> Option<std::net::SocketAddrV4> {
        match self.origin {
            Origin::Udp(_, peer) | Origin::Tcp(_, peer) => Some(peer),
            Origin::Refresh(_) => None,
        }
    }

    fn client(&self) -> IpAddr {
        IpAddr::V4(self.peer().map_or(Ipv4Addr::LOCALHOST, |peer| *peer.ip()))
    }

    /// The message that carries an answer. The pseudo-record of the client is sent back (`request.SizeAndDo`).
    fn reply(&self, answer: &Answer) -> Message {
        let mut message = self.message.reply();
        message.set(dns::AA, answer.authoritative);
        message.set(dns::TC, answer.truncated);
        message.set(dns::RA, answer.recursion_available);
        message.rcode = answer.rcode;
        message.answer.clone_from(&answer.answer);
        message.authority.clone_from(&answer.authority);
        message.additional.clone_from(&answer.additional);
        message.edns = self.message.edns.clone().map(|mut edns| {
            edns.version = 0;
            edns.options.retain(|(code, _)| ECHOED.contains(code));
            edns
        });
        message
    }

    /// A line of the plugin `log` (`plugin/pkg/replacer`).
    fn log_line(&self, format: &str, answer: &Answer, now: SimTime) -> String {
        let reply = self.reply(answer);
        let question = self.message.questions.first();
        let (name, kind) =
            question.map_or_else(Default::default, |at| (at.name.clone(), at.kind.to_string()));
        let flags = [
            (dns::QR, "qr"),
            (dns::AA, "aa"),
            (dns::TC, "tc"),
            (dns::RD, "rd"),
            (dns::RA, "ra"),
            (dns::AD, "ad"),
            (dns::CD, "cd"),
        ];
        let flags: Vec<&str> =
            flags.iter().filter(|(flag, _)| reply.has(*flag)).map(|(_, name)| *name).collect();
        let edns = self.message.edns.as_ref();
        let ns = now.since(self.began).0;
        let values = [
            ("{type}", kind),
            ("{name}", name),
            ("{class}", "IN".to_owned()),
            ("{proto}", if matches!(self.origin, Origin::Tcp(..)) { "tcp" } else { "udp" }.to_owned()),
            ("{remote}", self.client().to_string()),
            ("{port}", self.peer().map_or(0, |peer| peer.port()).to_string()),
            ("{size}", self.size.to_string()),
            ("{rcode}", answer.rcode.to_string()),
            ("{rsize}", reply.to_bytes(false).map_or(0, |bytes| bytes.len()).to_string()),
            ("{duration}", format!("{}.{:09}s", ns / 1_000_000_000, ns % 1_000_000_000)),
            ("{>id}", self.message.id.to_string()),
            ("{>opcode}", self.message.opcode.to_string()),
            ("{>do}", edns.is_some_and(|edns| edns.dnssec_ok).to_string()),
            ("{>bufsize}", edns.map_or(UDP_SIZE, |edns| edns.udp_size).to_string()),
            ("{>rflags}", flags.join(",")),
        ];
        let common = "{remote}:{port} - {>id} \"{type} {class} {name} {proto} {size} {>do} {>bufsize}\" {rcode} {>rflags} {rsize} {duration}";
        let mut line =
            format.replace("{common}", common).replace("{combined}", &format!("{common} \"{{>opcode}}\""));
        for (key, value) in values {
            line = line.replace(key, &value);
        }
        line
    }
}
