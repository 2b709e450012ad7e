//! `ping` of busybox 1.35: it counts from 0, sends by an alarm, and says nothing of ICMP errors.

#![expect(
    clippy::format_push_string,
    reason = "a line is put together piece by piece, as the program prints it"
)]

use super::ping::parse_address;
use super::{Errno, Os, PathMtuDiscovery, PingMessage, PingSocket, Process, Wake};
use crate::base::{Duration, Ipv4Addr, SimTime, SocketId};
use crate::trace::Stream;
use std::collections::BTreeSet;

const TIMER_ALARM: u32 = 1;

/// What the options of the command line ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusyboxPingOptions {
    /// The destination as typed.
    pub target: String,
    /// `-c`; 0 for no end.
    pub count: u32,
    /// `-s`: bytes of data.
    pub size: usize,
    /// `-t`.
    pub ttl: Option<u8>,
    /// `-i`, in milliseconds.
    pub interval_ms: u32,
    /// `-W`, in seconds.
    pub linger_secs: u32,
    /// `-w`, in seconds; 0 for none.
    pub deadline_secs: u32,
    /// `-I` with an address.
    pub source: Option<Ipv4Addr>,
    /// `-I` with a name.
    pub device: Option<String>,
    /// `-q`.
    pub quiet: bool,
    /// `-p`: the byte that the data is filled with.
    pub pattern: u8,
}

impl BusyboxPingOptions {
    /// What `ping TARGET` alone means.
    pub fn new(target: &str) -> Self {
        Self {
            target: target.to_owned(),
            count: 0,
            size: 56,
            ttl: None,
            interval_ms: 1000,
            linger_secs: 10,
            deadline_secs: 0,
            source: None,
            device: None,
            quiet: false,
            pattern: 0,
        }
    }
}

/// A running busybox `ping`.
#[derive(Clone, Debug)]
pub struct BusyboxPing {
    options: BusyboxPingOptions,
    destination: Ipv4Addr,
    socket: SocketId,
    started: SimTime,
    transmitted: u32,
    received: u32,
    repeats: u32,
    seen: BTreeSet<u16>,
    time_min: u32,
    time_max: u32,
    time_sum: u64,
    all_sent: bool,
}

impl BusyboxPing {
    /// A `ping` that has not begun yet.
    pub fn new(options: BusyboxPingOptions) -> Self {
        Self {
            options,
            destination: Ipv4Addr::UNSPECIFIED,
            socket: SocketId::NONE,
            started: SimTime::ZERO,
            transmitted: 0,
            received: 0,
            repeats: 0,
            seen: BTreeSet::new(),
            time_min: u32::MAX,
            time_max: 0,
            time_sum: 0,
            all_sent: false,
        }
    }
}

impl Process for BusyboxPing {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => {
                if let Err(text) = self.begin(os) {
                    fail(os, &text);
                } else {
                    self.send(os);
                }
            }
            Wake::Timer(_) if self.all_sent => self.finish(os),
            Wake::Timer(_) => self.send(os),
            Wake::Interrupt => self.finish(os),
            Wake::Readable(_) => self.receive(os),
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

fn fail(os: &mut dyn Os, text: &str) {
    os.write(Stream::Stderr, &format!("ping: {text}\n"));
    os.exit(1);
}

impl BusyboxPing {
    fn begin(&mut self, os: &mut dyn Os) -> Result<(), String> {
        let target = &self.options.target;
        self.destination = parse_address(target)
            .or_else(|| os.resolve(target))
            .ok_or_else(|| format!("bad address '{target}'"))?;
        let socket = PingSocket {
            // It does not look at what setting the option gave: what the kernel refuses changes nothing.
            ttl: self.options.ttl.filter(|ttl| *ttl > 0),
            discovery: PathMtuDiscovery::Want,
            source: self.options.source,
            device: self.options.device.clone(),
            tos: 0,
            // It sets `SO_BROADCAST` always.
            broadcast: true,
            unheard: false,
            options: None,
        };
        self.socket = os.ping_socket(socket).map_err(|errno| match (errno, &self.options.device) {
            (Errno::Enodev, Some(device)) => format!("can't bind to interface {device}: {}", errno.text()),
            _ => format!("bind: {}", errno.text()),
        })?;
        let from = self.options.source.map_or(String::new(), |source| format!(" from {source}"));
        let head = format!("PING {target} ({}){from}: {} data bytes\n", self.destination, self.options.size);
        os.write(Stream::Stdout, &head);
        self.started = os.now();
        Ok(())
    }

