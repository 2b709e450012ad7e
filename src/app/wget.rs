//! `wget`: GNU 1.21.3 and busybox 1.35, each in its own words.

mod busybox;
mod secure;
mod text;

pub use busybox::BusyboxWget;

use super::dial;
use super::http::{Head, Length, Url};
use super::side::{Broken, Side};
use super::{Errno, Os, Process, Wake};
use crate::base::{Duration, Ipv4Addr, SimTime, SocketId};
use crate::trace::Stream;
use std::net::SocketAddrV4;

/// Least time that writing the content takes; simulated programs take none for their own work.
const WRITING: Duration = Duration::from_us(5);

const TIMER_LIMIT: u32 = 1;
const TIMER_RETRY: u32 = 2;

/// What the options of the command line ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct WgetOptions {
    /// The URL.
    pub url: Url,
    /// The URL as typed, with its scheme.
    pub typed: String,
    /// `-q`.
    pub quiet: bool,
    /// `-nv`.
    pub terse: bool,
    /// `-O`; `-` for standard output.
    pub output: Option<String>,
    /// `-S`.
    pub server_response: bool,
    /// `-T`.
    pub timeout: Option<Duration>,
    /// `-t`; 0 for no end.
    pub tries: u32,
    /// `--spider`.
    pub spider: bool,
    /// `--header`.
    pub headers: Vec<String>,
    /// `--post-data`.
    pub post: Option<String>,
    /// `--no-check-certificate`.
    pub insecure: bool,
}

