//! What `curl` does beside one transfer: addresses given by hand (`--resolve`), and another try (`--retry`).

use super::{Curl, Figures, TIMER_AGAIN, TIMER_CONNECT, TIMER_METER, TIMER_TOTAL, code};
use crate::app::{Os, dial};
use crate::base::{Duration, Ipv4Addr};
use crate::trace::Stream;
use std::fmt::Write as _;

/// Longest pause between two tries, in seconds (`RETRY_SLEEP_MAX`).
const PAUSE_SECS_MAX: u64 = 600;
/// Columns that a warning fills before it is broken (`voutf`).
const WARNING_WIDTH: usize = 79;

/// An entry of `--resolve`; `None` if it cannot be read.
fn entry(text: &str) -> Option<(&str, u16, Ipv4Addr)> {
    let text = text.trim_start_matches('+');
    let (host, rest) = text.split_once(':')?;
    let (port, addresses) = rest.split_once(':')?;
    Some((host, port.parse().ok()?, addresses.split(',').next()?.parse().ok()?))
}

/// A warning, broken at blanks as the tool breaks it.
fn warning(text: &str) -> String {
    const HEAD: &str = "Warning: ";
    let width = WARNING_WIDTH - HEAD.len();
    let mut out = String::new();
    let mut rest = text;
    // The line's end counts too.
    while rest.len() >= width {
        let cut = rest[..width].rfind(' ').map_or(width, |at| at + 1);
        let _ = writeln!(out, "{HEAD}{}", &rest[..cut]);
        rest = &rest[cut..];
    }
    out + &format!("{HEAD}{rest}\n")
}

impl Curl {
    /// Reads the entries of `--resolve`; whether all could be read.
    pub(super) fn read_entries(&mut self, os: &mut dyn Os) -> bool {
        for text in self.options.resolve.clone() {
            if entry(&text).is_none() {
                if let Some(address) = text.splitn(3, ':').nth(2) {
                    self.info(os, &format!("Resolve address '{address}' found illegal"));
                }
                let text = format!("Couldn't parse CURLOPT_RESOLVE entry '{text}'");
                self.info(os, &text);
                self.fail_quietly(os, code::SETOPT, &text);
                return false;
            }
            self.info(os, &format!("Added {} to DNS cache", text.trim_start_matches('+')));
        }
        true
    }

    /// The server's address: from an entry, or looked up.
    pub(super) fn server(&self, os: &mut dyn Os) -> Option<Ipv4Addr> {
        let (host, port) = (&self.url.host, self.url.port());
        let entries = self.options.resolve.iter().filter_map(|text| entry(text));
        let given = entries.rev().find(|(name, wanted, _)| (*name == "*" || name == host) && *wanted == port);
        if let Some((_, _, address)) = given {
            self.info(os, &format!("Hostname {host} was found in DNS cache"));
            return Some(address);
        }
        dial::address_of(os, host)
    }

    /// After a transfer that ended so: whether it is tried again, after a pause.
    pub(super) fn tries_again(&mut self, os: &mut dyn Os, status: u8) -> bool {
        let retry = &self.options.retry;
        let response = self.head.status().unwrap_or(0);
        let left = retry.count.saturating_sub(self.tries);
        let Some(reason) = retry.reason(status, response, self.refused).filter(|_| left > 0) else {
            return false;
        };
        let pause = match retry.delay_secs {
            0 => (1 << self.tries.min(10)).min(PAUSE_SECS_MAX),
            secs => secs,
        };
        if retry.time_max_secs > 0 && self.took(os).as_ms() / 1000 + pause > retry.time_max_secs {
            return false;
        }
        if !self.options.silent {
            let text = format!("Problem {reason}. Will retry in {pause} seconds. {left} retries left.");
            os.write(Stream::Stderr, &warning(&text));
        }
        self.tries += 1;
        for timer in [TIMER_METER, TIMER_TOTAL, TIMER_CONNECT] {
            os.cancel_timer(timer);
        }
        os.close(self.side.socket);
        os.set_timer(TIMER_AGAIN, Duration::from_secs(pause));
        true
    }

    /// The next try begins as the first did, but without the meter's head.
    pub(super) fn try_again(&mut self, os: &mut dyn Os) {
        let options = self.options.clone();
        let (tries, line, opened) = (self.tries, std::mem::take(&mut self.line), self.opened);
        let kept = std::mem::take(&mut self.kept);
        *self = Self { line, opened, kept, tries, ..Self::new(options) };
        self.figures = Figures::default();
        self.begin(os);
    }

    /// `-D`: the head to a file, or before the content; `false` where there can be no such file. The words are later
    /// versions': 7.88.1 itself ends by a memory fault there.
    pub(super) fn dump_head(&mut self, os: &mut dyn Os, raw: &str) -> bool {
        match self.options.dump_header.as_deref() {
            Some("-") => os.write(Stream::Stdout, raw),
            Some(path) => {
                let written = os.write_file(path, raw.as_bytes());
                if written.is_err() && !self.options.silent {
                    os.write(Stream::Stderr, &format!("Warning: Failed to open {path}\n"));
                }
                return written.is_ok();
            }
            None => {}
        }
        true
    }
}
