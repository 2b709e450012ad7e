//! `mtr` 0.95 in report mode (`net.c`, `report.c`): rounds of echo requests with growing TTLs, and a table at the end.

use super::ping::parse_address;
use super::{Os, PathMtuDiscovery, PingMessage, PingSocket, Process, Wake};
use crate::base::{Duration, Ipv4Addr, SimTime, SocketId};
use crate::trace::Stream;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MtrOptions {
    /// The destination as typed.
    pub target: String,
    /// `-n`.
    pub numeric: bool,
    /// `-c`: rounds.
    pub rounds: u32,
    /// `-i`, in milliseconds: how long a round takes at least.
    pub interval_ms: u64,
    /// `-m`.
    pub hops_max: u8,
    /// `-f`.
    pub first_hop: u8,
    /// `-w`: names are not cut.
    pub wide: bool,
}

/// How many hops without an answer are asked beyond the last one that is known (`-U`).
const UNKNOWN_MAX: u8 = 12;
/// How long answers are waited for after the last request (`-G`).
const GRACE: Duration = Duration::from_secs(5);
/// How many hops a round is first taken to have, for the time between two requests.
const HOPS_FIRST: u64 = 10;
/// Bytes of a request behind its ICMP header: 64 in all.
const DATA_LEN: usize = 36;

const TIMER_SEND: u32 = 1;
const TIMER_GRACE: u32 = 2;

/// What is known of a hop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Hop {
    from: Option<Ipv4Addr>,
    sent: u32,
    /// Round-trip times in microseconds.
    times: Vec<u64>,
}

/// A running `mtr`.
#[derive(Clone, Debug)]
pub struct Mtr {
    options: MtrOptions,
    address: Ipv4Addr,
    began: SimTime,
    hops: BTreeMap<u8, Hop>,
    /// Requests under way, each with its TTL and when it was sent.
    pending: BTreeMap<SocketId, (u8, SimTime)>,
    round: u32,
    ttl: u8,
    seq: u16,
}

impl Mtr {
    /// A `mtr` that has not begun yet.
    pub fn new(options: MtrOptions) -> Self {
        Self {
            address: Ipv4Addr::UNSPECIFIED,
            began: SimTime::ZERO,
            hops: BTreeMap::new(),
            pending: BTreeMap::new(),
            round: 0,
            ttl: options.first_hop,
            seq: 33_000,
            options,
        }
    }

    fn begin(&mut self, os: &mut dyn Os) {
        let target = self.options.target.clone();
        let Some(address) = parse_address(&target).or_else(|| os.resolve(&target)) else {
            let text = format!("mtr: Failed to resolve host: {target}: Name or service not known\n");
            os.write(Stream::Stderr, &text);
            return os.exit(0);
        };
        (self.address, self.began) = (address, os.now());
        self.send(os);
    }

    /// The TTL with which the destination is reached, if that is known.
    fn last(&self) -> Option<u8> {
        let found = self.hops.iter().find(|(_, hop)| hop.from == Some(self.address));
        found.map(|(ttl, _)| *ttl)
    }

    /// Sends the next request (`net_send_batch`).
    fn send(&mut self, os: &mut dyn Os) {
        let ttl = self.ttl;
        let options =
            PingSocket { ttl: Some(ttl), discovery: PathMtuDiscovery::Dont, ..PingSocket::default() };
        self.hops.entry(ttl).or_default().sent += 1;
        if let Ok(socket) = os.ping_socket(options) {
            self.seq = self.seq.wrapping_add(1);
            if os.send_echo(socket, self.address, self.seq, vec![0; DATA_LEN].into()).is_ok() {
                self.pending.insert(socket, (ttl, os.now()));
            }
        }
        let n_hops = self.last().map_or(HOPS_FIRST, u64::from);
        os.set_timer(TIMER_SEND, Duration::from_us(self.options.interval_ms * 1000 / n_hops));
    }

