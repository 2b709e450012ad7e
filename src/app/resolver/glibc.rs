//! The resolver of glibc: `__res_context_search` (`res_query.c`) over `__res_context_send` (`res_send.c`), as the service
//! `dns` of `nsswitch.conf` calls it for `getaddrinfo(3)`, which asks for A and AAAA in one go.
//!
//! One server is asked after the other, all of them `attempts` times. Both questions leave one socket at once; if only one
//! of them is answered, the second one waits for the answer to the first from then on, and if that does not help either it
//! gets a socket of its own. Sockets stay open while a name is asked for. Over TCP nothing limits the time but the
//! kernel.

use super::{
    Candidate, Gai, Libc, Memory, NotFound, Outcome, PORT, Reader, ResolvConf, TIMER, Wanted, addresses,
};
use super::{close, framed, take_messages};
use crate::app::dial::{self, Read};
use crate::app::{Errno, Os, Transport};
use crate::base::dns::{Question, Rcode, Type};
use crate::base::{Duration, SocketId};
use crate::wire::dns::{self, Edns, Message};
use std::net::SocketAddrV4;

/// Size that glibc announces with `edns0`, in bytes (`RESOLV_EDNS_BUFFER_SIZE`).
const EDNS_SIZE: u16 = 1200;

/// `h_errno` after a name was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Herrno {
    HostNotFound,
    NoData,
    TryAgain,
    NoRecovery,
}

/// Why a server is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// It was silent, or failed: its sockets stay as they are.
    Open,
    /// There was an error: all sockets are closed (`close_and_return_error`).
    Closed,
}

/// The answers to the questions for one name, in the order in which they came.
#[derive(Clone, Debug, Default)]
struct Answers {
    first: Option<Message>,
    second: Option<Message>,
    /// Whether each question has its answer.
    have: [bool; 2],
}

/// What is asked over TCP.
#[derive(Clone, Debug)]
struct Stream {
    socket: SocketId,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Whether the connection was lost once already.
    was_reset: bool,
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
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Glibc {
    conf: ResolvConf,
    memory: Memory,
    candidates: Vec<Candidate>,
    /// The candidate that is asked for.
    at: usize,
    /// Types that are asked for, and the identifiers of the questions.
    kinds: Vec<Type>,
    ids: Vec<u16>,
    attempt: u32,
    /// The server that this name began with, and how many follow it.
    offset: usize,
    shift: usize,
    /// The socket for each server.
    sockets: Vec<Option<SocketId>>,
    stream: Option<Stream>,
    by_tcp: bool,
    got_somewhere: bool,
    got_somewhere_before: bool,
    /// The last error over TCP.
    stream_errno: Option<Errno>,
    answers: Answers,
    /// The response code of the first message that came for this name.
    buffer: Option<Rcode>,
    saved: Option<Herrno>,
    last: Herrno,
    got_nodata: bool,
    got_servfail: bool,
}

/// Whether a name can be a host's (`res_hnok`): letters, digits, `-`, `_` and dots, and no `-` at its beginning.
fn is_host_name(name: &str) -> bool {
    let fits = |at: u8| at.is_ascii_alphanumeric() || b"-_.".contains(&at);
    !name.starts_with('-') && name.bytes().all(fits)
}

impl Glibc {
    pub(super) fn start(
        os: &mut dyn Os,
        (name, wanted): (&str, Wanted),
        conf: ResolvConf,
        memory: Memory,
    ) -> (Self, Option<Outcome>) {
        let mut candidates = conf.candidates(name, Reader::Libc(Libc::Glibc));
        if wanted == Wanted::Name {
            // `res_nquery`: no search list.
            candidates = vec![Candidate { name: name.to_owned(), suffix: None }];
        } else if !is_host_name(name) {
            candidates.clear();
        }
        let mut kinds = wanted.kinds().to_vec();
        if conf.no_aaaa {
            kinds.retain(|kind| *kind != Type::Aaaa);
        }
        if kinds.is_empty() {
            candidates.clear();
        }
        let mut memory = memory;
        memory.single_request |= conf.single_request;
        memory.reopen |= conf.reopen;
        let mut glibc = Self {
            sockets: vec![None; conf.servers.len()],
            conf,
            memory,
            candidates,
            at: 0,
            kinds,
            ids: Vec::new(),
            attempt: 0,
            offset: 0,
            shift: 0,
            stream: None,
            by_tcp: false,
            got_somewhere: false,
            got_somewhere_before: false,
            stream_errno: None,
            answers: Answers::default(),
            buffer: None,
            saved: None,
            last: Herrno::HostNotFound,
            got_nodata: false,
            got_servfail: false,
        };
        let outcome = glibc.ask(os);
        (glibc, outcome)
    }

