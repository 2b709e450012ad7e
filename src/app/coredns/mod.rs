//! The program CoreDNS: it listens, has its plugins answer, asks upstream servers, and looks after its Corefile.
//!
//! *Simplified*: it answers at once, and an upstream question always has a socket of its own.

mod answer;
mod upstream;

use super::dial::{self, Read};
use super::{Errno, Os, Process, SocketOption, Transport, Wake};
use crate::base::dns::Question;
use crate::base::{Duration, SimTime, SocketId};
use crate::cluster::dns::Answer;
use crate::cluster::dns::View;
use crate::cluster::dns::server::{Ask, Refresh, Server, State};
use crate::trace::{NamesRow, Stream, TableChange};
use crate::wire::dns::Message;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

/// The version that is simulated.
pub const VERSION: &str = "1.12.1";
/// Timer of the next look at the Corefile, of the question of the plugin `loop`, and of the end after a lame duck.
const TIMER_RELOAD: u32 = 0;
const TIMER_LOOP: u32 = 1;
const TIMER_END: u32 = 2;
/// Timers of upstream questions and of health checks are numbered from here on, each in a range of its own.
const TIMER_ASK: u32 = 1 << 20;
const TIMER_HEALTH: u32 = 1 << 30;
/// How long after its start the plugin `loop` sends its question.
const LOOP_AFTER: Duration = Duration::from_ms(500);
/// Connections that wait to be taken.
const BACKLOG: u16 = 4096;

/// Where a question came from.
#[derive(Clone, Debug)]
enum Origin {
    Udp(SocketId, SocketAddrV4),
    Tcp(SocketId, SocketAddrV4),
    /// The cache fetches an answer anew.
    Refresh(Refresh),
}

/// A question that is being answered.
#[derive(Clone, Debug)]
struct Query {
    origin: Origin,
    port: u16,
    message: Message,
    size: usize,
    known: Vec<(Ask, Result<Answer, String>)>,
    /// Steps that were written down.
    n_steps: usize,
    began: SimTime,
}

/// What a listening socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listener {
    Dns(u16),
    /// A plugin that says `OK` over HTTP.
    Http,
}

/// A connection that was accepted.
#[derive(Clone, Debug)]
struct Connection {
    listener: Listener,
    peer: SocketAddrV4,
    input: Vec<u8>,
    output: Vec<u8>,
    closing: bool,
}

/// A running CoreDNS.
#[derive(Clone, Debug)]
pub struct CoreDns {
    path: String,
    /// The Corefile that is in use.
    text: String,
    server: Option<Arc<Server>>,
    state: State,
    udp: BTreeMap<SocketId, u16>,
    tcp: BTreeMap<SocketId, Listener>,
    connections: BTreeMap<SocketId, Connection>,
    queries: BTreeMap<u32, Query>,
    next: u32,
    upstream: upstream::Upstream,
    /// The zone as it was last looked at, with its version.
    view: Option<(u64, Arc<View>)>,
}

impl CoreDns {
    /// A server with this Corefile that has not begun yet.
    pub fn new(path: String) -> Self {
        Self {
            path,
            text: String::new(),
            server: None,
            state: State::default(),
            udp: BTreeMap::new(),
            tcp: BTreeMap::new(),
            connections: BTreeMap::new(),
            queries: BTreeMap::new(),
            next: 0,
            upstream: upstream::Upstream::default(),
            view: None,
        }
    }
}

impl Process for CoreDns {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => self.start(os),
            Wake::Timer(TIMER_RELOAD) => self.look_at_corefile(os),
            Wake::Timer(TIMER_LOOP) => self.ask_itself(os),
            Wake::Timer(TIMER_END) => os.exit(0),
            Wake::Timer(token) if token >= TIMER_HEALTH => self.health_timer(os, token - TIMER_HEALTH),
            Wake::Timer(token) => self.upstream_late(os, SocketId(token - TIMER_ASK)),
            Wake::Readable(socket) => self.readable(os, socket),
            Wake::Writable(socket) => self.writable(os, socket),
            Wake::Terminate => self.terminate(os),
            Wake::Interrupt => {
                say(os, "[INFO] SIGINT: Shutting down");
                os.exit(0);
            }
            Wake::Input => {}
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }

    fn handles_termination(&self) -> bool {
        true
    }
}

