//! `nc`: OpenBSD's 1.219 as Debian has it, the traditional 1.10, and busybox's 1.35. Both ways of a connection are
//! carried at once: standard input to the socket, the socket to standard output.

mod scan;

use super::dial::{self, Read};
use super::ping::parse_address;
use super::services::service_name;
use super::{Errno, Input, Os, Process, Shutdown, SocketOption, Transport, Wake};
use crate::base::{Duration, Ipv4Addr, SocketId};
use crate::trace::Stream;
use std::collections::VecDeque;
use std::net::SocketAddrV4;

/// Whose words it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edition {
    /// OpenBSD's.
    OpenBsd,
    /// The traditional one.
    Traditional,
    /// busybox's.
    Busybox,
}

/// What the options of the command line ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct NcOptions {
    /// Whose words it speaks.
    pub edition: Edition,
    /// The name it was called by.
    pub program: String,
    /// The far end, or the address to listen on.
    pub host: Option<String>,
    /// Ports in order.
    pub ports: Vec<u16>,
    /// `-l`.
    pub listen: bool,
    /// `-k`.
    pub keep: bool,
    /// `-u`.
    pub udp: bool,
    /// `-z`.
    pub scan: bool,
    /// `-v`.
    pub verbose: bool,
    /// `-n`.
    pub numeric: bool,
    /// `-N`: closes its side at the end of the input.
    pub shuts_down: bool,
    /// `-q`: seconds after the end of the input until it ends.
    pub quit_after: Option<u32>,
    /// `-w`.
    pub timeout: Option<Duration>,
    /// `-s`.
    pub source: Option<Ipv4Addr>,
    /// `-p` of a client.
    pub source_port: u16,
    /// `-d`: input is not read.
    pub no_input: bool,
    /// `-b`: datagrams may go to everybody.
    pub broadcast: bool,
}

impl NcOptions {
    /// What no option means.
    pub fn new(edition: Edition, program: &str) -> Self {
        Self {
            edition,
            program: program.to_owned(),
            host: None,
            ports: Vec::new(),
            listen: false,
            keep: false,
            udp: false,
            scan: false,
            verbose: false,
            numeric: false,
            shuts_down: false,
            quit_after: None,
            timeout: None,
            source: None,
            source_port: 0,
            no_input: false,
            broadcast: false,
        }
    }

    fn transport(&self) -> Transport {
        if self.udp { Transport::Udp } else { Transport::Tcp }
    }
}

const TIMER_CONNECT: u32 = 1;
const TIMER_IDLE: u32 = 2;
const TIMER_QUIT: u32 = 3;
const TIMER_PROBE: u32 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Connecting,
    Listening,
    Talking,
    /// A scan of a UDP port, with the bytes still to send.
    Probing(u32),
    Over,
}

/// A running `nc`.
#[derive(Clone, Debug)]
pub struct Nc {
    options: NcOptions,
    phase: Phase,
    address: Ipv4Addr,
    ports: VecDeque<u16>,
    port: u16,
    listener: SocketId,
    socket: SocketId,
    /// The far end of a UDP listener, once it is known.
    peer: Option<SocketAddrV4>,
    unsent: Vec<u8>,
    input_over: bool,
    /// Whether the far end has closed its side, where the input goes on.
    far_over: bool,
    /// Whether any port answered.
    reached: bool,
}

impl Nc {
    /// A `nc` that has not begun yet.
    pub fn new(options: NcOptions) -> Self {
        Self {
            ports: options.ports.iter().copied().collect(),
            options,
            phase: Phase::Over,
            address: Ipv4Addr::UNSPECIFIED,
            port: 0,
            listener: SocketId::NONE,
            socket: SocketId::NONE,
            peer: None,
            unsent: Vec::new(),
            input_over: false,
            far_over: false,
            reached: false,
        }
    }
}

