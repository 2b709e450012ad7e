//! The resolver of musl: `name_from_dns_search` (`lookup_name.c`) over `__res_msend_rc` (`res_msend.c`).
//!
//! All servers are asked at once from one socket, for both families, as often as `attempts` says within `timeout`. The
//! first good answer counts; a server that fails is asked again at once a few times; one that refuses is not heard. A cut
//! answer is asked for again by TCP, of the server that sent it.

use super::{Candidate, Gai, Libc, NotFound, Outcome, PORT, Reader, ResolvConf, TIMER, Wanted, addresses};
use super::{close, framed, take_messages};
use crate::app::dial::{self, Read};
use crate::app::{Errno, Os, Transport};
use crate::base::dns::{Question, Rcode, Type};
use crate::base::{Duration, SimTime, SocketId};
use crate::wire::dns::{self, Message};
use std::net::SocketAddrV4;

/// How often a failing server is asked again at once, for each question of a round.
const SERVFAIL_RETRIES: usize = 2;

/// A question with its answer.
#[derive(Clone, Debug)]
struct Asked {
    kind: Type,
    id: u16,
    bytes: Vec<u8>,
    answer: Option<Message>,
    stream: Option<SocketId>,
    input: Vec<u8>,
    output: Vec<u8>,
}

/// A lookup under way.
#[derive(Clone, Debug)]
pub(super) struct Musl {
    kinds: &'static [Type],
    conf: ResolvConf,
    candidates: Vec<Candidate>,
    at: usize,
    asked: Vec<Asked>,
    socket: Option<SocketId>,
    began: SimTime,
    servfail_retries: usize,
}

/// Longest name that is looked up, in bytes.
const NAME_MAX: usize = 254;

fn failure<T>(why: Gai) -> Result<T, NotFound> {
    Err(NotFound { why, libc: Libc::Musl })
}

impl Musl {
    pub(super) fn start(
        os: &mut dyn Os,
        (name, wanted): (&str, Wanted),
        conf: ResolvConf,
    ) -> (Self, Option<Outcome>) {
        let mut candidates = conf.candidates(name, Reader::Libc(Libc::Musl));
        if wanted == Wanted::Name {
            candidates = vec![Candidate { name: name.to_owned(), suffix: None }];
        }
        let mut musl = Self {
            kinds: wanted.kinds(),
            conf,
            candidates,
            at: 0,
            asked: Vec::new(),
            socket: None,
            began: os.now(),
            servfail_retries: 0,
        };
        let is_name = !name.is_empty() && name.len() <= NAME_MAX && !name.ends_with("..") && name != ".";
        let outcome = if is_name { musl.ask(os) } else { Some(failure(Gai::NoName)) };
        (musl, outcome)
    }

    pub(super) fn owns(&self, socket: SocketId) -> bool {
        self.socket == Some(socket) || self.asked.iter().any(|asked| asked.stream == Some(socket))
    }

    pub(super) fn close_all(&mut self, os: &mut dyn Os) {
        close(os, &mut self.socket);
        self.asked.iter_mut().for_each(|asked| close(os, &mut asked.stream));
    }

    /// Asks for the candidate whose turn it is (`name_from_dns`).
    fn ask(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        loop {
            let Some(candidate) = self.candidates.get(self.at) else { return Some(failure(Gai::NoName)) };
            let mut asked = Vec::new();
            for &kind in self.kinds {
                let id = os.random() as u16;
                let question = Question { name: candidate.name.clone(), kind };
                // `__res_mkquery` cannot write a name that is too long: as if there were no such name.
                let Ok(bytes) = Message::query(id, question).to_bytes(false) else { break };
                let (answer, stream, input, output) = (None, None, Vec::new(), Vec::new());
                asked.push(Asked { kind, id, bytes, answer, stream, input, output });
            }
            if asked.len() < self.kinds.len() {
                self.at += 1;
                continue;
            }
            self.asked = asked;
            let Ok(socket) = os.socket(Transport::Udp) else { return Some(failure(Gai::Again)) };
            self.socket = Some(socket);
            self.began = os.now();
            return self.round(os);
        }
    }

