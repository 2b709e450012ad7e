//! The probes of `traceroute` and what comes back for them (`mod-udp.c`, `mod-icmp.c`, `mod-tcp.c`).

use super::{Method, Traceroute};
use crate::app::{
    Errno, Os, PathMtuDiscovery, PingMessage, PingSocket, RawMessage, RawSocket, SocketError, SocketOption,
    Transport,
};
use crate::base::{Ipv4Addr, SocketId};
use crate::wire::{Body, Tcp, TcpFlags, TcpOption};
use std::net::SocketAddrV4;
use std::sync::Arc;

/// IP protocol number of TCP.
const TCP: u8 = 6;
/// Length of the headers of IPv4 and TCP, without options.
const TCP_HEADERS: u32 = 40;

/// A system call that went wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    pub(super) call: &'static str,
    pub(super) errno: Errno,
}

fn failed(call: &'static str) -> impl Fn(Errno) -> Failure {
    move |errno| Failure { call, errno }
}

/// The call that fails with this while a socket is made ready.
fn open_failed(errno: Errno) -> Failure {
    let call = if errno == Errno::Eaddrnotavail {
        "bind"
    } else if errno == Errno::Enodev {
        "setsockopt SO_BINDTODEVICE"
    } else {
        "connect"
    };
    Failure { call, errno }
}

/// What all probes by ICMP and TCP share.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared {
    socket: Option<SocketId>,
    /// Segment size that is offered.
    mss: u16,
    /// Value of the timestamps.
    clock: u32,
}

/// What came back.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) from: Ipv4Addr,
    pub(super) ttl: u8,
    /// ICMP type and code; `None` for an answer of the destination itself.
    pub(super) kind_and_code: Option<(u8, u8)>,
    pub(super) mtu: u32,
    pub(super) more: String,
}

impl Answer {
    fn reply(from: Ipv4Addr, ttl: u8) -> Self {
        Self { from, ttl, kind_and_code: None, mtu: 0, more: String::new() }
    }

    fn error(from: Ipv4Addr, ttl: u8, kind_and_code: (u8, u8), mtu: u32) -> Self {
        Self { from, ttl, kind_and_code: Some(kind_and_code), mtu, more: String::new() }
    }

    /// What is printed behind the time, and whether it is the end of the way (`parse_icmp_res`).
    pub(super) fn meaning(&self) -> (String, bool) {
        let note = match self.kind_and_code {
            Some((11, 0)) => return (String::new(), false),
            Some((3, 3)) | None => return (String::new(), true),
            Some((3, 0 | 6 | 11)) => " !N".to_owned(),
            Some((3, 1 | 7 | 12 | 8)) => " !H".to_owned(),
            Some((3, 2)) => " !P".to_owned(),
            Some((3, 4)) => format!(" !F-{}", self.mtu),
            Some((3, 5)) => " !S".to_owned(),
            Some((3, 13)) => " !X".to_owned(),
            Some((3, 14)) => " !V".to_owned(),
            Some((3, 15)) => " !C".to_owned(),
            Some((3, code)) => format!(" !<{code}>"),
            Some((kind, code)) => format!(" !<{kind}-{code}>"),
        };
        (note, true)
    }
}

impl Traceroute {
    fn discovery(&self) -> PathMtuDiscovery {
        if self.options.dont_fragment || self.options.finds_mtu {
            PathMtuDiscovery::Probe
        } else {
            PathMtuDiscovery::Dont
        }
    }

    fn port(&self) -> u16 {
        self.options.port.unwrap_or(self.options.method.port())
    }

    /// Opens what all probes share, before anything is printed.
    pub(super) fn open(&mut self, os: &mut dyn Os) -> Result<(), Failure> {
        let device = self.options.device.clone();
        match self.options.method {
            Method::Default | Method::Udp => Ok(()),
            Method::Icmp => {
                let options = PingSocket {
                    discovery: self.discovery(),
                    source: self.source,
                    device,
                    tos: self.options.tos,
                    ..PingSocket::default()
                };
                self.look_ahead(os)?;
                self.shared.socket = Some(os.ping_socket(options).map_err(open_failed)?);
                Ok(())
            }
            Method::Tcp => {
                let options = RawSocket {
                    protocol: TCP,
                    to: self.address,
                    source: self.source,
                    device,
                    discovery: self.discovery(),
                    tos: self.options.tos,
                };
                let socket = os.raw_socket(options).map_err(open_failed)?;
                let mtu = os.mtu_towards(self.address).unwrap_or(0);
                let mss = mtu.saturating_sub(TCP_HEADERS) as u16;
                self.shared = Shared { socket: Some(socket), mss, clock: os.random() };
                Ok(())
            }
        }
    }

