//! What happened, as plain data: an append-only list of small [`Event`]s, the packets they saw, and every version of
//! every table row. The picture, the inspector, the terminal's tables, the printed trace and the capture file are all
//! read from here; nothing is simulated again to show it.

mod addr_rows;
pub mod api_defaults;
mod api_rows;
mod api_status;
mod cilium_rows;
mod counters;
mod drop_reason;
mod event;
pub mod explain;
mod fault;
pub mod format;
mod hash;
mod inventory;
mod ipc_rows;
mod ipvs;
pub mod json;
mod log;
mod multipath;
mod names_rows;
mod netfilter;
mod netfilter_words;
mod nexthop_rows;
mod nft;
mod node_status;
mod object_rows;
mod pcapng;
pub mod pod_status;
mod process_rows;
mod proxy_rows;
mod route_rows;
mod rows;
mod rows_link;
pub mod rows_text;
mod rule_rows;
pub mod service_path;
mod service_rows;
mod sharing;
mod snmp;
mod socket_rows;
mod stp_timers;
mod surroundings;
mod tls_rows;
mod used_rows;
mod xfrm_rows;

pub use addr_rows::{AddrLifetime, AddrRow, FOREVER};
pub use api_rows::ObjectRow;
pub use api_status::started_at;
pub use cilium_rows::{CiliumChange, CtRow, PolicyKey, PolicyRow};
pub use counters::{Counters, QdiscCounters};
pub use drop_reason::DropReason;
pub use event::{Disposition, Event, EventKind, Hook, JourneyInfo, PacketType, Relation, Stream, Table};
pub use fault::{Fault, FaultRow, Netem, Place};
pub use format::{Selection, json, text};
pub use inventory::{Inventory, NetnsState};
pub use ipc_rows::{Ipc, IpcChange, IpcKind, IpcRow, Path, UnixRow, UseRow, WAYS, Way};
pub use ipvs::{
    Ipvs, IpvsChange, IpvsConnection, IpvsConnectionRow, IpvsState, RealServer, ServerKey, VirtualServerRow,
    protocol_word,
};
pub use log::Log;
pub use multipath::{FlowKeys, HashFields, Leg, NextHop, Within, select};
pub use names_rows::NamesRow;
pub use netfilter::{
    Chain, ChainRow, Clash, Connection, ConntrackRow, ConntrackStats, Netfilter, NetfilterChange, RuleRow,
    RuleState, SetMember, SetRow, TcpTracking, Tuple,
};
pub use nexthop_rows::{NexthopChange, NexthopRow, NexthopWay, Nexthops, group_text};
pub use nft::{NftChain, NftChainRow, NftChange, NftElementRow, NftRuleRow, NftSet, NftSetRow, NftTable};
pub use node_status::{KERNEL_RELEASE, KUBERNETES, NODE_MONITOR_GRACE};
pub use object_rows::{
    ConditionRow, ContainerRow, ContainerState, KubeEventRow, LastState, Made, NodeRow, PodPhase, PodRow,
    StepRow, Steps,
};
pub use pcapng::{pcapng, pcapng_of};
pub use process_rows::{ContainerRef, ProcessRow};
pub use proxy_rows::{ProxyChange, ProxyRow};
pub use route_rows::{RouteMetrics, RouteRow};
pub use rows::{
    BpfMap, BpfRow, ExceptionRow, FdbRow, LinkKind, LinkRow, NeighRow, NetnsRole, NetnsRow, Nud, PortRow,
    PortState, RouteKind, RouteProtocol, Scope, SysctlRow, TableChange,
};
pub use rows_link::{
    BridgeRow, Designated, IpvlanMode, LinkExtra, LinkFlags, MacvlanMode, Mirror, Mirrors, PortExtra,
    QdiscRow, TunnelRow, VlanRow,
};
pub use rule_rows::{FibRuleAction, FibRuleRow, ipproto_name};
pub use service_rows::{EndpointRow, ServiceChange, ServicePortRow, ServiceRow, SliceRow, SocketBalanced};
pub use sharing::{Shared, SharedLog};
pub use snmp::{Mib, Snmp, SnmpGroup, SnmpTables};
pub use socket_rows::{SocketRow, SocketState, SocketTimer, SocketTimerKind, TcpInfo, Transport};
pub use stp_timers::{StpClock, StpTimers};
pub use surroundings::Surroundings;
pub use tls_rows::{TlsEvent, TlsRow};
pub use used_rows::{Fdb, Neighbor};
pub use xfrm_rows::{
    Xfrm, XfrmChange, XfrmDirection, XfrmPolicyRow, XfrmStateRow, XfrmStateSeen, XfrmTemplate, esp_sa,
};

