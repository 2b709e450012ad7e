//! `tracepath` of iputils 20221126: one probe after the other, with the path MTU.

use super::ping::parse_address;
use super::resolver::resolve_with_idn;
use super::{Errno, Os, PathMtuDiscovery, Process, SocketError, SocketOption, Transport, Wake};
use crate::base::{Duration, Ipv4Addr, SimTime, SocketId};
use crate::trace::Stream;
use std::net::SocketAddrV4;

/// What the options of the command line ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracepathOptions {
    /// The destination as typed.
    pub target: String,
    /// `-n`.
    pub numeric: bool,
    /// `-b`.
    pub both: bool,
    /// `-m`.
    pub hops_max: u8,
    /// `-p`.
    pub port: u16,
    /// `-l`.
    pub length: u32,
}

impl TracepathOptions {
    /// What `tracepath TARGET` alone means.
    pub fn new(target: &str) -> Self {
        Self {
            target: target.to_owned(),
            numeric: false,
            both: false,
            hops_max: 30,
            port: 44444,
            length: 65535,
        }
    }
}

/// Times that a hop is asked, and how long each answer is waited for.
const TRIES: u32 = 3;
const WAIT: Duration = Duration::from_secs(1);
const TIMER_WAIT: u32 = 1;
/// Width of the name of a hop, and of what stands there for this host.
const NAME_WIDTH: usize = 52;
const LOCAL_WIDTH: usize = 33;

/// A running `tracepath`.
#[derive(Clone, Debug)]
pub struct Tracepath {
    options: TracepathOptions,
    address: Ipv4Addr,
    socket: SocketId,
    mtu: u32,
    ttl: u8,
    tries: u32,
    sent: SimTime,
    hops: Option<(u8, u8)>,
    over: bool,
}

impl Tracepath {
    /// A `tracepath` that has not begun yet.
    pub fn new(options: TracepathOptions) -> Self {
        Self {
            mtu: options.length,
            options,
            address: Ipv4Addr::UNSPECIFIED,
            socket: SocketId::NONE,
            ttl: 1,
            tries: 0,
            sent: SimTime::ZERO,
            hops: None,
            over: false,
        }
    }
}

impl Process for Tracepath {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => self.begin(os),
            Wake::Timer(_) => self.no_answer(os),
            Wake::Readable(_) => self.take(os),
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

impl Tracepath {
    fn begin(&mut self, os: &mut dyn Os) {
        let target = self.options.target.clone();
        let literal = parse_address(&target).ok_or(());
        let found = literal.or_else(|()| resolve_with_idn(os, &target).map(|(_, address)| address));
        match found {
            Ok(address) => self.address = address,
            Err(why) => {
                os.write(Stream::Stderr, &format!("tracepath: {target}: {why}\n"));
                return os.exit(1);
            }
        }
        let opened = os.socket(Transport::Udp).and_then(|socket| {
            self.socket = socket;
            os.set_option(socket, SocketOption::MtuDiscovery(PathMtuDiscovery::Probe))?;
            os.set_option(socket, SocketOption::ReceiveErrors(true))
        });
        if let Err(errno) = opened {
            os.write(Stream::Stderr, &format!("tracepath: socket: {}\n", errno.text()));
            return os.exit(1);
        }
        self.probe(os);
    }

    /// Sends a probe as large as the path may carry. A refusal for its size says how large that is.
    fn probe(&mut self, os: &mut dyn Os) {
        if os.set_option(self.socket, SocketOption::Ttl(self.ttl)).is_err() {
            return os.exit(1);
        }
        self.sent = os.now();
        let data = vec![0; self.mtu.saturating_sub(28) as usize];
        let remote = SocketAddrV4::new(self.address, self.options.port.wrapping_add(u16::from(self.ttl)));
        match os.send_to(self.socket, remote, &data) {
            Ok(_) => os.set_timer(TIMER_WAIT, WAIT),
            Err(Errno::Emsgsize) => {
                let told = os.receive_error(self.socket).map(|error| error.mtu).filter(|mtu| *mtu > 0);
                let Some(mtu) = told.or_else(|| os.mtu_towards(self.address)).filter(|mtu| *mtu < self.mtu)
                else {
                    return os.exit(1);
                };
                self.mtu = mtu;
                self.line(os, "?", "[LOCALHOST]", &format!("pmtu {mtu}"));
                self.probe(os);
            }
            // The kernel of this host may have told more of it than the refusal (`recverr`).
            Err(_) => {
                self.take(os);
                if !self.over {
                    os.write(Stream::Stdout, &format!("{:2}:  send failed\n", self.ttl));
                    self.resume(os);
                }
            }
        }
    }

