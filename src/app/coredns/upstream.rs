//! The plugin `forward` at work: upstream servers are asked one after the other until one answers, those that fail are
//! checked until they answer again.

use super::{CoreDns, Origin, TIMER_ASK, TIMER_HEALTH, take_messages};
use crate::app::dial::{self, Read};
use crate::app::{Errno, Os, Transport};
use crate::base::dns::{Question, Type};
use crate::base::{Duration, SimTime, SocketId};
use crate::cluster::dns::server::{Ask, TOO_MANY};
use crate::cluster::dns::{Answer, Forward, Policy};
use crate::wire::dns::{self, Message};
use std::collections::BTreeMap;
use std::net::SocketAddrV4;

/// How long one server has for its answer (`readTimeout`), and for a health check.
const READ_TIMEOUT: Duration = Duration::from_secs(2);
const HEALTH_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a question is tried at all (`defaultTimeout`).
const DEADLINE: Duration = Duration::from_secs(5);

/// What is known of the servers of one `forward`.
#[derive(Clone, Debug, Default)]
struct Known {
    next: usize,
    /// Health checks that failed, by server.
    fails: BTreeMap<SocketAddrV4, u32>,
}

/// A question under way to a server.
#[derive(Clone, Debug)]
struct Exchange {
    purpose: Purpose,
    server: SocketAddrV4,
    message: Message,
    is_tcp: bool,
    input: Vec<u8>,
    output: Vec<u8>,
}

#[derive(Clone, Debug)]
enum Purpose {
    /// For a query of ours: the servers still to be tried, those that were silent, and until when.
    Query { id: u32, ask: Ask, rest: Vec<SocketAddrV4>, silent: Vec<SocketAddrV4>, until: SimTime },
    /// Whether the server is there, for this `forward`.
    Health((usize, usize)),
}

/// All that is under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Upstream {
    known: BTreeMap<(usize, usize), Known>,
    exchanges: BTreeMap<SocketId, Exchange>,
    /// Servers that are being checked, by the number of their timer.
    checks: BTreeMap<u32, ((usize, usize), SocketAddrV4)>,
    /// Sockets of the plugin `loop`.
    pub(super) own: Vec<SocketId>,
}

impl Upstream {
    /// The Corefile changed.
    pub(super) fn forget(&mut self) {
        self.known.clear();
        self.checks.clear();
    }
}

impl CoreDns {
    /// Asks upstream for a query.
    pub(super) fn ask(&mut self, os: &mut dyn Os, id: u32, ask: Ask) {
        let forward = self.server.as_ref().and_then(|server| server.forward(ask.forward)).cloned();
        let Some(forward) = forward else { return };
        let same = |exchange: &&Exchange| matches!(&exchange.purpose, Purpose::Query { ask: other, .. } if other.forward == ask.forward);
        let busy = self.upstream.exchanges.values().filter(same).count() as u32;
        if forward.max_concurrent > 0 && busy >= forward.max_concurrent {
            let error = format!("{TOO_MANY} {}", forward.max_concurrent);
            return self.asked(os, id, ask, Err(error));
        }
        let servers = self.order(os, &forward, ask.forward);
        if servers.is_empty() {
            return self.asked(os, id, ask, Err("no healthy proxies".to_owned()));
        }
        let until = os.now() + DEADLINE;
        let purpose = Purpose::Query { id, ask, rest: servers, silent: Vec::new(), until };
        self.try_next(os, purpose, "no healthy proxies".to_owned());
    }

    /// The servers in the order in which they are tried, those that are down left out.
    fn order(&mut self, os: &mut dyn Os, forward: &Forward, at: (usize, usize)) -> Vec<SocketAddrV4> {
        let known = self.upstream.known.entry(at).or_default();
        let mut servers = forward.servers.clone();
        match forward.policy {
            Policy::Sequential => {}
            Policy::RoundRobin => {
                // The others keep their order behind the one whose turn it is, and the second one begins.
                known.next += 1;
                let first = known.next % servers.len().max(1);
                let first = servers.remove(first);
                servers.insert(0, first);
            }
            Policy::Random => {
                for place in 0..servers.len().saturating_sub(1) {
                    let other = place + os.random() as usize % (servers.len() - place);
                    servers.swap(place, other);
                }
            }
        }
        let down = |server: &SocketAddrV4| {
            forward.max_fails > 0 && known.fails.get(server).is_some_and(|fails| *fails >= forward.max_fails)
        };
        let healthy: Vec<SocketAddrV4> = servers.iter().filter(|server| !down(server)).copied().collect();
        // When all are down, the check itself may be broken: one is tried all the same.
        match (healthy.is_empty(), forward.failfast) {
            (true, false) => servers.into_iter().take(1).collect(),
            (true, true) => Vec::new(),
            (false, _) => healthy,
        }
    }