    pub(super) fn memory(&self) -> Memory {
        self.memory
    }

    pub(super) fn owns(&self, socket: SocketId) -> bool {
        let stream = self.stream.as_ref().map(|stream| stream.socket);
        self.sockets.contains(&Some(socket)) || stream == Some(socket)
    }

    /// `__res_iclose`.
    pub(super) fn close_all(&mut self, os: &mut dyn Os) {
        self.sockets.iter_mut().for_each(|socket| close(os, socket));
        if let Some(stream) = self.stream.take() {
            os.close(stream.socket);
        }
    }

    // The names: `__res_context_search`.

    /// Asks for the candidate whose turn it is.
    fn ask(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        loop {
            let Some(candidate) = self.candidates.get(self.at) else { return Some(self.give_up(os)) };
            if self.message(&candidate.name, Type::A, 0).to_bytes(false).is_err() {
                // `res_mkquery` cannot write it down.
                self.failed_name(Herrno::NoRecovery);
                continue;
            }
            self.ids = self.kinds.iter().map(|_| os.random() as u16).collect();
            (self.attempt, self.shift) = (0, 0);
            self.offset = self.first_server(os);
            (self.got_somewhere, self.got_somewhere_before) = (false, false);
            self.by_tcp = self.conf.use_vc;
            self.stream_errno = None;
            self.answers = Answers::default();
            self.buffer = None;
            if self.conf.attempts == 0 {
                self.failed_name(Herrno::TryAgain);
                continue;
            }
            return self.try_server(os);
        }
    }

    /// `nameserver_offset`: chance says where a process begins.
    fn first_server(&mut self, os: &mut dyn Os) -> usize {
        let count = self.conf.servers.len() as u32;
        if count <= 1 || !self.conf.rotate {
            return 0;
        }
        let next = self.memory.next_server.unwrap_or_else(|| os.random() >> 1);
        self.memory.next_server = Some(next.wrapping_add(1));
        (next % count) as usize
    }

    /// Goes on to the candidate after one that was not found.
    fn failed_name(&mut self, herrno: Herrno) {
        let Some(candidate) = self.candidates.get(self.at) else { return };
        self.last = herrno;
        let is_last = self.at + 1 == self.candidates.len();
        if candidate.suffix.is_none() {
            if !is_last {
                self.saved = Some(herrno);
            }
            self.at += 1;
            return;
        }
        let servfail = herrno == Herrno::TryAgain && self.buffer == Some(Rcode::ServFail);
        self.got_nodata |= herrno == Herrno::NoData;
        self.got_servfail |= servfail;
        if servfail || matches!(herrno, Herrno::NoData | Herrno::HostNotFound) {
            self.at += 1;
            return;
        }
        // Anything else ends the search, but for the name as it is.
        let rest = self.candidates[self.at..].iter().position(|candidate| candidate.suffix.is_none());
        self.at = rest.map_or(self.candidates.len(), |rest| self.at + rest);
    }

    fn give_up(&mut self, os: &mut dyn Os) -> Outcome {
        os.cancel_timer(TIMER);
        self.close_all(os);
        let herrno = match self.saved {
            Some(saved) => saved,
            None if self.got_nodata => Herrno::NoData,
            None if self.got_servfail => Herrno::TryAgain,
            None => self.last,
        };
        let why = match herrno {
            Herrno::HostNotFound | Herrno::NoRecovery => Gai::NoName,
            Herrno::NoData => Gai::NoData,
            Herrno::TryAgain => Gai::Again,
        };
        Err(NotFound { why, libc: Libc::Glibc })
    }

