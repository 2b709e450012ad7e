//! `ping` of iputils 20221126, as a state machine over its own scheduling: `pinger`, `schedule_exit`, `main_loop`,
//! `gather_statistics` and `finish` of that program, with the same order of checks, so that intervals, the wait
//! after the last request, and every figure of the statistics come out as there.

#![expect(
    clippy::format_push_string,
    reason = "a line is put together piece by piece, as the program prints it"
)]
#![expect(clippy::cast_possible_wrap, reason = "counts and simulated times are far below 2^63")]

mod errors;
mod header;
mod options;
mod resolve;
mod text;

pub use header::HeaderOption;
pub use options::PingOptions;
pub use text::parse_address;

use super::{Errno, Os, PathMtuDiscovery, PingMessage, PingSocket, Process, Wake};
use crate::base::{Duration, Ipv4Addr, SimTime, SocketId};
use crate::trace::Stream;
use std::collections::{BTreeSet, VecDeque};
use text::{elapsed_ms, percent, thousandths, time_text};

/// Shortest wait that the program's scheduling knows, in milliseconds (`MININTERVAL`).
const INTERVAL_MS_MIN: i64 = 10;
/// How much later than asked a blocked `recvmsg` with `SO_RCVTIMEO` comes back: the kernel rounds up to its next
/// tick. This makes the interval of one second the 1001 ms that people know.
const RECEIVE_TIMEOUT_LATENESS: Duration = Duration::from_ms(1);
/// Sequence numbers remembered to tell duplicates (`MAX_DUP_CHK`).
const DUPLICATES_REMEMBERED: u64 = 0x10000;
/// Length of a `struct timeval` on 64-bit Linux, in bytes; shorter data cannot carry the time.
const TIMEVAL_LEN: usize = 16;
/// Width of the terminal, which limits the dots of a flood.
const SCREEN_WIDTH: i64 = 120;

const TIMER_NEXT: u32 = 1;
const TIMER_ALARM: u32 = 2;

/// Figures that the statistics are made of; times in microseconds.
#[derive(Clone, Debug, Default)]
struct Figures {
    transmitted: u64,
    received: u64,
    repeats: u64,
    errors: u64,
    time_min: i64,
    time_max: i64,
    time_sum: i64,
    square_sum: i128,
    /// Moving average of the round trip, times eight.
    average: i64,
    acked: u16,
    pipe: i64,
}

/// A running `ping`.
#[derive(Clone, Debug)]
pub struct Ping {
    options: PingOptions,
    hostname: String,
    destination: Ipv4Addr,
    socket: SocketId,
    interval_ms: i64,
    started: SimTime,
    /// When the last request was due, for the token bucket that spaces them.
    current: Option<SimTime>,
    tokens: i64,
    leaving: bool,
    /// Whether the alarm that ends the last wait is set.
    alarmed: bool,
    /// Messages taken from the socket while looking for a local error.
    pending: VecDeque<PingMessage>,
    /// What the kernel said of the last request when it refused it.
    refused: Option<Errno>,
    seen: BTreeSet<u64>,
    /// The route that was printed last.
    route: Vec<u8>,
    figures: Figures,
}

impl Ping {
    /// A `ping` that has not begun yet.
    pub fn new(options: PingOptions) -> Self {
        let interval_ms = match (options.interval_ms, options.flood) {
            (Some(ms), _) => i64::from(ms),
            (None, true) => 0,
            (None, false) => 1000,
        };
        Self {
            hostname: options.target.clone(),
            options,
            destination: Ipv4Addr::UNSPECIFIED,
            socket: SocketId::NONE,
            interval_ms,
            started: SimTime::ZERO,
            current: None,
            tokens: 0,
            leaving: false,
            alarmed: false,
            pending: VecDeque::new(),
            refused: None,
            seen: BTreeSet::new(),
            route: Vec::new(),
            figures: Figures { time_min: i64::MAX, acked: 0, pipe: -1, ..Figures::default() },
        }
    }
}

