//! What `dig`, `host` and `nslookup` of BIND 9.18 share (`bin/dig/dighost.c`): a question is put to one server after the
//! other, each as often as there are tries; a cut answer is asked for again over TCP.

pub mod class;
pub mod dig;
pub mod host;
mod layout;
pub mod nslookup;
mod system;
mod trace;

pub use system::System;

use super::dial::{self, Read};
use super::resolver::has_utf8;
use super::{Errno, Os, Transport, Wake};
use crate::base::dns::Rcode;
use crate::base::dns::{NameError, Question, Type, labels};
use crate::base::idn::to_ascii;
use crate::base::{Duration, Ipv4Addr, SimTime, SocketId};
use crate::trace::Stream;
use crate::wire::dns::{AA, AD, CD, CLASS_IN, Edns, Flag, Message, RA, RD, TC, Z};
use std::collections::VecDeque;
use std::net::SocketAddrV4;

/// The port of name servers.
const PORT: u16 = 53;
/// Largest UDP answer that is asked for, in bytes.
const UDP_SIZE: u16 = 1232;
/// EDNS option of a cookie (RFC 7873).
const COOKIE: u16 = 10;
/// EDNS option of padding (RFC 7830).
const PADDING: u16 = 12;
/// Extended response code for a version of EDNS that the server does not know (RFC 6891 section 9).
const BADVERS: u8 = 16;
/// Length of a client's cookie in bytes (RFC 7873 section 4).
const COOKIE_LEN: usize = 8;
/// The only timer there is: the current try has been waited for.
const TRY_OVER: u32 = 0;

/// A name server, as it was named and its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// As the user or `/etc/resolv.conf` names it.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
}

/// How to ask.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option under its own name")]
pub struct Asking {
    /// The servers, in the order in which they are asked.
    pub servers: Vec<Server>,
    /// Their port.
    pub port: u16,
    /// How often each is asked.
    pub tries: u32,
    /// How long each try waits for an answer.
    pub timeout: Duration,
    /// Whether to begin with TCP.
    pub tcp: bool,
    /// Whether an answer that was cut is taken as it is.
    pub keep_cut: bool,
    /// Flags of the query.
    pub flags: Vec<Flag>,
    /// The query's pseudo-record (RFC 6891).
    pub edns: Option<Edns>,
    /// Whether the query carries a cookie (RFC 7873), and which; one by chance where none is given.
    pub cookie: bool,
    /// See [`Self::cookie`].
    pub given_cookie: Option<Vec<u8>>,
    /// Class of the question.
    pub class: u16,
    /// Kind of query.
    pub opcode: u8,
    /// Identifier; one by chance where none is given.
    pub qid: Option<u16>,
    /// Whether there is no question at all.
    pub header_only: bool,
    /// The query is padded to a multiple of this, in bytes; 0 for not at all.
    pub padding: usize,
    /// Whether a server that does not know the version of EDNS is not asked again with the one it knows.
    pub keep_version: bool,
}

impl Asking {
    /// As `host` and `nslookup` ask.
    pub fn plain(system: &System) -> Self {
        Self {
            servers: system.servers.clone(),
            port: PORT,
            tries: system.tries,
            timeout: system.timeout,
            tcp: false,
            keep_cut: false,
            flags: vec![RD],
            edns: None,
            cookie: false,
            given_cookie: None,
            class: CLASS_IN,
            opcode: 0,
            qid: None,
            header_only: false,
            padding: 0,
            keep_version: false,
        }
    }

    /// As `dig` asks unless told otherwise.
    pub fn full(system: &System) -> Self {
        let edns = Edns { udp_size: UDP_SIZE, version: 0, dnssec_ok: false, options: Vec::new() };
        Self { flags: vec![RD, AD], edns: Some(edns), cookie: true, ..Self::plain(system) }
    }

    /// The query for a question.
    fn query(&self, os: &mut dyn Os, question: Question) -> Message {
        let mut query = Message::query(self.qid.unwrap_or_else(|| os.random() as u16), question);
        for flag in [RD, AD, CD, AA, RA, TC, Z] {
            query.set(flag, self.flags.contains(&flag));
        }
        (query.class, query.opcode) = (self.class, self.opcode);
        if self.header_only {
            query.questions.clear();
        }
        query.edns.clone_from(&self.edns);
        if let Some(edns) = &mut query.edns {
            if self.cookie {
                let given = self.given_cookie.clone();
                let cookie = given.unwrap_or_else(|| (0..COOKIE_LEN).map(|_| os.random() as u8).collect());
                edns.options.push((COOKIE, cookie));
            }
            edns.options.sort_by_key(|(code, _)| place(*code));
        }
        let length = query.to_bytes(true).map_or(0, |bytes| bytes.len()) + 4;
        if let Some(edns) = query.edns.as_mut().filter(|_| self.padding > 0) {
            edns.options.push((PADDING, vec![0; length.next_multiple_of(self.padding) - length]));
        }
        query
    }

