//! How a program says over gRPC that it is well, and what `agnhost grpc-health-checking` says of that over HTTP.

use super::complain;
use super::persona::go_date;
use super::site::{Asked, Found, go_time};
use crate::app::Os;
use crate::app::grpc::{self, NOT_FOUND, Serving, Status};
use crate::base::{Duration, SimTime};

/// What is answered about services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The one service that is known; `None` where every one is.
    pub service: Option<String>,
    /// How it is.
    pub state: Serving,
    /// How long after the start it begins to say that it does not serve.
    pub fails_after: Option<Duration>,
    /// Whether each question is written down.
    pub logs: bool,
    /// When the program started.
    pub since: SimTime,
}

impl Health {
    /// A program of which nothing else is known: all its services are in this state.
    pub fn of(state: Serving) -> Self {
        Self { service: None, state, fails_after: None, logs: false, since: SimTime::ZERO }
    }

    fn answer(&self, os: &mut dyn Os, service: &str) -> Result<Serving, Status> {
        if self.logs {
            let (now, since) = (go_date(os.now()), go_time(self.since));
            complain(os, &format!("{now} Serving the Check request for health check, started at {since}"));
        }
        if self.service.as_ref().is_some_and(|known| known != service) {
            return Err(Status { code: NOT_FOUND, message: "unknown service".to_owned() });
        }
        let failed = self.fails_after.is_some_and(|after| os.now().since(self.since) >= after);
        Ok(if failed { Serving::NotServing } else { self.state })
    }

    /// Takes what came in on a connection; whether the connection is to be closed.
    pub(super) fn take(
        &self,
        os: &mut dyn Os,
        server: &mut grpc::Server,
        input: &mut Vec<u8>,
        output: &mut Vec<u8>,
    ) -> bool {
        let is_over = loop {
            match server.take(input) {
                Ok(Some(service)) => {
                    let answer = self.answer(os, &service);
                    server.answer(&answer);
                }
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        output.append(&mut server.take_output());
        is_over
    }
}

/// The answer over HTTP: two paths that say how the program is from now on.
pub(super) fn answer(asked: &Asked<'_>, runs: Duration, tells: &mut Option<Serving>) -> Found {
    match asked.target.split('?').next().unwrap_or("") {
        "/make-serving" => *tells = Some(Serving::Serving),
        "/make-not-serving" => *tells = Some(Serving::NotServing),
        _ => return Found::text(404, "404 page not found\n".to_owned()),
    }
    Found::text(200, runs.as_go())
}
