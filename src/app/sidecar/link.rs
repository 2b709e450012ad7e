//! A connection that goes through the proxy: what comes from downstream goes upstream, and back.

use super::http::{First, Messages, local_reply};
use super::{TIMER_LINK, inbound, outbound};
use crate::app::http::{Head, Length};
use crate::app::side::{Broken, Side};
use crate::app::{Errno, Os};
use crate::base::{SimTime, SocketId};
use crate::cluster::mesh::Spoken;
use crate::tls::{Credentials, Failure};
use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::sync::Arc;

/// Which side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The one that was accepted.
    Down,
    /// The one that the proxy opened.
    Up,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes on.
    Stays,
    /// Both sides are to be closed.
    Over,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The first bytes are waited for, which tell whether there is TLS; they are only looked at.
    Sniffing,
    /// What is sent first is waited for, which tells whether it is HTTP.
    Waiting,
    /// The upstream connection is being made.
    Connecting,
    /// After an attempt that failed the next one is waited for.
    Retrying,
    /// Bytes go both ways.
    Open,
}

/// Requests and answers of a connection that speaks HTTP.
#[derive(Clone, Debug, Default)]
pub(super) struct Talk {
    requests: Messages,
    answers: Messages,
    /// Of requests without an answer: when they came, and whether they are HEAD.
    open: VecDeque<(SimTime, bool)>,
}

/// A connection.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) number: u32,
    pub(super) is_inbound: bool,
    /// Where the downstream connection was going.
    pub(super) to: SocketAddrV4,
    pub(super) credentials: Arc<Credentials>,
    pub(super) stage: Stage,
    pub(super) spoken: Spoken,
    pub(super) down: Side,
    pub(super) up: Option<Side>,
    /// Whether the destination is one that the mesh knows.
    pub(super) is_known: bool,
    /// Attempts to reach upstream that failed.
    pub(super) attempts: u32,
    /// Whether the upstream connection has been there, TLS and all.
    reached: bool,
    /// There when it speaks HTTP.
    talk: Option<Talk>,
}

impl Link {
    pub(super) fn new(
        (number, is_inbound): (u32, bool),
        socket: SocketId,
        to: SocketAddrV4,
        credentials: Arc<Credentials>,
    ) -> Self {
        Self {
            number,
            is_inbound,
            to,
            credentials,
            stage: if is_inbound { Stage::Sniffing } else { Stage::Waiting },
            spoken: Spoken::Unknown,
            down: Side::plain(socket),
            up: None,
            is_known: false,
            attempts: 0,
            reached: false,
            talk: None,
        }
    }

    /// The sockets it holds.
    pub(super) fn sockets(&self) -> Vec<(SocketId, End)> {
        let up = self.up.as_ref().map(|side| (side.socket, End::Up));
        std::iter::once((self.down.socket, End::Down)).chain(up).collect()
    }

    pub(super) fn readable(&mut self, os: &mut dyn Os, end: End) -> Fate {
        if end == End::Down && self.stage == Stage::Sniffing && !inbound::sniff(self, os) {
            return self.fate_of_sniffing(os);
        }
        if end == End::Up && matches!(self.stage, Stage::Connecting | Stage::Open) {
            let broken = self.up.as_mut().map_or(Ok(()), |side| side.read(os)).err();
            return self.pump(os, broken);
        }
        if end == End::Down {
            if !self.is_inbound && self.stage == Stage::Waiting && !self.is_known {
                outbound::look_up(self, os);
            }
            let read = self.down.read(os);
            if read.is_err() {
                // The alert that tells why still goes out.
                let _ = self.down.flush(os);
                return Fate::Over;
            }
        }
        self.pump(os, None)
    }

    /// Nothing was taken yet: the connection goes on unless the far end has gone, or is refused.
    fn fate_of_sniffing(&mut self, os: &mut dyn Os) -> Fate {
        if inbound::is_refused(self, os) { Fate::Over } else { Fate::Stays }
    }

    pub(super) fn writable(&mut self, os: &mut dyn Os, end: End) -> Fate {
        if end == End::Up && self.stage == Stage::Connecting {
            let Some(up) = &mut self.up else { return Fate::Over };
            if let Some(errno) = os.take_error(up.socket) {
                return self.failed(os, &Broken::Tcp(errno));
            }
            if up.flush(os).is_err() {
                return self.failed(os, &Broken::Tcp(Errno::Econnreset));
            }
            self.stage = Stage::Open;
        }
        self.pump(os, None)
    }

    /// The time until the next attempt is over.
    pub(super) fn try_again(&mut self, os: &mut dyn Os) -> Fate {
        if self.stage != Stage::Retrying {
            return Fate::Stays;
        }
        self.connect(os)
    }