    /// A line of the output: ` 1:  NAME     REST`.
    fn line(&self, os: &mut dyn Os, mark: &str, name: &str, rest: &str) {
        let width = if mark == "?" { LOCAL_WIDTH } else { NAME_WIDTH };
        let space = if mark == "?" { " " } else { "  " };
        os.write(Stream::Stdout, &format!("{:2}{mark}:{space}{name:<width$}{rest}\n", self.ttl));
    }

    fn no_answer(&mut self, os: &mut dyn Os) {
        if self.over {
            return;
        }
        self.tries += 1;
        if self.tries < TRIES {
            return self.probe(os);
        }
        os.write(Stream::Stdout, &format!("{:2}:  no reply\n", self.ttl));
        self.next_hop(os);
    }

    fn next_hop(&mut self, os: &mut dyn Os) {
        self.tries = 0;
        if self.ttl >= self.options.hops_max {
            os.write(Stream::Stdout, &format!("     Too many hops: pmtu {}\n", self.mtu));
            return self.resume(os);
        }
        self.ttl += 1;
        self.probe(os);
    }

    fn resume(&mut self, os: &mut dyn Os) {
        self.over = true;
        let hops = self.hops.map_or(String::new(), |(hops, back)| format!("hops {hops} back {back} "));
        os.write(Stream::Stdout, &format!("     Resume: pmtu {} {hops}\n", self.mtu));
        os.cancel_timer(TIMER_WAIT);
        os.close(self.socket);
        os.exit(0);
    }

    fn take(&mut self, os: &mut dyn Os) {
        while let Some(error) = os.receive_error(self.socket) {
            if !self.over && error.remote.port() == self.options.port.wrapping_add(u16::from(self.ttl)) {
                self.take_error(os, &error);
            }
        }
    }

    fn take_error(&mut self, os: &mut dyn Os, error: &SocketError) {
        let (Some(from), Some(kind)) = (error.offender, error.kind_and_code) else { return };
        os.cancel_timer(TIMER_WAIT);
        let took = os.now().since(self.sent).as_us();
        let name = if self.options.numeric {
            None
        } else {
            Some(os.name_of(from).unwrap_or_else(|| from.to_string()))
        };
        let name = match name {
            Some(name) if self.options.both => format!("{name} ({from})"),
            Some(name) => name,
            None => from.to_string(),
        };
        let time = format!("{:>3}.{:03}ms ", took / 1000, took % 1000);
        // The way back is as long as what was taken from 64, 128 or 255.
        let start = [64_u8, 128, 255].into_iter().find(|start| error.ttl <= *start).unwrap_or(255);
        let back = start - error.ttl + 1;
        let asymmetry = if back == self.ttl { String::new() } else { format!("asymm {back:2} ") };
        match kind {
            (11, 0) => {
                self.line(os, "", &name, &format!("{time}{asymmetry}"));
                self.next_hop(os);
            }
            (3, 3) => {
                self.hops = Some((self.ttl, back));
                self.line(os, "", &name, &format!("{time}{asymmetry}reached"));
                self.resume(os);
            }
            (3, 4) => {
                self.mtu = error.mtu;
                self.line(os, "", &name, &format!("{time}{asymmetry}pmtu {}", error.mtu));
                self.probe(os);
            }
            (3, code) => {
                let mark = match code {
                    0 => "!N",
                    1 => "!H",
                    2 => "!P",
                    13 => "!A",
                    _ => "!X",
                };
                self.line(os, "", &name, &format!("{time}{asymmetry}{mark}"));
                self.resume(os);
            }
            _ => self.next_hop(os),
        }
    }
}
