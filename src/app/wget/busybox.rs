//! `wget` of busybox 1.35.

use super::{Phase, WgetOptions};
use crate::app::dial::{self, Read};
use crate::app::http::{Head, Length, Url};
use crate::app::{Os, Process, Wake};
use crate::base::{Duration, Ipv4Addr, SocketId};
use crate::trace::Stream;
use std::net::SocketAddrV4;

/// Time without data after which it gives up unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(900);
const TIMER_LIMIT: u32 = 1;

/// A running `wget` of busybox.
#[derive(Clone, Debug)]
pub struct BusyboxWget {
    options: WgetOptions,
    url: Url,
    socket: SocketId,
    phase: Phase,
    input: Vec<u8>,
    content: String,
    received: u64,
    expected: Option<u64>,
    redirects: u32,
}

impl BusyboxWget {
    /// A `wget` that has not begun yet.
    pub fn new(options: WgetOptions) -> Self {
        Self {
            url: options.url.clone(),
            options,
            socket: SocketId::NONE,
            phase: Phase::Over,
            input: Vec::new(),
            content: String::new(),
            received: 0,
            expected: None,
            redirects: 0,
        }
    }
}

impl Process for BusyboxWget {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => self.begin(os),
            Wake::Timer(_) => self.fail(os, "download timed out"),
            Wake::Writable(_) if self.phase == Phase::Connecting => self.connected(os),
            Wake::Readable(_) => self.receive(os),
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

fn is_file(target: &str) -> bool {
    target != "-" && target != "/dev/null"
}

impl BusyboxWget {
    fn begin(&mut self, os: &mut dyn Os) {
        let host = self.url.host.clone();
        let Some(address) = dial::address_of(os, &host) else {
            return self.fail(os, &format!("bad address '{host}'"));
        };
        let port = self.url.port();
        if !self.options.quiet {
            os.write(Stream::Stderr, &format!("Connecting to {} ({address}:{port})\n", self.url.authority()));
        }
        os.set_timer(TIMER_LIMIT, self.options.timeout.unwrap_or(TIMEOUT));
        self.phase = Phase::Connecting;
        match dial::connect(os, SocketAddrV4::new(address, port)) {
            Ok(socket) => self.socket = socket,
            Err(errno) => self.refused(os, address, errno.text()),
        }
    }

    fn refused(&mut self, os: &mut dyn Os, address: Ipv4Addr, text: &str) {
        self.fail(os, &format!("can't connect to remote host ({address}): {text}"));
    }

    fn fail(&mut self, os: &mut dyn Os, text: &str) {
        self.phase = Phase::Over;
        os.write(Stream::Stderr, &format!("wget: {text}\n"));
        os.close(self.socket);
        os.exit(1);
    }

    fn connected(&mut self, os: &mut dyn Os) {
        if let Some(errno) = os.take_error(self.socket) {
            let address = dial::address_of(os, &self.url.host).unwrap_or(Ipv4Addr::UNSPECIFIED);
            return self.refused(os, address, errno.text());
        }
        let verb = if self.options.post.is_some() { "POST" } else { "GET" };
        let mut lines = vec![
            format!("{verb} {} HTTP/1.1", self.url.path),
            format!("Host: {}", self.url.authority()),
            "User-Agent: Wget".to_owned(),
            "Connection: close".to_owned(),
        ];
        lines.extend(self.options.headers.iter().cloned());
        if let Some(post) = &self.options.post {
            lines.push("Content-Type: application/x-www-form-urlencoded".to_owned());
            lines.push(format!("Content-Length: {}", post.len()));
        }
        let body = self.options.post.as_deref().unwrap_or("");
        let mut request = (lines.join("\r\n") + "\r\n\r\n" + body).into_bytes();
        if dial::write(os, self.socket, &mut request).is_err() {
            return self.fail(os, "error getting response");
        }
        self.phase = Phase::Asked;
    }

