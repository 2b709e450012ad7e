//! What goes into and comes out of a namespace: work to do, and the effects of having done it.

use super::fragment::FragmentKey;
use super::tcp::TcpTimer;
use super::{Delays, Nf, StpTimer, Woken};
use crate::base::{
    ChangeId, Duration, EventId, IfIndex, Ipv4Addr, JourneyId, NetnsId, PacketId, ProcessId, SimTime,
    SocketId,
};
use crate::trace::{
    Disposition, DropReason, Event, EventKind, JourneyInfo, Relation, Table, TableChange, Trace,
};
use crate::wire::Frame;
use std::sync::Arc;

/// A packet inside the kernel (`struct sk_buff`).
#[derive(Clone, Debug)]
pub struct Skb {
    /// The frame. Until the neighbour is known its addresses are zero.
    pub frame: Arc<Frame>,
    /// The frame as stored in the trace, or `NONE` since it changed.
    pub packet: PacketId,
    /// Its way through the network.
    pub journey: JourneyId,
    /// The last event of that way.
    pub cause: EventId,
    /// Size of the largest fragment this packet was put together from; 0 for none (`IPCB(skb)->frag_max_size`).
    pub frag_max: u16,
    /// The same, for as long as the packet still consists of those pieces (`frag_list`).
    pub frag_list: u16,
    /// Hash of the flow as the sending socket drew it; 0 where none did (`skb->hash`).
    pub hash: u32,
    /// Whether it shows that its sender hears from the far end, so that next hops on its way are confirmed: its sender's
    /// own, and those of every machine that it passes without having been on a cable (`skb->dst_pending_confirm`).
    pub confirms: bool,
    /// What netfilter keeps with it.
    pub nf: Nf,
    /// What routing decided beyond the way out.
    pub dst: Dst,
    /// Destination and SPI of the security association by which it came in (`skb_sec_path`).
    pub sec: Option<(Ipv4Addr, u32)>,
    /// How many devices of this machine have handed it to the next since it was made or came in
    /// (`dev_xmit_recursion`).
    pub nesting: u8,
}

/// What routing decided about a packet beyond the way out (`struct dst_entry`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dst {
    /// The host to hand it to, for devices without hardware addresses.
    pub next_hop: Option<Ipv4Addr>,
    /// Path MTU of a packet of this machine's own; 0 for the device's.
    pub mtu: u32,
    /// Whether it is what `IPsec` made, which no policy looks at again.
    pub transformed: bool,
    /// Whether it is to be delivered on this machine whatever its addresses, as what comes back to its sender
    /// (`rt->dst.input` is `ip_local_deliver`).
    pub delivered: bool,
    /// Whether its sender does not want to hear what it says to a group (`IP_MULTICAST_LOOP` is off).
    pub unheard: bool,
}

impl Skb {
    /// The frame, to be changed. It is copied if the trace or another packet shares it.
    pub fn frame_mut(&mut self) -> &mut Frame {
        self.packet = PacketId::NONE;
        Arc::make_mut(&mut self.frame)
    }
}

/// Work for a namespace.
#[derive(Clone, Debug)]
pub enum Work {
    /// A frame arrives at this interface.
    Receive(IfIndex, Skb),
    /// A frame is to leave by this interface.
    Transmit(IfIndex, Skb),
    /// A frame has waited long enough in this interface's queueing discipline, which had this number.
    Dequeue(IfIndex, u32, Skb),
    /// A proxy has waited long enough to answer this ARP request.
    ProxyArp(IfIndex, Skb),
    /// What this machine says to many by this interface comes back to it (`dev_loopback_xmit`).
    Loopback(IfIndex, Skb),
    /// A timer went off.
    Timer(Timer),
}

/// Timers of the kernel. A timer that was meanwhile set anew or is not needed any more is ignored when it goes off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// A neighbour entry's timer with the deadline it was set for.
    Neighbor(IfIndex, Ipv4Addr, SimTime),
    /// Fragments have waited long enough.
    Reassembly(FragmentKey),
    /// A TCP connection's timer with the deadline it was set for.
    Tcp(SocketId, TcpTimer, SimTime),
    /// The carrier of this interface changed.
    LinkWatch(IfIndex),
    /// A timer of the spanning tree, with the deadline it was set for.
    Stp(StpTimer, SimTime),
    /// The collector of connections comes by.
    Netfilter(SimTime),
    /// A bridge's collector comes by, with the moment it was set for.
    Ageing(IfIndex, SimTime),
    /// Addresses that are there for a time only are looked at, with the moment it was set for.
    AddrLifetimes(SimTime),
}

/// Whether a run may end before a piece of work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// A packet or a change under way.
    Now,
    /// A question that is still open: a neighbour being asked or about to be checked.
    Soon,
    /// Upkeep that nobody waits for.
    Background,
}