impl Process for Nc {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start if self.options.listen => self.listen(os),
            Wake::Start => self.begin(os),
            Wake::Timer(TIMER_PROBE) => self.probe(os),
            Wake::Timer(token) => self.timed_out(os, token),
            Wake::Writable(_) if self.phase == Phase::Connecting => self.decided(os),
            Wake::Writable(_) => self.send(os),
            Wake::Readable(_) => self.readable(os),
            Wake::Input => self.read_input(os),
            Wake::Interrupt => os.exit(130),
            Wake::Terminate => os.exit(143),
        }
    }

    fn looks_up_names(&self) -> bool {
        true
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }
}

fn complain(os: &mut dyn Os, text: &str) {
    os.write(Stream::Stderr, &format!("{text}\n"));
}

impl Nc {
    fn end(&mut self, os: &mut dyn Os, status: u8) {
        self.phase = Phase::Over;
        os.exit(status);
    }

    /// Resolves the far end, then tries the ports one by one.
    fn begin(&mut self, os: &mut dyn Os) {
        let host = self.options.host.clone().unwrap_or_default();
        let found =
            parse_address(&host).or_else(|| if self.options.numeric { None } else { os.resolve(&host) });
        let Some(address) = found else {
            let program = &self.options.program;
            let text = match self.options.edition {
                Edition::OpenBsd => {
                    let port = self.options.ports.first().copied().unwrap_or(0);
                    let why = super::resolver::why_not(os, &host);
                    format!("{program}: getaddrinfo for host \"{host}\" port {port}: {why}")
                }
                Edition::Traditional => format!("{host}: forward host lookup failed: Unknown host"),
                Edition::Busybox => format!("{program}: bad address '{host}'"),
            };
            complain(os, &text);
            return self.end(os, 1);
        };
        self.address = address;
        let asks = self.options.verbose && !self.options.numeric;
        if self.options.edition == Edition::Traditional && asks && os.name_of(address).is_none() {
            complain(os, &format!("{address}: inverse host lookup failed: Unknown host"));
        }
        self.next_port(os);
    }

    fn next_port(&mut self, os: &mut dyn Os) {
        let Some(port) = self.ports.pop_front() else {
            let status = u8::from(!self.reached);
            return self.end(os, status);
        };
        self.port = port;
        let remote = SocketAddrV4::new(self.address, port);
        match self.open(os, remote) {
            Ok(socket) => {
                self.socket = socket;
                if self.options.udp {
                    return self.connected(os);
                }
                self.phase = Phase::Connecting;
                if let Some(limit) = self.options.timeout {
                    os.set_timer(TIMER_CONNECT, limit);
                }
            }
            Err(errno) => self.failed(os, errno),
        }
    }

    fn open(&self, os: &mut dyn Os, remote: SocketAddrV4) -> Result<SocketId, Errno> {
        let socket = os.socket(self.options.transport())?;
        if self.options.broadcast {
            let _ = os.set_option(socket, SocketOption::Broadcast(true));
        }
        if self.options.source.is_some() || self.options.source_port != 0 {
            let _ = os.set_option(socket, SocketOption::ReuseAddress(true));
            let source = self.options.source.unwrap_or(Ipv4Addr::UNSPECIFIED);
            os.bind(socket, SocketAddrV4::new(source, self.options.source_port))?;
        }
        dial::start(os, socket, remote)
    }

    /// The connection attempt is decided.
    fn decided(&mut self, os: &mut dyn Os) {
        os.cancel_timer(TIMER_CONNECT);
        match os.take_error(self.socket) {
            None => self.connected(os),
            Some(errno) => {
                os.close(self.socket);
                self.failed(os, errno);
            }
        }
    }

