//! The trace for reading: as text with indented reasons, and as JSON (see [`mod@super::json`] for its shape).
//!
//! ```text
//! 0.000012  node1/veth1234  ← in   IP 10.244.1.10 > 10.244.2.10: ICMP echo request, id 7, seq 1, length 64
//!             route 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink (longest prefix /24 of 2 that fit)
//! ```
//! A line with a time is a frame at an interface, a packet being made, or a journey's end; the lines below it say what
//! was decided then, with the row that decided as the real tool prints it.

use super::explain;
use super::netfilter;
use super::rows_text::{self, FdbStyle, RouteStyle};
use super::{
    BpfRow, Disposition, Event, EventKind, LinkRow, Nud, PortState, RouteRow, Surroundings, Table,
    TableChange, Trace,
};
use crate::base::words::{self, Lang};
use crate::base::{ChangeId, EventId, IfIndex, JourneyId, NetnsId, ProcessId, SimTime};
use crate::wire::{Frame, Inner, Ipv4};
use std::fmt::Write;
use std::ops::Range;

pub use super::json::json;

/// Which events of a trace are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Events by number. Times are counted from the first of them.
    pub range: Range<usize>,
    /// Only what this process caused; `None` for everything.
    pub process: Option<ProcessId>,
}

impl From<Range<usize>> for Selection {
    fn from(range: Range<usize>) -> Self {
        Self { range, process: None }
    }
}

impl From<&Selection> for Selection {
    fn from(selection: &Selection) -> Self {
        selection.clone()
    }
}

impl Selection {
    /// Everything in the trace.
    pub fn all(trace: &Trace) -> Self {
        Self { range: 0..trace.len(), process: None }
    }

    /// The events selected, in order.
    pub fn events<'a>(&'a self, trace: &'a Trace) -> impl Iterator<Item = (EventId, &'a Event)> {
        let range = self.range.start..self.range.end.min(trace.len());
        range
            .map(|index| EventId(index as u32))
            .map(|id| (id, trace.event(id)))
            .filter(|(_, event)| self.has(trace, event))
    }

    /// The moment that times are counted from.
    pub fn began(&self, trace: &Trace) -> SimTime {
        trace.events.get(self.range.start).map_or(SimTime::ZERO, |event| event.at)
    }

    fn has(&self, trace: &Trace, event: &Event) -> bool {
        let Some(process) = self.process else { return true };
        match event.kind {
            EventKind::Started(other) | EventKind::Exited(other, _) => other == process,
            EventKind::Wrote(output) => trace.outputs[output.index()].process == process,
            EventKind::Originated
            | EventKind::Transmitted
            | EventKind::Received(_)
            | EventKind::Passed(_)
            | EventKind::Decided(..)
            | EventKind::Changed(_)
            | EventKind::Queued
            | EventKind::Encapsulated
            | EventKind::Decapsulated
            | EventKind::Ended(_) => is_for(trace, journey_of(trace, event), process),
        }
    }
}

/// The journey that an event belongs to: a row changes because of a packet without being part of its journey.
fn journey_of(trace: &Trace, event: &Event) -> JourneyId {
    if event.journey.is_some() || !event.cause.is_some() {
        event.journey
    } else {
        trace.event(event.cause).journey
    }
}

fn is_for(trace: &Trace, journey: JourneyId, process: ProcessId) -> bool {
    journey.is_some()
        && (trace.journeys[journey.index()].process == process
            || trace.journeys[trace.root_of(journey).index()].process == process)
}

/// The selected events as text.
pub fn text(trace: &Trace, selection: impl Into<Selection>) -> String {
    let selection = selection.into();
    let mut writer = Writer {
        trace,
        around: Surroundings::default(),
        began: selection.began(trace),
        head: (JourneyId::NONE, NetnsId::NONE),
        out: String::new(),
    };
    for (id, event) in selection.events(trace) {
        writer.around.advance(trace, id.index() + 1);
        writer.event(id, event);
    }
    writer.out
}

struct Writer<'a> {
    trace: &'a Trace,
    around: Surroundings,
    began: SimTime,
    /// Journey and namespace of the last line with a time: reasons of others name their place.
    head: (JourneyId, NetnsId),
    out: String,
}

