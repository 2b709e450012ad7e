//! A gRPC probe (`pkg/probe/grpc`): until the time is over it tries to reach a server that speaks HTTP/2, then it asks
//! once how a service is.

use super::{AGENT, connect};
use crate::app::dial::{self, Read};
use crate::app::grpc::{Client, LIBRARY, Outcome, Serving, Status, UNIMPLEMENTED};
use crate::app::{Os, Process, Wake};
use crate::base::{Duration, SimTime, SocketId};
use crate::trace::Stream;
use std::net::SocketAddrV4;

/// The wait before the next attempt to connect, in milliseconds: it grows by three fifths each time, and a fifth of it
/// is left to chance (`backoff.DefaultConfig`).
const BACK_OFF_MS: u64 = 1000;
const TIMER_END: u32 = 0;
const TIMER_AGAIN: u32 = 1;

/// A connection with what is said on it.
#[derive(Clone, Debug)]
struct Talk {
    socket: SocketId,
    client: Client,
    unsent: Vec<u8>,
}

/// A probe under way.
#[derive(Clone, Debug)]
pub(super) struct GrpcProbe {
    to: SocketAddrV4,
    service: String,
    timeout: Duration,
    until: SimTime,
    back_off_ms: u64,
    /// There once a connection is.
    talk: Option<Talk>,
    /// Whether the server has been asked.
    asked: bool,
}

impl GrpcProbe {
    /// A probe that has not begun.
    pub(super) fn new(to: SocketAddrV4, service: String, timeout: Duration) -> Self {
        Self {
            to,
            service,
            timeout,
            until: SimTime::ZERO,
            back_off_ms: BACK_OFF_MS,
            talk: None,
            asked: false,
        }
    }

    fn end(&mut self, os: &mut dyn Os, failure: Option<&str>) {
        if let Some(talk) = &mut self.talk {
            talk.client.say_goodbye();
            // It closes whether or not the far end still takes this.
            let _ = talk.send(os);
        }
        if let Some(text) = failure {
            os.write(Stream::Stdout, text);
        }
        os.exit(u8::from(failure.is_some()));
    }

    /// An attempt came to nothing; the next one follows, if there is time for it.
    fn again(&mut self, os: &mut dyn Os, socket: Option<SocketId>) {
        self.talk = None;
        if let Some(socket) = socket {
            os.close(socket);
        }
        let chance = 800 + u64::from(os.random()) % 400;
        os.set_timer(TIMER_AGAIN, Duration::from_ms(self.back_off_ms * chance / 1000));
        self.back_off_ms = self.back_off_ms * 8 / 5;
    }

    fn try_to_connect(&mut self, os: &mut dyn Os) {
        if connect(os, self.to).is_err() {
            self.again(os, None);
        }
    }

    fn connected(&mut self, os: &mut dyn Os, socket: SocketId) {
        let (client, words) = Client::new();
        let mut talk = Talk { socket, client, unsent: Vec::new() };
        for mut word in words {
            talk.unsent.append(&mut word);
            if talk.send(os).is_err() {
                return self.again(os, Some(socket));
            }
        }
        self.talk = Some(talk);
    }

    fn received(&mut self, os: &mut dyn Os, mut talk: Talk) {
        let mut input = Vec::new();
        let read = dial::read(os, talk.socket, &mut input);
        let mut outcome = talk.client.take(&mut input);
        if outcome == Outcome::Ready {
            self.asked = true;
            let micros = self.until.since(os.now()).as_us();
            let agent = format!("{AGENT} {LIBRARY}");
            talk.client.ask(&self.service, self.to.to_string(), &agent, micros);
            outcome = talk.client.take(&mut input);
        }
        let gone = talk.send(os).is_err() || read != Read::More;
        let socket = talk.socket;
        self.talk = Some(talk);
        match outcome {
            Outcome::Answered(Serving::Serving) => self.end(os, None),
            Outcome::Answered(state) => {
                let text = format!("service unhealthy (responded with {:?})", state.name());
                self.end(os, Some(&text));
            }
            Outcome::Failed(status) => self.end(os, Some(&failure(&status))),
            Outcome::Broken if !self.asked => self.again(os, Some(socket)),
            Outcome::More if !self.asked && gone => self.again(os, Some(socket)),
            Outcome::Broken | Outcome::More | Outcome::Ready if gone || outcome == Outcome::Broken => {
                let text = "error: health rpc probe failed: rpc error: code = Unavailable desc = error reading from \
                            server: EOF";
                self.end(os, Some(text));
            }
            Outcome::Broken | Outcome::More | Outcome::Ready => {}
        }
    }

    /// The time is over.
    fn late(&mut self, os: &mut dyn Os) {
        let within = self.timeout.as_go();
        let text = if self.asked {
            format!("timeout: health rpc did not complete within {within}")
        } else {
            let to = self.to.to_string();
            format!("timeout: failed to connect service {to:?} within {within}: context deadline exceeded")
        };
        self.end(os, Some(&text));
    }
}

impl Talk {
    fn send(&mut self, os: &mut dyn Os) -> Result<(), super::Errno> {
        self.unsent.append(&mut self.client.take_output());
        dial::write(os, self.socket, &mut self.unsent)
    }
}

fn failure(status: &Status) -> String {
    if status.code == UNIMPLEMENTED {
        let protocol =
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health)";
        return format!("{protocol}: {}", status.message);
    }
    format!("error: health rpc probe failed: {}", status.text())
}

impl Process for GrpcProbe {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => {
                self.until = os.now() + self.timeout;
                os.set_timer(TIMER_END, self.timeout);
                self.try_to_connect(os);
            }
            Wake::Timer(TIMER_END) => self.late(os),
            Wake::Timer(_) => self.try_to_connect(os),
            Wake::Writable(socket) | Wake::Readable(socket) => {
                match (self.talk.take(), os.take_error(socket)) {
                    (None, None) => self.connected(os, socket),
                    (Some(talk), None) => self.received(os, talk),
                    (_, Some(_)) => self.again(os, Some(socket)),
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
