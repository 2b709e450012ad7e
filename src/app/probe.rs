//! The kubelet's probes over the network (`pkg/kubelet/prober`, `pkg/probe`): one connection, and for HTTP one request.

use super::dial::{self, Read};
use super::http::Head;
use super::{Errno, Os, Process, SocketOption, Transport, Wake};
use crate::base::{Duration, SocketId};
use crate::trace::Stream;
use std::net::SocketAddrV4;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asks {
    /// That the port takes connections.
    Connection,
    /// That `GET` of this path is answered with a status from 200 to 399.
    Http {
        /// Path with its query.
        path: String,
        /// `http` or `https`.
        scheme: String,
        /// Header fields, name and value.
        headers: Vec<(String, String)>,
    },
}

/// A probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Where to.
    pub to: SocketAddrV4,
    /// What is asked there.
    pub asks: Asks,
    /// How long the answer may take.
    pub timeout: Duration,
}

/// A probe under way. It ends with 0 where the answer is good and 1 where it is not, and writes why.
#[derive(Clone, Debug)]
pub struct Probe {
    request: Request,
    socket: Option<SocketId>,
    is_connected: bool,
    unsent: Vec<u8>,
    input: Vec<u8>,
}

impl Probe {
    /// A probe that has not begun.
    pub fn new(request: Request) -> Self {
        Self { request, socket: None, is_connected: false, unsent: Vec::new(), input: Vec::new() }
    }

    fn url(&self) -> String {
        match &self.request.asks {
            Asks::Connection => self.request.to.to_string(),
            Asks::Http { path, scheme, .. } => format!("{scheme}://{}{path}", self.request.to),
        }
    }

    /// Ends with a failure in the words of Go's net package.
    fn fail(&self, os: &mut dyn Os, why: &str) {
        let text = match &self.request.asks {
            Asks::Connection => why.to_owned(),
            Asks::Http { .. } => format!("Get \"{}\": {why}", self.url()),
        };
        os.write(Stream::Stdout, &text);
        os.exit(1);
    }

    fn refused(&self, os: &mut dyn Os, errno: Errno) {
        let why = errno.text().to_lowercase();
        self.fail(os, &format!("dial tcp {}: connect: {why}", self.request.to));
    }

    /// A connection came to an end, or to nothing.
    fn broken(&self, os: &mut dyn Os, socket: SocketId, errno: Errno) {
        if !self.is_connected {
            return self.refused(os, errno);
        }
        let own = os.local_addr(socket).map(|own| own.to_string()).unwrap_or_default();
        let why = errno.text().to_lowercase();
        self.fail(os, &format!("read tcp {own}->{}: read: {why}", self.request.to));
    }

    fn connected(&mut self, os: &mut dyn Os, socket: SocketId) {
        let Asks::Http { path, headers, .. } = &self.request.asks else {
            return os.exit(0);
        };
        self.is_connected = true;
        if self.unsent.is_empty() && self.input.is_empty() {
            let named = |name: &str| headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            let host = named("Host").map_or_else(|| self.request.to.to_string(), |(_, value)| value.clone());
            let agent = named("User-Agent").map_or("kube-probe/1.35", |(_, value)| value);
            let mut text = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\n");
            for (name, value) in headers {
                if !name.eq_ignore_ascii_case("Host") && !name.eq_ignore_ascii_case("User-Agent") {
                    text.extend([name, ": ", value, "\r\n"]);
                }
            }
            if named("Accept").is_none() {
                text.push_str("Accept: */*\r\n");
            }
            text.push_str("Connection: close\r\n\r\n");
            self.unsent = text.into_bytes();
        }
        if let Err(errno) = dial::write(os, socket, &mut self.unsent) {
            self.refused(os, errno);
        }
    }

    fn received(&mut self, os: &mut dyn Os, socket: SocketId) {
        let read = dial::read(os, socket, &mut self.input);
        if let Some((head, _)) = Head::read(&self.input) {
            let status = head.status().unwrap_or(0);
            if (200..400).contains(&status) {
                return os.exit(0);
            }
            os.write(Stream::Stdout, &format!("HTTP probe failed with statuscode: {status}"));
            return os.exit(1);
        }
        match read {
            Read::More => {}
            Read::End => self.fail(os, "EOF"),
            Read::Failed(errno) => self.broken(os, socket, errno),
        }
    }
}

impl Process for Probe {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => {
                os.set_timer(0, self.request.timeout);
                let opened = os.socket(Transport::Tcp).and_then(|socket| {
                    os.set_option(socket, SocketOption::Patient(true))?;
                    dial::start(os, socket, self.request.to)
                });
                match opened {
                    Ok(socket) => self.socket = Some(socket),
                    Err(errno) => self.refused(os, errno),
                }
            }
            Wake::Timer(_) => match &self.request.asks {
                Asks::Connection => {
                    let why = format!("dial tcp {}: i/o timeout", self.request.to);
                    self.fail(os, &why);
                }
                Asks::Http { .. } if self.unsent.is_empty() && self.input.is_empty() => {
                    self.fail(
                        os,
                        "context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
                    );
                }
                Asks::Http { .. } => self.fail(os, "context deadline exceeded"),
            },
            Wake::Writable(socket) if Some(socket) == self.socket => match os.take_error(socket) {
                Some(errno) => self.refused(os, errno),
                None => self.connected(os, socket),
            },
            Wake::Readable(socket) if Some(socket) == self.socket => match os.take_error(socket) {
                Some(errno) => self.broken(os, socket, errno),
                None => self.received(os, socket),
            },
            Wake::Terminate | Wake::Interrupt => os.exit(1),
            Wake::Writable(_) | Wake::Readable(_) | Wake::Input => {}
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }
}
