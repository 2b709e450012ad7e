//! `traceroute` 2.1.2 of Debian with UDP and ICMP probes, sixteen of them at once (`traceroute.c`, `mod-udp.c`,
//! `mod-icmp.c`), and busybox's, which sends one after the other.

use super::ping::parse_address;
use super::resolver::resolve_with_idn;
use super::{
    Os, PathMtuDiscovery, PingMessage, PingSocket, Process, SocketError, SocketOption, Transport, Wake,
};
use crate::base::{Duration, Ipv4Addr, SimTime, SocketId};
use crate::trace::Stream;
use std::net::SocketAddrV4;
use std::sync::Arc;

/// How probes are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// UDP to ports from 33434 on.
    Udp,
    /// ICMP echo requests.
    Icmp,
}

/// What the options of the command line ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracerouteOptions {
    /// The destination as typed.
    pub target: String,
    /// How probes are made.
    pub method: Method,
    /// `-n`.
    pub numeric: bool,
    /// `-f`.
    pub first_hop: u8,
    /// `-m`.
    pub hops_max: u8,
    /// `-q`.
    pub probes: u8,
    /// `-N`.
    pub at_once: u16,
    /// `-w`, in milliseconds: the longest wait for an answer.
    pub wait_ms: u64,
    /// `-p`.
    pub port: u16,
    /// Length of the packets.
    pub length: u16,
    /// Whether it is busybox's.
    pub busybox: bool,
}

impl TracerouteOptions {
    /// What `traceroute TARGET` alone means.
    pub fn new(target: &str) -> Self {
        Self {
            target: target.to_owned(),
            method: Method::Udp,
            numeric: false,
            first_hop: 1,
            hops_max: 30,
            probes: 3,
            at_once: 16,
            wait_ms: 5000,
            port: 33434,
            length: 60,
            busybox: false,
        }
    }
}

/// Times that an answer to one probe is waited for as long as another answer took (`-w MAX,HERE,NEAR`).
const HERE: u64 = 3;
const NEAR: u64 = 10;
const TIMER_EXPIRE: u32 = 1;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Probe {
    socket: Option<SocketId>,
    sent: Option<SimTime>,
    received: Option<SimTime>,
    done: bool,
    last: bool,
    from: Option<Ipv4Addr>,
    note: String,
}

/// A running `traceroute`.
#[derive(Clone, Debug)]
pub struct Traceroute {
    options: TracerouteOptions,
    address: Ipv4Addr,
    probes: Vec<Probe>,
    /// How many of them are printed.
    printed: usize,
    /// Address printed last on the line.
    shown: Option<Ipv4Addr>,
    over: bool,
}

impl Traceroute {
    /// A `traceroute` that has not begun yet.
    pub fn new(options: TracerouteOptions) -> Self {
        let count = usize::from(options.hops_max) * usize::from(options.probes);
        Self {
            probes: vec![Probe::default(); count],
            printed: usize::from(options.first_hop.saturating_sub(1)) * usize::from(options.probes),
            options,
            address: Ipv4Addr::UNSPECIFIED,
            shown: None,
            over: false,
        }
    }
}

impl Process for Traceroute {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => self.begin(os),
            Wake::Timer(_) => self.go_on(os),
            Wake::Readable(socket) => {
                self.take(os, socket);
                self.go_on(os);
            }
            Wake::Interrupt => os.exit(130),
            Wake::Terminate => os.exit(143),
            Wake::Writable(_) | Wake::Input => {}
        }
    }

    fn looks_up_names(&self) -> bool {
        true
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }
}

impl Traceroute {
    fn begin(&mut self, os: &mut dyn Os) {
        let target = self.options.target.clone();
        let literal = parse_address(&target).ok_or(());
        let found = literal.or_else(|()| resolve_with_idn(os, &target).map(|(_, address)| address));
        match found {
            Ok(address) => self.address = address,
            Err(_) if self.options.busybox => {
                os.write(Stream::Stderr, &format!("traceroute: bad address '{target}'\n"));
                return os.exit(1);
            }
            Err(why) => {
                let text = format!("Cannot handle \"host\" cmdline arg `{target}' on position 1 (argc 1)");
                os.write(Stream::Stderr, &format!("{target}: {why}\n{text}\n"));
                return os.exit(2);
            }
        }
        let (hops, length) = (self.options.hops_max, self.options.length);
        let size = if self.options.busybox {
            "46 byte packets".to_owned()
        } else {
            format!("{length} byte packets")
        };
        os.write(
            Stream::Stdout,
            &format!("traceroute to {target} ({}), {hops} hops max, {size}\n", self.address),
        );
        if let Err(errno) = os.source_towards(self.address, None, (true, 0)) {
            let program = if self.options.busybox { "traceroute: sendto" } else { "connect" };
            os.write(Stream::Stderr, &format!("{program}: {}\n", errno.text()));
            return os.exit(1);
        }
        self.go_on(os);
    }