impl WgetOptions {
    /// What `wget URL` alone means.
    pub fn new(url: Url, typed: &str) -> Self {
        Self {
            url,
            typed: typed.to_owned(),
            quiet: false,
            terse: false,
            output: None,
            server_response: false,
            timeout: None,
            tries: 20,
            spider: false,
            headers: Vec::new(),
            post: None,
            insecure: false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Connecting,
    /// TLS is being agreed on.
    Securing,
    Asked,
    Body(Length),
    Over,
}

/// A running GNU `wget`.
#[derive(Clone, Debug)]
pub struct Wget {
    options: WgetOptions,
    url: Url,
    address: Ipv4Addr,
    side: Side,
    phase: Phase,
    head: Head,
    content: String,
    received: u64,
    expected: Option<u64>,
    started: SimTime,
    attempt: u32,
    redirects: u32,
}

impl Wget {
    /// A `wget` that has not begun yet.
    pub fn new(options: WgetOptions) -> Self {
        Self {
            url: options.url.clone(),
            options,
            address: Ipv4Addr::UNSPECIFIED,
            side: Side::plain(SocketId::NONE),
            phase: Phase::Over,
            head: Head::default(),
            content: String::new(),
            received: 0,
            expected: None,
            started: SimTime::ZERO,
            attempt: 0,
            redirects: 0,
        }
    }
}

impl Process for Wget {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => self.open(os),
            Wake::Timer(TIMER_RETRY) => self.begin(os),
            Wake::Timer(_) => self.timed_out(os),
            Wake::Writable(_) if self.phase == Phase::Connecting => match os.take_error(self.side.socket) {
                None => self.connected(os),
                Some(errno) => self.not_connected(os, errno),
            },
            Wake::Readable(_) => self.receive(os),
            Wake::Interrupt => os.exit(130),
            Wake::Terminate => os.exit(143),
            Wake::Writable(_) if self.phase != Phase::Over => {
                if self.side.flush(os).is_err() {
                    self.retry(os);
                }
            }
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

impl Wget {
    /// The log goes to standard error, unless `-q`; with `-nv` only what is told there too.
    fn log(&self, os: &mut dyn Os, text: &str) {
        if !self.options.quiet && !self.options.terse {
            os.write(Stream::Stderr, text);
        }
    }

    /// The file of `-O` is made before anything is asked.
    fn open(&mut self, os: &mut dyn Os) {
        let file = self.options.output.clone().filter(|path| path != "-" && path != "/dev/null");
        if let Some(path) = file
            && let Err(errno) = os.write_file(&path, &[])
        {
            os.write(Stream::Stderr, &format!("{path}: {}\n", errno.text()));
            return self.end(os, 1);
        }
        self.begin(os);
    }

    fn begin(&mut self, os: &mut dyn Os) {
        self.attempt += 1;
        let typed = self.shown_url();
        let now = text::date(os.now());
        if self.options.spider && self.attempt == 1 && self.redirects == 0 {
            self.log(os, "Spider mode enabled. Check if remote file exists.\n");
        }
        if self.attempt > 1 {
            self.log(os, &format!("--{now}--  (try:{:2})  {typed}\n", self.attempt));
        } else {
            self.log(os, &format!("--{now}--  {typed}\n"));
        }
        let host = self.url.host.clone();
        let is_name = super::ping::parse_address(&host).is_none();
        if is_name {
            let Some(address) = os.resolve(&host) else {
                let why = super::resolver::why_not(os, &host);
                self.log(os, &format!("Resolving {host} ({host})... failed: {why}.\n"));
                if !self.options.quiet {
                    os.write(Stream::Stderr, &format!("wget: unable to resolve host address '{host}'\n"));
                }
                return self.end(os, 4);
            };
            self.log(os, &format!("Resolving {host} ({host})... {address}\n"));
            self.address = address;
        } else {
            self.address = dial::address_of(os, &host).unwrap_or(Ipv4Addr::UNSPECIFIED);
        }
        let (address, port) = (self.address, self.url.port());
        let whom =
            if is_name { format!("{host} ({host})|{address}|:{port}") } else { format!("{address}:{port}") };
        self.log(os, &format!("Connecting to {whom}... "));
        self.phase = Phase::Connecting;
        if let Some(limit) = self.options.timeout {
            os.set_timer(TIMER_LIMIT, limit);
        }
        match dial::connect(os, SocketAddrV4::new(address, port)) {
            Ok(socket) => self.side = Side::plain(socket),
            Err(errno) => self.not_connected(os, errno),
        }
    }

    fn shown_url(&self) -> String {
        if self.redirects == 0 {
            return self.options.typed.clone();
        }
        format!("{}://{}{}", self.url.scheme, self.url.authority(), self.url.path)
    }

    /// `retryable_socket_connect_error` tells what is worth another try.
    fn not_connected(&mut self, os: &mut dyn Os, errno: Errno) {
        os.cancel_timer(TIMER_LIMIT);
        self.phase = Phase::Over;
        self.log(os, &format!("failed: {}.\n", errno.text()));
        os.close(self.side.socket);
        let lasting = [Errno::Econnrefused, Errno::Enetunreach, Errno::Ehostunreach, Errno::Einval];
        if lasting.contains(&errno) { self.end(os, 4) } else { self.retry(os) }
    }

    fn retry(&mut self, os: &mut dyn Os) {
        os.cancel_timer(TIMER_LIMIT);
        self.phase = Phase::Over;
        os.close(self.side.socket);
        if self.options.tries != 0 && self.attempt >= self.options.tries {
            self.log(os, "Giving up.\n\n");
            return self.end(os, 4);
        }
        self.log(os, "Retrying.\n\n");
        // One second longer each time, ten at most (`sleep_between_retrievals`, `--waitretry`).
        os.set_timer(TIMER_RETRY, Duration::from_secs(u64::from(self.attempt.min(10))));
    }

    fn timed_out(&mut self, os: &mut dyn Os) {
        match &self.phase {
            Phase::Over => {}
            Phase::Connecting => {
                self.log(os, "failed: Connection timed out.\n");
                self.retry(os);
            }
            Phase::Securing | Phase::Asked | Phase::Body(_) => {
                self.log(os, "Read error (Connection timed out) in headers.\n");
                self.retry(os);
            }
        }
    }

    fn connected(&mut self, os: &mut dyn Os) {
        self.log(os, "connected.\n");
        if self.url.scheme == "https" {
            return self.secure(os);
        }
        self.ask(os);
    }

    fn ask(&mut self, os: &mut dyn Os) {
        let verb = match (&self.options.post, self.options.spider) {
            (Some(_), _) => "POST",
            (None, true) => "HEAD",
            (None, false) => "GET",
        };
        let mut lines = vec![
            format!("{verb} {} HTTP/1.1", self.url.path),
            format!("Host: {}", self.url.authority()),
            "User-Agent: Wget/1.21.3".to_owned(),
            "Accept: */*".to_owned(),
            "Accept-Encoding: identity".to_owned(),
            "Connection: Keep-Alive".to_owned(),
        ];
        lines.extend(self.options.headers.iter().cloned());
        let body = self.options.post.clone().unwrap_or_default();
        if self.options.post.is_some() {
            lines.push("Content-Type: application/x-www-form-urlencoded".to_owned());
            lines.push(format!("Content-Length: {}", body.len()));
        }
        let request = lines.join("\r\n") + "\r\n\r\n";
        let sent = self.side.send(os, request.as_bytes());
        if sent.and_then(|()| self.side.send(os, body.as_bytes())).is_err() {
            return self.retry(os);
        }
        self.log(os, "HTTP request sent, awaiting response... ");
        self.phase = Phase::Asked;
    }

    fn receive(&mut self, os: &mut dyn Os) {
        if matches!(self.phase, Phase::Over | Phase::Connecting) {
            return;
        }
        let read = self.side.read(os);
        if self.phase == Phase::Securing && !self.secured(os, &read) {
            return;
        }
        if let Some(limit) = self.options.timeout {
            os.set_timer(TIMER_LIMIT, limit);
        }
        while self.phase == Phase::Asked {
            let Some((head, len)) = Head::read(&self.side.input) else { break };
            let raw: Vec<u8> = self.side.input.drain(..len).collect();
            self.take_head(os, head, &raw);
        }
        if let Phase::Body(length) = &mut self.phase {
            let data = length.take(&mut self.side.input);
            let over = length.is_over() || (self.side.ended && *length == Length::UntilClose);
            self.take_content(os, &data);
            if over {
                return self.finish(os);
            }
        }
        match (read, &self.phase) {
            (_, Phase::Over | Phase::Connecting | Phase::Securing) => {}
            (Ok(()), _) if !self.side.ended => {}
            (Ok(()), Phase::Asked) => {
                self.log(os, "No data received.\n");
                self.retry(os);
            }
            (Err(broken), Phase::Asked) => {
                let why = match broken {
                    Broken::Tcp(errno) => errno.text().to_owned(),
                    Broken::Tls(failure) => failure.text(),
                };
                self.log(os, &format!("Read error ({why}) in headers.\n"));
                self.retry(os);
            }
            (_, Phase::Body(_)) => {
                self.log(os, "\n");
                self.retry(os);
            }
        }
    }

    fn take_head(&mut self, os: &mut dyn Os, head: Head, raw: &[u8]) {
        let status = head.status().unwrap_or(0);
        let reason = head.start.splitn(3, ' ').nth(2).unwrap_or("").to_owned();
        if self.options.server_response {
            let raw = String::from_utf8_lossy(raw);
            let lines: Vec<String> =
                raw.lines().filter(|line| !line.is_empty()).map(|line| format!("  {line}\n")).collect();
            self.log(os, "\n");
            // They are shown however quiet the rest is.
            os.write(Stream::Stderr, &lines.concat());
        } else {
            self.log(os, &format!("{status} {reason}\n"));
        }
        let location = head.get("Location").filter(|_| (300..400).contains(&status)).map(str::to_owned);
        if let Some(location) = location {
            self.log(os, &format!("Location: {location} [following]\n"));
            if let Some(next) = self.url.join(&location).filter(|_| self.redirects < 20) {
                os.close(self.side.socket);
                self.redirects += 1;
                (self.url, self.attempt, self.phase) = (next, 0, Phase::Over);
                return self.begin(os);
            }
        }
        if status >= 400 {
            let line = format!("{} ERROR {status}: {reason}.\n", text::date(os.now()));
            if self.options.spider {
                self.log(os, "Remote file does not exist -- broken link!!!\n\n");
            } else if self.options.terse && !self.options.quiet {
                os.write(Stream::Stderr, &format!("{}:\n{line}", self.shown_url()));
            } else {
                self.log(os, &format!("{line}\n"));
            }
            return self.end(os, 8);
        }
        let length = Length::of_response(&head, self.options.spider);
        self.expected = if let Length::Fixed(len) = length { Some(len) } else { None };
        self.head = head;
        self.started = os.now();
        self.describe(os);
        self.phase = Phase::Body(length);
    }

    /// `Length:` and `Saving to:`, and the empty bar.
    fn describe(&self, os: &mut dyn Os) {
        let kind = self.head.get("Content-Type").map_or(String::new(), |kind| format!(" [{kind}]"));
        match self.head.get("Content-Length").and_then(|len| len.parse().ok()) {
            Some(len) => self.log(os, &format!("Length: {}{kind}\n", text::length(len))),
            None => self.log(os, &format!("Length: unspecified{kind}\n")),
        }
        if self.options.spider {
            return;
        }
        let target = self.target();
        self.log(os, &format!("Saving to: '{}'\n\n", if target == "-" { "STDOUT" } else { &target }));
        if os.is_terminal() {
            self.log(os, &text::bar(&target, 0, self.expected, None));
        }
    }

    /// The file that is written.
    fn target(&self) -> String {
        let own = self.url.file_name();
        self.options
            .output
            .clone()
            .unwrap_or_else(|| if own.is_empty() { "index.html" } else { own }.to_owned())
    }

    fn take_content(&mut self, os: &mut dyn Os, data: &[u8]) {
        self.received += data.len() as u64;
        let text = String::from_utf8_lossy(data);
        if self.target() == "-" {
            os.write(Stream::Stdout, &text);
        } else {
            self.content.push_str(&text);
        }
    }

    fn finish(&mut self, os: &mut dyn Os) {
        if self.options.spider {
            if self.options.terse && !self.options.quiet {
                let line = format!("{} URL: {} 200 OK\n", text::date(os.now()), self.shown_url());
                os.write(Stream::Stderr, &line);
            }
            // Only a page could hold links.
            let is_page = self.head.get("Content-Type").is_some_and(|kind| kind.starts_with("text/html"));
            self.log(
                os,
                if is_page {
                    "Remote file exists and could contain further links,\nbut recursion is disabled -- not retrieving.\n\n"
                } else {
                    "Remote file exists.\n\n"
                },
            );
            return self.end(os, 0);
        }
        let took = os.now().since(self.started).max(WRITING);
        let (target, received) = (self.target(), self.received);
        if os.is_terminal() {
            self.log(os, &text::bar(&target, received, self.expected, Some(took)));
            self.log(os, "\n\n");
        } else {
            self.log(os, &text::dots(received, self.expected, took));
            self.log(os, "\n\n");
        }
        let (now, rate) = (text::date(os.now()), text::rate(received, took));
        let of = self.expected.map_or_else(|| format!("[{received}]"), |all| format!("[{received}/{all}]"));
        let line = if target == "-" {
            format!("{now} ({rate}) - written to stdout {of}\n\n")
        } else {
            format!("{now} ({rate}) - '{target}' saved {of}\n\n")
        };
        self.log(os, &line);
        if self.options.terse && !self.options.quiet {
            let line = format!("{now} URL:{} {of} -> \"{target}\" [1]\n", self.shown_url());
            os.write(Stream::Stderr, &line);
        }
        if target != "-" && target != "/dev/null" {
            os.write_file(&target, self.content.as_bytes()).ok();
        }
        self.end(os, 0);
    }

    fn end(&mut self, os: &mut dyn Os, status: u8) {
        self.phase = Phase::Over;
        os.close(self.side.socket);
        os.exit(status);
    }
}
