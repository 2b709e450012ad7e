//! The status port of the proxy's program (`pilot/cmd/pilot-agent/status/server.go`): in the kubelet's place it asks the
//! workload how it is, from the address that the Pod's rules leave alone.

use super::inbound::BIND;
use super::listen;
use crate::app::dial::{self, Read};
use crate::app::grpc::{Client, LIBRARY, Outcome, Serving};
use crate::app::http::{Head, Length, date, status_name};
use crate::app::side::Side;
use crate::app::{Errno, Os, Transport};
use crate::base::SocketId;
use crate::cluster::mesh::{Prober, STATUS_PORT, VARIABLE};
use crate::cluster::probe::Asks;
use crate::tls::Party;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddrV4;

/// Whether the proxy itself is ready.
const READY: &str = "/healthz/ready";
/// Timers of questions: this and the socket's number. Those of the proxy stay below.
pub(super) const TIMER: u32 = 1 << 31;

fn timer(down: SocketId) -> u32 {
    TIMER | down.index() as u32
}

/// The status port at work: questions under way, by the socket that each came in at.
#[derive(Clone, Debug, Default)]
pub(super) struct Status {
    listener: Option<SocketId>,
    questions: BTreeMap<SocketId, Question>,
}

/// A question of the kubelet.
#[derive(Clone, Debug, Default)]
struct Question {
    input: Vec<u8>,
    /// The workload's side, once it is asked.
    up: Option<Side>,
    asks: Asked,
}

/// What is asked of the workload.
#[derive(Clone, Debug, Default)]
enum Asked {
    /// Nothing but a connection.
    #[default]
    Connection,
    /// A request, until it is sent, with TLS or without.
    Http { request: Option<Vec<u8>>, is_https: bool },
    /// How a service is.
    Grpc {
        service: String,
        /// How the kubelet calls itself, and how long the answer may take, in microseconds.
        agent: String,
        micros: u64,
        client: Box<Client>,
    },
}

/// What is answered: a status with a body.
type Answer = (u16, Vec<u8>);

impl Status {
    /// Begins to listen; the port where it cannot.
    pub(super) fn start(&mut self, os: &mut dyn Os) -> Result<(), (u16, Errno)> {
        self.listener = Some(listen(os, STATUS_PORT).map_err(|errno| (STATUS_PORT, errno))?);
        Ok(())
    }

    /// Whether a socket is one of its own.
    pub(super) fn has(&self, socket: SocketId) -> bool {
        self.listener == Some(socket) || self.question_of(socket).is_some()
    }

    fn question_of(&self, socket: SocketId) -> Option<SocketId> {
        let mut all = self.questions.iter();
        all.find(|(down, question)| **down == socket || question.is_at(socket)).map(|(down, _)| *down)
    }

    /// Something can be read.
    pub(super) fn readable(&mut self, os: &mut dyn Os, socket: SocketId) {
        if self.listener == Some(socket) {
            while let Ok((down, _)) = os.accept(socket) {
                self.questions.insert(down, Question::default());
                self.asked(os, down);
            }
            return;
        }
        let Some(down) = self.question_of(socket) else { return };
        if down == socket {
            return self.asked(os, down);
        }
        let Some(question) = self.questions.get_mut(&down) else { return };
        if let Some(answer) = question.answered(os) {
            self.answer(os, down, answer);
        }
    }

    /// A connection to the workload is there, or is not.
    pub(super) fn writable(&mut self, os: &mut dyn Os, socket: SocketId) {
        let Some(down) = self.question_of(socket).filter(|down| *down != socket) else { return };
        let Some(question) = self.questions.get_mut(&down) else { return };
        let answer = match os.take_error(socket) {
            Some(_) => Some((500, Vec::new())),
            None => question.connected(os, socket),
        };
        if let Some(answer) = answer {
            self.answer(os, down, answer);
        }
    }

    /// The workload has had its time.
    pub(super) fn late(&mut self, os: &mut dyn Os, token: u32) {
        let waiting = self.questions.keys().copied().find(|down| timer(*down) == token);
        if let Some(down) = waiting {
            self.answer(os, down, (500, Vec::new()));
        }
    }

    /// The kubelet's request comes in.
    fn asked(&mut self, os: &mut dyn Os, down: SocketId) {
        let Some(question) = self.questions.get_mut(&down) else { return };
        let read = dial::read(os, down, &mut question.input);
        let head = Head::read(&question.input).map(|(head, _)| head);
        let Some(head) = head.filter(|_| question.up.is_none()) else {
            if read != Read::More {
                self.close(os, down);
            }
            return;
        };
        let path = head.start.split(' ').nth(1).unwrap_or("/").to_owned();
        let path = path.split('?').next().unwrap_or("/");
        let prober = os.variable(VARIABLE).and_then(|variable| Prober::find(&variable, path));
        match prober {
            Some(prober) => match question.ask(os, down, (&head, &prober)) {
                Ok(()) => os.set_timer(timer(down), prober.timeout),
                Err(_) => self.answer(os, down, (500, Vec::new())),
            },
            None if path == READY => self.answer(os, down, (200, Vec::new())),
            None => {
                let text = format!("app prober config does not exists for {path}");
                self.answer(os, down, (400, text.into_bytes()));
            }
        }
    }

