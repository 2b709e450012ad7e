//! The resolver of the C library, which is part of every program: `getaddrinfo(3)` over real packets.
//!
//! glibc asks one server after the other and both families at once from one socket; musl asks all servers at once and
//! takes the first answer. Both end with a TCP question where an answer was cut.
//! *Simplified*: addresses of IPv6 are asked for and not used, as nothing here speaks IPv6; the order of addresses is
//! that of the answer.

mod conf;

pub use conf::{Libc, ResolvConf};

use super::dial::{self, Read};
use super::{Errno, Os, Transport, Wake};
use crate::base::dns::{Question, RData, Rcode, Record, Type};
use crate::base::{Duration, Ipv4Addr, SocketId};
use crate::wire::dns::{self, Edns, Message};
use std::net::SocketAddrV4;

/// The timer of the resolver, apart from the program's own.
const TIMER: u32 = u32::MAX - 7;
/// Size that glibc announces with `edns0`, in bytes (`RESOLV_EDNS_BUFFER_SIZE`).
const EDNS_SIZE: u16 = 1200;
const PORT: u16 = 53;

/// Why there is no address (`EAI_*` of `getaddrinfo(3)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gai {
    /// There is no such name.
    NoName,
    /// The name servers could not be asked, or failed.
    Again,
}

impl Gai {
    /// The C library's text (`gai_strerror(3)`).
    pub fn text(self) -> &'static str {
        match self {
            Self::NoName => "Name or service not known",
            Self::Again => "Temporary failure in name resolution",
        }
    }
}

/// Why a name was not found, in the C library's words.
pub(super) fn why_not(os: &dyn Os, name: &str) -> &'static str {
    let failed = os.lookup(name).and_then(|outcome| outcome.as_ref().err());
    failed.map_or(Gai::NoName.text(), |why| why.text())
}

/// A name that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its addresses.
    pub addresses: Vec<Ipv4Addr>,
    /// The name that they belong to, without its last dot.
    pub canonical: String,
}

/// What a lookup came to.
pub type Outcome = Result<Found, Gai>;

/// A question with what came of it.
#[derive(Clone, Debug)]
struct Asked {
    kind: Type,
    id: u16,
    answer: Option<Message>,
}

/// What became of a message.
enum Taken {
    /// Further ones are read.
    More,
    /// They are not: something else goes on, or there is an outcome.
    Then(Option<Outcome>),
}

/// A lookup under way.
#[derive(Clone, Debug)]
pub struct Resolver {
    /// The name that is looked up.
    pub name: String,
    libc: Libc,
    conf: ResolvConf,
    candidates: Vec<String>,
    /// The candidate, the attempt and the server that are next.
    at: usize,
    attempt: u32,
    server: usize,
    asked: Vec<Asked>,
    socket: Option<SocketId>,
    is_tcp: bool,
    input: Vec<u8>,
    output: Vec<u8>,
    got_servfail: bool,
}

impl Resolver {
    /// Begins to look a name up; the outcome where there is one at once.
    pub fn start(os: &mut dyn Os, name: &str, libc: Libc) -> (Self, Option<Outcome>) {
        let text = os.read_file("/etc/resolv.conf").unwrap_or_default();
        let conf = ResolvConf::parse(&text, libc);
        let mut candidates = conf.candidates(name, libc);
        candidates.retain(|name| crate::base::dns::labels(name).is_ok());
        let first = if conf.rotate { os.random() as usize % conf.servers.len() } else { 0 };
        let mut resolver = Self {
            name: name.to_owned(),
            libc,
            conf,
            candidates,
            at: 0,
            attempt: 0,
            server: 0,
            asked: Vec::new(),
            socket: None,
            is_tcp: false,
            input: Vec::new(),
            output: Vec::new(),
            got_servfail: false,
        };
        resolver.conf.servers.rotate_left(first);
        let outcome = resolver.next_name(os);
        (resolver, outcome)
    }

    /// Whether a wake-up is for the resolver.
    pub fn owns(&self, wake: &Wake) -> bool {
        match wake {
            Wake::Timer(token) => *token == TIMER,
            Wake::Readable(socket) | Wake::Writable(socket) => self.socket == Some(*socket),
            Wake::Start | Wake::Terminate | Wake::Interrupt | Wake::Input => false,
        }
    }

    /// Gives up.
    pub fn drop_socket(&mut self, os: &mut dyn Os) {
        os.cancel_timer(TIMER);
        if let Some(socket) = self.socket.take() {
            os.close(socket);
        }
    }