    /// The place of a probe that decides the end: the first of the destination's hop.
    fn end(&self) -> usize {
        let per_hop = usize::from(self.options.probes);
        let last = self.probes.iter().position(|probe| probe.last);
        last.map_or(self.probes.len(), |at| (at / per_hop + 1) * per_hop)
    }

    /// `do_it`: prints what is decided, gives up what took too long, sends what may be sent.
    fn go_on(&mut self, os: &mut dyn Os) {
        if self.over {
            return;
        }
        let now = os.now();
        let end = self.end();
        let mut next: Option<SimTime> = None;
        let mut in_flight = 0;
        let mut at = self.printed;
        while at < end {
            if let (Some(sent), false) = (self.probes[at].sent, self.probes[at].done) {
                let deadline = sent + self.patience(at);
                if now >= deadline {
                    self.give_up(os, at);
                } else {
                    in_flight += 1;
                    next = Some(next.map_or(deadline, |earlier| earlier.min(deadline)));
                }
            }
            if self.probes[at].sent.is_none() {
                if in_flight >= usize::from(self.options.at_once) {
                    break;
                }
                self.send(os, at);
                in_flight += 1;
                let deadline = now + self.patience(at);
                next = Some(next.map_or(deadline, |earlier| earlier.min(deadline)));
            }
            at += 1;
        }
        self.print(os, end);
        if self.printed >= end {
            self.over = true;
            os.cancel_timer(TIMER_EXPIRE);
            return os.exit(0);
        }
        if let Some(next) = next {
            os.set_timer(TIMER_EXPIRE, next.since(now).max(Duration::from_us(1)));
        }
    }

    /// How long an answer to a probe is waited for (`get_timeout`): a few times what another answer of this hop, or of
    /// a later one, took.
    fn patience(&self, at: usize) -> Duration {
        let most = Duration::from_ms(self.options.wait_ms);
        if self.options.busybox {
            return most;
        }
        let per_hop = usize::from(self.options.probes);
        let hop = at / per_hop;
        let took = |index: usize| {
            let probe = &self.probes[index];
            Some(probe.received?.since(probe.sent?))
        };
        let here = (hop * per_hop..(hop + 1) * per_hop).filter_map(took).max();
        let near = || ((hop + 1) * per_hop..self.probes.len()).find_map(took);
        let limit = match here {
            Some(took) => Some(Duration(took.0 * HERE)),
            None => near().map(|took| Duration(took.0 * NEAR)),
        };
        // What was just a moment is rounded up to ten milliseconds (`10 ms` in `get_timeout`).
        limit.map_or(most, |limit| limit.max(Duration::from_ms(10)).min(most))
    }

    fn give_up(&mut self, os: &mut dyn Os, at: usize) {
        let probe = &mut self.probes[at];
        probe.done = true;
        if let Some(socket) = probe.socket.take() {
            os.close(socket);
        }
    }

    fn send(&mut self, os: &mut dyn Os, at: usize) {
        let ttl = (at / usize::from(self.options.probes)) as u8 + 1;
        self.probes[at].sent = Some(os.now());
        let sent = match self.options.method {
            Method::Udp => self.send_udp(os, at, ttl),
            Method::Icmp => self.send_icmp(os, at, ttl),
        };
        if sent.is_none() {
            self.probes[at].done = true;
        }
    }

    fn send_udp(&mut self, os: &mut dyn Os, at: usize, ttl: u8) -> Option<()> {
        let socket = os.socket(Transport::Udp).ok()?;
        self.probes[at].socket = Some(socket);
        os.set_option(socket, SocketOption::MtuDiscovery(PathMtuDiscovery::Dont)).ok()?;
        os.set_option(socket, SocketOption::Ttl(ttl)).ok()?;
        os.set_option(socket, SocketOption::ReceiveErrors(true)).ok()?;
        let port = self.options.port.wrapping_add(at as u16);
        os.connect(socket, SocketAddrV4::new(self.address, port)).ok()?;
        let data = self.data(28);
        os.send(socket, &data).ok().map(|_| ())
    }

    fn send_icmp(&mut self, os: &mut dyn Os, at: usize, ttl: u8) -> Option<()> {
        let options =
            PingSocket { ttl: Some(ttl), discovery: PathMtuDiscovery::Dont, ..PingSocket::default() };
        let socket = os.ping_socket(options).ok()?;
        self.probes[at].socket = Some(socket);
        let data: Arc<[u8]> = self.data(28).into();
        os.send_echo(socket, self.address, at as u16 + 1, data).ok()
    }

