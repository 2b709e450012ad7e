//! How transfers of `curl` fail, and in which words.

use super::secure::explain;
use super::{Curl, Phase, TIMER_CONNECT, TIMER_METER, TIMER_TOTAL, code};
use crate::app::http::Length;
use crate::app::{Errno, Os};
use crate::trace::Stream;

impl Curl {
    /// The connection could not be made, for this reason where the kernel told one.
    pub(super) fn connect_failed(&mut self, os: &mut dyn Os, errno: Option<Errno>) {
        let (address, port) = (self.address, self.url.port());
        self.refused = errno == Some(Errno::Econnrefused);
        if let Some(errno) = errno {
            self.info(os, &format!("connect to {address} port {port} failed: {}", errno.text()));
        }
        let took = self.took(os).as_ms();
        let host = &self.url.host;
        let text =
            format!("Failed to connect to {host} port {port} after {took} ms: Couldn't connect to server");
        self.info(os, &text);
        self.close_and_fail(os, code::CONNECT, &text);
    }

    pub(super) fn timed_out(&mut self, os: &mut dyn Os, token: u32) {
        let took = self.took(os).as_ms();
        let text = match (&self.phase, token) {
            (Phase::Connecting | Phase::Securing, TIMER_TOTAL) => {
                format!("Connection timed out after {took} milliseconds")
            }
            (Phase::Securing, TIMER_CONNECT) => "SSL connection timeout".to_owned(),
            (Phase::Connecting, _) => {
                let (host, port) = (&self.url.host, self.url.port());
                format!("Failed to connect to {host} port {port} after {took} ms: Timeout was reached")
            }
            (Phase::Asked | Phase::Body(_), TIMER_TOTAL) => match self.figures.expected {
                Some(expected) => format!(
                    "Operation timed out after {took} milliseconds with {} out of {expected} bytes received",
                    self.figures.received
                ),
                None => format!(
                    "Operation timed out after {took} milliseconds with {} bytes received",
                    self.figures.received
                ),
            },
            (Phase::Over | Phase::Asked | Phase::Body(_) | Phase::Securing, _) => return,
        };
        self.info(os, &text);
        self.close_and_fail(os, code::TIMEOUT, &text);
    }

    pub(super) fn far_end_closed(&mut self, os: &mut dyn Os) {
        match &self.phase {
            Phase::Over | Phase::Connecting | Phase::Securing => {}
            Phase::Asked if self.header_bytes == 0 && self.side.input.is_empty() => {
                let text = "Empty reply from server";
                self.info(os, text);
                self.close_and_fail(os, code::EMPTY, text);
            }
            Phase::Asked | Phase::Body(Length::UntilClose) => self.transferred(os),
            Phase::Body(Length::Fixed(left)) => {
                let text = format!("transfer closed with {left} bytes remaining to read");
                self.info(os, &text);
                self.close_and_fail(os, code::PARTIAL, &text);
            }
            Phase::Body(Length::Chunked(_)) => {
                let text = "transfer closed with outstanding read data remaining";
                self.info(os, text);
                self.close_and_fail(os, code::PARTIAL, text);
            }
        }
    }

    pub(super) fn close_and_fail(&mut self, os: &mut dyn Os, status: u8, text: &str) {
        // The meter is drawn a last time where the connection is given up.
        if self.has_meter(os) {
            self.draw_meter(os);
            os.write(Stream::Stderr, "\n");
            os.cancel_timer(TIMER_METER);
        }
        self.info(os, &format!("Closing connection {}", self.connection()));
        self.fail_quietly(os, status, text);
    }

    pub(super) fn fail(&mut self, os: &mut dyn Os, status: u8, text: &str) {
        if self.has_meter(os) {
            os.write(Stream::Stderr, "\n");
        }
        self.fail_quietly(os, status, text);
    }

    pub(super) fn fail_quietly(&mut self, os: &mut dyn Os, status: u8, text: &str) {
        if !self.options.silent || self.options.show_error {
            os.write(Stream::Stderr, &format!("curl: ({status}) {text}\n"));
            explain(os, status);
        }
        if self.options.bar && !self.is_screen(os) {
            os.write(Stream::Stderr, "\n");
        }
        self.end(os, status, text);
    }
}