    /// Sets a flag of the query or clears it.
    pub fn set(&mut self, flag: Flag, on: bool) {
        self.flags.retain(|known| *known != flag);
        if on {
            self.flags.push(flag);
        }
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The message.
    pub message: Message,
    /// Its length in bytes, of all messages together.
    pub length: usize,
    /// How many messages it came in: several where a zone is handed over.
    pub messages: usize,
    /// Who gave it.
    pub server: Server,
    /// The server's port.
    pub port: u16,
    /// How long it took.
    pub took: Duration,
    /// Whether it came over TCP.
    pub tcp: bool,
    /// The cookie that the query carried.
    pub cookie: Option<Vec<u8>>,
}

/// How an exchange ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A server answered.
    Answered(Box<Reply>),
    /// None did.
    NoServer,
    /// Not even the last query could be sent.
    NotSent,
}

/// One question on its way.
#[derive(Clone, Debug)]
pub struct Exchange {
    asking: Asking,
    query: Message,
    server: usize,
    tries_left: u32,
    socket: SocketId,
    is_tcp: bool,
    is_connected: bool,
    sent: SimTime,
    received: Vec<u8>,
    /// What has come of a zone so far: one message of all, its length, and how many there were.
    zone: Option<(Message, usize, usize)>,
}

impl Exchange {
    /// Asks. What goes wrong on the way is written to standard output, as the programs do.
    pub fn start(os: &mut dyn Os, asking: &Asking, question: Question) -> (Self, Option<Outcome>) {
        let query = asking.query(os, question);
        let mut exchange = Self {
            asking: asking.clone(),
            query,
            server: 0,
            tries_left: asking.tries,
            socket: SocketId::NONE,
            is_tcp: asking.tcp,
            is_connected: false,
            sent: os.now(),
            received: Vec::new(),
            zone: None,
        };
        let outcome = exchange.send(os);
        (exchange, outcome)
    }

    /// The query.
    pub fn query(&self) -> &Message {
        &self.query
    }

    /// Its length in bytes.
    pub fn query_len(&self) -> usize {
        self.query.to_bytes(true).map_or(0, |bytes| bytes.len())
    }

    /// Goes on.
    pub fn wake(&mut self, os: &mut dyn Os, wake: &Wake) -> Option<Outcome> {
        match wake {
            Wake::Timer(TRY_OVER) if self.is_tcp && !self.is_connected => {
                self.set_up_failed(os, Errno::Etimedout)
            }
            Wake::Timer(TRY_OVER) => self.again(os, "timed out"),
            Wake::Readable(socket) if *socket == self.socket => self.receive(os),
            Wake::Writable(socket) if *socket == self.socket && self.is_tcp && !self.is_connected => {
                self.connected(os)
            }
            Wake::Start
            | Wake::Timer(_)
            | Wake::Readable(_)
            | Wake::Writable(_)
            | Wake::Terminate
            | Wake::Interrupt
            | Wake::Input => None,
        }
    }

    fn remote(&self) -> SocketAddrV4 {
        let address =
            self.asking.servers.get(self.server).map_or(Ipv4Addr::LOCALHOST, |server| server.address);
        SocketAddrV4::new(address, self.asking.port)
    }

    fn send(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        self.sent = os.now();
        self.received.clear();
        self.zone = None;
        self.is_connected = false;
        let transport = if self.is_tcp { Transport::Tcp } else { Transport::Udp };
        let opened = os.socket(transport).and_then(|socket| dial::start(os, socket, self.remote()));
        match opened {
            Ok(socket) => self.socket = socket,
            Err(errno) => return self.set_up_failed(os, errno),
        }
        os.set_timer(TRY_OVER, self.asking.timeout);
        if !self.is_tcp {
            let bytes = self.query.to_bytes(true).unwrap_or_default();
            // dig notes only for itself that nothing was sent (`send_done`), and waits as for a lost question.
            let _ = os.send(self.socket, &bytes);
        }
        None
    }

