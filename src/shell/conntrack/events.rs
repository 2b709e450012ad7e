//! `conntrack -E`: what becomes of connections, as it happens.

use super::{Filter, Form, Order, Stop, VERSION, id, usage};
use crate::app::{Os, Process, Wake};
use crate::base::{Duration, SimTime};
use crate::shell::Command;
use crate::shell::out::{Out, not_simulated, refuse};
use crate::trace::{Connection, ConntrackRow, NetfilterChange, Stream};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The timer with which the kernel tells of events.
const TIMER_EVENTS: u32 = 1;

/// The kernel's tick at 250 Hz.
const TICK: Duration = Duration::from_ms(4);

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    New,
    Update,
    Destroy,
}

/// A `conntrack` that waits for events.
#[derive(Clone, Debug)]
struct Events {
    filter: Filter,
    form: Form,
    mask: [bool; 3],
    /// Connections as they were last heard of, and when.
    known: BTreeMap<u32, (ConntrackRow, SimTime)>,
    shown: u32,
}

/// The kinds that `-e` names.
pub(super) fn mask(value: &str) -> Result<[bool; 3], Stop> {
    let mut mask = [false; 3];
    for name in value.split(',') {
        match name.to_ascii_uppercase().as_str() {
            "ALL" => mask = [true; 3],
            "NEW" => mask[0] = true,
            "UPDATES" => mask[1] = true,
            "DESTROY" => mask[2] = true,
            _ => return usage(format!("Bad parameter `{name}'")),
        }
    }
    Ok(mask)
}

/// Waits for events of connections, of which these are there already.
pub(super) fn watch<'a>(order: &Order, all: impl Iterator<Item = &'a Connection>) -> Command {
    let form = order.form;
    if form.xml || form.save {
        let (text, status) = not_simulated("conntrack", if form.xml { "-E -o xml" } else { "-E -o save" });
        return refuse(text, status);
    }
    let known = all.map(|of| (of.row.id, (of.row, of.seen))).collect();
    let (filter, mask) = (order.filter.clone(), order.mask.unwrap_or([true; 3]));
    Command::process(Events { filter, form, mask, known, shown: 0 }, Out::default())
}

/// The connection that a change is about.
fn id_of(change: &NetfilterChange) -> Option<u32> {
    if let NetfilterChange::Conntrack(row) = change {
        return Some(row.id);
    }
    if let NetfilterChange::ConntrackGone(_, id) = change { Some(*id) } else { None }
}

impl Events {
    fn take(&mut self, os: &mut dyn Os) {
        let mut out = String::new();
        let changes = os.take_connections();
        for (index, (at, change)) in changes.iter().enumerate() {
            let Some((kind, row, left)) = self.event(*at, change) else { continue };
            // Of what one packet does to a connection, the kernel tells the outcome (`nf_ct_deliver_cached_events`).
            let of_same =
                |(later, other): &(SimTime, NetfilterChange)| later == at && id_of(other) == Some(row.id);
            if kind == Kind::Update && changes[index + 1..].iter().any(of_same) {
                continue;
            }
            let at = *at;
            if self.mask[kind as usize] && self.filter.fits(&row) {
                self.shown += 1;
                out += &self.line((kind, at), &row, left);
            }
        }
        os.write(Stream::Stdout, &out);
    }

    /// What a change of the table says, and how many seconds the connection has left.
    fn event(&mut self, at: SimTime, change: &NetfilterChange) -> Option<(Kind, ConntrackRow, u64)> {
        if let NetfilterChange::Conntrack(row) = change {
            let before = self.known.insert(row.id, (*row, at));
            // A time-out alone is not told.
            let timeout = row.timeout;
            let is_told = before.is_none_or(|(before, _)| ConntrackRow { timeout, ..before } != *row);
            let kind = if before.is_some() { Kind::Update } else { Kind::New };
            return is_told.then_some((kind, *row, timeout.as_secs()));
        }
        let NetfilterChange::ConntrackGone(_, id) = change else { return None };
        let (row, seen) = self.known.remove(id)?;
        // The kernel counts in ticks, so one that has just begun is not over.
        let left = (seen + row.timeout + TICK).since(at + Duration::from_ns(1));
        Some((Kind::Destroy, row, left.as_secs()))
    }

    fn line(&self, (kind, at): (Kind, SimTime), row: &ConntrackRow, left: u64) -> String {
        let mut out = String::new();
        if self.form.timestamp {
            let _ = write!(out, "[{}.{:06}]\t", at.unix_secs(), at.0 % 1_000_000_000 / 1000);
        }
        out += match kind {
            Kind::New => "    [NEW] ",
            Kind::Update => " [UPDATE] ",
            Kind::Destroy => "[DESTROY] ",
        };
        // What ran out has no time left to tell of.
        let left = if kind == Kind::Destroy && left == 0 { String::new() } else { format!("{left} ") };
        let line = row.line(if self.form.extended { "ipv4     2 " } else { "" }, &left);
        // Use counts and marks that are not set are told by lists alone.
        out += line.rsplit_once("mark=").map_or(&*line, |(before, _)| before.trim_end());
        if row.mark != 0 {
            let _ = write!(out, " mark={}", row.mark);
        }
        if self.form.id {
            let _ = write!(out, " id={}", id(row));
        }
        out + "\n"
    }
}

impl Process for Events {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => os.watch_connections(TIMER_EVENTS),
            Wake::Timer(_) => self.take(os),
            Wake::Interrupt | Wake::Terminate => {
                self.take(os);
                let text = format!("{VERSION}: {} flow events have been shown.\n", self.shown);
                os.write(Stream::Stderr, &text);
                os.exit(0);
            }
            Wake::Readable(_) | Wake::Writable(_) | Wake::Input => {}
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }

    fn handles_termination(&self) -> bool {
        true
    }
}
