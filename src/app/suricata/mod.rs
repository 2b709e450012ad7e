//! An intrusion detector in the manner of Suricata 7: it captures at a device, as a mirror port brings it what others
//! send, and says which packets its rules are about.
//!
//! *Simplified*: packets are looked at one by one, without streams put together and without application layers; alerts
//! go to standard output in the form of `fast.log`, in place of a file.

mod rule;

pub use rule::{Action, Addresses, Ports, Rate, RateKind, Rule, RuleError, parse_rules};

use super::{CaptureFilter, Captured, Os, Process, Wake};
use crate::base::{IfIndex, Ipv4Addr, SimTime};
use crate::trace::Stream;
use crate::wire::filter::{Filter, Link, Setting};
use crate::wire::{Body, Ipv4};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The timer with which the kernel hands frames over.
const TIMER_FRAMES: u32 = 1;

/// What rules look at in a packet.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Source.
    pub src: Ipv4Addr,
    /// Destination.
    pub dst: Ipv4Addr,
    /// IP protocol number.
    pub protocol: u8,
    /// Ports, of TCP and UDP.
    pub ports: Option<(u16, u16)>,
    /// Flags of TCP.
    pub flags: u8,
    /// Type and code of ICMP.
    pub icmp: Option<(u8, u8)>,
    /// Payload.
    pub data: Arc<[u8]>,
}

impl Seen {
    fn of(packet: &Ipv4) -> Self {
        let mut seen = Self {
            src: packet.src,
            dst: packet.dst,
            protocol: packet.protocol(),
            ports: None,
            flags: 0,
            icmp: None,
            data: Arc::new([]),
        };
        match &*packet.body {
            Body::Tcp(tcp) => {
                seen.ports = Some((tcp.src_port, tcp.dst_port));
                seen.flags = tcp.flags.bits() as u8;
                seen.data = tcp.data.clone();
            }
            Body::Udp(udp) => {
                seen.ports = Some((udp.src_port, udp.dst_port));
                seen.data = udp.payload.to_bytes();
            }
            Body::Icmp(icmp) => seen.icmp = Some(icmp.kind_and_code()),
            Body::Igmp(_) | Body::Ipip(_) | Body::Gre(_) | Body::Esp(_) | Body::Raw { .. } => {}
        }
        seen
    }
}

/// What a rule remembers of one address.
#[derive(Clone, Debug, Default)]
struct Counted {
    /// When it fitted lately.
    hits: VecDeque<SimTime>,
    /// Alerts since the window began, and when that was.
    said: Option<(SimTime, u32)>,
}

/// A running detector.
#[derive(Clone, Debug)]
pub struct Suricata {
    device: (Arc<str>, IfIndex),
    rules: Arc<[Rule]>,
    counted: BTreeMap<(usize, Ipv4Addr), Counted>,
    /// Packets looked at, and alerts.
    totals: (u64, u64),
}

impl Suricata {
    /// A detector that has not begun yet.
    pub fn new(device: (Arc<str>, IfIndex), rules: Arc<[Rule]>) -> Self {
        Self { device, rules, counted: BTreeMap::new(), totals: (0, 0) }
    }

    fn begin(&mut self, os: &mut dyn Os) {
        let setting = Setting { link: Link::Ethernet, live: true, netmask: None, resolve: &|_| None };
        // An empty expression lets everything pass.
        let filter = Filter::compile("", &setting).unwrap_or_default();
        let filter = CaptureFilter { filter, link: Link::Ethernet };
        if let Err(errno) = os.capture(Some(self.device.1), filter, true, TIMER_FRAMES) {
            let text = format!("Error: af-packet: {}: {}\n", self.device.0, errno.text());
            os.write(Stream::Stderr, &text);
            return os.exit(1);
        }
        let count = self.rules.len();
        let text = format!(
            "i: suricata: This is Suricata version 7.0.10 RELEASE running in SYSTEM mode\n\
             i: detect: 1 rule files processed. {count} rules successfully loaded, 0 rules failed, 0\n\
             i: threads: Threads created -> W: 1 FM: 1 FR: 1   Engine started.\n"
        );
        os.write(Stream::Stderr, &text);
    }