    fn connected(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        if let Some(errno) = os.take_error(self.socket) {
            return self.set_up_failed(os, errno);
        }
        self.is_connected = true;
        let bytes = self.query.to_bytes(true).unwrap_or_default();
        let mut framed = (bytes.len() as u16).to_be_bytes().to_vec();
        framed.extend(bytes);
        match dial::write(os, self.socket, &mut framed) {
            Ok(()) => None,
            Err(errno) => self.again(os, reason(errno)),
        }
    }

    fn receive(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        if self.is_tcp { self.receive_stream(os) } else { self.receive_datagram(os) }
    }

    fn receive_datagram(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        loop {
            match os.receive_from(self.socket) {
                Ok(datagram) => match Message::parse(&datagram.data) {
                    Ok(message) if message.id == self.query.id => {
                        return self.answered(os, message, (datagram.data.len(), 1));
                    }
                    // Not the answer to this question: it is waited for still.
                    Ok(_) | Err(_) => {}
                },
                Err(Errno::Eagain) => return None,
                Err(errno) => return self.again(os, reason(errno)),
            }
        }
    }

    fn receive_stream(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        let read = dial::read(os, self.socket, &mut self.received);
        while let Some((head, rest)) = self.received.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*head));
            let Some(Ok(message)) = rest.get(..length).map(Message::parse) else { break };
            self.received.drain(..length + 2);
            let (message, length, count) = self.with_zone(message, length);
            if self.is_whole(&message) {
                return self.answered(os, message, (length, count));
            }
            self.zone = Some((message, length, count));
        }
        match read {
            Read::More => None,
            Read::End => self.again(os, "end of file"),
            Read::Failed(errno) => self.again(os, reason(errno)),
        }
    }

    /// A message put behind what has come of a zone, with the length of all and how many there were.
    fn with_zone(&mut self, message: Message, length: usize) -> (Message, usize, usize) {
        let Some((mut zone, before, count)) = self.zone.take() else { return (message, length, 1) };
        zone.answer.extend(message.answer);
        zone.rcode = message.rcode;
        (zone, before + length, count + 1)
    }

    /// A zone is over with its second start of authority, or once it is refused.
    fn is_whole(&self, message: &Message) -> bool {
        let starts = message.answer.iter().filter(|record| record.kind() == Type::Soa).count();
        let first = message.answer.first().is_some_and(|record| record.kind() == Type::Soa);
        let kind = self.query.questions.first().map(|question| question.kind);
        let is_zone = kind == Some(Type::AXFR) || (kind == Some(Type::IXFR) && message.answer.len() > 1);
        !is_zone || message.rcode != Rcode::NoError || !first || starts > 1
    }

    fn answered(
        &mut self,
        os: &mut dyn Os,
        message: Message,
        (length, messages): (usize, usize),
    ) -> Option<Outcome> {
        self.put_away(os);
        let known = message.edns.as_ref().map_or(0, |edns| edns.version);
        if message.rcode == Rcode::Other(BADVERS)
            && !self.asking.keep_version
            && let Some(edns) = self.query.edns.as_mut().filter(|edns| edns.version > known)
        {
            edns.version = known;
            let text = format!(";; BADVERS, retrying with EDNS version {known}.\n");
            os.write(Stream::Stdout, &text);
            return self.send(os);
        }
        if message.has(TC) && !self.is_tcp && !self.asking.keep_cut {
            os.write(Stream::Stdout, ";; Truncated, retrying in TCP mode.\n");
            self.is_tcp = true;
            return self.send(os);
        }
        let server = self.asking.servers.get(self.server)?.clone();
        let options = self.query.edns.iter().flat_map(|edns| &edns.options);
        let cookie = options.filter(|option| option.0 == COOKIE).map(|option| option.1.clone()).next();
        Some(Outcome::Answered(Box::new(Reply {
            message,
            length,
            messages,
            server,
            port: self.asking.port,
            took: Duration(os.now().0 - self.sent.0),
            tcp: self.is_tcp,
            cookie,
        })))
    }

    /// The try failed: the same server is asked again, then the next one.
    fn again(&mut self, os: &mut dyn Os, why: &str) -> Option<Outcome> {
        self.put_away(os);
        let remote = self.remote();
        let text = format!(";; communications error to {}#{}: {why}\n", remote.ip(), remote.port());
        os.write(Stream::Stdout, &text);
        if self.tries_left > 1 {
            self.tries_left -= 1;
            return self.send(os);
        }
        self.next_server(os, Outcome::NoServer)
    }

    /// The query could not even be sent: that server is not tried again.
    fn set_up_failed(&mut self, os: &mut dyn Os, errno: Errno) -> Option<Outcome> {
        self.put_away(os);
        let name = self.query.questions.first().map_or(".", |question| question.name.as_str());
        let shown = name.strip_suffix('.').filter(|name| !name.is_empty()).unwrap_or(name);
        let server = self.asking.servers.get(self.server).map_or("", |server| server.name.as_str());
        let what = if self.is_tcp { "Connection to" } else { "UDP setup with" };
        let (ip, port) = (*self.remote().ip(), self.asking.port);
        let text = format!(";; {what} {ip}#{port}({server}) for {shown} failed: {}.\n", reason(errno));
        os.write(Stream::Stdout, &text);
        if self.is_tcp && self.tries_left > 1 {
            self.tries_left -= 1;
            os.write(Stream::Stdout, ";; no servers could be reached\n");
            return self.send(os);
        }
        self.next_server(os, Outcome::NotSent)
    }

    fn next_server(&mut self, os: &mut dyn Os, last: Outcome) -> Option<Outcome> {
        if self.server + 1 >= self.asking.servers.len() {
            return Some(last);
        }
        self.server += 1;
        self.tries_left = self.asking.tries;
        self.is_tcp = self.asking.tcp;
        self.send(os)
    }

    fn put_away(&mut self, os: &mut dyn Os) {
        os.cancel_timer(TRY_OVER);
        if self.socket != SocketId::NONE {
            os.close(std::mem::replace(&mut self.socket, SocketId::NONE));
        }
    }
}