    fn try_next(&mut self, os: &mut dyn Os, mut purpose: Purpose, error: String) {
        let Purpose::Query { id, ask, rest, silent, until } = &mut purpose else { return };
        let (id, ask) = (*id, ask.clone());
        if rest.is_empty() {
            // Who was only silent is asked again, as long as there is time.
            rest.append(silent);
        }
        if rest.is_empty() || os.now() >= *until {
            return self.asked(os, id, ask, Err(error));
        }
        let server = rest.remove(0);
        let Some(query) = self.queries.get(&id) else { return };
        let forward = self.server.as_ref().and_then(|known| known.forward(ask.forward)).cloned();
        let by_tcp = matches!(query.origin, Origin::Tcp(..));
        let is_tcp = forward.is_some_and(|forward| forward.force_tcp || (by_tcp && !forward.prefer_udp));
        // It goes on as it came, flags and options and all, under an identifier of its own (`Proxy.lookupDNS`).
        let mut message = query.message.clone();
        message.id = os.random() as u16;
        message.questions = vec![ask.question.clone()];
        let bufsize = self.server.as_ref().and_then(|server| server.duties().bufsize);
        if let (Some(edns), Some(most)) = (&mut message.edns, bufsize) {
            edns.udp_size = edns.udp_size.min(most);
        }
        if let Err(errno) = self.exchange(os, purpose.clone(), server, message, is_tcp) {
            let text = errno.text().to_lowercase();
            let error = format!("dial {} {server}: connect: {text}", if is_tcp { "tcp" } else { "udp" });
            self.failed(os, purpose, server, error);
        }
    }

    fn exchange(
        &mut self,
        os: &mut dyn Os,
        purpose: Purpose,
        server: SocketAddrV4,
        message: Message,
        is_tcp: bool,
    ) -> Result<(), Errno> {
        let transport = if is_tcp { Transport::Tcp } else { Transport::Udp };
        let bytes = message.to_bytes(false).unwrap_or_default();
        let socket = dial::start_with(os, transport, server)?;
        let mut output = Vec::new();
        if is_tcp {
            output.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
            output.extend_from_slice(&bytes);
        } else if let Err(errno) = os.send(socket, &bytes) {
            os.close(socket);
            return Err(errno);
        }
        let timeout = if matches!(purpose, Purpose::Health(_)) { HEALTH_TIMEOUT } else { READ_TIMEOUT };
        os.set_timer(TIMER_ASK + socket.0, timeout);
        let exchange = Exchange { purpose, server, message, is_tcp, input: Vec::new(), output };
        self.upstream.exchanges.insert(socket, exchange);
        Ok(())
    }

    pub(super) fn upstream_writable(&mut self, os: &mut dyn Os, socket: SocketId) {
        let Some(exchange) = self.upstream.exchanges.get_mut(&socket) else { return };
        let error = os.take_error(socket);
        let failed = error.or_else(|| dial::write(os, socket, &mut exchange.output).err());
        if let Some(errno) = failed {
            self.broken(os, socket, errno);
        }
    }

    pub(super) fn upstream_readable(&mut self, os: &mut dyn Os, socket: SocketId) {
        let Some(exchange) = self.upstream.exchanges.get_mut(&socket) else { return };
        let mut messages = Vec::new();
        if exchange.is_tcp {
            let read = dial::read(os, socket, &mut exchange.input);
            messages = take_messages(&mut exchange.input);
            if messages.is_empty() && read != Read::More {
                let errno = if let Read::Failed(errno) = read { errno } else { Errno::Econnreset };
                return self.broken(os, socket, errno);
            }
        } else {
            loop {
                match os.receive_from(socket) {
                    Ok(datagram) => messages.push(datagram.data.to_vec()),
                    Err(Errno::Eagain) => break,
                    Err(errno) => return self.broken(os, socket, errno),
                }
            }
        }
        let wanted = &exchange.message;
        let fits = |message: &Message| {
            message.id == wanted.id && message.has(dns::QR) && message.questions == wanted.questions
        };
        let found = messages.iter().filter_map(|bytes| Message::parse(bytes).ok()).find(fits);
        if let Some(message) = found {
            self.answered(os, socket, message);
        }
    }

    fn close_exchange(&mut self, os: &mut dyn Os, socket: SocketId) -> Option<Exchange> {
        let exchange = self.upstream.exchanges.remove(&socket)?;
        os.cancel_timer(TIMER_ASK + socket.0);
        os.close(socket);
        Some(exchange)
    }