/// Writes a line to standard output, where CoreDNS keeps its log.
fn say(os: &mut dyn Os, line: &str) {
    os.write(Stream::Stdout, &format!("{line}\n"));
}

impl CoreDns {
    fn read_server(&self, os: &dyn Os, text: &str) -> Result<Server, String> {
        let server = Server::with_variables(text, &|path| os.read_file(path), &|name| os.variable(name));
        server.map_err(|wrong| format!("{}:{wrong}", self.path))
    }

    fn start(&mut self, os: &mut dyn Os) {
        let Some(text) = os.read_file(&self.path) else {
            let path = &self.path;
            os.write(
                Stream::Stderr,
                &format!("loading Caddyfile via flag: open {path}: no such file or directory\n"),
            );
            return os.exit(1);
        };
        match self.read_server(os, &text) {
            Ok(server) => {
                self.server = Some(Arc::new(server));
                self.text = text;
            }
            Err(wrong) => {
                os.write(Stream::Stderr, &format!("{wrong}\n"));
                return os.exit(1);
            }
        }
        if let Err(wrong) = self.listen(os) {
            os.write(Stream::Stderr, &format!("{wrong}\n"));
            return os.exit(1);
        }
        let Some(server) = self.server.clone() else { return };
        for (zone, port) in server.zones() {
            say(os, &format!("{zone}:{port}"));
        }
        if server.duties().reload.is_some() {
            say(os, &self.running());
        }
        say(os, &format!("CoreDNS-{VERSION}\nlinux/amd64, go1.24.1, 707c7c1"));
        self.begins(os);
        self.plan(os);
        self.plan_loop(os);
    }

    /// Notes that a Corefile is in use from now on, with nothing remembered.
    fn begins(&self, os: &mut dyn Os) {
        let zones: Vec<String> = self
            .server
            .iter()
            .flat_map(|server| server.zones())
            .map(|(zone, port)| format!("{zone}:{port}"))
            .collect();
        let plugins: Vec<String> =
            self.server.iter().flat_map(|server| server.chains()).map(|chain| chain.join(" ")).collect();
        os.record(TableChange::Names(Box::new(NamesRow {
            netns: os.netns(),
            query: self.next,
            client: "".into(),
            question: zones.join(" ").into(),
            plugin: "server",
            did: "dns.server.begins",
            args: vec![plugins.join("; ")],
        })));
    }

    /// The line by which the plugin `reload` tells which Corefile is in use.
    fn running(&self) -> String {
        use sha2::{Digest, Sha512};
        let hash = Sha512::digest(self.text.as_bytes());
        let hex = data_encoding::HEXLOWER.encode(hash.as_slice());
        format!("[INFO] plugin/reload: Running configuration SHA512 = {hex}")
    }

    fn plan(&mut self, os: &mut dyn Os) {
        let Some(server) = &self.server else { return };
        if let Some((every, jitter)) = server.duties().reload {
            let spread = if jitter == 0 { 0 } else { u64::from(os.random()) % jitter };
            os.set_timer(TIMER_RELOAD, Duration::from_ms(every + spread));
        }
    }

    /// The plugin `loop` asks once for each Corefile: it counts from then on.
    fn plan_loop(&self, os: &mut dyn Os) {
        if self.server.as_ref().is_some_and(|server| !server.loops().is_empty()) {
            os.set_timer(TIMER_LOOP, LOOP_AFTER);
        }
    }