    /// Goes on.
    pub fn wake(&mut self, os: &mut dyn Os, wake: &Wake) -> Option<Outcome> {
        match wake {
            Wake::Timer(_) => self.next_server(os),
            Wake::Writable(_) if self.is_tcp => {
                let failed = self.socket.is_some_and(|socket| {
                    os.take_error(socket).is_some() || dial::write(os, socket, &mut self.output).is_err()
                });
                if failed { self.next_server(os) } else { None }
            }
            Wake::Readable(socket) => self.readable(os, *socket),
            Wake::Writable(_) | Wake::Start | Wake::Terminate | Wake::Interrupt | Wake::Input => None,
        }
    }

    fn message(&self, kind: Type, id: u16) -> Message {
        let name = self.candidates.get(self.at).cloned().unwrap_or_default();
        let mut message = Message::query(id, Question { name, kind });
        message.set(dns::AD, self.conf.trust_ad);
        message.edns = self.conf.edns0.then(|| Edns { udp_size: EDNS_SIZE, ..Edns::default() });
        message
    }

    /// The next name of the search list.
    fn next_name(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        (self.attempt, self.server) = (0, 0);
        if self.at >= self.candidates.len() {
            self.drop_socket(os);
            return Some(Err(if self.got_servfail { Gai::Again } else { Gai::NoName }));
        }
        let kinds: &[Type] = if self.conf.no_aaaa { &[Type::A] } else { &[Type::A, Type::Aaaa] };
        self.asked =
            kinds.iter().map(|kind| Asked { kind: *kind, id: os.random() as u16, answer: None }).collect();
        self.send(os)
    }

    /// Sends what is not answered yet.
    fn send(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        self.drop_socket(os);
        self.is_tcp = self.conf.use_vc;
        self.input.clear();
        let transport = if self.is_tcp { Transport::Tcp } else { Transport::Udp };
        let sent = match self.libc {
            Libc::Glibc => self.server_address().and_then(|server| self.open(os, transport, server)),
            Libc::Musl => self.open_to_all(os),
        };
        if sent.is_none() {
            return self.next_server(os);
        }
        os.set_timer(TIMER, self.patience());
        None
    }

    fn server_address(&self) -> Option<SocketAddrV4> {
        self.conf.servers.get(self.server).map(|ip| SocketAddrV4::new(*ip, PORT))
    }

    /// How long the server has: later servers of the list get their share (`get_timeout` of `res_send.c`), and with musl
    /// all attempts share one time.
    fn patience(&self) -> Duration {
        match self.libc {
            Libc::Glibc => {
                let secs = self.conf.timeout << self.server;
                let share = if self.server > 0 { secs / self.conf.servers.len() as u64 } else { secs };
                Duration::from_secs(share.max(1))
            }
            Libc::Musl => Duration::from_ms(self.conf.timeout * 1000 / u64::from(self.conf.attempts)),
        }
    }

    /// The messages to be sent: both families at once, or one after the other.
    fn messages(&self) -> Vec<Vec<u8>> {
        let open = self.asked.iter().filter(|asked| asked.answer.is_none());
        let most = if self.conf.single_request { 1 } else { 2 };
        open.take(most).filter_map(|asked| self.message(asked.kind, asked.id).to_bytes(false).ok()).collect()
    }

    fn open(&mut self, os: &mut dyn Os, transport: Transport, server: SocketAddrV4) -> Option<()> {
        let socket = dial::start_with(os, transport, server).ok()?;
        self.socket = Some(socket);
        for bytes in self.messages() {
            if transport == Transport::Tcp {
                self.output.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
                self.output.extend_from_slice(&bytes);
            } else {
                os.send(socket, &bytes).ok()?;
            }
        }
        Some(())
    }

    fn open_to_all(&mut self, os: &mut dyn Os) -> Option<()> {
        let socket = os.socket(Transport::Udp).ok()?;
        self.socket = Some(socket);
        let mut sent = false;
        for bytes in self.messages() {
            for ip in &self.conf.servers {
                sent |= os.send_to(socket, SocketAddrV4::new(*ip, PORT), &bytes).is_ok();
            }
        }
        sent.then_some(())
    }

    /// This server failed or was silent: the next one, or the next round.
    fn next_server(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        self.server += 1;
        if self.libc == Libc::Musl || self.server >= self.conf.servers.len() {
            self.server = 0;
            self.attempt += 1;
        }
        if self.attempt >= self.conf.attempts {
            self.drop_socket(os);
            if self.asked.iter().any(|asked| asked.answer.is_some()) {
                return self.judge(os);
            }
            // Nobody answers: further names would not do better.
            return Some(Err(Gai::Again));
        }
        self.send(os)
    }

