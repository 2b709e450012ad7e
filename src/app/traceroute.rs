//! `traceroute` 2.1.2 of Debian, sixteen probes at once (`traceroute.c`), and busybox's, which sends one after the other.

mod options;
mod probes;

pub use options::{Method, Patience, TracerouteOptions};

use super::ping::parse_address;
use super::resolver::resolve_with_idn;
use super::{Errno, Os, Process, Wake};
use crate::base::{Duration, Ipv4Addr, SimTime, SocketId};
use crate::trace::Stream;
use probes::{Answer, Failure};

const TIMER_EXPIRE: u32 = 1;
const TIMER_SEND: u32 = 2;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Probe {
    socket: Option<SocketId>,
    /// What tells it apart: the source port in TCP, the sequence number in ICMP.
    key: u16,
    sent: Option<SimTime>,
    received: Option<SimTime>,
    done: bool,
    last: bool,
    from: Option<Ipv4Addr>,
    /// TTL with which the answer came.
    ttl: u8,
    /// What is told of the answer besides.
    more: String,
    note: String,
}

/// A running `traceroute`.
#[derive(Clone, Debug)]
pub struct Traceroute {
    options: TracerouteOptions,
    address: Ipv4Addr,
    /// `-s`.
    source: Option<Ipv4Addr>,
    /// Length of the packets.
    length: u16,
    /// How many were sent, also those that turned out too large.
    tried: u16,
    shared: probes::Shared,
    last_sent: Option<SimTime>,
    probes: Vec<Probe>,
    /// How many of them are printed.
    printed: usize,
    /// Who was printed last on the line.
    shown: Option<(Ipv4Addr, u8, String)>,
    over: bool,
}

impl Traceroute {
    /// A `traceroute` that has not begun yet.
    pub fn new(options: TracerouteOptions) -> Self {
        let count = usize::from(options.hops_max) * usize::from(options.probes);
        Self {
            probes: vec![Probe::default(); count],
            printed: usize::from(options.first_hop.saturating_sub(1)) * usize::from(options.probes),
            length: options.packet_len(),
            options,
            address: Ipv4Addr::UNSPECIFIED,
            source: None,
            tried: 0,
            shared: probes::Shared::default(),
            last_sent: None,
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
        match Self::find(os, &target) {
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
        if let Some(source) = self.options.source.clone() {
            match Self::find(os, &source) {
                Ok(address) => self.source = Some(address),
                Err(why) => {
                    let text = format!("Cannot handle `-s' option with arg `{source}' (argc 1)");
                    os.write(Stream::Stderr, &format!("{source}: {why}\n{text}\n"));
                    return os.exit(2);
                }
            }
        }
        if let Err(failure) = self.open(os) {
            // The first line of the output is not begun yet.
            os.write(Stream::Stderr, "\n");
            return self.fail(os, failure);
        }
        let (hops, length) = (self.options.hops_max, self.length);
        let size = if self.options.busybox { 46 } else { length };
        let text =
            format!("traceroute to {target} ({}), {hops} hops max, {size} byte packets\n", self.address);
        os.write(Stream::Stdout, &text);
        if let Err(failure) = self.look_ahead(os) {
            return self.fail(os, failure);
        }
        self.go_on(os);
    }

    fn find(os: &mut dyn Os, name: &str) -> Result<Ipv4Addr, &'static str> {
        match parse_address(name) {
            Some(address) => Ok(address),
            None => resolve_with_idn(os, name).map(|(_, address)| address),
        }
    }

    /// A system call went wrong (`error`).
    fn fail(&mut self, os: &mut dyn Os, Failure { call, errno }: Failure) {
        let call = if self.options.busybox { "traceroute: sendto" } else { call };
        os.write(Stream::Stderr, &format!("{call}: {}\n", errno.text()));
        self.over = true;
        os.exit(1);
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
        let mut end = self.end();
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
                if in_flight >= usize::from(self.options.at_once.max(1)) {
                    break;
                }
                let free = self.last_sent.map(|last| last + self.options.send_wait);
                if let Some(free) = free.filter(|free| now < *free) {
                    os.set_timer(TIMER_SEND, free.since(now));
                    break;
                }
                if let Err(failure) = self.send(os, at) {
                    return self.fail(os, failure);
                }
                end = self.end();
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
            os.cancel_timer(TIMER_SEND);
            return os.exit(0);
        }
        if let Some(next) = next {
            os.set_timer(TIMER_EXPIRE, next.since(now).max(Duration::from_us(1)));
        }
    }