impl Writer<'_> {
    fn event(&mut self, id: EventId, event: &Event) {
        match event.kind {
            EventKind::Originated => self.head(event, "* new"),
            EventKind::Transmitted => self.head(event, "→ out"),
            EventKind::Received(_) => self.head(event, "← in"),
            EventKind::Ended(disposition) => self.ended(event, disposition),
            EventKind::Decided(table, row) => {
                let reason = decision(self.trace, &self.around, id, table, row);
                self.reason(event, &reason);
            }
            EventKind::Queued => self.reason(event, "queued until ARP is answered"),
            EventKind::Encapsulated => self.frame_reason(event, "encapsulated"),
            EventKind::Decapsulated => self.frame_reason(event, "decapsulated"),
            EventKind::Changed(change) => {
                let change = &self.trace.changes[change.index()];
                if let TableChange::Step(row) = change {
                    let text = explain::step_text(row, Lang::En);
                    self.line(
                        event,
                        "# step",
                        &format!("{}/{} {}: {text}", row.namespace, row.pod, row.number),
                    );
                } else if let TableChange::Names(row) = change {
                    let text = words::text(Lang::En, row.did, &row.args);
                    self.line(event, "# dns", &format!("{} {}: {text}", row.question, row.plugin));
                } else if let TableChange::Tls(row) = change {
                    self.line(event, "# tls", &row.to_string());
                } else if let Some(row) = row_text(&self.around, change) {
                    self.reason(event, &format!("changed: {row}"));
                }
            }
            EventKind::Wrote(output) => self.wrote(event, &self.trace.outputs[output.index()].text),
            EventKind::Exited(_, status) => self.line(event, "= exit", &status.to_string()),
            // A hook that only lets pass decides nothing, and the beginning of the command is where time begins.
            EventKind::Passed(_) | EventKind::Started(_) => {}
        }
    }

    fn line(&mut self, event: &Event, sign: &str, text: &str) {
        let time = SimTime(event.at.since(self.began).0);
        let place = self.around.place(event.netns, event.ifindex);
        let line = format!("{time}  {place:<22} {sign:<6} {text}");
        self.out.push_str(line.trim_end());
        self.out.push('\n');
        self.head = (event.journey, event.netns);
    }

    fn head(&mut self, event: &Event, sign: &str) {
        let frame = self.trace.frame_of(event).map_or_else(String::new, |frame| frame_text(frame));
        self.line(event, sign, &frame);
    }

    fn reason(&mut self, event: &Event, reason: &str) {
        let place = if self.head == (journey_of(self.trace, event), event.netns) {
            String::new()
        } else {
            format!("[{}] ", self.around.place(event.netns, event.ifindex))
        };
        writeln!(self.out, "            {place}{reason}").expect("writing to a string does not fail");
    }

    fn frame_reason(&mut self, event: &Event, what: &str) {
        let Some(frame) = self.trace.frame_of(event) else { return };
        let reason = format!("{what}: {} bytes", frame.wire_len());
        self.reason(event, &reason);
    }

    fn ended(&mut self, event: &Event, disposition: Disposition) {
        match disposition {
            Disposition::Dropped(reason) => {
                let why = words::word(Lang::En, reason.key());
                self.line(event, "× drop", &format!("{}: {why}", reason.name()));
            }
            Disposition::Delivered(_) => self.reason(event, "delivered to a socket"),
            Disposition::Consumed => self.reason(event, "taken in by the kernel"),
            Disposition::Fragmented => self.reason(event, "cut into fragments"),
            Disposition::Reassembled => self.reason(event, "reassembled with the other fragments"),
            Disposition::Loop => {
                self.line(event, "× loop", "forwarded in a circle until the TTL was used up");
            }
        }
    }

    fn wrote(&mut self, event: &Event, text: &str) {
        for line in text.lines() {
            self.line(event, "| text", line);
        }
    }
}

/// The frame's line, with what tcpdump tells only with `-v` where it matters: TTL, DF, fragments. Inside a tunnel they
/// are those of the packet inside.
fn frame_text(frame: &Frame) -> String {
    // A tunnel whose frame holds no IPv4 packet, as with ARP inside, shows none.
    let mut packet = frame.inner_ipv4();
    while let Some(inner) = packet.and_then(Ipv4::tunneled) {
        packet = match inner {
            Inner::Frame(frame) => frame.inner_ipv4(),
            Inner::Ipv4(packet) => Some(packet),
        };
    }
    match packet {
        Some(packet) => format!("{frame} ({})", ipv4_marks(packet)),
        None => frame.to_string(),
    }
}

