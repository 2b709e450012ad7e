//! The status port of the proxy's program (`pilot/cmd/pilot-agent/status/server.go`): in the kubelet's place it asks the
//! workload how it is, from the address that the Pod's rules leave alone.

use super::inbound::BIND;
use super::listen;
use crate::app::dial::{self, Read};
use crate::app::http::{Head, Length, date, status_name};
use crate::app::{Errno, Os, Transport};
use crate::base::SocketId;
use crate::cluster::mesh::{Prober, STATUS_PORT, VARIABLE};
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
    up: Option<SocketId>,
    /// The request on its way to the workload; none where a connection is enough.
    request: Option<Vec<u8>>,
    reply: Vec<u8>,
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
        all.find(|(down, question)| **down == socket || question.up == Some(socket)).map(|(down, _)| *down)
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
        let read = dial::read(os, socket, &mut question.reply);
        if let Some(answer) = question.answer(read) {
            self.answer(os, down, answer);
        }
    }

    /// A connection to the workload is there, or is not.
    pub(super) fn writable(&mut self, os: &mut dyn Os, socket: SocketId) {
        let Some(down) = self.question_of(socket).filter(|down| *down != socket) else { return };
        if os.take_error(socket).is_some() {
            return self.answer(os, down, (500, Vec::new()));
        }
        let Some(question) = self.questions.get_mut(&down) else { return };
        let Some(request) = &mut question.request else { return self.answer(os, down, (200, Vec::new())) };
        if dial::write(os, socket, request).is_err() {
            self.answer(os, down, (500, Vec::new()));
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
        for socket in question.and_then(|question| question.up).into_iter().chain([down]) {
            os.close(socket);
        }
    }
}

impl Question {
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
        self.up = Some(dial::start(os, socket, to)?);
        self.request = prober.path.as_ref().map(|path| request(head, path, to).into_bytes());
        Ok(())
    }

    /// What the workload's answer comes to, once there is enough of it.
    fn answer(&self, read: Read) -> Option<Answer> {
        let Some((head, len)) = Head::read(&self.reply) else {
            return (read != Read::More).then(|| (500, Vec::new()));
        };
        let mut body = self.reply[len..].to_vec();
        let mut length = Length::of_response(&head, false);
        let data = length.take(&mut body);
        if read == Read::More && !length.is_over() {
            return None;
        }
        match head.status() {
            // A redirection without its place is none.
            Some(301 | 302 | 303 | 307 | 308) => Some((200, Vec::new())),
            Some(status) => Some((status, data)),
            None => Some((500, Vec::new())),
        }
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