    /// How long an answer to a probe is waited for (`get_timeout`): a few times what another answer of this hop, or of
    /// a later one, took.
    fn patience(&self, at: usize) -> Duration {
        let Patience { most, here, near } = self.options.patience;
        if self.options.busybox {
            return most;
        }
        let per_hop = usize::from(self.options.probes);
        let hop = at / per_hop;
        let took = |index: usize| {
            let probe = &self.probes[index];
            Some(probe.received?.since(probe.sent?))
        };
        let times = |took: Duration, factor: u64| Duration(took.0.saturating_mul(factor) / 1000);
        let own = (hop * per_hop..(hop + 1) * per_hop).filter_map(took).max().filter(|_| here > 0);
        let later = || ((hop + 1) * per_hop..self.probes.len()).find_map(took).filter(|_| near > 0);
        let limit = own.map(|took| times(took, here)).or_else(|| later().map(|took| times(took, near)));
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

    /// Sends a probe; where it is too large for its way and the MTU is asked for, a smaller one.
    fn send(&mut self, os: &mut dyn Os, at: usize) -> Result<(), Failure> {
        let ttl = (at / usize::from(self.options.probes)) as u8 + 1;
        self.probes[at].sent = Some(os.now());
        self.last_sent = Some(os.now());
        loop {
            let sent = self.send_once(os, at, ttl);
            self.tried = self.tried.wrapping_add(1);
            match sent {
                Err(Failure { errno: Errno::Emsgsize, .. }) => {
                    let Some(mtu) = self.told_locally(os, at) else { return Ok(()) };
                    if !self.shrink(os, at, mtu) {
                        self.refused_here(os, at, mtu);
                        return Ok(());
                    }
                }
                sent => return sent,
            }
        }
    }

    /// This machine itself says that a probe is too large, which is the end of the way.
    fn refused_here(&mut self, os: &mut dyn Os, at: usize, mtu: u32) {
        let now = os.now();
        let probe = &mut self.probes[at];
        (probe.received, probe.last, probe.note) = (Some(now), true, format!(" !F-{mtu}"));
        self.give_up(os, at);
    }

    /// The next packets have this size at most, if that is asked for and less than before.
    fn shrink(&mut self, os: &mut dyn Os, at: usize, mtu: u32) -> bool {
        let Some(mtu) = u16::try_from(mtu).ok().filter(|mtu| self.options.finds_mtu && *mtu < self.length)
        else {
            return false;
        };
        self.length = mtu;
        self.probes[at].note = format!(" F={mtu}");
        self.give_up(os, at);
        self.probes[at].done = false;
        true
    }

    /// Takes what came back for the probe of a socket.
    fn take(&mut self, os: &mut dyn Os, socket: SocketId) {
        while let Some((at, answer)) = self.answer(os, socket) {
            self.took(os, at, answer);
        }
    }

    fn took(&mut self, os: &mut dyn Os, at: usize, answer: Answer) {
        if self.probes[at].done {
            return;
        }
        if answer.kind_and_code == Some((3, 4)) && self.shrink(os, at, answer.mtu) {
            self.probes[at].sent = None;
            return;
        }
        let (note, last) = answer.meaning();
        let now = os.now();
        let probe = &mut self.probes[at];
        if !note.is_empty() {
            probe.note = note;
        }
        (probe.from, probe.last, probe.ttl) = (Some(answer.from), last, answer.ttl);
        (probe.more, probe.received) = (answer.more, Some(now));
        self.give_up(os, at);
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
        let us = probe.sent.and_then(|sent| probe.received.map(|received| received.since(sent).as_us()));
        let time = us.map_or(String::new(), |us| format!("  {}.{:03} ms", us / 1000, us % 1000));
        let Some(from) = probe.from else {
            let gap = if self.options.busybox { "  *" } else { " *" };
            return format!("{gap}{time}{}", probe.note);
        };
        let mut text = String::new();
        let who = (from, if self.options.back { probe.ttl } else { 0 }, probe.more.clone());
        if self.shown.as_ref() != Some(&who) {
            let named = || format!("{} ({from})", os.name_of(from).unwrap_or_else(|| from.to_string()));
            text = format!(" {}", if self.options.numeric { from.to_string() } else { named() });
            text += &probe.more;
            if self.options.back {
                text += &self.way_back(probe.ttl);
            }
            self.shown = Some(who);
        }
        text + &time + &probe.note
    }

    /// How long the way back was, where it was not as long as the way out: packets set out with 64, 128 or 255
    /// (`ttl2hops`).
    fn way_back(&self, ttl: u8) -> String {
        let hops = match ttl {
            0..=64 => 65 - u16::from(ttl),
            65..=128 => 129 - u16::from(ttl),
            129..=255 => 256 - u16::from(ttl),
        };
        let hop = self.printed / usize::from(self.options.probes) + 1;
        if usize::from(hops) == hop { String::new() } else { format!(" '-{hops}'") }
    }
}