fn ipv4_marks(packet: &Ipv4) -> String {
    let df = if packet.dont_fragment { ", DF" } else { "" };
    let fragment = if packet.is_fragment() {
        let more = if packet.more_fragments { "+" } else { "" };
        format!(", frag id {} offset {}{more}", packet.id, u32::from(packet.fragment_offset) * 8)
    } else {
        String::new()
    };
    format!("ttl {}{df}{fragment}", packet.ttl)
}

/// A decision as a phrase: the row that decided, and why it was that one.
fn decision(trace: &Trace, around: &Surroundings, id: EventId, table: Table, row: ChangeId) -> String {
    let change = row.is_some().then(|| &trace.changes[row.index()]);
    let event = trace.event(id);
    let frame = trace.frame_at(id);
    let dst = frame.map_or_else(String::new, |frame| frame.dst.to_string());
    match (table, change) {
        (Table::Fib, Some(TableChange::Route(row) | TableChange::RouteBefore(row))) => {
            format!(
                "route {}{}",
                route_line(around, row),
                rank(around, event, frame.map(|frame| &**frame), row)
            )
        }
        (Table::Fib, Some(TableChange::FibRule(row))) => format!("rule {row}"),
        (Table::Fib, _) => "no route fits".to_string(),
        (Table::Neighbor, Some(TableChange::Neigh(entry)))
            if entry.state == Nud::Incomplete && trace.is_fresh(id, row) =>
        {
            format!("no usable neighbor entry for {}: ARP has to ask", entry.addr)
        }
        (Table::Neighbor, None) => "no neighbor entry: ARP has to ask".to_string(),
        (Table::Qdisc, Some(TableChange::Link(row))) => {
            row.extra.qdisc.map_or_else(String::new, |qdisc| qdisc.to_string())
        }
        (_, Some(row)) => row_text(around, row).unwrap_or_default(),
        (Table::BridgeFdb, None) if frame.is_some_and(|frame| frame.dst.is_multicast()) => {
            format!("{dst} is for more than one: flooded to all ports")
        }
        (Table::BridgeFdb, None) => format!("fdb has no entry for {dst}: flooded to all ports"),
        (Table::Xfrm, None) => "no policy fits".to_string(),
        (Table::Qdisc, None) => "no queueing discipline".to_string(),
        (Table::Bpf, None) => "no eBPF map has it: up to the stack".to_string(),
        (Table::VxlanFdb, None) => format!("fdb names no tunnel end for {dst}"),
        (Table::Netfilter, None) => "no rule fits".to_string(),
        (Table::Ipvs, None) => "no virtual server has it".to_string(),
        (Table::Conntrack, None) => "belongs to no connection (INVALID)".to_string(),
    }
}

fn bpf_line(around: &Surroundings, row: &BpfRow) -> String {
    rows_text::bpf(row, &around.ifname(row.netns, row.ifindex))
}

/// Why a route won: the longest prefix of those that fit.
fn rank(around: &Surroundings, event: &Event, frame: Option<&Frame>, row: &RouteRow) -> String {
    let dst = frame.and_then(Frame::ipv4).map(|packet| packet.dst).filter(|dst| row.dst.contains(dst));
    let tos = frame.and_then(Frame::ipv4).map_or(row.tos, |packet| packet.tos);
    let fitting = around.fitting_routes(event.netns, dst.unwrap_or(row.dst.addr()), tos);
    let rivals = fitting.iter().filter(|rival| rival.table == row.table && rival.is_head()).count();
    let among = row.leg.map_or_else(String::new, |leg| {
        format!(" (next hop {} of {} by the flow's hash)", leg.at + 1, leg.of)
    });
    let rank = match (row.table, rivals, row.dst.prefix_len()) {
        (255, _, _) => " (local table)".to_string(),
        (_, 0 | 1, _) => " (the only one that fits)".to_string(),
        (_, rivals, len) => format!(" (longest prefix /{len} of {rivals} that fit)"),
    };
    rank + &among
}

fn route_line(around: &Surroundings, row: &RouteRow) -> String {
    let name = |ifindex| around.ifname(row.netns, ifindex);
    rows_text::route(row, &name, RouteStyle::default()).trim_end().to_string()
}