    /// Asks all servers what is not answered yet.
    fn round(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        let limit = Duration::from_secs(self.conf.timeout);
        let spent = os.now().since(self.began);
        if spent >= limit {
            return self.over(os);
        }
        let socket = self.socket?;
        for asked in self.asked.iter().filter(|asked| asked.answer.is_none() && asked.stream.is_none()) {
            for ip in &self.conf.servers {
                // What cannot be sent is lost.
                let _ = os.send_to(socket, SocketAddrV4::new(*ip, PORT), &asked.bytes);
            }
        }
        self.servfail_retries = SERVFAIL_RETRIES * self.asked.len();
        let every = Duration::from_ms(self.conf.timeout * 1000 / u64::from(self.conf.attempts.max(1)));
        os.set_timer(TIMER, every.min(limit - spent));
        None
    }

    pub(super) fn timer(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        self.round(os)
    }

    pub(super) fn readable(&mut self, os: &mut dyn Os, socket: SocketId) -> Option<Outcome> {
        if self.socket != Some(socket) {
            return self.read_stream(os, socket);
        }
        loop {
            match os.receive_from(socket) {
                Ok(datagram) => {
                    let Ok(message) = Message::parse(&datagram.data) else { continue };
                    self.take(os, socket, datagram.from, message);
                }
                Err(Errno::Eagain) => break,
                // An error that a server's host sent back is read and forgotten.
                Err(_) => {}
            }
        }
        if self.is_whole() { self.over(os) } else { None }
    }

    fn is_whole(&self) -> bool {
        self.asked.iter().all(|asked| asked.answer.is_some())
    }

    fn take(&mut self, os: &mut dyn Os, socket: SocketId, from: SocketAddrV4, message: Message) {
        if !self.conf.servers.contains(from.ip()) || from.port() != PORT {
            return;
        }
        let open =
            |asked: &&mut Asked| asked.id == message.id && asked.answer.is_none() && asked.stream.is_none();
        let Some(asked) = self.asked.iter_mut().find(open) else { return };
        match message.rcode {
            Rcode::NoError | Rcode::NxDomain if message.has(dns::TC) => {
                // Without a connection there is no answer, and it is asked for again by datagram.
                if let Ok(stream) = dial::start_with(os, Transport::Tcp, from) {
                    (asked.stream, asked.output) = (Some(stream), framed(&asked.bytes));
                }
            }
            Rcode::NoError | Rcode::NxDomain => asked.answer = Some(message),
            Rcode::ServFail if self.servfail_retries > 0 => {
                self.servfail_retries -= 1;
                let _ = os.send_to(socket, from, &asked.bytes);
            }
            Rcode::ServFail | Rcode::FormErr | Rcode::NotImp | Rcode::Refused | Rcode::Other(_) => {}
        }
    }

    pub(super) fn writable(&mut self, os: &mut dyn Os, socket: SocketId) -> Option<Outcome> {
        let asked = self.asked.iter_mut().find(|asked| asked.stream == Some(socket))?;
        let failed = os.take_error(socket).is_some() || dial::write(os, socket, &mut asked.output).is_err();
        if failed { self.over(os) } else { None }
    }

    fn read_stream(&mut self, os: &mut dyn Os, socket: SocketId) -> Option<Outcome> {
        let asked = self.asked.iter_mut().find(|asked| asked.stream == Some(socket))?;
        let read = dial::read(os, socket, &mut asked.input);
        let message = take_messages(&mut asked.input).into_iter().next();
        let Some(message) = message.and_then(|bytes| Message::parse(&bytes).ok()) else {
            // An error over TCP is the end.
            return if read == Read::More { None } else { self.over(os) };
        };
        close(os, &mut asked.stream);
        if !matches!(message.rcode, Rcode::NoError | Rcode::NxDomain) {
            return self.over(os);
        }
        asked.answer = Some(message);
        if self.is_whole() { self.over(os) } else { None }
    }

    /// What the answers for this name come to.
    fn over(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        os.cancel_timer(TIMER);
        self.close_all(os);
        let asked = std::mem::take(&mut self.asked);
        debug_assert!(asked.iter().map(|asked| &asked.kind).eq(self.kinds));
        let answers: Vec<&Message> = asked.iter().filter_map(|asked| asked.answer.as_ref()).collect();
        for asked in &asked {
            match asked.answer.as_ref().map(|answer| answer.rcode) {
                None => return Some(failure(Gai::Again)),
                Some(Rcode::NoError) => {}
                Some(_) => {
                    self.at += 1;
                    return self.ask(os);
                }
            }
        }
        // A name without addresses ends the search.
        Some(addresses(&answers).ok_or(NotFound { why: Gai::NoData, libc: Libc::Musl }))
    }
}
