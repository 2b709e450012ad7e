//! One question to name servers, with tries, timeouts, and TCP where an answer was cut.

use crate::app::dial::{self, Read};
use crate::app::resolver::take_messages;
use crate::app::{Errno, Os, Transport, Wake};
use crate::base::dns::Question;
use crate::base::{Duration, SimTime, SocketId};
use crate::wire::dns::{self, Message};
use std::net::SocketAddrV4;

/// The timer of the question.
const TIMER: u32 = 77;

/// How an answer came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The answer.
    pub message: Message,
    /// Its length in bytes.
    pub size: usize,
    /// Who answered.
    pub server: SocketAddrV4,
    /// Whether it came by TCP.
    pub is_tcp: bool,
    /// How long it took.
    pub took: Duration,
}

/// What a question came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer.
    Answer(Box<Transfer>),
    /// No server could be asked, or none answered.
    NoServer,
}

/// A question under way.
#[derive(Clone, Debug)]
pub struct Ask {
    message: Message,
    servers: Vec<SocketAddrV4>,
    timeout: Duration,
    tries: u32,
    wants_tcp: bool,
    is_tcp: bool,
    server: usize,
    socket: Option<SocketId>,
    input: Vec<u8>,
    output: Vec<u8>,
    began: SimTime,
    /// What went wrong so far, in BIND's words.
    pub errors: Vec<String>,
}

impl Ask {
    /// A question that was not sent yet.
    pub fn new(
        message: Message,
        servers: Vec<SocketAddrV4>,
        (secs, tries): (u64, u32),
        wants_tcp: bool,
    ) -> Self {
        Self {
            message,
            servers,
            timeout: Duration::from_secs(secs.max(1)),
            tries: tries.max(1),
            wants_tcp,
            is_tcp: wants_tcp,
            server: 0,
            socket: None,
            input: Vec::new(),
            output: Vec::new(),
            began: SimTime::ZERO,
            errors: Vec::new(),
        }
    }

    /// The question.
    pub fn question(&self) -> Option<&Question> {
        self.message.questions.first()
    }

    /// Sends the question.
    pub fn start(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        self.close(os);
        let Some(&server) = self.servers.get(self.server) else { return Some(Outcome::NoServer) };
        self.began = os.now();
        self.input.clear();
        self.output.clear();
        let transport = if self.is_tcp { Transport::Tcp } else { Transport::Udp };
        let bytes = self.message.to_bytes(false).unwrap_or_default();
        let opened = dial::start_with(os, transport, server).and_then(|socket| {
            self.socket = Some(socket);
            if self.is_tcp {
                self.output.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
                self.output.extend_from_slice(&bytes);
                return Ok(());
            }
            os.send(socket, &bytes).map(|_| ())
        });
        if let Err(errno) = opened {
            let name =
                self.question().map_or_else(String::new, |at| at.name.trim_end_matches('.').to_owned());
            let why = errno.text().to_lowercase();
            let why =
                why.strip_suffix(" is unreachable").map_or(why.clone(), |what| format!("{what} unreachable"));
            let kind = if self.is_tcp { "TCP" } else { "UDP" };
            self.errors.push(format!(
                "{kind} setup with {}#{}({}) for {name} failed: {why}.",
                server.ip(),
                server.port(),
                server.ip()
            ));
            return self.next(os);
        }
        os.set_timer(TIMER, self.timeout);
        None
    }

    /// Goes on.
    pub fn wake(&mut self, os: &mut dyn Os, wake: &Wake) -> Option<Outcome> {
        match wake {
            Wake::Timer(TIMER) => {
                self.failed("timed out");
                self.again(os)
            }
            Wake::Writable(socket) if Some(*socket) == self.socket && self.is_tcp => {
                let error =
                    os.take_error(*socket).or_else(|| dial::write(os, *socket, &mut self.output).err());
                let errno = error?;
                self.broken(os, errno)
            }
            Wake::Readable(socket) if Some(*socket) == self.socket => self.readable(os, *socket),
            Wake::Timer(_)
            | Wake::Writable(_)
            | Wake::Readable(_)
            | Wake::Start
            | Wake::Terminate
            | Wake::Interrupt
            | Wake::Input => None,
        }
    }

    fn readable(&mut self, os: &mut dyn Os, socket: SocketId) -> Option<Outcome> {
        let mut messages = Vec::new();
        if self.is_tcp {
            let read = dial::read(os, socket, &mut self.input);
            messages = take_messages(&mut self.input);
            if messages.is_empty() && read != Read::More {
                return self.broken(os, Errno::Econnreset);
            }
        } else {
            loop {
                match os.receive_from(socket) {
                    Ok(datagram) => messages.push(datagram.data.to_vec()),
                    Err(Errno::Eagain) => break,
                    Err(errno) => return self.broken(os, errno),
                }
            }
        }
        for bytes in messages {
            let Ok(message) = Message::parse(&bytes) else { continue };
            if message.id != self.message.id || !message.has(dns::QR) {
                continue;
            }
            if message.has(dns::TC) && !self.is_tcp {
                self.errors.push("Truncated, retrying in TCP mode.".to_owned());
                self.is_tcp = true;
                return self.start(os);
            }
            let server = *self.servers.get(self.server)?;
            let took = os.now().since(self.began);
            self.close(os);
            let is_tcp = self.is_tcp;
            return Some(Outcome::Answer(Box::new(Transfer {
                message,
                size: bytes.len(),
                server,
                is_tcp,
                took,
            })));
        }
        None
    }

    fn failed(&mut self, why: &str) {
        if let Some(server) = self.servers.get(self.server) {
            self.errors.push(format!("communications error to {}#{}: {why}", server.ip(), server.port()));
        }
    }

    fn broken(&mut self, os: &mut dyn Os, errno: Errno) -> Option<Outcome> {
        self.failed(&errno.text().to_lowercase());
        self.next(os)
    }

    /// The same server again, as often as is wanted.
    fn again(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        self.tries -= 1;
        if self.tries == 0 { self.next_server(os) } else { self.start(os) }
    }

    fn next(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        self.next_server(os)
    }

    fn next_server(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        self.close(os);
        self.server += 1;
        self.is_tcp = self.wants_tcp;
        self.tries = self.tries.max(1);
        self.start(os)
    }

    fn close(&mut self, os: &mut dyn Os) {
        os.cancel_timer(TIMER);
        if let Some(socket) = self.socket.take() {
            os.close(socket);
        }
    }
}