    fn answered(&mut self, os: &mut dyn Os, socket: SocketId, message: Message) {
        let Some(exchange) = self.close_exchange(os, socket) else { return };
        match exchange.purpose {
            Purpose::Health(at) => {
                self.upstream.known.entry(at).or_default().fails.remove(&exchange.server);
                self.upstream.checks.retain(|_, (_, server)| *server != exchange.server);
            }
            Purpose::Query { id, ask, .. } => {
                let answer = Answer {
                    rcode: message.rcode,
                    authoritative: message.has(dns::AA),
                    truncated: message.has(dns::TC),
                    recursion_available: message.has(dns::RA),
                    answer: message.answer,
                    authority: message.authority,
                    additional: message.additional,
                };
                self.asked(os, id, ask, Ok(answer));
            }
        }
    }

    fn broken(&mut self, os: &mut dyn Os, socket: SocketId, errno: Errno) {
        let local = os.local_addr(socket).map_or_else(String::new, |local| local.to_string());
        let Some(exchange) = self.close_exchange(os, socket) else { return };
        let protocol = if exchange.is_tcp { "tcp" } else { "udp" };
        let text = errno.text().to_lowercase();
        let error = format!("read {protocol} {local}->{}: read: {text}", exchange.server);
        self.failed(os, exchange.purpose, exchange.server, error);
    }

    /// A server did not answer in time.
    pub(super) fn upstream_late(&mut self, os: &mut dyn Os, socket: SocketId) {
        let local = os.local_addr(socket).map_or_else(String::new, |local| local.to_string());
        let Some(exchange) = self.close_exchange(os, socket) else { return };
        let protocol = if exchange.is_tcp { "tcp" } else { "udp" };
        let error = format!("read {protocol} {local}->{}: i/o timeout", exchange.server);
        let mut purpose = exchange.purpose;
        if let Purpose::Query { silent, .. } = &mut purpose {
            silent.push(exchange.server);
        }
        self.failed(os, purpose, exchange.server, error);
    }

    fn failed(&mut self, os: &mut dyn Os, purpose: Purpose, server: SocketAddrV4, error: String) {
        match &purpose {
            Purpose::Health(at) => {
                *self.upstream.known.entry(*at).or_default().fails.entry(server).or_default() += 1;
                let every = self.check_interval(*at);
                self.plan_check(os, (*at, server), every);
            }
            Purpose::Query { ask, .. } => {
                let at = ask.forward;
                let checked = self.upstream.checks.values().any(|check| *check == (at, server));
                if !checked {
                    // The first check is made there and then (`up.Probe.Do`).
                    self.plan_check(os, (at, server), self.check_interval(at).map(|_| Duration::ZERO));
                }
                self.try_next(os, purpose, error);
            }
        }
    }

    /// Time between two checks of a server that failed; none where servers are not checked.
    fn check_interval(&self, at: (usize, usize)) -> Option<Duration> {
        let forward = self.server.as_ref().and_then(|known| known.forward(at));
        forward.filter(|forward| forward.max_fails > 0).map(|forward| Duration::from_ms(forward.health_check))
    }

    /// A server that failed is asked again and again until it answers.
    fn plan_check(
        &mut self,
        os: &mut dyn Os,
        check: ((usize, usize), SocketAddrV4),
        after: Option<Duration>,
    ) {
        let Some(after) = after else { return };
        let checks = &mut self.upstream.checks;
        let known = checks.iter().find(|(_, known)| **known == check).map(|(token, _)| *token);
        let token = known.unwrap_or_else(|| checks.keys().next_back().map_or(0, |last| last + 1));
        checks.insert(token, check);
        os.set_timer(TIMER_HEALTH + token, after);
    }

    pub(super) fn health_timer(&mut self, os: &mut dyn Os, token: u32) {
        let Some((at, server)) = self.upstream.checks.get(&token).copied() else { return };
        let Some(forward) = self.server.as_ref().and_then(|known| known.forward(at)).cloned() else { return };
        let question = Question { name: forward.health_domain.clone(), kind: Type::Ns };
        let mut message = Message::query(os.random() as u16, question);
        message.set(dns::RD, forward.health_recursion);
        let purpose = Purpose::Health(at);
        if self.exchange(os, purpose.clone(), server, message, false).is_err() {
            self.failed(os, purpose, server, String::new());
        }
    }

    /// An upstream question is over.
    fn asked(&mut self, os: &mut dyn Os, id: u32, ask: Ask, got: Result<Answer, String>) {
        if let Some(query) = self.queries.get_mut(&id) {
            query.known.push((ask, got));
            self.go_on(os, id);
        }
    }
}
