//! Why the kernel drops packets, in its own words (`include/net/dropreason-core.h`).

/// A reason for dropping a packet. The names are `SKB_DROP_REASON_*` in camel case; where Linux gives no reason or
/// one that is too coarse to explain anything, the name is ours and its text says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// `NO_SOCKET`: nobody listens.
    NoSocket,
    /// `OTHERHOST`: the frame was for another station.
    OtherHost,
    /// `IP_CSUM`, `IP_INHDR`: a bad header.
    IpInHdr,
    /// `IP_INHDR` in Linux: TTL used up on the way.
    TtlExceeded,
    /// `IP_INNOROUTES`: a packet to forward, and no route.
    IpInNoRoutes,
    /// `IP_OUTNOROUTES`: a local packet, and no route.
    IpOutNoRoutes,
    /// `IP_INADDRERRORS`: not for us, and forwarding is off.
    IpInAddrErrors,
    /// `IP_MARTIAN_SOURCE` and the like: an address that may not come from there.
    IpMartianSource,
    /// `IP_RPFILTER`: the way back leads elsewhere.
    IpRpFilter,
    /// A blackhole route decided it.
    Blackhole,
    /// A prohibit route decided it.
    Prohibit,
    /// An unreachable route decided it.
    Unreachable,
    /// `PKT_TOO_BIG`: larger than the MTU of the way out, and not to be fragmented.
    PktTooBig,
    /// `FRAG_REASM_TIMEOUT`: the missing fragments never came.
    FragReasmTimeout,
    /// `NEIGH_FAILED`: no answer to any ARP request.
    NeighFailed,
    /// `NEIGH_QUEUEFULL`: too many packets wait for that address.
    NeighQueueFull,
    /// `NEIGH_DEAD`: the neighbour entry was removed meanwhile.
    NeighDead,
    /// `DEV_READY`: the interface is not up.
    DevReady,
    /// The other end of the wire is down or gone (`NETDEV_TX` errors count it).
    NoCarrier,
    /// `NETFILTER_DROP`.
    NetfilterDrop,
    /// `ARP_PVLAN_DISABLE` and other silent ends of ARP: nothing here answers for that address.
    ArpIgnored,
    /// The bridge has no other port for it, or the port does not forward yet (`BRIDGE_INGRESS_STP_STATE`).
    BridgePortState,
    /// `BRIDGE_NO_EGRESS_PORT`: the only way out is the way in.
    BridgeNoEgressPort,
    /// `VXLAN_VNI_NOT_FOUND`.
    VxlanVniNotFound,
    /// `VXLAN_NO_REMOTE`: the forwarding database names no tunnel end for that address.
    VxlanNoRemote,
    /// `VXLAN_INVALID_HDR`.
    VxlanInvalidHdr,
    /// `UNHANDLED_PROTO`: no protocol takes it.
    UnhandledProto,
    /// Larger than the receiving interface takes: a veth drops what exceeds its own MTU.
    OversizeReceive,
    /// ICMP budget used up: the error was not sent (`icmp_ratelimit`).
    IcmpRateLimit,
    /// The receiver of this echo reply or error is gone.
    NoPingSocket,
    /// Tunnel inside itself: more than the kernel's limit of nested devices (`XMIT_RECURSION_LIMIT`).
    Recursion,
}
