//! One thing that happened.

use super::DropReason;
use crate::base::{
    ChangeId, EventId, IfIndex, JourneyId, NetnsId, OutputId, PacketId, ProcessId, SimTime, SocketId,
};

/// An entry of the trace; 48 bytes. Fields that do not apply hold `NONE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// When.
    pub at: SimTime,
    /// Where: the namespace.
    pub netns: NetnsId,
    /// Where: the interface.
    pub ifindex: IfIndex,
    /// The packet as it was at this moment.
    pub packet: PacketId,
    /// Whose way through the network this is part of.
    pub journey: JourneyId,
    /// The event of the same journey just before, or for a journey's first event what gave rise to it.
    pub cause: EventId,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A process or the kernel itself made this packet here.
    Originated,
    /// The interface handed the frame over to its wire, tunnel or bridge (`dev_hard_start_xmit`): a tap shows it
    /// going out.
    Transmitted,
    /// The interface took the frame in (`__netif_receive_skb_core`): a tap shows it coming in.
    Received(PacketType),
    /// The packet passed a netfilter hook.
    Passed(Hook),
    /// A table was asked; the deciding row, or `ChangeId::NONE` where none fitted.
    Decided(Table, ChangeId),
    /// A row of a table came, changed or went.
    Changed(ChangeId),
    /// The packet waits for its next hop's address (`arp_queue`).
    Queued,
    /// The packet was put inside another; the new packet is the outer one.
    Encapsulated,
    /// The outer headers were taken off; the new packet is the inner one.
    Decapsulated,
    /// The journey is over.
    Ended(Disposition),
    /// A process wrote something.
    Wrote(OutputId),
    /// A process began.
    Started(ProcessId),
    /// A process ended, with its exit status.
    Exited(ProcessId, u8),
}

/// How the kernel classified a received frame (`skb->pkt_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PacketType {
    /// For this interface.
    Host,
    /// Broadcast.
    Broadcast,
    /// Multicast.
    Multicast,
    /// For somebody else: normal on a bridge port.
    OtherHost,
}

/// A netfilter hook (`enum nf_inet_hooks`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    /// `NF_INET_PRE_ROUTING`.
    Prerouting,
    /// `NF_INET_LOCAL_IN`.
    Input,
    /// `NF_INET_FORWARD`.
    Forward,
    /// `NF_INET_LOCAL_OUT`.
    Output,
    /// `NF_INET_POST_ROUTING`.
    Postrouting,
}

/// A table that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// The routing tables (`fib_lookup`).
    Fib,
    /// The neighbour table (`neigh_lookup`).
    Neighbor,
    /// A bridge's forwarding database. Without a row the frame is flooded.
    BridgeFdb,
    /// A VXLAN device's forwarding database.
    VxlanFdb,
    /// netfilter's chains: a rule that fitted the packet, or the policy of a chain.
    Netfilter,
    /// The tracked connections; without a row the packet belongs to none (`INVALID`).
    Conntrack,
    /// Virtual servers of IPVS and their connections.
    Ipvs,
    /// The maps of an eBPF program.
    Bpf,
    /// The queueing discipline at the way out: the row of its link.
    Qdisc,
    /// Policies and security associations of `IPsec`.
    Xfrm,
}

/// How a journey ended. Every journey has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// A socket took it.
    Delivered(SocketId),
    /// The kernel itself was the receiver: ARP, an echo request, an ICMP error.
    Consumed,
    /// It was lost, and this is why.
    Dropped(DropReason),
    /// It was cut into fragments, which travel on as journeys of their own.
    Fragmented,
    /// It was a fragment and became part of a whole packet.
    Reassembled,
    /// It ran into its own tail: forwarded until its TTL was used up.
    Loop,
}

/// Why a journey began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relation {
    /// A process sent it.
    Sent,
    /// It answers the parent (an echo reply, an ARP reply).
    Reply,
    /// It asks for an address that the parent needs (an ARP request).
    Resolution,
    /// It reports an error about the parent.
    Error,
    /// It is a copy of the parent made by flooding.
    Copy,
    /// It is a piece of the parent, or what the parent's pieces made.
    Fragment,
    /// Nothing asked for it: a gratuitous announcement, a neighbour check by a timer.
    Unasked,
}

/// Where a journey comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JourneyInfo {
    /// The journey that gave rise to this one.
    pub parent: Option<JourneyId>,
    /// In what way.
    pub relation: Relation,
    /// The process it is sent for, or `ProcessId::NONE`.
    pub process: ProcessId,
}

/// A process's output stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// What a terminal shows of what is typed at it (`ECHO`, `termios(3)`); no program has written it.
    Echo,
}

const _: () = assert!(size_of::<Event>() <= 64, "an event of the trace takes 64 bytes at most");
