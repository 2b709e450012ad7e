//! The kubelet's probes over the network (`pkg/kubelet/prober`, `pkg/probe`): one connection, and for HTTP, with TLS or
//! without, one request; gRPC has a file of its own.

mod grpc;

use super::http::Head;
use super::side::{Broken, Side};
use super::{Errno, Os, Process, SocketOption, Transport, Wake, dial};
use crate::base::{Duration, SocketId};
use crate::cluster::probe::Asks;
use crate::tls::{Failure, Party};
use crate::trace::Stream;
use grpc::GrpcProbe;
use std::net::SocketAddrV4;

/// What it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// How a container is.
    Probe,
    /// That something is done before or after (`lifecycle`): whatever is answered is good.
    Hook,
}

impl Purpose {
    /// How the kubelet calls itself.
    fn agent(self) -> &'static str {
        match self {
            Self::Probe => AGENT,
            Self::Hook => "kube-lifecycle/1.35",
        }
    }
}

/// A probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What it is asked for.
    pub purpose: Purpose,
    /// Where to.
    pub to: SocketAddrV4,
    /// What is asked there.
    pub asks: Asks,
    /// How long the answer may take.
    pub timeout: Duration,
}

/// The process that asks. It ends with 0 where the answer is good and 1 where it is not, and writes why.
pub fn process(request: Request) -> Box<dyn Process> {
    match request.asks {
        Asks::Connection | Asks::Http { .. } => Box::new(Probe { request, side: None, asked: false }),
        Asks::Grpc { service } => Box::new(GrpcProbe::new(request.to, service, request.timeout)),
    }
}

/// Begins to connect, from a port that does not stay behind in `TIME_WAIT`.
fn connect(os: &mut dyn Os, to: SocketAddrV4) -> Result<SocketId, Errno> {
    let socket = os.socket(Transport::Tcp)?;
    os.set_option(socket, SocketOption::Patient(true))?;
    dial::start(os, socket, to)
}

/// A probe that needs a connection, or an answer to a request over HTTP.
#[derive(Clone, Debug)]
struct Probe {
    request: Request,
    side: Option<Side>,
    /// Whether the request has been sent.
    asked: bool,
}

impl Probe {
    fn url(&self) -> String {
        match &self.request.asks {
            Asks::Connection | Asks::Grpc { .. } => self.request.to.to_string(),
            Asks::Http { path, is_https, .. } => {
                let scheme = if *is_https { "https" } else { "http" };
                format!("{scheme}://{}{path}", self.request.to)
            }
        }
    }

