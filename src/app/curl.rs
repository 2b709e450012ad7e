//! `curl` 7.88.1 with HTTP/1.1: one URL, redirects, and the messages of `-v` as the program prints them.

mod again;
mod bind;
mod failure;
mod options;
mod secure;
mod several;
mod text;
mod variables;

pub use options::CurlOptions;

use super::dial;
use super::http::{Head, Length, Url};
use super::resolver::has_utf8;
use super::side::{Broken, Side};
use super::{Errno, Os, Process, SocketOption, Transport, Wake};
use crate::base::idn::to_ascii;
use crate::base::{Duration, Ipv4Addr, SimTime, SocketId};
use crate::trace::Stream;
use std::net::SocketAddrV4;
use text::Figures;

/// Time after which curl gives up connecting unless told otherwise (`DEFAULT_CONNECT_TIMEOUT`).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(300);
/// How much later than asked a timeout is seen: the program waits in whole milliseconds and one more.
const TIMEOUT_LATENESS: Duration = Duration::from_ms(1);

const TIMER_TOTAL: u32 = 1;
const TIMER_CONNECT: u32 = 2;
const TIMER_METER: u32 = 3;
const TIMER_AGAIN: u32 = 4;

/// Exit statuses (`CURLE_*`).
mod code {
    pub(super) const UNSUPPORTED: u8 = 1;
    pub(super) const MALFORMED: u8 = 3;
    pub(super) const RESOLVE: u8 = 6;
    pub(super) const CONNECT: u8 = 7;
    pub(super) const PARTIAL: u8 = 18;
    pub(super) const HTTP_ERROR: u8 = 22;
    pub(super) const TIMEOUT: u8 = 28;
    pub(super) const BIND: u8 = 45;
    pub(super) const TLS: u8 = 35;
    pub(super) const REDIRECTS: u8 = 47;
    pub(super) const SETOPT: u8 = 49;
    pub(super) const EMPTY: u8 = 52;
    pub(super) const SEND: u8 = 55;
    pub(super) const RECEIVE: u8 = 56;
    pub(super) const CERTIFICATE: u8 = 60;
}

/// Where a transfer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Connecting,
    /// TLS is being agreed on.
    Securing,
    /// The request is out, no complete head has come.
    Asked,
    Body(Length),
    Over,
}

/// Moments that `-w` tells.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    begun: SimTime,
    connected: Option<SimTime>,
    secured: Option<SimTime>,
    first_byte: Option<SimTime>,
}

/// A running `curl`.
#[derive(Clone, Debug)]
pub struct Curl {
    options: CurlOptions,
    url: Url,
    address: Ipv4Addr,
    side: Side,
    phase: Phase,
    head: Head,
    content: Vec<u8>,
    /// What of a line was not written yet: standard output is written line by line.
    line: String,
    figures: Figures,
    moments: Moments,
    header_bytes: usize,
    redirects: u32,
    n_connects: u32,
    /// Connections that were begun, in this transfer and before.
    opened: u32,
    /// Connections of earlier transfers that can be used again.
    kept: Vec<several::Kept>,
    local: Option<SocketAddrV4>,
    redirect: Option<Url>,
    /// How often it was tried again.
    tries: u32,
    /// Whether the connection was refused.
    refused: bool,
    /// Whether the connection can be used again.
    reusable: bool,
}

impl Curl {
    /// A `curl` that has not begun yet.
    pub fn new(options: CurlOptions) -> Self {
        Self {
            url: options.url.clone(),
            options,
            address: Ipv4Addr::UNSPECIFIED,
            side: Side::plain(SocketId::NONE),
            phase: Phase::Over,
            head: Head::default(),
            content: Vec::new(),
            line: String::new(),
            figures: Figures::default(),
            moments: Moments::default(),
            header_bytes: 0,
            redirects: 0,
            n_connects: 0,
            opened: 0,
            kept: Vec::new(),
            local: None,
            redirect: None,
            tries: 0,
            refused: false,
            reusable: false,
        }
    }
}

impl Process for Curl {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => self.begin(os),
            Wake::Timer(TIMER_METER) => {
                self.draw_meter(os);
                os.set_timer(TIMER_METER, Duration::from_secs(1));
            }
            Wake::Timer(TIMER_AGAIN) => self.try_again(os),
            Wake::Timer(token) => self.timed_out(os, token),
            Wake::Writable(_) if self.phase == Phase::Connecting => self.connected(os),
            Wake::Writable(_) => self.send(os),
            Wake::Readable(_) => self.receive(os),
            Wake::Interrupt => os.exit(130),
            Wake::Terminate => os.exit(143),
            Wake::Input => {}
        }
    }

    fn looks_up_names(&self) -> bool {
        true
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }
}