impl Process for Ping {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => {
                if let Err((text, status)) = self.begin(os) {
                    os.write(Stream::Stderr, &format!("ping: {text}\n"));
                    os.exit(status);
                } else {
                    self.run(os);
                }
            }
            Wake::Timer(TIMER_NEXT) => self.run(os),
            Wake::Timer(_) | Wake::Interrupt => {
                if self.socket.is_some() {
                    self.finish(os);
                }
            }
            Wake::Readable(_) => {
                if self.take_messages(os) {
                    self.run(os);
                }
            }
            Wake::Terminate => os.exit(143),
            Wake::Writable(_) | Wake::Input => {}
        }
    }

    fn looks_up_names(&self) -> bool {
        self.destination.is_unspecified() && parse_address(&self.options.target).is_none()
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }
}

impl Ping {
    /// Name, source, socket and first line; what fails there ends the program with this text and status.
    fn begin(&mut self, os: &mut dyn Os) -> Result<(), (String, u8)> {
        self.resolve(os)?;
        let source = self.source(os)?;
        if self.destination.is_unspecified() {
            self.destination = source;
        }
        let socket = PingSocket {
            ttl: self.options.ttl,
            discovery: self.options.discovery.unwrap_or(if self.is_for_many() {
                PathMtuDiscovery::Do
            } else {
                PathMtuDiscovery::default()
            }),
            source: self.options.source,
            device: self.options.device.clone(),
            tos: self.options.tos,
            broadcast: self.options.broadcast,
            unheard: self.options.unheard,
            options: self.options.header.map(header::asked),
        };
        self.socket = os.ping_socket(socket).map_err(|errno| match (errno, &self.options.device) {
            (Errno::Enodev, Some(device)) => (format!("SO_BINDTODEVICE {device}: {}", errno.text()), 2),
            (Errno::Einval, _) if self.options.ttl == Some(0) => {
                (format!("cannot set unicast time-to-live: {}", errno.text()), 2)
            }
            (Errno::Eaddrnotavail, _) => (format!("bind: {}", errno.text()), 2),
            _ => (format!("socket: {}", errno.text()), 2),
        })?;
        let size = self.options.size;
        let mut head = format!("PING {} ({}) ", self.hostname, self.destination);
        if self.options.device.is_some() || self.options.source.is_some() || self.options.strict_source {
            let device = self.options.device.as_deref().unwrap_or("");
            head += &format!("from {source} {device}: ");
        }
        let header = if self.options.header.is_some() { header::LEN } else { 0 };
        os.write(Stream::Stdout, &format!("{head}{size}({}) bytes of data.\n", size + 28 + header));
        self.started = os.now();
        if self.options.deadline_secs > 0 {
            os.set_timer(TIMER_ALARM, Duration::from_secs(u64::from(self.options.deadline_secs)));
        }
        Ok(())
    }

    /// The address of `getsockname` after `connect`, or that of `-I`.
    fn source(&self, os: &mut dyn Os) -> Result<Ipv4Addr, (String, u8)> {
        if let Some(source) = self.options.source {
            return Ok(source);
        }
        let device = self.options.device.as_deref();
        let tos = self.options.tos;
        let source = match os.source_towards(self.destination, device, (false, tos)) {
            Err(Errno::Eacces) if !self.options.broadcast => {
                let hint = "Do you want to ping broadcast? Then -b. If not, check your local firewall rules";
                return Err((hint.to_owned(), 2));
            }
            Err(Errno::Eacces) => {
                os.write(Stream::Stderr, "WARNING: pinging broadcast address\n");
                os.source_towards(self.destination, device, (true, tos))
            }
            found => found,
        };
        let source = source.map_err(|errno| match (errno, device) {
            (Errno::Enodev, Some(device)) => (format!("SO_BINDTODEVICE {device}: {}", errno.text()), 2),
            _ => (format!("connect: {}", errno.text()), 2),
        })?;
        if let Some(device) = device
            && !os.device_addresses(device).is_ok_and(|addresses| addresses.contains(&source))
        {
            let warning =
                format!("ping: Warning: source address might be selected on device other than: {device}\n");
            os.write(Stream::Stderr, &warning);
        }
        Ok(source)
    }

    /// `main_loop`, up to where it would block.
    fn run(&mut self, os: &mut dyn Os) {
        loop {
            if self.is_over() {
                self.finish(os);
                return;
            }
            let next = loop {
                let next = self.pinger(os);
                let next = self.schedule_exit(os, next);
                if next > 0 {
                    break next;
                }
            };
            if self.take_messages(os) {
                continue;
            }
            os.set_timer(TIMER_NEXT, self.wait(next));
            return;
        }
    }