    /// Moves what there is to move.
    fn pump(&mut self, os: &mut dyn Os, broken: Option<Broken>) -> Fate {
        if self.stage == Stage::Waiting {
            if self.down.flush(os).is_err() || !self.turn_away(os) {
                return Fate::Over;
            }
            if self.down.ended && self.down.input.is_empty() {
                return Fate::Over;
            }
            return if self.has_begun() { self.connect(os) } else { Fate::Stays };
        }
        if self.stage != Stage::Open {
            return Fate::Stays;
        }
        let back = self.take_answers(os);
        if self.down.send(os, &back).is_err() {
            return Fate::Over;
        }
        if let Some(broken) = broken {
            return self.failed(os, &broken);
        }
        if !self.turn_away(os) {
            return Fate::Over;
        }
        let is_ready = self.up.as_ref().is_some_and(Side::is_ready);
        let forth = if is_ready { self.take_requests(os) } else { Vec::new() };
        let Some(up) = &mut self.up else { return Fate::Over };
        if is_ready {
            self.reached = true;
            if up.send(os, &forth).is_err() {
                return self.failed(os, &Broken::Tcp(Errno::Econnreset));
            }
        } else if up.flush(os).is_err() {
            return self.failed(os, &Broken::Tcp(Errno::Econnreset));
        }
        self.end(os)
    }

    /// Hands ends on: who sends no more is told so to the other.
    fn end(&mut self, os: &mut dyn Os) -> Fate {
        let Some(up) = &mut self.up else { return Fate::Over };
        if up.ended {
            let unanswered = self.talk.as_ref().is_some_and(|talk| !talk.open.is_empty());
            if unanswered {
                return self.failed(os, &Broken::Tcp(Errno::Econnreset));
            }
            if self.down.finish(os).is_err() {
                return Fate::Over;
            }
        }
        if self.down.ended && up.is_ready() && up.finish(os).is_err() {
            return Fate::Over;
        }
        // A program that speaks HTTP and closes has nothing more to hear.
        let gone = self.talk.is_some() && self.down.ended;
        if gone || (self.down.is_over() && up.is_over()) { Fate::Over } else { Fate::Stays }
    }

    /// Whether enough has come to go on upstream, and whether it is HTTP.
    fn has_begun(&mut self) -> bool {
        if !self.down.is_ready() {
            return false;
        }
        let first = First::of(&self.down.input);
        match (self.spoken, first) {
            (Spoken::Tcp, _) | (Spoken::Unknown | Spoken::Http, First::Other) => true,
            (Spoken::Unknown | Spoken::Http, First::Http) => {
                let whole = Head::read(&self.down.input).is_some();
                if whole {
                    self.talk = Some(Talk::default());
                }
                whole
            }
            (Spoken::Unknown | Spoken::Http, First::More) => false,
        }
    }

    /// Begins the upstream connection.
    pub(super) fn connect(&mut self, os: &mut dyn Os) -> Fate {
        let opened = if self.is_inbound { inbound::open(self, os) } else { outbound::open(self, os) };
        match opened {
            Ok(side) => {
                self.up = Some(side);
                self.stage = Stage::Connecting;
                Fate::Stays
            }
            Err(outbound::NoWay::Nowhere) => self.refuse(os, "no healthy upstream"),
            Err(outbound::NoWay::Errno(errno)) => self.failed(os, &Broken::Tcp(errno)),
        }
    }

    /// Upstream is of no use: another attempt, an answer of the proxy's own, or the end.
    fn failed(&mut self, os: &mut dyn Os, broken: &Broken) -> Fate {
        let unanswered = match self.stage {
            Stage::Connecting | Stage::Waiting | Stage::Retrying => self.talk.is_some(),
            Stage::Sniffing => false,
            Stage::Open if !self.reached => self.talk.is_some(),
            Stage::Open => self.talk.as_ref().is_some_and(Talk::is_unanswered),
        };
        let connecting = !self.reached;
        if let Some(mut up) = self.up.take() {
            // The alert that tells why still goes out.
            let _ = up.flush(os);
            os.close(up.socket);
        }
        if !unanswered {
            return Fate::Over;
        }
        if connecting && outbound::retries(self) {
            self.attempts += 1;
            self.stage = Stage::Retrying;
            let wait = outbound::back_off(os, self.attempts);
            os.set_timer(TIMER_LINK + self.number, wait);
            return Fate::Stays;
        }
        let retried = if self.attempts > 0 { "retried and the latest " } else { "" };
        // Of a connection that was there only the end is told, whatever brought it about: in TLS 1.3 a client hears
        // only after its handshake that its certificate was refused.
        let reason = if connecting {
            format!("remote connection failure{}", transport_failure(broken))
        } else {
            "connection termination".to_owned()
        };
        let text = format!(
            "upstream connect error or disconnect/reset before headers. {retried}reset reason: {reason}"
        );
        self.refuse(os, &text)
    }

    /// Answers with 503, where HTTP is spoken; closes else.
    fn refuse(&mut self, os: &mut dyn Os, text: &str) -> Fate {
        if self.talk.is_none() {
            return Fate::Over;
        }
        let reply = local_reply(503, text, os.now(), self.server());
        // Whether or not it gets there, this is all.
        let _ = self.down.send(os, &reply).and_then(|()| self.down.finish(os));
        Fate::Over
    }

