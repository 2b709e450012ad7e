//! Programs that listen: an HTTP server in the manner of several real ones, and small services over TCP and UDP. One
//! state machine holds the listeners and connections; what is said on a connection is in `service` and `site`,
//! what the program writes and how it fails and ends in `persona`.
//!
//! *Simplified*: one process does the work of all workers, and answers as soon as a request is complete.

mod health;
mod netexec;
mod pages;
mod persona;
mod ranges;
mod service;
mod site;

pub use super::grpc::Serving;
pub use health::Health;
pub use persona::Persona;
pub use service::Serve;
pub use site::{Flavor, Site};

use super::side::{self, Broken, Side};
use super::{Errno, Os, Process, Shutdown, SocketOption, Transport, Wake};
use crate::base::{Duration, SimTime, SocketId};
use crate::tls::{Failure, Identity, Party};
use crate::trace::Stream;
use service::Talk;
use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::sync::Arc;

/// Tries of nginx to bind, and the time between them.
const BIND_TRIES: u32 = 5;
const BIND_RETRY: Duration = Duration::from_ms(500);
/// What a server does between its last answer on a connection and closing it, such as writing its log. Meanwhile the
/// answer is acknowledged.
const CLOSING: Duration = Duration::from_us(200);
/// Timer of the next try to bind. Timers of connections are numbered after their socket from [`TIMER_IDLE`] on.
const TIMER_BIND: u32 = 0;
const TIMER_IDLE: u32 = 1;

/// Where a server listens and what it does there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Protocol.
    pub transport: Transport,
    /// Address and port.
    pub local: SocketAddrV4,
    /// What is served.
    pub serve: Serve,
}

/// A connection that was accepted.
#[derive(Clone, Debug)]
struct Connection {
    listener: usize,
    talk: Talk,
    side: Side,
    /// Whether the connection is closed once all output is out.
    closing: bool,
    /// Whether all output is out, and the connection about to be closed.
    ending: bool,
}

/// A running server.
#[derive(Clone, Debug)]
pub struct Server {
    persona: Persona,
    listeners: Vec<Listener>,
    sockets: Vec<SocketId>,
    connections: BTreeMap<SocketId, Connection>,
    /// What it shows where it speaks TLS.
    identity: Option<Arc<Identity>>,
    tries: u32,
    started: SimTime,
}

impl Server {
    /// A server that has not begun yet.
    pub fn new(persona: Persona, listeners: Vec<Listener>) -> Self {
        Self {
            persona,
            listeners,
            sockets: Vec::new(),
            connections: BTreeMap::new(),
            identity: None,
            tries: 0,
            started: SimTime::ZERO,
        }
    }
}

impl Process for Server {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => {
                self.started = os.now();
                for listener in &mut self.listeners {
                    listener.serve.starts(self.started);
                }
                self.persona.starts(os);
                self.open(os);
            }
            Wake::Timer(TIMER_BIND) => self.open(os),
            Wake::Timer(token) => self.close(os, SocketId(token - TIMER_IDLE)),
            Wake::Readable(socket) => self.readable(os, socket),
            Wake::Writable(socket) => self.answer(os, socket, Vec::new()),
            Wake::Terminate => {
                let status = self.persona.terminated(os);
                os.exit(status);
            }
            Wake::Interrupt => {
                let status = self.persona.interrupted(os);
                os.exit(status);
            }
            Wake::Input => {}
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }

    fn title(&self, args: &str) -> Option<String> {
        matches!(self.persona, Persona::Nginx(_)).then(|| format!("nginx: master process {args}"))
    }

    fn handles_termination(&self) -> bool {
        self.persona.handles_termination()
    }
}