    fn failed(&mut self, os: &mut dyn Os, errno: Errno) {
        let (program, address, port) = (&self.options.program, self.address, self.port);
        let protocol = if self.options.udp { "udp" } else { "tcp" };
        let text = match self.options.edition {
            Edition::OpenBsd => {
                let host = self.options.host.as_deref().unwrap_or("");
                let whom = if parse_address(host).is_some() {
                    host.to_owned()
                } else {
                    format!("{host} ({address})")
                };
                format!("{program}: connect to {whom} port {port} ({protocol}) failed: {}", errno.text())
            }
            Edition::Traditional => format!("{} : {}", self.traditional_name(os), errno.text()),
            Edition::Busybox => {
                format!("{program}: can't connect to remote host ({address}): {}", errno.text())
            }
        };
        let speaks = self.options.verbose || self.options.edition == Edition::Busybox;
        if speaks {
            complain(os, &text);
        }
        self.next_port(os);
    }

    /// `NAME [ADDRESS] PORT (SERVICE)`.
    fn traditional_name(&self, os: &dyn Os) -> String {
        let name = if self.options.numeric { None } else { os.name_of(self.address) };
        let name = name.unwrap_or_else(|| "(UNKNOWN)".to_owned());
        let service = service_name(self.port, self.options.transport()).unwrap_or("?");
        format!("{name} [{}] {} ({service})", self.address, self.port)
    }

    fn connected(&mut self, os: &mut dyn Os) {
        if self.options.udp && self.options.scan && self.options.edition == Edition::OpenBsd {
            return self.probe_first(os);
        }
        self.tell_success(os);
        self.reached = true;
        if self.options.scan {
            os.close(self.socket);
            return self.next_port(os);
        }
        self.phase = Phase::Talking;
        self.talk(os);
    }

    fn tell_success(&self, os: &mut dyn Os) {
        if !self.options.verbose {
            return;
        }
        let text = match self.options.edition {
            Edition::OpenBsd => {
                let host = self.options.host.as_deref().unwrap_or("");
                let whom = if parse_address(host).is_some() {
                    host.to_owned()
                } else {
                    format!("{host} ({})", self.address)
                };
                let protocol = if self.options.udp { "udp" } else { "tcp" };
                let service = service_name(self.port, self.options.transport());
                let service = service.filter(|_| !self.options.numeric).unwrap_or("*");
                format!("Connection to {whom} {} port [{protocol}/{service}] succeeded!", self.port)
            }
            Edition::Traditional => format!("{} open", self.traditional_name(os)),
            Edition::Busybox => return,
        };
        complain(os, &text);
    }

    fn timed_out(&mut self, os: &mut dyn Os, token: u32) {
        match (token, self.phase) {
            (TIMER_CONNECT, Phase::Connecting) => {
                os.close(self.socket);
                let (program, host, port) =
                    (&self.options.program, self.options.host.as_deref().unwrap_or(""), self.port);
                match self.options.edition {
                    Edition::OpenBsd if self.options.verbose => {
                        let text = "timed out: Operation now in progress";
                        complain(os, &format!("{program}: connect to {host} port {port} (tcp) {text}"));
                    }
                    Edition::Traditional if self.options.verbose => {
                        let name = self.traditional_name(os);
                        complain(os, &format!("{name} : Connection timed out"));
                    }
                    Edition::Busybox => {
                        complain(os, &format!("{program}: timed out"));
                        return self.end(os, 1);
                    }
                    Edition::OpenBsd | Edition::Traditional => {}
                }
                self.next_port(os);
            }
            (TIMER_IDLE | TIMER_QUIT, Phase::Talking) => {
                os.close(self.socket);
                self.end(os, 0);
            }
            _ => {}
        }
    }