impl Curl {
    fn begin(&mut self, os: &mut dyn Os) {
        self.moments.begun = os.now();
        if self.has_meter(os) {
            if self.tries == 0 {
                os.write(Stream::Stderr, text::METER_HEAD);
            }
            self.draw_meter(os);
            os.set_timer(TIMER_METER, Duration::from_secs(1));
        }
        if let Some(limit) = self.options.max_time {
            os.set_timer(TIMER_TOTAL, limit + TIMEOUT_LATENESS);
        }
        if self.read_entries(os) && !self.takes_kept(os) {
            self.open(os);
        }
    }

    /// Resolves and connects.
    fn open(&mut self, os: &mut dyn Os) {
        if !matches!(self.url.scheme.as_str(), "http" | "https") {
            let scheme = self.url.scheme.clone();
            let text = format!("Protocol \"{scheme}\" not supported or disabled in libcurl");
            return self.fail(os, code::UNSUPPORTED, &text);
        }
        if !self.url.host.is_ascii() {
            if !has_utf8(os) {
                return self.fail(os, code::MALFORMED, "URL using bad/illegal format or missing URL");
            }
            self.url.host = to_ascii(&self.url.host);
        }
        let Some(address) = self.server(os) else {
            let text = format!("Could not resolve host: {}", self.url.host);
            self.info(os, &text);
            return self.close_and_fail(os, code::RESOLVE, &text);
        };
        self.address = address;
        let port = self.url.port();
        self.info(os, &format!("  Trying {address}:{port}..."));
        self.phase = Phase::Connecting;
        self.opened += 1;
        let limit = self.options.connect_timeout.unwrap_or(CONNECT_TIMEOUT);
        os.set_timer(TIMER_CONNECT, limit + TIMEOUT_LATENESS);
        let Ok(socket) = os.socket(Transport::Tcp) else {
            return self.connect_failed(os, None);
        };
        self.side = Side::plain(socket);
        if let Err(text) = self.bind(os) {
            let (port, took) = (self.url.port(), self.took(os).as_ms());
            let host = self.url.host.clone();
            self.info(os, &format!("Failed to connect to {host} port {port} after {took} ms: Failed binding local connection end"));
            return self.close_and_fail(os, code::BIND, &text);
        }
        // Options that curl sets on every socket.
        let _ = os.set_option(socket, SocketOption::NoDelay(true));
        let _ = os.set_option(socket, SocketOption::KeepAlive(true));
        match dial::start(os, socket, SocketAddrV4::new(address, port)) {
            Ok(_) => {}
            Err(errno) => {
                self.info(os, &format!("Immediate connect fail for {address}: {}", errno.text()));
                self.connect_failed(os, None);
            }
        }
    }

    fn took(&self, os: &dyn Os) -> Duration {
        os.now().since(self.moments.begun)
    }

    /// The connection attempt is decided.
    fn connected(&mut self, os: &mut dyn Os) {
        if let Some(errno) = os.take_error(self.side.socket) {
            return self.connect_failed(os, Some(errno));
        }
        self.n_connects += 1;
        self.moments.connected.get_or_insert(os.now());
        self.local = os.local_addr(self.side.socket);
        let (host, address, port) = (&self.url.host, self.address, self.url.port());
        self.info(os, &format!("Connected to {host} ({address}) port {port} (#{})", self.connection()));
        if self.url.scheme == "https" {
            return self.secure(os);
        }
        self.ready(os);
    }

    /// The connection is there, with TLS where that is asked for.
    fn ready(&mut self, os: &mut dyn Os) {
        os.cancel_timer(TIMER_CONNECT);
        if let Some(user) = &self.options.user {
            let name = user.split(':').next().unwrap_or("").to_owned();
            self.info(os, &format!("Server auth using Basic with user '{name}'"));
        }
        self.ask(os);
    }

    /// Sends the request, head and body in one piece.
    fn ask(&mut self, os: &mut dyn Os) {
        let (lines, body) = self.options.request(&self.url, self.redirects > 0);
        if self.options.verbose {
            let shown = format!("> {}\r\n> \r\n", lines.join("\r\n> "));
            os.write(Stream::Stderr, &shown);
        }
        self.figures.sent = body.len() as u64;
        let request = lines.join("\r\n") + "\r\n\r\n" + &body;
        self.phase = Phase::Asked;
        let sent = self.side.send(os, request.as_bytes());
        self.check_sent(os, sent);
    }

    fn send(&mut self, os: &mut dyn Os) {
        if self.phase == Phase::Over {
            return;
        }
        let sent = self.side.flush(os);
        self.check_sent(os, sent);
    }