    fn readable(&mut self, os: &mut dyn Os, socket: SocketId) -> Option<Outcome> {
        let mut messages = Vec::new();
        if self.is_tcp {
            let read = dial::read(os, socket, &mut self.input);
            messages = take_messages(&mut self.input);
            if messages.is_empty() && read != Read::More {
                return self.next_server(os);
            }
        } else {
            loop {
                match os.receive_from(socket) {
                    Ok(datagram) => messages.push(datagram.data.to_vec()),
                    Err(Errno::Eagain) => break,
                    Err(_) => return self.next_server(os),
                }
            }
        }
        for bytes in messages {
            let Ok(message) = Message::parse(&bytes) else { continue };
            if let Taken::Then(outcome) = self.take(os, message) {
                return outcome;
            }
        }
        None
    }

    /// A message came.
    fn take(&mut self, os: &mut dyn Os, message: Message) -> Taken {
        let name = self.candidates.get(self.at).cloned().unwrap_or_default();
        let fits = |asked: &&mut Asked| {
            let question = message.questions.first();
            let same =
                question.is_some_and(|at| at.kind == asked.kind && at.name.eq_ignore_ascii_case(&name));
            asked.id == message.id && asked.answer.is_none() && message.has(dns::QR) && same
        };
        let Some(asked) = self.asked.iter_mut().find(fits) else { return Taken::More };
        let failed = matches!(message.rcode, Rcode::ServFail | Rcode::NotImp | Rcode::Refused);
        if failed && self.libc == Libc::Glibc {
            self.got_servfail |= message.rcode == Rcode::ServFail;
            asked.answer = Some(message);
            let last_round = self.attempt + 1 >= self.conf.attempts;
            if last_round && self.server + 1 >= self.conf.servers.len() {
                return self.whole(os);
            }
            self.asked.iter_mut().for_each(|asked| asked.answer = None);
            return Taken::Then(self.next_server(os));
        }
        if message.has(dns::TC) && !self.is_tcp {
            return Taken::Then(self.by_tcp(os));
        }
        asked.answer = Some(message);
        self.whole(os)
    }

    /// Both answers are there, or the next question is to be sent.
    fn whole(&mut self, os: &mut dyn Os) -> Taken {
        if self.asked.iter().all(|asked| asked.answer.is_some()) {
            return Taken::Then(self.judge(os));
        }
        if self.conf.single_request { Taken::Then(self.send(os)) } else { Taken::More }
    }

    fn by_tcp(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        self.drop_socket(os);
        self.is_tcp = true;
        self.input.clear();
        let opened = self.server_address().and_then(|server| self.open(os, Transport::Tcp, server));
        if opened.is_none() {
            return self.next_server(os);
        }
        os.set_timer(TIMER, self.patience());
        None
    }

    /// What the answers for this name come to.
    fn judge(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        let answers: Vec<&Message> = self.asked.iter().filter_map(|asked| asked.answer.as_ref()).collect();
        let records: Vec<&Record> = answers.iter().flat_map(|message| &message.answer).collect();
        let mut addresses = Vec::new();
        let mut canonical = None;
        for record in &records {
            if let RData::A(ip) = record.data {
                canonical.get_or_insert_with(|| record.owner.trim_end_matches('.').to_owned());
                if !addresses.contains(&ip) {
                    addresses.push(ip);
                }
            }
        }
        if let Some(canonical) = canonical {
            self.drop_socket(os);
            return Some(Ok(Found { addresses, canonical }));
        }
        let rcodes: Vec<Rcode> = answers.iter().map(|message| message.rcode).collect();
        let ends = match self.libc {
            // Only the lack of a name leads on; a refusal ends the search, a failed server does not.
            Libc::Glibc => rcodes.contains(&Rcode::Refused).then_some(Gai::Again),
            Libc::Musl if rcodes.contains(&Rcode::ServFail) || rcodes.is_empty() => Some(Gai::Again),
            Libc::Musl => (!rcodes.contains(&Rcode::NxDomain)).then_some(Gai::NoName),
        };
        if let Some(why) = ends {
            self.drop_socket(os);
            return Some(Err(why));
        }
        self.at += 1;
        self.next_name(os)
    }
}

/// Takes the whole messages from the front of what a connection brought (RFC 1035 section 4.2.2).
pub(super) fn take_messages(input: &mut Vec<u8>) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while let [high, low, rest @ ..] = input.as_slice() {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let Some(message) = rest.get(..len) else { break };
        messages.push(message.to_vec());
        input.drain(..len + 2);
    }
    messages
}