    /// Whether there is a way, which the first probe would find out.
    pub(super) fn look_ahead(&self, os: &mut dyn Os) -> Result<(), Failure> {
        let device = self.options.device.as_deref();
        if let Some(name) = device {
            os.device_addresses(name).map_err(open_failed)?;
        }
        let may_broadcast = (self.options.busybox, self.options.tos);
        os.source_towards(self.address, device, may_broadcast).map_err(open_failed)?;
        Ok(())
    }

    /// Sends a probe with this time to live.
    pub(super) fn send_once(&mut self, os: &mut dyn Os, at: usize, ttl: u8) -> Result<(), Failure> {
        match self.options.method {
            Method::Default => self.send_udp(os, at, (ttl, self.port().wrapping_add(self.tried))),
            Method::Udp => self.send_udp(os, at, (ttl, self.port())),
            Method::Icmp => self.send_icmp(os, at, ttl),
            Method::Tcp => self.send_tcp(os, at, ttl),
        }
    }

    /// A socket at the source address and port that were asked for.
    fn bound(&mut self, os: &mut dyn Os, at: usize, transport: Transport) -> Result<SocketId, Failure> {
        let socket = os.socket(transport).map_err(failed("socket"))?;
        self.probes[at].socket = Some(socket);
        if let Some(device) = &self.options.device {
            let option = SocketOption::BindToDevice(device.clone());
            os.set_option(socket, option).map_err(open_failed)?;
        }
        let source = self.source.unwrap_or(Ipv4Addr::UNSPECIFIED);
        if transport == Transport::Tcp || self.source.is_some() || self.options.source_port != 0 {
            let local = SocketAddrV4::new(source, self.options.source_port);
            os.bind(socket, local).map_err(failed("bind"))?;
        }
        Ok(socket)
    }

    fn send_udp(&mut self, os: &mut dyn Os, at: usize, (ttl, port): (u8, u16)) -> Result<(), Failure> {
        let socket = self.bound(os, at, Transport::Udp)?;
        let options = [
            SocketOption::MtuDiscovery(self.discovery()),
            SocketOption::Tos(self.options.tos),
            SocketOption::Ttl(ttl),
            SocketOption::ReceiveErrors(true),
        ];
        for option in options {
            os.set_option(socket, option).map_err(failed("setsockopt"))?;
        }
        os.connect(socket, SocketAddrV4::new(self.address, port)).map_err(failed("connect"))?;
        let data = self.data(28);
        os.send(socket, &data).map(|_| ()).map_err(failed("send"))
    }

    fn send_icmp(&mut self, os: &mut dyn Os, at: usize, ttl: u8) -> Result<(), Failure> {
        let Some(socket) = self.shared.socket else { return Ok(()) };
        let data: Arc<[u8]> = self.data(28).into();
        let seq = self.port().wrapping_add(self.tried);
        self.probes[at].key = seq;
        os.set_echo_ttl(socket, ttl);
        os.send_echo(socket, self.address, seq, data).map_err(failed("send"))
    }

    /// A segment with SYN by a raw socket. Another socket holds its port and never connects, so that the kernel resets
    /// what comes back.
    fn send_tcp(&mut self, os: &mut dyn Os, at: usize, ttl: u8) -> Result<(), Failure> {
        let holder = self.bound(os, at, Transport::Tcp)?;
        let src_port = os.local_addr(holder).map_or(0, |local| local.port());
        self.probes[at].key = src_port;
        let Shared { socket: Some(socket), mss, clock } = self.shared else { return Ok(()) };
        let options = [
            TcpOption::MaxSegmentSize(mss),
            TcpOption::SackPermitted,
            TcpOption::Timestamps { value: clock, echo: 0 },
            TcpOption::Nop,
            TcpOption::WindowScale(2),
        ];
        let segment = Tcp {
            src_port,
            dst_port: self.port(),
            seq: os.random(),
            ack: 0,
            flags: TcpFlags::SYN,
            window: mss.wrapping_mul(4),
            urgent: 0,
            options: Some(options.into()),
            data: Vec::new().into(),
        };
        os.raw_send(socket, ttl, Body::Tcp(segment)).map_err(failed("send"))
    }