impl Server {
    /// Binds all listeners, or fails as the program does.
    fn open(&mut self, os: &mut dyn Os) {
        let mut sockets = Vec::new();
        for listener in &self.listeners {
            match open(os, listener, &self.persona) {
                Ok(socket) => sockets.push(socket),
                Err(errno) => {
                    for socket in sockets {
                        os.close(socket);
                    }
                    self.tries += 1;
                    let local = listener.local;
                    let again = matches!(self.persona, Persona::Nginx(_)) && errno == Errno::Eaddrinuse;
                    self.persona.could_not_bind(os, (listener.transport, local), errno, self.started);
                    if again && self.tries < BIND_TRIES {
                        return os.set_timer(TIMER_BIND, BIND_RETRY);
                    }
                    if again {
                        persona::nginx_gives_up(os, self.started);
                    }
                    return os.exit(self.persona.bind_status());
                }
            }
        }
        self.sockets = sockets;
        self.persona.listens(os, &self.listeners);
    }

    fn readable(&mut self, os: &mut dyn Os, socket: SocketId) {
        match self.sockets.iter().position(|at| *at == socket) {
            Some(index) if self.listeners[index].transport == Transport::Udp => self.datagrams(os, index),
            Some(index) => self.accept(os, index),
            None => self.receive(os, socket),
        }
    }

    fn datagrams(&mut self, os: &mut dyn Os, index: usize) {
        let socket = self.sockets[index];
        while let Ok(datagram) = os.receive_from(socket) {
            let answer = self.listeners[index].serve.datagram(os, datagram.from, &datagram.data);
            if let Some(answer) = answer {
                // An answer that cannot be sent is lost, as with every datagram.
                let _ = os.send_to(socket, datagram.from, &answer);
            }
        }
    }

    fn accept(&mut self, os: &mut dyn Os, index: usize) {
        while let Ok((socket, peer)) = os.accept(self.sockets[index]) {
            let side = if matches!(self.listeners[index].serve, Serve::Https(_)) {
                let Some(identity) = self.identity(os) else { return os.exit(1) };
                Side::secured(os, socket, Party::Server(identity))
            } else {
                Side::plain(socket)
            };
            let (talk, greeting) = self.listeners[index].serve.greet(os, peer);
            let connection = Connection { listener: index, talk, side, closing: false, ending: false };
            self.connections.insert(socket, connection);
            self.answer(os, socket, greeting);
            self.receive(os, socket);
        }
    }

    /// What it shows, made when it is first needed.
    fn identity(&mut self, os: &mut dyn Os) -> Option<Arc<Identity>> {
        if self.identity.is_none() {
            let seed = side::seed(os);
            match Identity::self_signed(&site::hostname(os), seed, self.started) {
                Ok(identity) => self.identity = Some(Arc::new(identity)),
                Err(why) => {
                    let date = persona::go_date(os.now());
                    complain(os, &format!("{date} tls: {why}"));
                }
            }
        }
        self.identity.clone()
    }

    fn receive(&mut self, os: &mut dyn Os, socket: SocketId) {
        let Some(connection) = self.connections.get_mut(&socket) else { return };
        let read = connection.side.read(os);
        let serve = &self.listeners[connection.listener].serve;
        let mut input = std::mem::take(&mut connection.side.input);
        let mut output = Vec::new();
        let closing = connection.talk.take(os, serve, &mut input, &mut output);
        connection.side.input = input;
        connection.closing |= closing;
        if let Some(status) = connection.talk.exits() {
            return os.exit(status);
        }
        let tells = connection.talk.tells();
        match read {
            Ok(()) if connection.side.ended => {
                if !connection.side.is_ready() {
                    handshake_failed(os, socket, "EOF");
                }
                connection.closing = true;
            }
            Ok(()) => {
                if let Some(limit) = serve.idle_limit().filter(|_| !connection.closing) {
                    os.set_timer(TIMER_IDLE + socket.0, limit);
                }
            }
            Err(Broken::Tcp(_)) => return self.close(os, socket),
            Err(Broken::Tls(failure)) => match no_tls(os, &mut connection.side, &failure) {
                Some(text) => (connection.closing, output) = (true, text.to_vec()),
                None => return self.close(os, socket),
            },
        }
        if let Some(state) = tells {
            for listener in &mut self.listeners {
                listener.serve.becomes(state);
            }
        }
        self.answer(os, socket, output);
    }