    /// Opens the sockets that the Corefile asks for and that are not open yet, and closes those that it no longer does.
    fn listen(&mut self, os: &mut dyn Os) -> Result<(), String> {
        let Some(server) = self.server.clone() else { return Ok(()) };
        let listens = server.listens();
        let duties = server.duties();
        self.udp.retain(|socket, port| {
            let kept = listens.contains_key(port);
            if !kept {
                os.close(*socket);
            }
            kept
        });
        self.tcp.retain(|socket, listener| {
            let kept = matches!(listener, Listener::Dns(port) if listens.contains_key(port));
            if !kept {
                os.close(*socket);
            }
            kept
        });
        for (port, bind) in &listens {
            if self.udp.values().any(|known| known == port) {
                continue;
            }
            let all = [IpAddr::V4(Ipv4Addr::UNSPECIFIED)];
            let addresses = if bind.is_empty() { &all[..] } else { bind };
            for ip in addresses {
                let IpAddr::V4(ip) = ip else { continue };
                let local = SocketAddrV4::new(*ip, *port);
                let udp = open(os, Transport::Udp, local)?;
                self.udp.insert(udp, *port);
                let tcp = open(os, Transport::Tcp, local)?;
                self.tcp.insert(tcp, Listener::Dns(*port));
            }
        }
        let anywhere = |port: u16| SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
        let health = duties.health.map(|health| health.0);
        let web = [health, duties.ready.map(anywhere), duties.prometheus.map(anywhere)];
        for local in web.into_iter().flatten() {
            let socket = open(os, Transport::Tcp, local)?;
            self.tcp.insert(socket, Listener::Http);
        }
        Ok(())
    }

    /// The plugin `reload`: a Corefile that changed takes the place of the one in use, if it can be read.
    fn look_at_corefile(&mut self, os: &mut dyn Os) {
        let text = os.read_file(&self.path).unwrap_or_else(|| self.text.clone());
        if text != self.text {
            say(os, "[INFO] Reloading");
            match self.read_server(os, &text) {
                Err(wrong) => {
                    say(os, &format!("[ERROR] Restart failed: {wrong}"));
                    say(os, "[ERROR] plugin/reload: Corefile changed but reload failed");
                }
                Ok(server) => {
                    self.server = Some(Arc::new(server));
                    self.state = State::default();
                    self.begins(os);
                    self.plan_loop(os);
                    self.upstream.forget();
                    self.text = text;
                    say(os, &self.running());
                    match self.listen(os) {
                        Ok(()) => say(os, "[INFO] Reloading complete"),
                        Err(wrong) => say(os, &format!("[ERROR] Restart failed: {wrong}")),
                    }
                }
            }
        }
        self.plan(os);
    }

    fn terminate(&mut self, os: &mut dyn Os) {
        say(os, "[INFO] SIGTERM: Shutting down servers then terminating");
        let lameduck =
            self.server.as_ref().and_then(|server| server.duties().health).map_or(0, |health| health.1);
        if lameduck == 0 {
            return os.exit(0);
        }
        say(os, &format!("[INFO] plugin/health: Going into lameduck mode for {}s", lameduck / 1000));
        os.set_timer(TIMER_END, Duration::from_ms(lameduck));
    }

    /// The plugin `loop` asks the server itself for a name that nobody else asks for.
    fn ask_itself(&mut self, os: &mut dyn Os) {
        let Some(server) = self.server.clone() else { return };
        for (_, zone, to) in server.loops() {
            let number = |os: &mut dyn Os| {
                let digits = u64::from(os.random()) << 32 | u64::from(os.random());
                format!("{:019}", digits >> 1)
            };
            let tail = if zone == "." { "" } else { zone.as_str() };
            let name = format!("{}.{}.{tail}", number(os), number(os));
            let question = Question { name, kind: crate::base::dns::Type::HINFO };
            let Ok(socket) = os.socket(Transport::Udp) else { continue };
            let message = Message::query(os.random() as u16, question);
            if let Ok(bytes) = message.to_bytes(false) {
                // What comes back is not read: that it comes back through the server is what counts.
                let _ = os.send_to(socket, to, &bytes);
            }
            self.upstream.own.push(socket);
        }
    }