    fn listen(&mut self, os: &mut dyn Os) {
        let port = self.options.ports.first().copied().unwrap_or(0);
        let host = self.options.host.clone().filter(|host| !host.is_empty());
        let named = host.and_then(|host| dial::address_of(os, &host));
        let address = named.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let local = SocketAddrV4::new(address, port);
        match self.open_listener(os, local) {
            Ok(socket) => self.listener = socket,
            Err(errno) => {
                let program = &self.options.program;
                let text = match self.options.edition {
                    Edition::OpenBsd => format!("{program}: {}", errno.text()),
                    Edition::Traditional => {
                        format!("Can't grab {address}:{port} with bind : {}", errno.text())
                    }
                    Edition::Busybox => format!("{program}: bind: {}", errno.text()),
                };
                complain(os, &text);
                return self.end(os, 1);
            }
        }
        self.phase = Phase::Listening;
        if self.options.verbose {
            let any = address.is_unspecified();
            match self.options.edition {
                Edition::OpenBsd if self.options.udp => complain(os, &format!("Bound on {address} {port}")),
                Edition::OpenBsd => complain(os, &format!("Listening on {address} {port}")),
                Edition::Traditional if any => complain(os, &format!("listening on [any] {port} ...")),
                Edition::Traditional => complain(os, &format!("listening on [{address}] {port} ...")),
                Edition::Busybox => {
                    let real = os.local_addr(self.listener).unwrap_or(local);
                    complain(os, &format!("listening on {real} ..."));
                }
            }
        }
        if self.options.udp {
            self.socket = self.listener;
        }
    }

    fn open_listener(&self, os: &mut dyn Os, local: SocketAddrV4) -> Result<SocketId, Errno> {
        let socket = os.socket(self.options.transport())?;
        os.set_option(socket, SocketOption::ReuseAddress(true))?;
        // Debian's two sets this too, so that two of them share a port.
        if self.options.edition != Edition::Busybox {
            os.set_option(socket, SocketOption::ReusePort(true))?;
        }
        let opened = os.bind(socket, local).and_then(|()| match self.options.transport() {
            Transport::Tcp => os.listen(socket, 1),
            Transport::Udp => Ok(()),
        });
        if opened.is_err() {
            os.close(socket);
        }
        opened.map(|()| socket)
    }

    fn readable(&mut self, os: &mut dyn Os) {
        match self.phase {
            Phase::Listening if self.options.udp => self.first_datagram(os),
            Phase::Listening => self.accept(os),
            Phase::Talking if self.options.udp => self.datagrams(os),
            Phase::Talking => self.receive(os),
            Phase::Connecting | Phase::Probing(_) | Phase::Over => {}
        }
    }

    fn accept(&mut self, os: &mut dyn Os) {
        let Ok((socket, peer)) = os.accept(self.listener) else { return };
        self.socket = socket;
        self.tell_connection(os, peer);
        if !self.options.keep {
            os.close(self.listener);
        }
        self.phase = Phase::Talking;
        self.talk(os);
        self.receive(os);
    }

    fn tell_connection(&self, os: &mut dyn Os, peer: SocketAddrV4) {
        if !self.options.verbose {
            return;
        }
        let name = if self.options.numeric { None } else { os.name_of(*peer.ip()) };
        let text = match self.options.edition {
            Edition::OpenBsd => {
                let name = name.unwrap_or_else(|| peer.ip().to_string());
                format!("Connection received on {name} {}", peer.port())
            }
            Edition::Traditional => {
                let own = os.local_addr(self.socket).map_or(Ipv4Addr::UNSPECIFIED, |local| *local.ip());
                let name = name.unwrap_or_else(|| "(UNKNOWN)".to_owned());
                format!("connect to [{own}] from {name} [{}] {}", peer.ip(), peer.port())
            }
            Edition::Busybox => {
                let own = os.local_addr(self.socket).map_or(String::new(), |local| local.to_string());
                format!("connect to {own} from {} ({peer})", peer.ip())
            }
        };
        complain(os, &text);
    }

    /// The first datagram says who the far end is.
    fn first_datagram(&mut self, os: &mut dyn Os) {
        let Ok(datagram) = os.receive_from(self.socket) else { return };
        self.peer = Some(datagram.from);
        self.tell_connection(os, datagram.from);
        if !self.options.keep {
            let _ = os.connect(self.socket, datagram.from);
        }
        os.write(Stream::Stdout, &String::from_utf8_lossy(&datagram.data));
        self.phase = Phase::Talking;
        self.talk(os);
        self.datagrams(os);
    }