/// Where an option stands among the others (`setup_lookup`): identifier of the server, client's network, cookie, expiry,
/// keepalive, those of the user's own.
fn place(code: u16) -> usize {
    [3, 8, COOKIE, 9, 11].iter().position(|known| *known == code).unwrap_or(5)
}

/// Of the names that a typed one leads to, those that can be asked for: one that only its suffix makes too long is passed
/// over. A typed name that cannot be one ends the program (`setup_lookup` of BIND's `dighost.c`), in other words where the
/// search list would have been put behind it.
fn legal_names(
    os: &mut dyn Os,
    program: &str,
    (typed, is_searched): (&str, bool),
    names: Vec<String>,
) -> Option<VecDeque<String>> {
    let absolute = system::absolute(typed);
    let wrong = if typed.is_empty() {
        Some("unexpected end of input")
    } else {
        labels(&absolute).err().map(name_error)
    };
    if let Some(why) = wrong {
        let as_it_is = !is_searched || (names.first() == Some(&absolute) && !typed.ends_with('.'));
        let (what, status) = if as_it_is { ("a legal name", 10) } else { ("in legal name syntax", 1) };
        os.write(Stream::Stderr, &format!("{program}: '{typed}' is not {what} ({why})\n"));
        os.exit(status);
        return None;
    }
    Some(names.into_iter().filter(|name| labels(name).is_ok()).collect())
}

/// A typed name as it is asked for, where names beyond ASCII are converted (`idn_locale_to_ace`). One that cannot be ends the
/// program.
fn converted(os: &mut dyn Os, program: &str, typed: &str, is_wanted: bool) -> Option<String> {
    if !is_wanted || typed.is_ascii() {
        return Some(typed.to_owned());
    }
    if has_utf8(os) {
        return Some(to_ascii(typed));
    }
    let why = "could not convert string to UTF-8";
    let text = format!("{program}: '{typed}' is not a legal IDNA2008 name ({why}), use +noidnin\n");
    os.write(Stream::Stderr, &text);
    os.exit(1);
    None
}

/// The words of `isc_result_totext` for a name that cannot be one.
fn name_error(error: NameError) -> &'static str {
    match error {
        NameError::EmptyLabel => "empty label",
        NameError::LongLabel => "label too long",
        NameError::LongName => "ran out of space",
        NameError::Escape => "bad escape",
    }
}

/// The words of `isc_result_totext` for an error of the kernel's.
fn reason(errno: Errno) -> &'static str {
    const KNOWN: [(Errno, &str); 5] = [
        (Errno::Econnrefused, "connection refused"),
        (Errno::Enetunreach, "network unreachable"),
        (Errno::Ehostunreach, "host unreachable"),
        (Errno::Etimedout, "timed out"),
        (Errno::Econnreset, "connection reset"),
    ];
    KNOWN.iter().find(|known| known.0 == errno).map_or(errno.text(), |known| known.1)
}