    /// Printable letters in order, counted from the start of the message that holds them: with UDP that is the data
    /// itself, with ICMP its header.
    fn data(&self, headers: u16) -> Vec<u8> {
        let len = if self.options.busybox { 18 } else { self.length.saturating_sub(headers) };
        let first = if self.options.method == Method::Icmp { 8_u16 } else { 0 };
        (first..first.saturating_add(len)).map(|at| 0x40 + (at & 0x3f) as u8).collect()
    }

    /// The MTU that this machine itself told of a probe that it did not send.
    pub(super) fn told_locally(&mut self, os: &mut dyn Os, at: usize) -> Option<u32> {
        if self.options.method == Method::Icmp {
            return match os.receive(self.shared.socket?)? {
                PingMessage::Error { from: None, mtu, .. } => Some(mtu),
                PingMessage::Error { .. } | PingMessage::Reply { .. } | PingMessage::Redirect { .. } => None,
            };
        }
        os.receive_error(self.probes[at].socket?).map(|error| error.mtu)
    }

    /// The next answer that a socket has, and to which probe.
    pub(super) fn answer(&self, os: &mut dyn Os, socket: SocketId) -> Option<(usize, Answer)> {
        match self.options.method {
            Method::Default | Method::Udp => {
                let at = self.probes.iter().position(|probe| probe.socket == Some(socket))?;
                Some((at, Self::udp_answer(os, socket)?))
            }
            Method::Icmp => self.icmp_answer(os, socket),
            Method::Tcp => self.tcp_answer(os, socket),
        }
    }

    /// The probe that waits for an answer with this sequence number or to this port.
    fn waiting(&self, key: u16) -> Option<usize> {
        self.probes.iter().position(|probe| probe.key == key && probe.sent.is_some() && !probe.done)
    }

    fn udp_answer(os: &mut dyn Os, socket: SocketId) -> Option<Answer> {
        if let Some(SocketError { offender: Some(from), kind_and_code: Some(kind), mtu, ttl, .. }) =
            os.receive_error(socket)
        {
            return Some(Answer::error(from, ttl, kind, mtu));
        }
        os.receive_from(socket).ok().map(|datagram| Answer::reply(*datagram.from.ip(), datagram.ttl))
    }

    /// The next answer to an echo request; what belongs to no probe is passed over.
    fn icmp_answer(&self, os: &mut dyn Os, socket: SocketId) -> Option<(usize, Answer)> {
        while let Some(message) = os.receive(socket) {
            let (seq, answer) = match message {
                PingMessage::Reply { from, ttl, seq, .. } => (seq, Answer::reply(from, ttl)),
                PingMessage::Error { from: Some(from), ttl, kind_and_code: Some(kind), mtu, seq } => {
                    (seq, Answer::error(from, ttl, kind, mtu))
                }
                PingMessage::Error { .. } | PingMessage::Redirect { .. } => continue,
            };
            if let Some(at) = self.waiting(seq) {
                return Some((at, answer));
            }
        }
        None
    }

    /// The next answer to a segment; what belongs to no probe is passed over (`tcp_check_reply`).
    fn tcp_answer(&self, os: &mut dyn Os, socket: SocketId) -> Option<(usize, Answer)> {
        let holder = |own: u16, far: u16| self.waiting(own).filter(|_| far == self.port());
        while let Some(message) = os.raw_receive(socket) {
            let found = match message {
                RawMessage::Packet { ttl, body, .. } => {
                    // What is cut into fragments comes whole, and other protocols do not come here.
                    let Body::Tcp(tcp) = &*body else { continue };
                    holder(tcp.dst_port, tcp.src_port).map(|at| {
                        let more = if self.options.info { flag_names(tcp.flags) } else { String::new() };
                        (at, Answer { more, ..Answer::reply(self.address, ttl) })
                    })
                }
                RawMessage::Error { from, ttl, kind_and_code, mtu, body, .. } => match body[..] {
                    [a, b, c, d, ..] => holder(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
                        .map(|at| (at, Answer::error(from, ttl, kind_and_code, mtu))),
                    _ => None,
                },
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

/// The flags of a segment as ` <syn,ack>` (`names_by_flags`).
fn flag_names(flags: TcpFlags) -> String {
    let all = [
        (TcpFlags::SYN, "syn"),
        (TcpFlags::RST, "rst"),
        (TcpFlags::FIN, "fin"),
        (TcpFlags::PSH, "psh"),
        (TcpFlags::ACK, "ack"),
    ];
    let names: Vec<&str> =
        all.into_iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, name)| name).collect();
    format!(" <{}>", names.join(","))
}