    fn datagrams(&mut self, os: &mut dyn Os) {
        loop {
            match os.receive_from(self.socket) {
                Ok(datagram) => os.write(Stream::Stdout, &String::from_utf8_lossy(&datagram.data)),
                Err(Errno::Eagain) => return self.touch(os),
                // The far end's kernel said that nobody listens; for OpenBSD's the conversation is over, no more.
                Err(_) => {
                    os.close(self.socket);
                    return self.end(os, u8::from(self.options.edition != Edition::OpenBsd));
                }
            }
        }
    }

    fn receive(&mut self, os: &mut dyn Os) {
        let mut data = Vec::new();
        let read = dial::read(os, self.socket, &mut data);
        os.write(Stream::Stdout, &String::from_utf8_lossy(&data));
        match read {
            Read::More => self.touch(os),
            Read::End if self.goes_on_alone() => self.far_over = true,
            Read::End | Read::Failed(_) => self.far_end_closed(os),
        }
    }

    /// OpenBSD's client tells a far end that has closed its side still what the input says.
    fn goes_on_alone(&self) -> bool {
        let NcOptions { edition, listen, no_input, .. } = self.options;
        edition == Edition::OpenBsd && !(listen || no_input || self.input_over)
    }

    fn far_end_closed(&mut self, os: &mut dyn Os) {
        os.close(self.socket);
        os.cancel_timer(TIMER_IDLE);
        if self.options.keep && self.options.listen {
            (self.phase, self.socket) = (Phase::Listening, SocketId::NONE);
            return self.accept(os);
        }
        self.end(os, 0);
    }

    /// Something moved: the time of `-w` runs anew.
    fn touch(&mut self, os: &mut dyn Os) {
        if let Some(limit) = self.options.timeout.filter(|_| self.options.edition != Edition::Busybox) {
            os.set_timer(TIMER_IDLE, limit);
        }
    }

    fn talk(&mut self, os: &mut dyn Os) {
        self.touch(os);
        self.read_input(os);
    }

    fn read_input(&mut self, os: &mut dyn Os) {
        if self.phase != Phase::Talking || self.input_over {
            return;
        }
        while !self.options.no_input {
            match os.read_input() {
                Input::Data(data) => {
                    self.unsent.extend(data);
                    self.send(os);
                }
                Input::Pending => return,
                Input::End => {
                    self.input_over = true;
                    return self.input_ended(os);
                }
            }
        }
    }

    /// The end of the input: what each edition makes of it.
    fn input_ended(&mut self, os: &mut dyn Os) {
        match (self.options.edition, self.options.quit_after) {
            _ if self.far_over => self.far_end_closed(os),
            (_, Some(secs)) => os.set_timer(TIMER_QUIT, Duration::from_secs(u64::from(secs))),
            (Edition::OpenBsd, None) if self.options.shuts_down => {
                let _ = os.shutdown(self.socket, Shutdown::Write);
            }
            (Edition::Busybox, None) if !self.options.udp => {
                let _ = os.shutdown(self.socket, Shutdown::Write);
            }
            (Edition::OpenBsd | Edition::Traditional | Edition::Busybox, None) => {}
        }
    }

    fn send(&mut self, os: &mut dyn Os) {
        if self.phase != Phase::Talking || self.unsent.is_empty() {
            return;
        }
        self.touch(os);
        if self.options.udp {
            let data = std::mem::take(&mut self.unsent);
            let sent = match self.peer.filter(|_| self.options.keep) {
                Some(peer) => os.send_to(self.socket, peer, &data),
                None => os.send(self.socket, &data),
            };
            return match sent {
                Ok(_) => {}
                // OpenBSD's gives this direction up, no more, and with it the input.
                Err(_) if self.options.edition == Edition::OpenBsd => self.options.no_input = true,
                Err(_) => self.end(os, 1),
            };
        }
        if dial::write(os, self.socket, &mut self.unsent).is_err() {
            os.close(self.socket);
            self.end(os, u8::from(self.options.edition != Edition::OpenBsd));
        }
    }
}