    fn receive(&mut self, os: &mut dyn Os) {
        if matches!(self.phase, Phase::Over | Phase::Connecting) {
            return;
        }
        let mut input = std::mem::take(&mut self.input);
        let read = dial::read(os, self.socket, &mut input);
        self.input = input;
        os.set_timer(TIMER_LIMIT, self.options.timeout.unwrap_or(TIMEOUT));
        if self.phase == Phase::Asked
            && let Some((head, len)) = Head::read(&self.input)
        {
            let raw: Vec<u8> = self.input.drain(..len).collect();
            self.take_head(os, &head, &raw);
        }
        if let Phase::Body(length) = &mut self.phase {
            let data = length.take(&mut self.input);
            let over = length.is_over() || read == Read::End;
            let complete = length.is_over() || *length == Length::UntilClose;
            self.received += data.len() as u64;
            let text = String::from_utf8_lossy(&data);
            if self.target() == "-" {
                os.write(Stream::Stdout, &text);
            } else {
                self.content.push_str(&text);
            }
            if over && complete {
                return self.finish(os);
            }
            if over {
                return self.fail(os, "connection closed prematurely");
            }
        }
        if self.phase == Phase::Asked && read != Read::More {
            self.fail(os, "error getting response");
        }
    }

    fn take_head(&mut self, os: &mut dyn Os, head: &Head, raw: &[u8]) {
        let status = head.status().unwrap_or(0);
        if self.options.server_response {
            let raw = String::from_utf8_lossy(raw);
            let lines: Vec<String> = raw.lines().map(|line| format!("  {line}\n")).collect();
            os.write(Stream::Stderr, &lines.concat());
        }
        if (300..400).contains(&status)
            && let Some(next) = head.get("Location").and_then(|location| self.url.join(location))
        {
            os.close(self.socket);
            self.redirects += 1;
            if self.redirects > 5 {
                return self.fail(os, "too many redirections");
            }
            (self.url, self.phase) = (next, Phase::Over);
            self.input.clear();
            return self.begin(os);
        }
        if status != 200 && status != 204 {
            return self.fail(os, &format!("server returned error: {}", head.start));
        }
        if self.options.spider {
            if !self.options.quiet {
                os.write(Stream::Stderr, "remote file exists\n");
            }
            return self.end(os, 0);
        }
        let length = Length::of_response(head, false);
        self.expected = if let Length::Fixed(len) = length { Some(len) } else { None };
        let target = self.target();
        if is_file(&target)
            && let Err(errno) = os.write_file(&target, &[])
        {
            return self.fail(os, &format!("can't open '{target}': {}", errno.text()));
        }
        if !self.options.quiet {
            let line = if target == "-" {
                "writing to stdout\n".to_owned()
            } else {
                format!("saving to '{target}'\n")
            };
            os.write(Stream::Stderr, &line);
        }
        self.phase = Phase::Body(length);
    }

    fn target(&self) -> String {
        let own = self.url.file_name();
        self.options
            .output
            .clone()
            .unwrap_or_else(|| if own.is_empty() { "index.html" } else { own }.to_owned())
    }

    fn finish(&mut self, os: &mut dyn Os) {
        let target = self.target();
        if !self.options.quiet {
            os.write(Stream::Stderr, &self.bar(&target, os.is_terminal()));
            let line =
                if target == "-" { "written to stdout\n".to_owned() } else { format!("'{target}' saved\n") };
            os.write(Stream::Stderr, &line);
        }
        if is_file(&target) {
            os.write_file(&target, self.content.as_bytes()).ok();
        }
        self.end(os, 0);
    }

    /// The progress bar at its end (`bb_progress_update`): of a terminal's width, or of 80 columns on a pipe.
    fn bar(&self, target: &str, is_terminal: bool) -> String {
        let name: String = target.rsplit('/').next().unwrap_or(target).chars().take(20).collect();
        let (start, width) = if is_terminal { ("\r", 72) } else { ("", 32) };
        let expected = self.expected.unwrap_or(self.received);
        let size = if self.received >= 100_000 {
            format!("{:5}k", self.received / 1024)
        } else {
            format!("{:6}", self.received)
        };
        if expected == 0 || self.expected.is_none() {
            return format!("{start}{name:<20} {size}  0:00:00 ETA\n");
        }
        let stars = (self.received as usize * width) / expected as usize;
        let percent = self.received * 100 / expected;
        let bar = format!("{}{}", "*".repeat(stars), " ".repeat(width - stars));
        format!("{start}{name:<20} {percent:3}% |{bar}|{size}  0:00:00 ETA\n")
    }

    fn end(&mut self, os: &mut dyn Os, status: u8) {
        self.phase = Phase::Over;
        os.close(self.socket);
        os.exit(status);
    }
}