    /// What it calls itself in answers.
    fn server(&self) -> &'static str {
        if self.is_inbound { "istio-envoy" } else { "envoy" }
    }

    /// Answers the requests that the policies of authorization do not let in, as soon as the answers before them are
    /// out; whether the connection goes on.
    fn turn_away(&mut self, os: &mut dyn Os) -> bool {
        if !self.is_inbound || !self.down.is_ready() {
            return true;
        }
        if self.talk.is_none() && First::of(&self.down.input) == First::Other {
            return self.stage != Stage::Waiting || inbound::admits(self, os, None);
        }
        while self.talk.as_ref().is_none_or(Talk::is_idle) {
            let Some((head, len)) = Head::read(&self.down.input) else { return true };
            if inbound::admits(self, os, Some(&head)) {
                return true;
            }
            self.down.input.drain(..len);
            let mut body = Length::of_request(&head);
            body.take(&mut self.down.input);
            let reply = local_reply(403, "RBAC: access denied", os.now(), self.server());
            let sent = self.down.send(os, &reply);
            if sent.is_err() || !body.is_over() || !head.keeps_alive() {
                // What the client still sends of its request is not waited for.
                let _ = self.down.finish(os);
                return false;
            }
        }
        true
    }

    /// What goes on upstream of what has come.
    fn take_requests(&mut self, os: &mut dyn Os) -> Vec<u8> {
        let Some(mut talk) = self.talk.take() else { return std::mem::take(&mut self.down.input) };
        let mut input = std::mem::take(&mut self.down.input);
        let out = talk.pass_requests(os, &mut input, self);
        (self.down.input, self.talk) = (input, Some(talk));
        out
    }

    fn take_answers(&mut self, os: &mut dyn Os) -> Vec<u8> {
        let server = self.server();
        let Some(up) = &mut self.up else { return Vec::new() };
        match &mut self.talk {
            Some(talk) => talk.pass_answers(os.now(), &mut up.input, server),
            None => std::mem::take(&mut up.input),
        }
    }
}

impl Talk {
    /// Whether a request waits for its answer, or none has gone on yet.
    fn is_unanswered(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether nothing is under way.
    fn is_idle(&self) -> bool {
        self.open.is_empty() && self.requests.is_between()
    }

    /// A request that the policies do not let in stays, with what comes after it.
    fn pass_requests(&mut self, os: &mut dyn Os, input: &mut Vec<u8>, link: &Link) -> Vec<u8> {
        let peer = link.down.peer().zip(link.down.peer_certificate());
        let now = os.now();
        let open = &mut self.open;
        self.requests.pass(input, |head| {
            if link.is_inbound && !inbound::admits(link, os, Some(head)) {
                return None;
            }
            open.push_back((now, head.start.starts_with("HEAD ")));
            if link.is_inbound {
                inbound::mark_request(head, &link.credentials.spiffe, peer.as_ref());
            } else {
                outbound::mark_request(head, os);
            }
            Some(Length::of_request(head))
        })
    }

    fn pass_answers(&mut self, now: SimTime, input: &mut Vec<u8>, server: &str) -> Vec<u8> {
        let open = &mut self.open;
        self.answers.pass(input, |head| {
            // An answer before the last one, such as 100, leaves the request open.
            let is_last = head.status().is_none_or(|status| status >= 200);
            let asked = if is_last { open.pop_front() } else { open.front().copied() };
            let (since, is_head) = asked.unwrap_or((now, false));
            super::http::set(head, "server", server.to_owned());
            super::http::set(head, "x-envoy-upstream-service-time", now.since(since).as_ms().to_string());
            Some(Length::of_response(head, is_head))
        })
    }
}

/// What Envoy says of why the transport failed; numbers and names are those of `BoringSSL` (`ssl.errordata`).
fn transport_failure(broken: &Broken) -> String {
    let tls = |number: u32, name: &str| {
        let code = (16 << 24) + number;
        format!(
            ", transport failure reason: TLS_error:|{code}:SSL routines:OPENSSL_internal:{name}:TLS_error_end"
        )
    };
    match broken {
        Broken::Tls(Failure::Certificate(_) | Failure::NoCertificate) => {
            tls(125, "CERTIFICATE_VERIFY_FAILED")
        }
        Broken::Tls(Failure::NotTls) => tls(247, "WRONG_VERSION_NUMBER"),
        Broken::Tls(Failure::Alert(number)) => {
            let name = crate::wire::tls::alert_name(*number).to_uppercase();
            // Alerts that SSL 3 had keep its name.
            let version = if matches!(number, 0 | 10 | 20 | 40 | 42..=47) { "SSLV3" } else { "TLSV1" };
            tls(1000 + u32::from(*number), &format!("{version}_ALERT_{name}"))
        }
        Broken::Tls(Failure::Other(_)) | Broken::Tcp(Errno::Econnreset) => String::new(),
        Broken::Tcp(errno) => {
            format!(", transport failure reason: delayed connect error: {}", errno.text())
        }
    }
}