    /// Sends an answer and what is left of those before, and closes the connection where that was all.
    fn answer(&mut self, os: &mut dyn Os, socket: SocketId, mut output: Vec<u8>) {
        let Some(connection) = self.connections.get_mut(&socket) else { return };
        if connection.ending {
            return;
        }
        let says = !output.is_empty() || !connection.side.is_flushed();
        let pieces = connection.talk.pieces(&mut output);
        let mut sent = pieces.iter().map(|piece| connection.side.send(os, piece)).find(Result::is_err);
        if pieces.is_empty() {
            sent = Some(connection.side.flush(os));
        }
        if sent.is_some_and(|sent| sent.is_err()) {
            return self.close(os, socket);
        }
        if connection.closing && connection.side.is_flushed() {
            let lingers = matches!(self.persona, Persona::Nginx(_)) && !connection.side.input.is_empty();
            if lingers {
                // nginx closes its side first and reads on, so that the far end gets all of the answer.
                let _ = os.shutdown(socket, Shutdown::Write);
            }
            if says {
                connection.ending = true;
                return os.set_timer(TIMER_IDLE + socket.0, CLOSING);
            }
            self.close(os, socket);
        }
    }

    fn close(&mut self, os: &mut dyn Os, socket: SocketId) {
        if let Some(mut connection) = self.connections.remove(&socket) {
            os.cancel_timer(TIMER_IDLE + socket.0);
            // Whether or not the far end still takes it, the connection is over.
            let _ = connection.side.say_goodbye(os);
            os.close(socket);
        }
    }
}

/// A client did not get through with TLS (`net/http`, `conn.serve`).
fn handshake_failed(os: &mut dyn Os, socket: SocketId, why: &str) {
    let from = os.remote_addr(socket).map(|peer| peer.to_string()).unwrap_or_default();
    let date = persona::go_date(os.now());
    complain(os, &format!("{date} http: TLS handshake error from {from}: {why}"));
}

/// What a client is told, without TLS, that did not speak it (`net/http`, `tlsRecordHeaderLooksLikeHTTP`).
fn no_tls(os: &mut dyn Os, side: &mut Side, failure: &Failure) -> Option<&'static [u8]> {
    const BEGINNINGS: [&[u8]; 5] = [b"GET /", b"HEAD ", b"POST ", b"PUT /", b"OPTIO"];
    let is_http = *failure == Failure::NotTls && BEGINNINGS.iter().any(|bytes| side.began_with(bytes));
    if !is_http {
        handshake_failed(os, side.socket, &failure.text());
        return None;
    }
    handshake_failed(os, side.socket, "client sent an HTTP request to an HTTPS server");
    *side = Side::plain(side.socket);
    Some(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
}

fn open(os: &mut dyn Os, listener: &Listener, persona: &Persona) -> Result<SocketId, Errno> {
    let socket = os.socket(listener.transport)?;
    let bound = bind(os, socket, listener, persona);
    if bound.is_err() {
        os.close(socket);
    }
    bound.map(|()| socket)
}

fn bind(os: &mut dyn Os, socket: SocketId, listener: &Listener, persona: &Persona) -> Result<(), Errno> {
    if listener.transport == Transport::Tcp {
        os.set_option(socket, SocketOption::ReuseAddress(true))?;
    }
    os.bind(socket, listener.local)?;
    match listener.transport {
        Transport::Tcp => os.listen(socket, persona.backlog()),
        Transport::Udp => Ok(()),
    }
}

/// Writes a line to standard output.
fn say(os: &mut dyn Os, line: &str) {
    os.write(Stream::Stdout, &format!("{line}\n"));
}

/// Writes a line to standard error.
fn complain(os: &mut dyn Os, line: &str) {
    os.write(Stream::Stderr, &format!("{line}\n"));
}