/// What a namespace wants done after a piece of work.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// Work for this namespace after a delay.
    pub later: Vec<(Duration, Urgency, Work)>,
    /// Frames for another namespace's interface after a delay.
    pub wire: Vec<(Duration, NetnsId, IfIndex, Skb)>,
    /// Sockets that have something to receive.
    pub readable: Vec<(ProcessId, SocketId)>,
    /// Processes to be woken for a TCP or UDP socket after a delay.
    pub wakes: Vec<(Duration, ProcessId, SocketId, Woken)>,
    /// Other ends of wires whose carrier changed.
    pub carrier: Vec<(NetnsId, IfIndex, bool)>,
}

/// What a namespace works with.
#[derive(Debug)]
pub struct Ctx<'a> {
    /// Simulated time.
    pub now: SimTime,
    /// Where everything that happens is written down.
    pub trace: &'a mut Trace,
    /// What is to be done afterwards.
    pub effects: &'a mut Effects,
    /// How long things take.
    pub delays: &'a Delays,
}

impl Ctx<'_> {
    /// Writes down what happened to a packet.
    pub(super) fn note(&mut self, at: (NetnsId, IfIndex), skb: &mut Skb, kind: EventKind) {
        if !skb.packet.is_some() && stores_packet(kind) {
            skb.packet = self.trace.store(skb.frame.clone());
        }
        skb.cause = self.trace.push(Event {
            at: self.now,
            netns: at.0,
            ifindex: at.1,
            packet: skb.packet,
            journey: skb.journey,
            cause: skb.cause,
            kind,
        });
    }

    /// Ends a packet's journey.
    pub(super) fn end(&mut self, at: (NetnsId, IfIndex), mut skb: Skb, disposition: Disposition) -> EventId {
        self.note(at, &mut skb, EventKind::Ended(disposition));
        skb.cause
    }

    /// Drops a packet.
    pub(super) fn drop(&mut self, at: (NetnsId, IfIndex), skb: Skb, reason: DropReason) {
        self.end(at, skb, Disposition::Dropped(reason));
    }

    /// Writes down that a table row came, changed or went.
    pub fn change(
        &mut self,
        netns: NetnsId,
        ifindex: IfIndex,
        cause: EventId,
        change: TableChange,
    ) -> ChangeId {
        let id = self.trace.record(change);
        self.trace.push(Event {
            at: self.now,
            netns,
            ifindex,
            packet: PacketId::NONE,
            journey: JourneyId::NONE,
            cause,
            kind: EventKind::Changed(id),
        });
        id
    }

    /// A new packet that `parent` gave rise to.
    pub(super) fn child(&mut self, parent: &Skb, relation: Relation, frame: Arc<Frame>) -> Skb {
        let process = self.trace.journeys[parent.journey.index()].process;
        let journey = self.trace.begin(JourneyInfo { parent: Some(parent.journey), relation, process });
        Skb {
            frame,
            packet: PacketId::NONE,
            journey,
            cause: parent.cause,
            frag_max: 0,
            frag_list: 0,
            dst: Dst::default(),
            nesting: parent.nesting,
            hash: 0,
            confirms: false,
            nf: Nf::default(),
            sec: None,
        }
    }

    /// A copy of a packet, which shares its bytes.
    pub(super) fn copy(&mut self, skb: &Skb) -> Skb {
        let child = self.child(skb, Relation::Copy, skb.frame.clone());
        Skb {
            packet: skb.packet,
            frag_max: skb.frag_max,
            frag_list: skb.frag_list,
            hash: skb.hash,
            confirms: skb.confirms,
            nf: skb.nf,
            dst: skb.dst,
            sec: skb.sec,
            ..child
        }
    }

    /// A new packet that no other packet gave rise to.
    pub(super) fn fresh(&mut self, relation: Relation, process: ProcessId, frame: Arc<Frame>) -> Skb {
        let journey = self.trace.begin(JourneyInfo { parent: None, relation, process });
        Skb {
            frame,
            packet: PacketId::NONE,
            journey,
            cause: EventId::NONE,
            frag_max: 0,
            frag_list: 0,
            dst: Dst::default(),
            nesting: 0,
            hash: 0,
            confirms: false,
            nf: Nf::default(),
            sec: None,
        }
    }

    /// Has this namespace do `work` after `after`.
    pub(super) fn later(&mut self, after: Duration, urgency: Urgency, work: Work) {
        self.effects.later.push((after, urgency, work));
    }
}

/// Only what a person steps to stores its packet; what happens in between shows the packet of the step before.
fn stores_packet(kind: EventKind) -> bool {
    match kind {
        EventKind::Originated
        | EventKind::Transmitted
        | EventKind::Received(_)
        | EventKind::Queued
        | EventKind::Encapsulated
        | EventKind::Decapsulated
        // Counters are folded from the packets that rules fitted.
        | EventKind::Decided(Table::Netfilter | Table::Ipvs | Table::Qdisc | Table::Xfrm, _)
        | EventKind::Ended(_) => true,
        EventKind::Passed(_)
        | EventKind::Decided(..)
        | EventKind::Changed(_)
        | EventKind::Wrote(_)
        | EventKind::Started(_)
        | EventKind::Exited(..) => false,
    }
}