    fn is_over(&self) -> bool {
        let answered = self.figures.received + self.figures.errors;
        self.leaving
            || self.options.count.is_some_and(|count| answered >= count)
            || (self.options.deadline_secs > 0 && self.figures.errors > 0)
    }

    /// How long the program blocks: in `poll` for less than an interval, else in `recvmsg`.
    fn wait(&self, next: i64) -> Duration {
        let interval = self.interval_ms.max(INTERVAL_MS_MIN);
        if next >= interval && !self.options.adaptive {
            return Duration::from_ms(interval.unsigned_abs()) + RECEIVE_TIMEOUT_LATENESS;
        }
        let next = if next <= INTERVAL_MS_MIN && self.in_flight() > 0 { INTERVAL_MS_MIN } else { next };
        Duration::from_ms(next.unsigned_abs())
    }

    /// Sends a request if one is due; milliseconds to the next.
    fn pinger(&mut self, os: &mut dyn Os) -> i64 {
        let preload = i64::from(self.options.preload);
        let enough = self.options.count.is_some_and(|count| self.figures.transmitted >= count);
        if self.leaving || (enough && self.options.deadline_secs == 0) {
            return 1000;
        }
        let now = os.now();
        match self.current {
            None => {
                self.current = Some(now);
                self.tokens = self.interval_ms * (preload - 1);
            }
            Some(current) => {
                let passed = elapsed_ms(current, now);
                if self.interval_ms == 0 && passed < INTERVAL_MS_MIN && self.in_flight() >= preload {
                    return INTERVAL_MS_MIN - passed;
                }
                let tokens = (passed + self.tokens).min(self.interval_ms * preload);
                if tokens < self.interval_ms {
                    return self.interval_ms - tokens;
                }
                self.current = Some(now);
                self.tokens = tokens - self.interval_ms;
            }
        }
        self.report_outstanding(os);
        self.send(os)
    }

    fn report_outstanding(&self, os: &mut dyn Os) {
        let sent = self.figures.transmitted;
        if self.options.outstanding && sent > 0 && !self.seen.contains(&(sent % DUPLICATES_REMEMBERED)) {
            let stamp = self.timestamp(os);
            let seq = sent % DUPLICATES_REMEMBERED;
            os.write(Stream::Stdout, &format!("{stamp}no answer yet for icmp_seq={seq}\n"));
        }
    }

    fn send(&mut self, os: &mut dyn Os) -> i64 {
        let seq = self.figures.transmitted + 1;
        self.seen.remove(&(seq % DUPLICATES_REMEMBERED));
        let data = self.data(os.now());
        let outcome = os.send_echo(self.socket, self.destination, seq as u16, data.into());
        self.refused = None;
        if let Err(errno) = outcome {
            let reported = self.report_local_error(os);
            self.refused = Some(errno).filter(|_| !reported);
            self.figures.transmitted += 1;
            self.tokens = 0;
            return self.interval_ms.max(INTERVAL_MS_MIN);
        }
        self.figures.transmitted += 1;
        let room = i64::from(self.options.preload) < SCREEN_WIDTH && self.figures.pipe < SCREEN_WIDTH;
        if self.options.flood && !self.options.quiet && (room || self.in_flight() < SCREEN_WIDTH) {
            os.write(Stream::Stdout, ".");
        }
        self.interval_ms - self.tokens
    }

    /// The data of a request: a `timeval` where it fits, then the pattern, by default each byte its own index.
    fn data(&self, now: SimTime) -> Vec<u8> {
        let mut data: Vec<u8> = match &self.options.pattern {
            Some(pattern) => pattern.iter().copied().cycle().take(self.options.size).collect(),
            None => (0..self.options.size).map(|index| index as u8).collect(),
        };
        if data.len() >= TIMEVAL_LEN {
            let us = now.0 / 1_000;
            data[..8].copy_from_slice(&(us / 1_000_000).to_le_bytes());
            data[8..TIMEVAL_LEN].copy_from_slice(&(us % 1_000_000).to_le_bytes());
        }
        data
    }