    /// There are answers, or none: what they mean for the name (`__res_context_query`).
    fn judge(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        os.cancel_timer(TIMER);
        self.close_all(os);
        let Answers { first, second, .. } = std::mem::take(&mut self.answers);
        let answers: Vec<&Message> = first.iter().chain(&second).collect();
        let (Some(one), Some(other)) = (answers.first(), answers.last()) else {
            self.failed_name(Herrno::TryAgain);
            return self.ask(os);
        };
        let is_good = |message: &&Message| message.rcode == Rcode::NoError && !message.answer.is_empty();
        if is_good(one) || is_good(other) {
            let good: Vec<&Message> = answers.iter().copied().filter(|message| is_good(message)).collect();
            return Some(addresses(&good).ok_or(NotFound { why: Gai::NoData, libc: Libc::Glibc }));
        }
        let herrno = match if one.rcode == Rcode::NoError { other.rcode } else { one.rcode } {
            Rcode::NxDomain => Herrno::HostNotFound,
            Rcode::ServFail => Herrno::TryAgain,
            Rcode::NoError => Herrno::NoData,
            Rcode::FormErr | Rcode::NotImp | Rcode::Refused | Rcode::Other(_) => Herrno::NoRecovery,
        };
        self.failed_name(herrno);
        self.ask(os)
    }

    /// No server answered.
    fn nobody(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        self.answers = Answers::default();
        let refused =
            if self.by_tcp { self.stream_errno == Some(Errno::Econnrefused) } else { !self.got_somewhere };
        let searched = self.candidates.get(self.at).is_some_and(|candidate| candidate.suffix.is_some());
        if refused && searched {
            os.cancel_timer(TIMER);
            self.close_all(os);
            return Some(Err(NotFound { why: Gai::Again, libc: Libc::Glibc }));
        }
        self.judge(os)
    }

    // The servers: `__res_context_send`.

    fn message(&self, name: &str, kind: Type, id: u16) -> Message {
        let mut message = Message::query(id, Question { name: name.to_owned(), kind });
        message.set(dns::AD, self.conf.trust_ad);
        message.edns = self.conf.edns0.then(|| Edns { udp_size: EDNS_SIZE, ..Edns::default() });
        message
    }

    /// The first question, or the second one.
    fn question(&self, number: usize) -> Option<Message> {
        let kind = *self.kinds.get(number)?;
        Some(self.message(&self.candidates.get(self.at)?.name, kind, *self.ids.get(number)?))
    }

    fn bytes(&self, number: usize) -> Option<Vec<u8>> {
        self.question(number)?.to_bytes(false).ok()
    }

    fn server(&self) -> usize {
        (self.offset + self.shift) % self.conf.servers.len()
    }