fn link_line(row: &LinkRow) -> String {
    let state = if row.up { "up" } else { "down" };
    let port = match row.port.map(|port| port.state) {
        None | Some(PortState::Disabled | PortState::Forwarding) => String::new(),
        Some(state) => format!(" state {}", rows_text::port_state(state)),
    };
    let qdisc = row.extra.qdisc.map_or_else(String::new, |qdisc| format!(" {qdisc}"));
    let cut = if row.extra.cut { " cable cut" } else { "" };
    format!("link {} {state} mtu {}{port}{cut}{qdisc}", row.name, row.mtu)
}

/// Gives the names of a namespace's interfaces.
fn names_in(around: &Surroundings, netns: NetnsId) -> impl Fn(IfIndex) -> String {
    move |ifindex| around.ifname(netns, ifindex).to_string()
}

/// A row of a network table as the real tool prints it, with the table's name before it; `None` for other rows.
pub(super) fn row_text(around: &Surroundings, change: &TableChange) -> Option<String> {
    Some(match change {
        TableChange::Route(row) => format!("route {}", route_line(around, row)),
        TableChange::RouteBefore(row) => format!("route before others {}", route_line(around, row)),
        TableChange::Netfilter(change) => netfilter::row_line(change)?,
        TableChange::RouteLeg(row) => format!("next hop {}", route_line(around, row)),
        TableChange::RouteGone(row) => format!("route gone {}", route_line(around, row)),
        TableChange::FibRule(row) => format!("rule {row}"),
        TableChange::FibRuleGone(row) => format!("rule gone {row}"),
        TableChange::Proxy(change) => format!("neighbor {}", change.text(names_in(around, change.netns()))),
        TableChange::Nexthop(change) => format!("nexthop {}", change.text(names_in(around, change.netns()))),
        TableChange::Neigh(row) => {
            let name = |ifindex| around.ifname(row.netns, ifindex);
            format!("neighbor {}", rows_text::neigh(row, &name, "").trim_end())
        }
        TableChange::NeighGone(netns, ifindex, addr) => {
            format!("neighbor gone {addr} dev {}", around.ifname(*netns, *ifindex))
        }
        TableChange::Fdb(row) | TableChange::FdbGone(row) => {
            let gone = if matches!(change, TableChange::FdbGone(_)) { "gone " } else { "" };
            let name = |ifindex| around.ifname(row.netns, ifindex);
            format!("fdb {gone}{}", rows_text::fdb(row, &name, FdbStyle::default()).trim_end())
        }
        TableChange::Vlan(row) => {
            format!("vlan {} dev {}", rows_text::vlan(row), around.ifname(row.netns, row.ifindex))
        }
        TableChange::VlanGone(netns, ifindex, vlan) => {
            format!("vlan gone {vlan} dev {}", around.ifname(*netns, *ifindex))
        }
        TableChange::Addr(row) => {
            format!("address {} dev {}", row.text(), around.ifname(row.netns, row.ifindex))
        }
        TableChange::AddrGone(row) => {
            format!("address gone {} dev {}", row.text(), around.ifname(row.netns, row.ifindex))
        }
        TableChange::Link(row) => link_line(row),
        TableChange::LinkGone(netns, ifindex) => format!("link gone {}", around.ifname(*netns, *ifindex)),
        TableChange::Exception(row) => rows_text::exception(row),
        TableChange::Bpf(row) => bpf_line(around, row),
        TableChange::BpfGone(row) => format!("gone: {}", bpf_line(around, row)),
        TableChange::Cilium(change) => {
            let line = change.text(|ifindex| around.ifname(change.netns(), ifindex));
            if change.is_gone() { format!("gone: {line}") } else { line }
        }
        TableChange::Sysctl(row) => format!("sysctl {} = {}", row.key, row.value),
        TableChange::Socket(row) => format!("socket {}", rows_text::socket(row)),
        TableChange::Xfrm(change) => change.to_string(),
        TableChange::Ipc(change) => change.to_string(),
        TableChange::Service(change) => change.to_string(),
        TableChange::SocketGone(_, socket) => format!("socket gone #{}", socket.0),
        TableChange::Netns(_)
        | TableChange::NetnsGone(_)
        | TableChange::Node(_)
        | TableChange::NodeGone(_)
        | TableChange::Pod(_)
        | TableChange::PodGone(..)
        | TableChange::Object(_)
        | TableChange::ObjectGone(_)
        | TableChange::KubeEvent(_)
        | TableChange::Step(_)
        | TableChange::Names(_)
        | TableChange::Tls(_)
        | TableChange::Process(_)
        | TableChange::ProcessGone(_)
        | TableChange::Fault(_)
        | TableChange::FaultGone(_) => return None,
    })
}