    /// Goes on to the next hop, the next round, or the end.
    fn next(&mut self, os: &mut dyn Os) {
        let known = self.hops.iter().filter(|(_, hop)| hop.from.is_some()).map(|(ttl, _)| *ttl).max();
        let is_last = self.last().is_some_and(|last| self.ttl >= last)
            || self.ttl >= self.options.hops_max
            || self.ttl >= known.unwrap_or(0).saturating_add(UNKNOWN_MAX);
        if !is_last {
            self.ttl += 1;
            return self.send(os);
        }
        self.round += 1;
        if self.round >= self.options.rounds {
            return os.set_timer(TIMER_GRACE, GRACE);
        }
        self.ttl = self.options.first_hop;
        self.send(os);
    }

    fn take(&mut self, os: &mut dyn Os, socket: SocketId) {
        let Some((ttl, sent)) = self.pending.get(&socket).copied() else { return };
        let from = match os.receive(socket) {
            Some(PingMessage::Reply { from, .. } | PingMessage::Error { from: Some(from), .. }) => from,
            Some(PingMessage::Error { .. } | PingMessage::Redirect { .. }) | None => return,
        };
        self.pending.remove(&socket);
        os.close(socket);
        let hop = self.hops.entry(ttl).or_default();
        hop.from = Some(from);
        hop.times.push(os.now().since(sent).as_us());
    }

    /// The table (`report_close`).
    fn report(&self, os: &mut dyn Os) {
        const WIDTH: usize = 33;
        let at = self.began.calendar();
        let host =
            os.read_file("/etc/hostname").map_or("localhost".to_owned(), |text| text.trim_end().to_owned());
        let name = |addr: Ipv4Addr| {
            let known = if self.options.numeric { None } else { os.name_of(addr) };
            known.unwrap_or_else(|| addr.to_string())
        };
        let last = self.last().unwrap_or(u8::MAX);
        let rows: Vec<(u8, &Hop, String)> = self
            .hops
            .iter()
            .filter(|(ttl, _)| **ttl <= last)
            .map(|(ttl, hop)| (*ttl, hop, hop.from.map_or("???".to_owned(), name)))
            .collect();
        let longest = rows.iter().map(|(.., name)| name.len() + 8).max().unwrap_or(0).max(host.len() + 6);
        let width = if self.options.wide { longest } else { WIDTH };
        let mut out = format!(
            "Start: {}-{:02}-{:02}T{:02}:{:02}:{:02}+0000\n",
            at.year, at.month, at.day, at.hour, at.minute, at.second
        );
        let head = format!("HOST: {host}");
        let _ = writeln!(out, "{head:<width$.width$} Loss%   Snt   Last   Avg  Best  Wrst StDev");
        for (ttl, hop, name) in rows {
            let head = format!("{ttl:3}.|-- {name}");
            let _ = writeln!(out, "{head:<width$.width$}{}", figures(hop));
        }
        os.write(Stream::Stdout, &out);
        os.exit(0);
    }
}

/// Tenths, of a number in thousandths.
fn tenths(thousandths: u64) -> String {
    let tenths = (thousandths + 50) / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// The columns behind the name.
fn figures(hop: &Hop) -> String {
    let received = hop.times.len() as u64;
    let sent = u64::from(hop.sent);
    let loss = (sent.saturating_sub(received) * 100_000).checked_div(sent).unwrap_or(0);
    let sum: u64 = hop.times.iter().sum();
    let mean = sum.checked_div(received).unwrap_or(0);
    let deviations: u64 = hop.times.iter().map(|time| time.abs_diff(mean).pow(2)).sum();
    let deviation = if received > 1 { (deviations / (received - 1)).isqrt() } else { 0 };
    let best = hop.times.iter().min().copied().unwrap_or(0);
    let worst = hop.times.iter().max().copied().unwrap_or(0);
    let last = hop.times.last().copied().unwrap_or(0);
    let times: String = [last, mean, best, worst, deviation]
        .iter()
        .fold(String::new(), |out, time| out + &format!(" {:>5}", tenths(*time)));
    format!(" {:>4}% {sent:>5} {times}", tenths(loss))
}

impl Process for Mtr {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => self.begin(os),
            Wake::Timer(TIMER_SEND) => self.next(os),
            Wake::Timer(_) | Wake::Interrupt | Wake::Terminate => self.report(os),
            Wake::Readable(socket) => self.take(os, socket),
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
