//! Programs that listen: an HTTP server in the manner of several real ones, and small services over TCP and UDP. One
//! state machine holds the listeners and connections; what is said on a connection is in `service` and `site`,
//! what the program writes and how it fails and ends in `persona`.
//!
//! *Simplified*: one process does the work of all workers, and answers as soon as a request is complete.

mod persona;
mod service;
mod site;

pub use persona::Persona;
pub use service::Serve;
pub use site::{Flavor, Site};

use super::dial::{self, Read};
use super::{Errno, Os, Process, Shutdown, SocketOption, Transport, Wake};
use crate::base::{Duration, SimTime, SocketId};
use crate::trace::Stream;
use service::Talk;
use std::collections::BTreeMap;
use std::net::SocketAddrV4;

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
    input: Vec<u8>,
    output: Vec<u8>,
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
                self.persona.starts(os);
                self.open(os);
            }
            Wake::Timer(TIMER_BIND) => self.open(os),
            Wake::Timer(token) => self.close(os, SocketId(token - TIMER_IDLE)),
            Wake::Readable(socket) => self.readable(os, socket),
            Wake::Writable(socket) => self.flush(os, socket),
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
            let (talk, greeting) = self.listeners[index].serve.greet(os, peer);
            let connection = Connection {
                listener: index,
                talk,
                input: Vec::new(),
                output: greeting,
                closing: false,
                ending: false,
            };
            self.connections.insert(socket, connection);
            self.flush(os, socket);
            self.receive(os, socket);
        }
    }

    fn receive(&mut self, os: &mut dyn Os, socket: SocketId) {
        let Some(connection) = self.connections.get_mut(&socket) else { return };
        let read = dial::read(os, socket, &mut connection.input);
        let serve = &self.listeners[connection.listener].serve;
        let mut input = std::mem::take(&mut connection.input);
        let closing = connection.talk.take(os, serve, &mut input, &mut connection.output);
        connection.input = input;
        connection.closing |= closing;
        if let Some(status) = connection.talk.exits() {
            return os.exit(status);
        }
        match read {
            Read::More => {
                if let Some(limit) = serve.idle_limit().filter(|_| !connection.closing) {
                    os.set_timer(TIMER_IDLE + socket.0, limit);
                }
            }
            Read::End => connection.closing = true,
            Read::Failed(_) => return self.close(os, socket),
        }
        self.flush(os, socket);
    }

    /// Sends what there is to send, and closes the connection where that was all.
    fn flush(&mut self, os: &mut dyn Os, socket: SocketId) {
        let Some(connection) = self.connections.get_mut(&socket) else { return };
        if connection.ending {
            return;
        }
        let says = !connection.output.is_empty();
        let mut pieces = connection.talk.pieces(&mut connection.output).into_iter();
        for mut piece in pieces.by_ref() {
            if dial::write(os, socket, &mut piece).is_err() {
                return self.close(os, socket);
            }
            if !piece.is_empty() {
                connection.output = piece;
                break;
            }
        }
        connection.output.extend(pieces.flatten());
        if connection.closing && connection.output.is_empty() {
            let lingers = matches!(self.persona, Persona::Nginx(_)) && !connection.input.is_empty();
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
        if self.connections.remove(&socket).is_some() {
            os.cancel_timer(TIMER_IDLE + socket.0);
            os.close(socket);
        }
    }
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