    fn take(&mut self, os: &mut dyn Os) {
        let mut out = String::new();
        for captured in os.take_captured() {
            out += &self.look(&captured);
        }
        os.write(Stream::Stdout, &out);
    }

    /// The alerts about a frame.
    fn look(&mut self, captured: &Captured) -> String {
        let Some(packet) = captured.frame.ipv4() else { return String::new() };
        self.totals.0 += 1;
        let seen = Seen::of(packet);
        let mut out = String::new();
        let rules = self.rules.clone();
        for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.fits(&seen)) {
            if rule.action == Action::Pass {
                break;
            }
            if self.is_due(index, rule, &seen, captured.at) {
                self.totals.1 += 1;
                out += &line(rule, &seen, captured.at);
            }
        }
        out
    }

    /// Whether a rule that fits is to say so, by its rate.
    fn is_due(&mut self, index: usize, rule: &Rule, seen: &Seen, now: SimTime) -> bool {
        let Some(rate) = &rule.rate else { return true };
        let address = if rate.by_source { seen.src } else { seen.dst };
        let counted = self.counted.entry((index, address)).or_default();
        let is_young = |then: SimTime| now.since(then).as_secs() < rate.seconds;
        counted.hits.push_back(now);
        while counted.hits.front().is_some_and(|then| !is_young(*then)) {
            counted.hits.pop_front();
        }
        if counted.said.is_some_and(|(since, _)| !is_young(since)) {
            counted.said = None;
        }
        let hits = counted.hits.len() as u64;
        let said = counted.said.map_or(0, |(_, count)| u64::from(count));
        let due = match rate.kind {
            RateKind::Limit => said < rate.count,
            RateKind::Threshold => hits >= rate.count,
            RateKind::Both => hits >= rate.count && said == 0,
            RateKind::DetectionFilter => hits > rate.count,
        };
        if due {
            let (since, count) = counted.said.unwrap_or((now, 0));
            counted.said = Some((since, count + 1));
            if rate.kind == RateKind::Threshold {
                counted.hits.clear();
            }
        }
        due
    }

    fn end(&self, os: &mut dyn Os) {
        let (packets, alerts) = self.totals;
        let text = format!(
            "i: suricata: Signal Received.  Stopping engine.\ni: device: {}: packets: {packets}, drops: 0 (0.00%), invalid chksum: 0\n\
             i: counters: Alerts: {alerts}\n",
            self.device.0
        );
        os.write(Stream::Stderr, &text);
        os.exit(0);
    }
}

/// A line of `fast.log`.
fn line(rule: &Rule, seen: &Seen, at: SimTime) -> String {
    let date = at.calendar();
    let micros = at.0 % 1_000_000_000 / 1000;
    let (class, priority) = rule.class;
    let protocol = match seen.protocol {
        1 => "ICMP".to_owned(),
        6 => "TCP".to_owned(),
        17 => "UDP".to_owned(),
        132 => "SCTP".to_owned(),
        other => format!("PROTO:{other:03}"),
    };
    // Of ICMP, type and code stand where others have ports.
    let (sport, dport) =
        seen.ports.or_else(|| seen.icmp.map(|(kind, code)| (kind.into(), code.into()))).unwrap_or((0, 0));
    format!(
        "{:02}/{:02}/{}-{:02}:{:02}:{:02}.{micros:06}  [**] [{}:{}:{}] {} [**] [Classification: {class}] [Priority: {}] {{{protocol}}} {}:{sport} -> {}:{dport}\n",
        date.month,
        date.day,
        date.year,
        date.hour,
        date.minute,
        date.second,
        rule.gid,
        rule.sid,
        rule.rev,
        rule.msg,
        rule.priority.unwrap_or(priority),
        seen.src,
        seen.dst,
    )
}

impl Process for Suricata {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => self.begin(os),
            Wake::Timer(_) => self.take(os),
            Wake::Interrupt | Wake::Terminate => {
                self.take(os);
                self.end(os);
            }
            Wake::Readable(_) | Wake::Writable(_) | Wake::Input => {}
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }

    fn handles_termination(&self) -> bool {
        true
    }
}