    fn server_address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.conf.servers[self.server()], PORT)
    }

    /// Asks the server whose turn it is.
    fn try_server(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        if self.by_tcp {
            // At most once each.
            self.attempt = self.conf.attempts;
            return self.connect(os, false);
        }
        self.got_somewhere_before = self.got_somewhere;
        if !self.open(os) {
            return self.leave_server(os, Left::Closed);
        }
        self.send(os)
    }

    fn leave_server(&mut self, os: &mut dyn Os, left: Left) -> Option<Outcome> {
        if left == Left::Closed {
            self.close_all(os);
        }
        self.answers = Answers::default();
        self.shift += 1;
        if self.shift >= self.conf.servers.len() {
            self.shift = 0;
            self.attempt += 1;
        }
        let is_over =
            self.attempt > self.conf.attempts || (!self.by_tcp && self.attempt == self.conf.attempts);
        if is_over { self.nobody(os) } else { self.try_server(os) }
    }

    // Datagrams: `send_dg`.

    /// Sees to it that there is a socket for the server; whether there is.
    fn open(&mut self, os: &mut dyn Os) -> bool {
        let (server, remote) = (self.server(), self.server_address());
        if self.sockets[server].is_none() {
            self.sockets[server] = dial::start_with(os, Transport::Udp, remote).ok();
        }
        self.sockets[server].is_some()
    }

    /// Sends from the beginning. The server has the whole time again.
    fn send(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        self.answers = Answers::default();
        self.answers.have[1] = self.ids.len() < 2;
        // Later servers of the list get their share.
        let mut secs = self.conf.timeout << self.server();
        if self.server() > 0 {
            secs /= self.conf.servers.len() as u64;
        }
        os.set_timer(TIMER, Duration::from_secs(secs.max(1)));
        let numbers = if self.memory.single_request { 0..1 } else { 0..self.ids.len() };
        for number in numbers {
            if !self.send_one(os, number) {
                return self.leave_server(os, Left::Closed);
            }
        }
        self.receive(os)
    }

    fn send_one(&self, os: &mut dyn Os, number: usize) -> bool {
        let (Some(bytes), Some(socket)) = (self.bytes(number), self.sockets[self.server()]) else {
            return false;
        };
        os.send(socket, &bytes).is_ok()
    }

    pub(super) fn timer(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        let half = self.ids.len() > 1 && self.answers.first.is_some() && self.answers.have.contains(&true);
        if !half {
            self.got_somewhere = true;
            return self.leave_server(os, Left::Open);
        }
        // The server, or something before it, does not do with two questions at once.
        self.got_somewhere = self.got_somewhere_before;
        if !self.memory.single_request {
            self.memory.single_request = true;
            return self.send(os);
        }
        if !self.memory.reopen {
            self.memory.reopen = true;
            self.close_all(os);
            return if self.open(os) { self.send(os) } else { self.leave_server(os, Left::Closed) };
        }
        self.judge(os)
    }

    pub(super) fn readable(&mut self, os: &mut dyn Os, socket: SocketId) -> Option<Outcome> {
        if self.stream.as_ref().is_some_and(|stream| stream.socket == socket) {
            return self.read_stream(os);
        }
        // What another server says late waits in its socket.
        if !self.by_tcp && self.sockets[self.server()] == Some(socket) { self.receive(os) } else { None }
    }

    fn receive(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        loop {
            let socket = self.sockets[self.server()]?;
            match os.receive_from(socket) {
                Ok(datagram) => {
                    self.got_somewhere = true;
                    let Ok(message) = Message::parse(&datagram.data) else { continue };
                    if let Taken::Then(then) = self.take(os, message) {
                        return then;
                    }
                }
                Err(Errno::Eagain) => return None,
                Err(_) => return self.leave_server(os, Left::Closed),
            }
        }
    }

    /// The question that a message answers, if it is an open one of ours.
    fn matching(&self, message: &Message) -> Option<usize> {
        let given = message.questions.first()?;
        (0..self.ids.len()).find(|number| {
            let asked = self.question(*number).unwrap_or_else(|| message.clone());
            let same = asked.questions.first().is_some_and(|question| {
                question.kind == given.kind && question.name.eq_ignore_ascii_case(&given.name)
            });
            !self.answers.have[*number] && self.ids[*number] == message.id && message.has(dns::QR) && same
        })
    }

    /// Puts a message into its buffer.
    fn keep(&mut self, number: usize, message: Message) {
        self.answers.have[number] = true;
        if self.buffer_is_free() {
            self.buffer = Some(message.rcode);
            self.answers.first = Some(message);
        } else {
            self.answers.second = Some(message);
        }
    }

    fn buffer_is_free(&self) -> bool {
        let taken = self.answers.have.iter().filter(|have| **have).count();
        taken == 1 + usize::from(self.ids.len() < 2)
    }

    /// A message came.
    fn take(&mut self, os: &mut dyn Os, message: Message) -> Taken {
        let Some(number) = self.matching(&message) else { return Taken::More };
        let failed = matches!(message.rcode, Rcode::ServFail | Rcode::NotImp | Rcode::Refused);
        let is_lame = message.rcode == Rcode::NoError
            && message.answer.is_empty()
            && !message.has(dns::AA)
            && !message.has(dns::RA)
            && message.additional.is_empty()
            && message.edns.is_none();
        if failed || is_lame {
            return self.take_failure(os, number, &message);
        }
        if message.has(dns::TC) {
            self.by_tcp = true;
            self.close_all(os);
            return Taken::Then(self.try_server(os));
        }
        self.keep(number, message);
        if self.answers.have == [true; 2] {
            return Taken::Then(self.judge(os));
        }
        if !self.memory.single_request {
            return Taken::More;
        }
        if self.memory.reopen {
            self.close_all(os);
            if !self.open(os) {
                return Taken::Then(self.leave_server(os, Left::Closed));
            }
        }
        if self.send_one(os, 1) { Taken::More } else { Taken::Then(self.leave_server(os, Left::Closed)) }
    }

    /// The server does not know. An answer to the other question counts all the same.
    fn take_failure(&mut self, os: &mut dyn Os, number: usize, message: &Message) -> Taken {
        let other = self.ids.len() > 1 && self.answers.have[1 - number];
        if other {
            self.answers.second = None;
            let then =
                if self.answers.first.is_some() { self.judge(os) } else { self.leave_server(os, Left::Open) };
            return Taken::Then(then);
        }
        self.buffer = Some(message.rcode);
        if self.ids.len() < 2 || self.memory.single_request {
            return Taken::Then(self.leave_server(os, Left::Closed));
        }
        self.answers.have[number] = true;
        Taken::More
    }

    // Streams: `send_vc`.

    fn connect(&mut self, os: &mut dyn Os, was_reset: bool) -> Option<Outcome> {
        os.cancel_timer(TIMER);
        self.answers = Answers::default();
        self.answers.have[1] = self.ids.len() < 2;
        let output: Vec<u8> = (0..self.ids.len())
            .filter_map(|number| self.bytes(number))
            .flat_map(|one| framed(&one))
            .collect();
        match dial::start_with(os, Transport::Tcp, self.server_address()) {
            Ok(socket) => {
                self.stream = Some(Stream { socket, input: Vec::new(), output, was_reset });
                None
            }
            Err(errno) => self.lose_stream(os, errno),
        }
    }

    fn lose_stream(&mut self, os: &mut dyn Os, errno: Errno) -> Option<Outcome> {
        self.stream_errno = Some(errno);
        let was_reset = self.stream.as_ref().is_none_or(|stream| stream.was_reset);
        if errno == Errno::Econnreset && !was_reset {
            self.close_all(os);
            return self.connect(os, true);
        }
        self.leave_server(os, Left::Closed)
    }

    pub(super) fn writable(&mut self, os: &mut dyn Os, socket: SocketId) -> Option<Outcome> {
        let stream = self.stream.as_mut().filter(|stream| stream.socket == socket)?;
        let error = os.take_error(socket).or_else(|| dial::write(os, socket, &mut stream.output).err());
        error.and_then(|errno| self.lose_stream(os, errno))
    }

    fn read_stream(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        let stream = self.stream.as_mut()?;
        let read = dial::read(os, stream.socket, &mut stream.input);
        for bytes in take_messages(&mut stream.input) {
            let Ok(message) = Message::parse(&bytes) else { continue };
            let Some(number) = self.matching(&message) else { continue };
            self.keep(number, message);
        }
        if self.answers.have == [true; 2] {
            // Whatever it says, no other server is asked.
            return self.judge(os);
        }
        match read {
            Read::More => None,
            Read::End => self.leave_server(os, Left::Closed),
            Read::Failed(errno) => self.lose_stream(os, errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_host_name;

    #[test]
    fn names_of_hosts() {
        for good in ["web", "_x.web", "x.-web", "web-", "a.b"] {
            assert!(is_host_name(good), "{good}");
        }
        for bad in ["-web", "we!b", "a/b", "*", "w\u{e9}b", "a b"] {
            assert!(!is_host_name(bad), "{bad}");
        }
    }
}