    /// Printable letters in order, beginning with `@` (`fill`).
    fn data(&self, headers: u16) -> Vec<u8> {
        let len = if self.options.busybox { 18 } else { self.options.length.saturating_sub(headers) };
        (0..len).map(|at| 0x40 + (at & 0x3f) as u8).collect()
    }

    /// Takes what came back for the probe of a socket.
    fn take(&mut self, os: &mut dyn Os, socket: SocketId) {
        let Some(at) = self.probes.iter().position(|probe| probe.socket == Some(socket)) else { return };
        let answer = match self.options.method {
            Method::Udp => Self::udp_answer(os, socket),
            Method::Icmp => Self::icmp_answer(os, socket),
        };
        let Some((from, note, last)) = answer else { return };
        let now = os.now();
        let probe = &mut self.probes[at];
        if probe.done {
            return;
        }
        (probe.from, probe.note, probe.last) = (Some(from), note, last);
        (probe.received, probe.done) = (Some(now), true);
        probe.socket = None;
        os.close(socket);
    }

    /// Who answered, what is printed after the time, and whether it is the end of the way.
    fn udp_answer(os: &mut dyn Os, socket: SocketId) -> Option<(Ipv4Addr, String, bool)> {
        if let Some(SocketError { offender: Some(from), kind_and_code: Some(kind), mtu, .. }) =
            os.receive_error(socket)
        {
            return Some(error_answer(from, kind, mtu));
        }
        os.receive_from(socket).ok().map(|datagram| (*datagram.from.ip(), String::new(), true))
    }

    fn icmp_answer(os: &mut dyn Os, socket: SocketId) -> Option<(Ipv4Addr, String, bool)> {
        match os.receive(socket)? {
            PingMessage::Reply { from, .. } => Some((from, String::new(), true)),
            PingMessage::Error { from: Some(from), kind_and_code: Some(kind), mtu, .. } => {
                Some(error_answer(from, kind, mtu))
            }
            PingMessage::Error { .. } | PingMessage::Redirect { .. } => None,
        }
    }

    /// Prints the probes that are decided, in order (`print_probe`).
    fn print(&mut self, os: &mut dyn Os, end: usize) {
        let per_hop = usize::from(self.options.probes);
        while self.printed < end && self.probes[self.printed].done {
            let probe = self.probes[self.printed].clone();
            let mut text = String::new();
            if self.printed.is_multiple_of(per_hop) {
                self.shown = None;
                text = format!("{:2} ", self.printed / per_hop + 1);
            }
            text += &self.probe_text(os, &probe);
            self.printed += 1;
            if self.printed.is_multiple_of(per_hop) {
                text.push('\n');
            }
            os.write(Stream::Stdout, &text);
        }
    }

    fn probe_text(&mut self, os: &dyn Os, probe: &Probe) -> String {
        let (Some(from), Some(sent), Some(received)) = (probe.from, probe.sent, probe.received) else {
            return if self.options.busybox { "  *".to_owned() } else { " *".to_owned() };
        };
        let mut text = String::new();
        if self.shown != Some(from) {
            let named = || format!("{} ({from})", os.name_of(from).unwrap_or_else(|| from.to_string()));
            let who = if self.options.numeric { from.to_string() } else { named() };
            text = format!(" {who}");
            self.shown = Some(from);
        }
        let us = received.since(sent).as_us();
        text + &format!("  {}.{:03} ms{}", us / 1000, us % 1000, probe.note)
    }
}

/// What an ICMP error means (`parse_icmp_res`).
fn error_answer(from: Ipv4Addr, (kind, code): (u8, u8), mtu: u32) -> (Ipv4Addr, String, bool) {
    let note = match (kind, code) {
        (11, 0) => return (from, String::new(), false),
        (3, 3) => return (from, String::new(), true),
        (3, 0 | 6 | 11) => " !N".to_owned(),
        (3, 1 | 7 | 12 | 8) => " !H".to_owned(),
        (3, 2) => " !P".to_owned(),
        (3, 4) => format!(" !F-{mtu}"),
        (3, 5) => " !S".to_owned(),
        (3, 13) => " !X".to_owned(),
        (3, 14) => " !V".to_owned(),
        (3, 15) => " !C".to_owned(),
        (3, code) => format!(" !<{code}>"),
        (kind, code) => format!(" !<{kind}-{code}>"),
    };
    (from, note, true)
}