use crate::base::{ChangeId, EventId, JourneyId, OutputId, PacketId, ProcessId};
use crate::wire::Frame;
use std::sync::Arc;

/// Everything that happened, in order.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// The events, ordered by time, then by the order in which they came about. An [`EventId`] is an index here.
    pub events: Log<Event>,
    /// The packets that events refer to. A [`PacketId`] is an index here.
    pub packets: Log<Arc<Frame>>,
    /// Every version of every table row. A [`ChangeId`] is an index here.
    pub changes: Log<TableChange>,
    /// What processes wrote. An [`OutputId`] is an index here.
    pub outputs: Vec<Output>,
    /// Where each journey comes from. A [`JourneyId`] is an index here.
    pub journeys: Log<JourneyInfo>,
}

/// A piece of text that a process wrote to its terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Who wrote it.
    pub process: ProcessId,
    /// Where to.
    pub stream: Stream,
    /// What.
    pub text: String,
}

impl Trace {
    /// What a process has written since the event at this place, to all its streams. What its terminal shows of typed keys
    /// is not its own.
    pub fn written(&self, from: usize, process: ProcessId) -> String {
        let pieces = self.events.since(from).filter_map(|event| {
            let EventKind::Wrote(output) = event.kind else { return None };
            Some(&self.outputs[output.index()])
        });
        let own = pieces.filter(|piece| piece.process == process && piece.stream != Stream::Echo);
        own.map(|piece| piece.text.as_str()).collect()
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether nothing has happened yet.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The event `id`.
    pub fn event(&self, id: EventId) -> &Event {
        &self.events[id.index()]
    }

    /// The frame that `event` saw, if it saw one.
    pub fn frame_of(&self, event: &Event) -> Option<&Arc<Frame>> {
        event.packet.is_some().then(|| &self.packets[event.packet.index()])
    }

    /// The events of a journey before `id`, latest first.
    pub fn before(&self, id: EventId) -> impl Iterator<Item = &Event> {
        let event = self.event(id);
        let earlier = move |event: &&Event| {
            let cause = event.cause.is_some().then(|| self.event(event.cause))?;
            (cause.journey == event.journey).then_some(cause)
        };
        std::iter::successors(Some(event), earlier).skip(1)
    }

    /// The frame that an event is about: its own, or that of the step before, for decisions on the way store none.
    pub fn frame_at(&self, id: EventId) -> Option<&Arc<Frame>> {
        let own = self.frame_of(self.event(id));
        own.or_else(|| self.before(id).find_map(|event| self.frame_of(event)))
    }

    /// Whether `row`, which the event `id` was decided by, had only just come to be because of the same packet: the
    /// table was asked, and what it held before was not good enough.
    pub fn is_fresh(&self, id: EventId, row: ChangeId) -> bool {
        let cause = self.event(id).cause;
        let from = if cause.is_some() { cause.index() } else { id.index() };
        self.events.range(from..id.index()).any(|event| event.kind == EventKind::Changed(row))
    }

    /// The journey that all of this began with: the user's packet behind an ARP request, a reply or an error.
    pub fn root_of(&self, journey: JourneyId) -> JourneyId {
        let mut at = journey;
        while let Some(parent) = self.journeys[at.index()].parent {
            at = parent;
        }
        at
    }

    /// Adds an event and returns its number.
    pub fn push(&mut self, event: Event) -> EventId {
        let id = EventId(self.events.len() as u32);
        self.events.push(event);
        id
    }

    /// Stores a packet and returns its number.
    pub fn store(&mut self, frame: Arc<Frame>) -> PacketId {
        let id = PacketId(self.packets.len() as u32);
        self.packets.push(frame);
        id
    }

    /// Stores a version of a table row and returns its number. The caller adds the event that refers to it.
    pub fn record(&mut self, change: TableChange) -> ChangeId {
        let id = ChangeId(self.changes.len() as u32);
        self.changes.push(change);
        id
    }

    /// Stores a piece of output and returns its number.
    pub fn write(&mut self, output: Output) -> OutputId {
        let id = OutputId(self.outputs.len() as u32);
        self.outputs.push(output);
        id
    }

    /// Begins a journey and returns its number.
    pub fn begin(&mut self, info: JourneyInfo) -> JourneyId {
        let id = JourneyId(self.journeys.len() as u32);
        self.journeys.push(info);
        id
    }
}