    fn readable(&mut self, os: &mut dyn Os, socket: SocketId) {
        if let Some(&port) = self.udp.get(&socket) {
            while let Ok(datagram) = os.receive_from(socket) {
                self.received(os, Origin::Udp(socket, datagram.from), port, &datagram.data);
            }
        } else if let Some(&listener) = self.tcp.get(&socket) {
            while let Ok((socket, peer)) = os.accept(socket) {
                let connection =
                    Connection { listener, peer, input: Vec::new(), output: Vec::new(), closing: false };
                self.connections.insert(socket, connection);
                self.connection_readable(os, socket);
            }
        } else if self.connections.contains_key(&socket) {
            self.connection_readable(os, socket);
        } else if self.upstream.own.contains(&socket) {
            while os.receive_from(socket).is_ok() {}
        } else {
            self.upstream_readable(os, socket);
        }
    }

    fn writable(&mut self, os: &mut dyn Os, socket: SocketId) {
        if self.connections.contains_key(&socket) {
            self.flush(os, socket);
        } else {
            self.upstream_writable(os, socket);
        }
    }

    /// Messages on a connection have their length before them (RFC 1035 section 4.2.2).
    fn connection_readable(&mut self, os: &mut dyn Os, socket: SocketId) {
        let Some(connection) = self.connections.get_mut(&socket) else { return };
        let read = dial::read(os, socket, &mut connection.input);
        let (listener, peer) = (connection.listener, connection.peer);
        let mut messages = Vec::new();
        match listener {
            Listener::Http => {
                if connection.input.windows(4).any(|four| four == b"\r\n\r\n") {
                    connection.input.clear();
                    connection.output.extend_from_slice(
                        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\nOK",
                    );
                    connection.closing = true;
                }
            }
            Listener::Dns(_) => messages = take_messages(&mut connection.input),
        }
        if matches!(read, Read::End) {
            connection.closing = true;
        }
        if let Listener::Dns(port) = listener {
            for message in messages {
                self.received(os, Origin::Tcp(socket, peer), port, &message);
            }
        }
        if matches!(read, Read::Failed(_)) {
            self.connections.remove(&socket);
            return os.close(socket);
        }
        self.flush(os, socket);
    }

    fn flush(&mut self, os: &mut dyn Os, socket: SocketId) {
        let waits =
            self.queries.values().any(|query| matches!(query.origin, Origin::Tcp(at, _) if at == socket));
        let Some(connection) = self.connections.get_mut(&socket) else { return };
        let failed = dial::write(os, socket, &mut connection.output).is_err();
        if failed || (connection.closing && connection.output.is_empty() && !waits) {
            self.connections.remove(&socket);
            os.close(socket);
        }
    }
}

/// Takes the whole messages from the front of what a connection brought.
fn take_messages(input: &mut Vec<u8>) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while let [high, low, rest @ ..] = input.as_slice() {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let Some(message) = rest.get(..len) else { break };
        messages.push(message.to_vec());
        input.drain(..len + 2);
    }
    messages
}

fn open(os: &mut dyn Os, transport: Transport, local: SocketAddrV4) -> Result<SocketId, String> {
    let name = match transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    };
    let wrong = |errno: Errno| {
        let ip = if local.ip().is_unspecified() { String::new() } else { local.ip().to_string() };
        format!("Listen: listen {name} {ip}:{}: bind: {}", local.port(), errno.text().to_lowercase())
    };
    let socket = os.socket(transport).map_err(wrong)?;
    if transport == Transport::Tcp {
        os.set_option(socket, SocketOption::ReuseAddress(true)).map_err(wrong)?;
    }
    os.bind(socket, local).map_err(wrong)?;
    if transport == Transport::Tcp {
        os.listen(socket, BACKLOG).map_err(wrong)?;
    }
    Ok(socket)
}
