//! Several URLs, one after the other, which may share a connection; and the bar of `-#`.

use super::{Curl, TIMER_CONNECT, TIMER_METER, TIMER_TOTAL, Url};
use crate::app::Os;
use crate::app::side::Side;
use crate::trace::Stream;

/// Columns of the bar without its figure, on a screen whose width is not known (`progressbarinit`).
const BAR: usize = 72;

/// A connection that stays open for the next transfer.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) side: Side,
    /// To where: scheme, host and port.
    to: (String, String, u16),
    /// Its number, counted from 1.
    number: u32,
}

fn end_of(url: &Url) -> (String, String, u16) {
    (url.scheme.clone(), url.host.clone(), url.port())
}

impl Curl {
    /// The number of the connection in use, as messages tell it.
    pub(super) fn connection(&self) -> u32 {
        self.opened.saturating_sub(1)
    }

    /// A transfer is over: whether another one follows, which has begun then.
    pub(super) fn goes_on(&mut self, os: &mut dyn Os) -> bool {
        let mut more = std::mem::take(&mut self.options.more);
        let Some((url, typed, output)) = more.pop_front() else { return false };
        for timer in [TIMER_METER, TIMER_TOTAL, TIMER_CONNECT] {
            os.cancel_timer(timer);
        }
        let mut kept = std::mem::take(&mut self.kept);
        if self.reusable {
            let side = self.side.clone();
            kept.push(Kept { side, to: end_of(&self.url), number: self.opened });
        } else {
            os.close(self.side.socket);
        }
        let options = super::CurlOptions { url, typed, more, output, ..self.options.clone() };
        let opened = self.opened;
        *self = Self { opened, kept, ..Self::new(options) };
        self.begin(os);
        true
    }

    /// Whether a connection of an earlier transfer is used again.
    pub(super) fn takes_kept(&mut self, os: &mut dyn Os) -> bool {
        let to = end_of(&self.url);
        let Some(at) = self.kept.iter().position(|kept| kept.to == to) else { return false };
        let mut kept = self.kept.remove(at);
        if kept.side.read(os).is_err() || kept.side.ended {
            // The server has closed it meanwhile.
            os.close(kept.side.socket);
            return false;
        }
        self.side = kept.side;
        self.opened = self.opened.max(kept.number);
        self.local = os.local_addr(self.side.socket);
        let now = os.now();
        self.moments.connected = Some(now);
        self.address = os.remote_addr(self.side.socket).map_or(self.address, |addr| *addr.ip());
        self.ask_again(os);
        true
    }

    /// Asks on a connection that is there already.
    pub(super) fn ask_again(&mut self, os: &mut dyn Os) {
        let host = &self.url.host;
        self.info(os, &format!("Re-using existing connection #{} with host {host}", self.connection()));
        self.ask(os);
    }

    /// The bar of a transfer that is complete.
    pub(super) fn draw_bar(&self, os: &mut dyn Os) {
        if self.options.bar && !self.is_screen(os) {
            let bar = if self.figures.received > 0 {
                format!("\r{} 100.0%", "#".repeat(BAR))
            } else {
                String::new()
            };
            os.write(Stream::Stderr, &format!("{bar}\n"));
        }
    }
}