    fn check_sent(&mut self, os: &mut dyn Os, sent: Result<(), Errno>) {
        if let Err(errno) = sent {
            let text = format!("Send failure: {}", errno.text());
            self.info(os, &text);
            self.close_and_fail(os, code::SEND, &text);
        }
    }

    fn receive(&mut self, os: &mut dyn Os) {
        if matches!(self.phase, Phase::Over | Phase::Connecting) {
            return;
        }
        let read = self.side.read(os);
        if self.phase == Phase::Securing && !self.secured(os, &read) {
            return;
        }
        if !self.side.input.is_empty() {
            self.moments.first_byte.get_or_insert(os.now());
        }
        while self.phase == Phase::Asked {
            if self.side.input.len() >= 5 && !self.side.input.starts_with(b"HTTP/") {
                let text = "Received HTTP/0.9 when not allowed";
                self.info(os, text);
                return self.close_and_fail(os, code::UNSUPPORTED, text);
            }
            let Some((head, len)) = Head::read(&self.side.input) else { break };
            let raw: Vec<u8> = self.side.input.drain(..len).collect();
            self.header_bytes += len;
            self.take_head(os, head, &raw);
        }
        if self.take_body(os) {
            return;
        }
        match read {
            Ok(()) if self.side.ended => self.far_end_closed(os),
            Ok(()) => {}
            Err(Broken::Tls(failure)) => self.tls_failed(os, &failure),
            Err(Broken::Tcp(errno)) => {
                let text = format!("Recv failure: {}", errno.text());
                self.info(os, &text);
                self.close_and_fail(os, code::RECEIVE, &text);
            }
        }
    }

    fn take_head(&mut self, os: &mut dyn Os, head: Head, raw: &[u8]) {
        let status = head.status().unwrap_or(0);
        let fails = self.options.fail && status >= 400;
        if !self.dump_head(os, &String::from_utf8_lossy(raw)) {
            return self.fail_quietly(os, 23, "Failure writing output to destination");
        }
        if head.start.starts_with("HTTP/1.0") && !head.keeps_alive() {
            self.info(os, "HTTP 1.0, assume close after body");
        }
        self.show_head(os, &String::from_utf8_lossy(raw), fails);
        if status < 200 {
            return;
        }
        let length = Length::of_response(&head, self.options.method() == "HEAD");
        self.figures.expected = match length {
            Length::Fixed(len) => Some(len),
            Length::Chunked(_) | Length::UntilClose => None,
        };
        self.head = head;
        if fails {
            let text = format!("The requested URL returned error: {status}");
            self.info(os, &text);
            return self.close_and_fail(os, code::HTTP_ERROR, &text);
        }
        let location = self.head.get("Location").filter(|_| (300..400).contains(&status));
        self.redirect = location.and_then(|location| self.url.join(location));
        self.phase = Phase::Body(length);
        if self.follows() {
            self.info(os, "Ignoring the response-body");
        }
    }

    fn follows(&self) -> bool {
        self.options.follow && self.redirect.is_some()
    }

    /// Shows the lines of a head: with `-v` and with `-i` or `-I`, each line by one and then the other.
    fn show_head(&mut self, os: &mut dyn Os, raw: &str, fails: bool) {
        let mut lines: Vec<&str> = raw.split_inclusive('\n').collect();
        if fails {
            // The empty line at the end is never reached.
            lines.pop();
        }
        let last = lines.len().saturating_sub(1);
        for (index, line) in lines.into_iter().enumerate() {
            let is_end = index == last && !fails;
            let included = (self.options.include || self.options.head) && !fails;
            let shown = match line.split_once(':') {
                Some((name, rest)) if index > 0 && self.is_screen(os) => {
                    format!("\u{1b}[1m{name}\u{1b}[0m:{rest}")
                }
                Some(_) | None => line.to_owned(),
            };
            if included && is_end {
                self.put(os, &shown);
            }
            if self.options.verbose {
                os.write(Stream::Stderr, &format!("< {line}"));
            }
            if included && !is_end {
                self.put(os, &shown);
            }
        }
    }

    /// Whether the content goes to a terminal.
    fn is_screen(&self, os: &dyn Os) -> bool {
        self.options.output.is_none() && os.is_terminal()
    }