    fn send(&mut self, os: &mut dyn Os) {
        let deadline = Duration::from_secs(u64::from(self.options.deadline_secs));
        if deadline > Duration::ZERO && os.now().since(self.started) >= deadline {
            self.finish(os);
            return;
        }
        let seq = self.transmitted as u16;
        let mut data = vec![self.options.pattern; self.options.size];
        if let Some(head) = data.get_mut(..4) {
            head.copy_from_slice(&microseconds(os.now()).to_ne_bytes());
        }
        self.seen.remove(&seq);
        self.transmitted += 1;
        if let Err(errno) = os.send_echo(self.socket, self.destination, seq, data.into()) {
            fail(os, &format!("sendto: {}", errno.text()));
            return;
        }
        if self.options.count == 0 || self.transmitted < self.options.count {
            os.set_timer(TIMER_ALARM, Duration::from_ms(u64::from(self.options.interval_ms)));
            return;
        }
        self.all_sent = true;
        // `alarm(0)` sets none: what is still to come is waited for without an end.
        if self.received == 0 && self.options.linger_secs == 0 {
            return;
        }
        let secs = match self.received {
            0 => self.options.linger_secs,
            _ => (self.time_max / (512 * 1024)).max(1),
        };
        os.set_timer(TIMER_ALARM, Duration::from_secs(u64::from(secs)));
    }

    fn receive(&mut self, os: &mut dyn Os) {
        while let Some(message) = os.receive(self.socket) {
            let PingMessage::Reply { from, ttl, seq, data, at, .. } = message else { continue };
            self.reply(
                os,
                &format!("{} bytes from {from}: seq={seq} ttl={ttl}", data.len() + 8),
                seq,
                &data,
                at,
            );
            if self.options.count != 0 && self.received >= self.options.count {
                self.finish(os);
                return;
            }
        }
    }

    fn reply(&mut self, os: &mut dyn Os, head: &str, seq: u16, data: &[u8], at: SimTime) {
        let mut line = head.to_owned();
        if let Some(sent) = data.first_chunk::<4>() {
            let time = microseconds(at).wrapping_sub(u32::from_ne_bytes(*sent));
            self.time_sum += u64::from(time);
            self.time_min = self.time_min.min(time);
            self.time_max = self.time_max.max(time);
            line += &format!(" time={} ms", thousandths(time));
        }
        if self.seen.insert(seq) {
            self.received += 1;
        } else {
            self.repeats += 1;
            line += " (DUP!)";
        }
        if !self.options.quiet {
            os.write(Stream::Stdout, &(line + "\n"));
        }
    }

    fn finish(&mut self, os: &mut dyn Os) {
        if !self.socket.is_some() {
            return;
        }
        os.cancel_timer(TIMER_ALARM);
        let (sent, received) = (self.transmitted, self.received);
        let mut text = format!("\n--- {} ping statistics ---\n", self.options.target);
        text += &format!("{sent} packets transmitted, {received} packets received, ");
        if self.repeats > 0 {
            text += &format!("{} duplicates, ", self.repeats);
        }
        let lost = u64::from(sent.saturating_sub(received)) * 100 / u64::from(sent.max(1));
        text += &format!("{lost}% packet loss\n");
        if self.time_min != u32::MAX {
            let mean = (self.time_sum / u64::from(received + self.repeats)) as u32;
            let [min, mean, max] = [self.time_min, mean, self.time_max].map(thousandths);
            text += &format!("round-trip min/avg/max = {min}/{mean}/{max} ms\n");
        }
        os.write(Stream::Stdout, &text);
        let missed = self.options.deadline_secs > 0 && received < self.options.count;
        os.exit(u8::from(received == 0 || missed));
    }
}

fn microseconds(time: SimTime) -> u32 {
    (time.0 / 1_000) as u32
}

fn thousandths(value: u32) -> String {
    format!("{}.{:03}", value / 1000, value % 1000)
}