    /// Once all is sent, an alarm ends the wait for what is still to come.
    fn schedule_exit(&mut self, os: &mut dyn Os, next: i64) -> i64 {
        let done = self.options.count.is_some_and(|count| self.figures.transmitted >= count);
        if !done || self.options.deadline_secs > 0 || self.alarmed {
            return next;
        }
        let wait_us = if self.figures.received > 0 {
            (2 * self.figures.time_max).max(1000 * self.interval_ms)
        } else {
            i64::from(self.options.linger_ms) * 1000
        };
        self.alarmed = true;
        // An alarm after no time is none (`setitimer`): with `-W 0` the program waits for an interrupt.
        if wait_us > 0 {
            os.set_timer(TIMER_ALARM, Duration::from_us(wait_us.unsigned_abs()));
        }
        next.max(wait_us / 1000)
    }

    /// Takes what was received, until nothing is left or nothing is in flight; whether there was anything.
    fn take_messages(&mut self, os: &mut dyn Os) -> bool {
        let mut any = false;
        while let Some(message) = self.pending.pop_front().or_else(|| os.receive(self.socket)) {
            any = true;
            match message {
                PingMessage::Reply { from, ttl, seq, data, options, at } => {
                    let origin = (from, ttl);
                    self.reply(os, origin, seq, (&data, options.as_deref()), at);
                }
                PingMessage::Error { from: Some(from), kind_and_code, mtu, seq, .. } => {
                    self.remote_error(os, from, kind_and_code.unwrap_or((3, 1)), mtu, seq);
                    self.report_refusal(os);
                }
                PingMessage::Error { from: None, mtu, .. } => self.local_error(os, mtu),
                PingMessage::Redirect { from, code, gateway, seq } => {
                    self.redirected(os, from, (code, gateway), seq);
                }
            }
            if self.in_flight() == 0 {
                break;
            }
        }
        any
    }

    fn in_flight(&self) -> i64 {
        let difference = (self.figures.transmitted as u16).wrapping_sub(self.figures.acked);
        if difference <= 0x7fff {
            i64::from(difference)
        } else {
            (self.figures.transmitted - self.figures.received - self.figures.errors) as i64
        }
    }

    fn acknowledge(&mut self, seq: u16) {
        let figures = &mut self.figures;
        let sent = figures.transmitted as u16;
        let difference = sent.wrapping_sub(seq);
        if difference <= 0x7fff {
            figures.pipe = figures.pipe.max(i64::from(difference) + 1);
            if seq.wrapping_sub(figures.acked).cast_signed() > 0 || sent.wrapping_sub(figures.acked) > 0x7fff
            {
                figures.acked = seq;
            }
        }
    }

    fn reply(
        &mut self,
        os: &mut dyn Os,
        (from, ttl): (Ipv4Addr, u8),
        seq: u16,
        (data, options): (&[u8], Option<&[u8]>),
        at: SimTime,
    ) {
        self.acknowledge(seq);
        self.figures.received += 1;
        let time_us = self.measure(data, at);
        let repeated = !self.seen.insert(u64::from(seq));
        if repeated {
            self.figures.received -= 1;
            self.figures.repeats += 1;
        }
        if self.options.quiet {
            return;
        }
        if self.options.flood {
            os.write(Stream::Stdout, "\u{8} \u{8}");
            return;
        }
        let mut line = self.timestamp(os);
        line += &format!("{} bytes from {}: icmp_seq={seq}", data.len() + 8, self.address(os, from));
        if self.options.verbose {
            line += &format!(" ident={}", os.echo_ident(self.socket));
        }
        line += &format!(" ttl={ttl}");
        if data.len() < self.options.size {
            os.write(Stream::Stdout, &(line + " (truncated)\n"));
            return;
        }
        if let Some(time_us) = time_us {
            line += &time_text(time_us);
        }
        if repeated {
            line += " (DUP!)";
        }
        if from != self.destination && !self.is_for_many() {
            line += " (DIFFERENT ADDRESS!)";
        }
        if self.options.audible {
            line.push('\u{7}');
        }
        if let Some(options) = options {
            line += &self.header_options(os, options);
        }
        line.push('\n');
        os.write(Stream::Stdout, &line);
    }

    /// Whether answers from several hosts are expected.
    fn is_for_many(&self) -> bool {
        self.options.broadcast || self.destination.is_multicast()
    }