    fn answer(&mut self, os: &mut dyn Os, down: SocketId, (status, body): Answer) {
        let (name, date, len) = (status_name(status), date(os.now()), body.len());
        let kind = if body.is_empty() { "" } else { "Content-Type: text/plain; charset=utf-8\r\n" };
        let head = format!(
            "HTTP/1.1 {status} {name}\r\nDate: {date}\r\nContent-Length: {len}\r\n{kind}Connection: close\r\n\r\n"
        );
        let mut reply = [head.into_bytes(), body].concat();
        // Whether or not the kubelet still listens, the question is over.
        let _ = dial::write(os, down, &mut reply);
        self.close(os, down);
    }

    fn close(&mut self, os: &mut dyn Os, down: SocketId) {
        os.cancel_timer(timer(down));
        let question = self.questions.remove(&down);
        for socket in question.and_then(|question| question.up).map(|up| up.socket).into_iter().chain([down])
        {
            os.close(socket);
        }
    }
}

impl Question {
    fn is_at(&self, socket: SocketId) -> bool {
        self.up.as_ref().is_some_and(|up| up.socket == socket)
    }

    /// Begins to ask the workload, at the address that the kubelet came to.
    fn ask(
        &mut self,
        os: &mut dyn Os,
        down: SocketId,
        (head, prober): (&Head, &Prober),
    ) -> Result<(), Errno> {
        let own = os.local_addr(down).ok_or(Errno::Enotconn)?;
        let to = SocketAddrV4::new(*own.ip(), prober.port);
        let socket = os.socket(Transport::Tcp)?;
        os.bind(socket, SocketAddrV4::new(BIND, 0))?;
        self.up = Some(Side::plain(dial::start(os, socket, to)?));
        self.asks = match &prober.asks {
            Asks::Connection => Asked::Connection,
            Asks::Http { path, is_https, .. } => {
                Asked::Http { request: Some(request(head, path, to).into_bytes()), is_https: *is_https }
            }
            Asks::Grpc { service } => {
                let (client, words) = Client::new();
                let up = self.up.get_or_insert_with(|| Side::plain(socket));
                // They go out once the connection is there.
                for word in &words {
                    up.queue(word);
                }
                let agent = format!("{} {LIBRARY}", head.get("User-Agent").unwrap_or_default());
                let (service, micros) = (service.clone(), prober.timeout.as_us());
                let agent = agent.trim().to_owned();
                Asked::Grpc { service, agent, micros, client: Box::new(client) }
            }
        };
        Ok(())
    }

    /// The connection to the workload is there: the answer where nothing more is asked.
    fn connected(&mut self, os: &mut dyn Os, socket: SocketId) -> Option<Answer> {
        if matches!(self.asks, Asked::Connection) {
            return Some((200, Vec::new()));
        }
        let is_https = matches!(self.asks, Asked::Http { is_https: true, request: Some(_) });
        if is_https && self.up.as_ref().is_some_and(Side::is_ready) {
            self.up = Some(Side::secured(os, socket, Party::Trusting));
        }
        self.go_on(os)
    }

    /// Sends what there is to send: the request as soon as that is possible.
    fn go_on(&mut self, os: &mut dyn Os) -> Option<Answer> {
        let up = self.up.as_mut()?;
        let bytes = match &mut self.asks {
            Asked::Http { request, .. } if up.is_ready() => request.take().unwrap_or_default(),
            Asked::Http { .. } | Asked::Connection => Vec::new(),
            Asked::Grpc { client, .. } => client.take_output(),
        };
        up.send(os, &bytes).is_err().then(|| (500, Vec::new()))
    }

    /// Something came from the workload: what it comes to, once there is enough of it.
    fn answered(&mut self, os: &mut dyn Os) -> Option<Answer> {
        let up = self.up.as_mut()?;
        let read = up.read(os);
        let over = read.is_err() || up.ended;
        if let Asked::Grpc { service, agent, micros, client } = &mut self.asks {
            match client.take(&mut up.input) {
                Outcome::Ready => {
                    let authority = os.remote_addr(up.socket).map(|to| to.to_string()).unwrap_or_default();
                    client.ask(service, authority, agent, *micros);
                }
                Outcome::Answered(Serving::Serving) => return Some((200, Vec::new())),
                Outcome::Answered(_) | Outcome::Failed(_) | Outcome::Broken => {
                    return Some((500, Vec::new()));
                }
                Outcome::More => {}
            }
        } else if let Some(answer) = http_answer(&up.input, over) {
            return Some(answer);
        }
        if over { Some((500, Vec::new())) } else { self.go_on(os) }
    }
}

/// What the workload's answer comes to, once there is enough of it.
fn http_answer(reply: &[u8], over: bool) -> Option<Answer> {
    let (head, len) = Head::read(reply)?;
    let mut body = reply[len..].to_vec();
    let mut length = Length::of_response(&head, false);
    let data = length.take(&mut body);
    if !over && !length.is_over() {
        return None;
    }
    match head.status() {
        // A redirection without its place is none.
        Some(301 | 302 | 303 | 307 | 308) => Some((200, Vec::new())),
        Some(status) => Some((status, data)),
        None => Some((500, Vec::new())),
    }
}

/// The kubelet's request as the workload gets it: its fields, and the workload's port in place of the status port.
fn request(head: &Head, path: &str, to: SocketAddrV4) -> String {
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut text = format!("GET {slash}{path} HTTP/1.1\r\n");
    for (name, value) in &head.fields {
        let host = value.strip_suffix(&format!(":{STATUS_PORT}"));
        let _ = match host.filter(|_| name.eq_ignore_ascii_case("Host")) {
            Some(host) => write!(text, "{name}: {host}:{}\r\n", to.port()),
            None => write!(text, "{name}: {value}\r\n"),
        };
    }
    text + "\r\n"
}