    /// Ends with a failure in the words of Go's net package.
    fn fail(&self, os: &mut dyn Os, why: &str) {
        let text = match &self.request.asks {
            Asks::Connection | Asks::Grpc { .. } => why.to_owned(),
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
    fn broken(&self, os: &mut dyn Os, side: &Side, why: &Broken) {
        match why {
            Broken::Tls(failure) => self.fail(os, &tls_error(side, failure)),
            Broken::Tcp(errno) => {
                let own = os.local_addr(side.socket).map(|own| own.to_string()).unwrap_or_default();
                let why = errno.text().to_lowercase();
                self.fail(os, &format!("read tcp {own}->{}: read: {why}", self.request.to));
            }
        }
    }

    /// The connection is there.
    fn connected(&mut self, os: &mut dyn Os, socket: SocketId) {
        let Asks::Http { is_https, .. } = &self.request.asks else {
            return os.exit(0);
        };
        let side = if *is_https { Side::secured(os, socket, Party::Trusting) } else { Side::plain(socket) };
        self.go_on(os, side);
    }

    /// Sends what there is to send: the request as soon as that is possible.
    fn go_on(&mut self, os: &mut dyn Os, mut side: Side) {
        let asks = side.is_ready() && !self.asked;
        self.asked |= asks;
        let text = if asks { self.text() } else { String::new() };
        match side.send(os, text.as_bytes()) {
            Ok(()) => self.side = Some(side),
            Err(errno) => self.broken(os, &side, &Broken::Tcp(errno)),
        }
    }

    /// The request.
    fn text(&self) -> String {
        let Asks::Http { path, headers, .. } = &self.request.asks else { return String::new() };
        let named = |name: &str| headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let host = named("Host").map_or_else(|| self.request.to.to_string(), |(_, value)| value.clone());
        let agent = named("User-Agent").map_or(self.request.purpose.agent(), |(_, value)| value);
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
        text
    }

    fn received(&mut self, os: &mut dyn Os, mut side: Side) {
        let read = side.read(os);
        if let Some((head, _)) = Head::read(&side.input) {
            let status = head.status().unwrap_or(0);
            if self.request.purpose == Purpose::Hook || (200..400).contains(&status) {
                return os.exit(0);
            }
            os.write(Stream::Stdout, &format!("HTTP probe failed with statuscode: {status}"));
            return os.exit(1);
        }
        match read {
            Err(why) => {
                // An alert that tells the far end still goes out; whether it arrives changes nothing.
                let _ = side.flush(os);
                self.broken(os, &side, &why);
            }
            Ok(()) if side.ended => self.fail(os, "EOF"),
            Ok(()) => self.go_on(os, side),
        }
    }
}

/// How the kubelet calls itself when it probes.
const AGENT: &str = "kube-probe/1.35";
/// What is said of a server that speaks HTTP where TLS was spoken to it.
pub const NOT_HTTPS: &str = "http: server gave HTTP response to HTTPS client";

/// What Go's `crypto/tls` and `net/http` say of a connection that did not come to be.
fn tls_error(side: &Side, failure: &Failure) -> String {
    match failure {
        Failure::NotTls if side.began_with(b"HTTP/") => NOT_HTTPS.to_owned(),
        Failure::NotTls => "tls: first record does not look like a TLS handshake".to_owned(),
        Failure::Alert(number) => {
            let name = ALERTS.iter().find(|(known, _)| known == number);
            let text = name.map_or_else(|| format!("alert({number})"), |(_, text)| (*text).to_owned());
            format!("remote error: tls: {text}")
        }
        Failure::Certificate(why) | Failure::Other(why) => format!("tls: {why}"),
        Failure::NoCertificate => "tls: received empty certificates message".to_owned(),
    }
}

/// What Go calls alerts (`crypto/tls`, `alertText`).
const ALERTS: [(u8, &str); 12] = [
    (0, "close notify"),
    (10, "unexpected message"),
    (20, "bad record MAC"),
    (40, "handshake failure"),
    (42, "bad certificate"),
    (47, "illegal parameter"),
    (48, "unknown certificate authority"),
    (50, "error decoding message"),
    (70, "protocol version not supported"),
    (80, "internal error"),
    (116, "certificate required"),
    (120, "no application protocol"),
];

impl Process for Probe {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => {
                os.set_timer(0, self.request.timeout);
                if let Err(errno) = connect(os, self.request.to) {
                    self.refused(os, errno);
                }
            }
            Wake::Timer(_) => match &self.request.asks {
                Asks::Connection | Asks::Grpc { .. } => {
                    let why = format!("dial tcp {}: i/o timeout", self.request.to);
                    self.fail(os, &why);
                }
                Asks::Http { .. } => {
                    let why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
                    self.fail(os, why);
                }
            },
            Wake::Writable(socket) | Wake::Readable(socket) => {
                match (self.side.take(), os.take_error(socket)) {
                    (None, Some(errno)) => self.refused(os, errno),
                    (None, None) => self.connected(os, socket),
                    (Some(side), Some(errno)) => self.broken(os, &side, &Broken::Tcp(errno)),
                    (Some(side), None) => self.received(os, side),
                }
            }
            Wake::Terminate | Wake::Interrupt => os.exit(1),
            Wake::Input => {}
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }
}