    fn measure(&mut self, data: &[u8], at: SimTime) -> Option<i64> {
        if self.options.size < TIMEVAL_LEN || data.len() < TIMEVAL_LEN {
            return self.options.size.ge(&TIMEVAL_LEN).then_some(0);
        }
        let word = |index: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&data[index..index + 8]);
            i64::from_le_bytes(bytes)
        };
        let sent_us = word(0) * 1_000_000 + word(8);
        let time_us = ((at.0 / 1_000) as i64 - sent_us).max(0);
        let figures = &mut self.figures;
        figures.time_sum += time_us;
        figures.square_sum += i128::from(time_us) * i128::from(time_us);
        figures.time_min = figures.time_min.min(time_us);
        figures.time_max = figures.time_max.max(time_us);
        figures.average =
            if figures.average == 0 { time_us * 8 } else { figures.average + time_us - figures.average / 8 };
        // `update_interval`: half a millisecond and more counts as one.
        if self.options.adaptive {
            self.interval_ms = (self.figures.average / 8 + 500) / 1000;
        }
        Some(time_us)
    }

    fn timestamp(&self, os: &dyn Os) -> String {
        if self.options.timestamps { text::timestamp(os.now()) } else { String::new() }
    }

    /// `pr_addr`: an address, and its name before it unless `-n` or a numeric target.
    fn address(&self, os: &dyn Os, address: Ipv4Addr) -> String {
        if self.options.numeric || self.leaving {
            return address.to_string();
        }
        let name = os.name_of(address).unwrap_or_else(|| address.to_string());
        format!("{name} ({address})")
    }

    fn finish(&mut self, os: &mut dyn Os) {
        self.leaving = true;
        os.cancel_timer(TIMER_NEXT);
        os.cancel_timer(TIMER_ALARM);
        let text = self.statistics();
        os.write(Stream::Stdout, &text);
        let missed = self.options.deadline_secs > 0
            && self.options.count.is_some_and(|count| self.figures.received < count);
        os.exit(u8::from(self.figures.received == 0 || missed));
    }

    fn statistics(&self) -> String {
        let figures = &self.figures;
        let span = self.current.map_or(Duration::ZERO, |current| current.since(self.started));
        let mut text = format!("\n--- {} ping statistics ---\n", self.hostname);
        text += &format!("{} packets transmitted, {} received", figures.transmitted, figures.received);
        if figures.repeats > 0 {
            text += &format!(", +{} duplicates", figures.repeats);
        }
        if figures.errors > 0 {
            text += &format!(", +{} errors", figures.errors);
        }
        if figures.transmitted > 0 {
            let lost = figures.transmitted.saturating_sub(figures.received);
            text += &format!(", {}% packet loss", percent(lost, figures.transmitted));
            text += &format!(", time {}ms", (span.0 + 500_000) / 1_000_000);
        }
        text.push('\n');
        let mut comma = "";
        if figures.received > 0 && self.options.size >= TIMEVAL_LEN {
            text += &self.round_trip();
            comma = ", ";
        }
        if figures.pipe > 1 {
            text += &format!("{comma}pipe {}", figures.pipe);
            comma = ", ";
        }
        let paced = self.interval_ms > 0 && !self.options.flood && !self.options.adaptive;
        if figures.received > 0 && figures.transmitted > 1 && !paced {
            let gap = (span.as_us() / (figures.transmitted - 1)) as i64;
            let ewma = figures.average / 8;
            text += &format!("{comma}ipg/ewma {}/{} ms", thousandths(gap), thousandths(ewma));
        }
        text.push('\n');
        text
    }

    fn round_trip(&self) -> String {
        let figures = &self.figures;
        let total = (figures.received + figures.repeats) as i64;
        let sum = i128::from(figures.time_sum);
        let mean = figures.time_sum / total;
        let variance = if figures.time_sum < i64::from(i32::MAX) {
            (figures.square_sum - sum * sum / i128::from(total)) / i128::from(total)
        } else {
            figures.square_sum / i128::from(total) - i128::from(mean) * i128::from(mean)
        };
        let deviation = variance.max(0).unsigned_abs().isqrt() as i64;
        let [min, mean, max, deviation] =
            [figures.time_min, mean, figures.time_max, deviation].map(thousandths);
        format!("rtt min/avg/max/mdev = {min}/{mean}/{max}/{deviation} ms")
    }
}