    /// Takes what has come of the body; whether the transfer is over.
    fn take_body(&mut self, os: &mut dyn Os) -> bool {
        let Phase::Body(mut length) = self.phase.clone() else { return self.phase == Phase::Over };
        let data = length.take(&mut self.side.input);
        self.figures.received += data.len() as u64;
        if !self.follows() && !data.is_empty() {
            if self.options.verbose && !self.is_screen(os) {
                os.write(Stream::Stderr, &format!("{{ [{} bytes data]\n", data.len()));
            }
            self.put(os, &String::from_utf8_lossy(&data));
        }
        let over = length.is_over();
        self.phase = Phase::Body(length);
        if over {
            if !self.side.input.is_empty() && self.figures.expected == Some(0) {
                let path = self.url.path.clone();
                self.info(
                    os,
                    &format!(
                        "Excess found: excess = {} url = {path} (zero-length body)",
                        self.side.input.len()
                    ),
                );
                self.side.input.clear();
            }
            self.transferred(os);
        }
        over
    }

    /// Writes content to where it goes.
    fn put(&mut self, os: &mut dyn Os, content: &str) {
        if self.options.output.is_some() {
            self.content.extend_from_slice(content.as_bytes());
            return;
        }
        self.line.push_str(content);
        if let Some(end) = self.line.rfind('\n') {
            let rest = self.line.split_off(end + 1);
            os.write(Stream::Stdout, &std::mem::replace(&mut self.line, rest));
        }
    }

    /// A response is complete: on to where it redirects, or to the end.
    fn transferred(&mut self, os: &mut dyn Os) {
        let keeps = self.head.keeps_alive() && !matches!(self.phase, Phase::Body(Length::UntilClose));
        let host = self.url.host.clone();
        if keeps {
            self.info(os, &format!("Connection #{} to host {host} left intact", self.connection()));
        } else {
            self.info(os, &format!("Closing connection {}", self.connection()));
        }
        self.reusable = keeps;
        let next = self.redirect.take().filter(|_| self.options.follow);
        let Some(next) = next else {
            let status = self.head.status().unwrap_or(0);
            if self.options.fail_with_body && status >= 400 {
                return self.fail(
                    os,
                    code::HTTP_ERROR,
                    &format!("The requested URL returned error: {status}"),
                );
            }
            return self.finish(os, 0);
        };
        if self.redirects >= self.options.redirects_max {
            let text = format!("Maximum ({}) redirects followed", self.options.redirects_max);
            return self.fail(os, code::REDIRECTS, &text);
        }
        self.redirects += 1;
        let typed = format!("{}://{}{}", next.scheme, next.authority(), next.path);
        self.info(os, &format!("Issue another request to this URL: '{typed}'"));
        let same = keeps && (&next.host, next.port()) == (&self.url.host, self.url.port());
        self.url = next;
        self.figures = Figures::default();
        if same {
            return self.ask_again(os);
        }
        os.close(self.side.socket);
        self.open(os);
    }

    fn has_meter(&self, os: &dyn Os) -> bool {
        !self.options.silent && !self.options.bar && !self.is_screen(os)
    }

    fn draw_meter(&mut self, os: &mut dyn Os) {
        self.figures.spent = self.took(os);
        os.write(Stream::Stderr, &text::meter(&self.figures));
    }

    /// A line that only `-v` shows.
    fn info(&self, os: &mut dyn Os, text: &str) {
        if self.options.verbose {
            os.write(Stream::Stderr, &format!("* {text}\n"));
        }
    }

    fn finish(&mut self, os: &mut dyn Os, status: u8) {
        let path = self.options.output.clone().filter(|path| path != "/dev/null");
        if let Some(path) = path
            && let Err(errno) = os.write_file(&path, &self.content)
        {
            if !self.options.silent {
                let text = format!("Warning: Failed to open the file {path}: {}\n", errno.text());
                os.write(Stream::Stderr, &text);
            }
            if self.has_meter(os) {
                self.draw_meter(os);
                os.write(Stream::Stderr, "\n");
            }
            return self.fail_quietly(os, 23, "Failure writing output to destination");
        }
        if self.has_meter(os) {
            self.draw_meter(os);
            os.write(Stream::Stderr, "\n");
        }
        self.draw_bar(os);
        self.end(os, status, "");
    }

    fn end(&mut self, os: &mut dyn Os, status: u8, error: &str) {
        if self.tries_again(os, status) {
            return;
        }
        if let Some(format) = self.options.write_out.clone() {
            let (out, errors) = text::write_out(&format, |name| self.variable(os, name, (status, error)));
            os.write(Stream::Stderr, &errors);
            self.line.push_str(&out);
        }
        if let Some(path) = self.options.output.as_deref().filter(|path| *path != "/dev/null") {
            os.write_file(path, &self.content).ok();
        }
        let rest = std::mem::take(&mut self.line);
        if !rest.is_empty() {
            os.write(Stream::Stdout, &rest);
        }
        self.phase = Phase::Over;
        if self.goes_on(os) {
            return;
        }
        os.close(self.side.socket);
        for kept in self.kept.drain(..) {
            os.close(kept.side.socket);
        }
        os.exit(status);
    }
}
