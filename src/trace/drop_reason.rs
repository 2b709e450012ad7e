//! Why the kernel drops packets, in its own words (`include/net/dropreason-core.h`).

/// A reason for dropping a packet. The names are `SKB_DROP_REASON_*` in camel case; where Linux gives no reason or
/// one that is too coarse to explain anything, the name is ours and its text says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// `NO_SOCKET`: nobody listens.
    NoSocket,
    /// `TCP_CSUM`: a bad TCP checksum.
    TcpCsum,
    /// `UDP_CSUM`: a bad UDP checksum.
    UdpCsum,
    /// `SOCKET_RCVBUFF`: the receive buffer is full.
    SocketRcvbuff,
    /// `TCP_OLD_DATA`: only data that was received before.
    TcpOldData,
    /// `TCP_ABORT_ON_DATA`: data for a process that is gone.
    TcpAbortOnData,
    /// `TCP_ZEROWINDOW`: data although the window is closed.
    TcpZerowindow,
    /// `TCP_OVERWINDOW`: data beyond the window.
    TcpOverwindow,
    /// `TCP_INVALID_SEQUENCE`: a sequence number outside the window.
    TcpInvalidSequence,
    /// `TCP_INVALID_ACK_SEQUENCE`: an acknowledgment that does not fit the SYN.
    TcpInvalidAck,
    /// `TCP_ACK_UNSENT_DATA`: an acknowledgment of what was never sent.
    TcpAckUnsentData,
    /// `TCP_OLD_ACK`: an acknowledgment long outdated.
    TcpOldAck,
    /// `TCP_RESET`: a reset, which ended the connection.
    TcpReset,
    /// `TCP_CLOSE`: the connection is closed here.
    TcpClose,
    /// `TCP_FLAGS`: flags that do not fit the state.
    TcpFlags,
    /// `TCP_RFC7323_PAWS`: a timestamp older than one seen before.
    TcpRfc7323Paws,
    /// `TCP_LISTEN_OVERFLOW`: too many connections wait for `accept`.
    TcpListenOverflow,
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
    /// `IP_INVALID_SOURCE` and the like: an address that may not come from there.
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
    /// `NETFILTER_DROP` too: another packet of its connection was tracked first (`insert_failed`).
    ConntrackClash,
    /// `ARP_PVLAN_DISABLE` and other silent ends of ARP: nothing here answers for that address.
    ArpIgnored,
    /// The bridge has no other port for it, or the port does not forward yet (`BRIDGE_INGRESS_STP_STATE`).
    BridgePortState,
    /// `NO_TX_TARGET`: the only way out is the way in.
    BridgeNoEgressPort,
    /// `VXLAN_VNI_NOT_FOUND`.
    VxlanVniNotFound,
    /// `NO_TX_TARGET`, before Linux 6.14 `VXLAN_NO_REMOTE`: the forwarding database names no tunnel end for that address.
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
    /// A tunnel without a fixed other end, and no route that names a next hop (`tx_fifo_errors`).
    TunnelNoRemote,
    /// No tunnel here is for packets from that address with that key.
    NoTunnel,
    /// The tunnel wants a checksum and there is none, or the other way round (`rx_crc_errors`).
    GreChecksum,
    /// The tunnel wants sequence numbers in order (`rx_fifo_errors`).
    GreSequence,
    /// A dummy device swallows everything.
    DummyDevice,
    /// The bridge port is no member of that VLAN (`br_allowed_ingress`).
    VlanFilter,
    /// No entry of the endpoint's policy map admits it (`DROP_POLICY`).
    PolicyDenied,
    /// The macvlan device does not talk to that address.
    MacvlanNoTarget,
    /// No ipvlan device has that address.
    IpvlanNoTarget,
    /// `XfrmInNoStates`: no security association has that SPI.
    XfrmInNoStates,
    /// `XfrmInStateProtoError`: the integrity check failed, as with a wrong key.
    XfrmInStateProtoError,
    /// `XfrmInStateSeqError`: the sequence number was seen before or is too old.
    XfrmInStateSeqError,
    /// `XfrmInTmplMismatch`: a policy wants the packet encrypted, and it was not.
    XfrmInTmplMismatch,
    /// `XfrmInNoPols`: it came encrypted, and no policy allows that.
    XfrmInNoPols,
    /// `XfrmOutNoStates`: a policy wants it encrypted, and there is no security association.
    XfrmOutNoStates,
    /// `XfrmOutPolBlock`, `XfrmInPolBlock`: a policy forbids it.
    XfrmBlock,
    /// netem lost it on purpose (`QDISC_DROP` in Linux).
    NetemLoss,
    /// `QDISC_OVERLIMIT`: the queue is full.
    QdiscOverlimit,
    /// `QDISC_DROP`: the queue it waited in was emptied or taken away.
    QdiscDrop,
    /// The cable is cut, or the machine behind it stands still.
    CableCut,
    /// A spanning tree packet where none may come (`bpdu_guard`).
    StpGuard,
}

impl DropReason {
    /// All of them.
    pub const ALL: [Self; 69] = [
        Self::NoSocket,
        Self::TcpCsum,
        Self::UdpCsum,
        Self::SocketRcvbuff,
        Self::TcpOldData,
        Self::TcpAbortOnData,
        Self::TcpZerowindow,
        Self::TcpOverwindow,
        Self::TcpInvalidSequence,
        Self::TcpInvalidAck,
        Self::TcpAckUnsentData,
        Self::TcpOldAck,
        Self::TcpReset,
        Self::TcpClose,
        Self::TcpFlags,
        Self::TcpRfc7323Paws,
        Self::TcpListenOverflow,
        Self::OtherHost,
        Self::IpInHdr,
        Self::TtlExceeded,
        Self::IpInNoRoutes,
        Self::IpOutNoRoutes,
        Self::IpInAddrErrors,
        Self::IpMartianSource,
        Self::IpRpFilter,
        Self::Blackhole,
        Self::Prohibit,
        Self::Unreachable,
        Self::PktTooBig,
        Self::FragReasmTimeout,
        Self::NeighFailed,
        Self::NeighQueueFull,
        Self::NeighDead,
        Self::DevReady,
        Self::NoCarrier,
        Self::NetfilterDrop,
        Self::ConntrackClash,
        Self::ArpIgnored,
        Self::BridgePortState,
        Self::BridgeNoEgressPort,
        Self::VxlanVniNotFound,
        Self::VxlanNoRemote,
        Self::VxlanInvalidHdr,
        Self::UnhandledProto,
        Self::OversizeReceive,
        Self::IcmpRateLimit,
        Self::NoPingSocket,
        Self::Recursion,
        Self::TunnelNoRemote,
        Self::NoTunnel,
        Self::GreChecksum,
        Self::GreSequence,
        Self::DummyDevice,
        Self::VlanFilter,
        Self::PolicyDenied,
        Self::MacvlanNoTarget,
        Self::IpvlanNoTarget,
        Self::XfrmInNoStates,
        Self::XfrmInStateProtoError,
        Self::XfrmInStateSeqError,
        Self::XfrmInTmplMismatch,
        Self::XfrmInNoPols,
        Self::XfrmOutNoStates,
        Self::XfrmBlock,
        Self::NetemLoss,
        Self::QdiscOverlimit,
        Self::QdiscDrop,
        Self::CableCut,
        Self::StpGuard,
    ];

    /// The kernel's word (`SKB_DROP_REASON_*` as of Linux 6.18), or ours without that beginning where the kernel gives
    /// no reason at all. Where the kernel uses one word for several things, several of ours share it.
    pub fn name(self) -> &'static str {
        self.names().1
    }

    /// Key of the sentence that explains it, `drop.KEY`, and of what to do about it, `drop.KEY.remedy`.
    pub fn key(self) -> &'static str {
        self.names().0
    }

    #[expect(clippy::too_many_lines, reason = "one line for each reason")]
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::NoSocket => ("drop.no_socket", "SKB_DROP_REASON_NO_SOCKET"),
            Self::TcpCsum => ("drop.tcp_csum", "SKB_DROP_REASON_TCP_CSUM"),
            Self::UdpCsum => ("drop.udp_csum", "SKB_DROP_REASON_UDP_CSUM"),
            Self::SocketRcvbuff => ("drop.socket_rcvbuff", "SKB_DROP_REASON_SOCKET_RCVBUFF"),
            Self::TcpOldData => ("drop.tcp_old_data", "SKB_DROP_REASON_TCP_OLD_DATA"),
            Self::TcpAbortOnData => ("drop.tcp_abort_on_data", "SKB_DROP_REASON_TCP_ABORT_ON_DATA"),
            Self::TcpZerowindow => ("drop.tcp_zerowindow", "SKB_DROP_REASON_TCP_ZEROWINDOW"),
            Self::TcpOverwindow => ("drop.tcp_overwindow", "SKB_DROP_REASON_TCP_OVERWINDOW"),
            Self::TcpInvalidSequence => ("drop.tcp_invalid_sequence", "SKB_DROP_REASON_TCP_INVALID_SEQUENCE"),
            Self::TcpInvalidAck => ("drop.tcp_invalid_ack", "SKB_DROP_REASON_TCP_INVALID_ACK_SEQUENCE"),
            Self::TcpAckUnsentData => ("drop.tcp_ack_unsent_data", "SKB_DROP_REASON_TCP_ACK_UNSENT_DATA"),
            Self::TcpOldAck => ("drop.tcp_old_ack", "SKB_DROP_REASON_TCP_OLD_ACK"),
            Self::TcpReset => ("drop.tcp_reset", "SKB_DROP_REASON_TCP_RESET"),
            Self::TcpClose => ("drop.tcp_close", "SKB_DROP_REASON_TCP_CLOSE"),
            Self::TcpFlags => ("drop.tcp_flags", "SKB_DROP_REASON_TCP_FLAGS"),
            Self::TcpRfc7323Paws => ("drop.tcp_rfc7323_paws", "SKB_DROP_REASON_TCP_RFC7323_PAWS"),
            Self::TcpListenOverflow => ("drop.tcp_listen_overflow", "SKB_DROP_REASON_TCP_LISTEN_OVERFLOW"),
            Self::OtherHost => ("drop.other_host", "SKB_DROP_REASON_OTHERHOST"),
            Self::IpInHdr => ("drop.ip_in_hdr", "SKB_DROP_REASON_IP_INHDR"),
            Self::TtlExceeded => ("drop.ttl_exceeded", "SKB_DROP_REASON_IP_INHDR"),
            Self::IpInNoRoutes => ("drop.ip_in_no_routes", "SKB_DROP_REASON_IP_INNOROUTES"),
            Self::IpOutNoRoutes => ("drop.ip_out_no_routes", "SKB_DROP_REASON_IP_OUTNOROUTES"),
            Self::IpInAddrErrors => ("drop.ip_in_addr_errors", "SKB_DROP_REASON_IP_INADDRERRORS"),
            Self::IpMartianSource => ("drop.ip_martian_source", "SKB_DROP_REASON_IP_INVALID_SOURCE"),
            Self::IpRpFilter => ("drop.ip_rp_filter", "SKB_DROP_REASON_IP_RPFILTER"),
            Self::Blackhole => ("drop.blackhole", "ROUTE_BLACKHOLE"),
            Self::Prohibit => ("drop.prohibit", "ROUTE_PROHIBIT"),
            Self::Unreachable => ("drop.unreachable", "ROUTE_UNREACHABLE"),
            Self::PktTooBig => ("drop.pkt_too_big", "SKB_DROP_REASON_PKT_TOO_BIG"),
            Self::FragReasmTimeout => ("drop.frag_reasm_timeout", "SKB_DROP_REASON_FRAG_REASM_TIMEOUT"),
            Self::NeighFailed => ("drop.neigh_failed", "SKB_DROP_REASON_NEIGH_FAILED"),
            Self::NeighQueueFull => ("drop.neigh_queue_full", "SKB_DROP_REASON_NEIGH_QUEUEFULL"),
            Self::NeighDead => ("drop.neigh_dead", "SKB_DROP_REASON_NEIGH_DEAD"),
            Self::DevReady => ("drop.dev_ready", "SKB_DROP_REASON_DEV_READY"),
            Self::NoCarrier => ("drop.no_carrier", "NO_CARRIER"),
            Self::NetfilterDrop => ("drop.netfilter_drop", "SKB_DROP_REASON_NETFILTER_DROP"),
            Self::ConntrackClash => ("drop.conntrack_clash", "SKB_DROP_REASON_NETFILTER_DROP"),
            Self::ArpIgnored => ("drop.arp_ignored", "ARP_IGNORED"),
            Self::BridgePortState => ("drop.bridge_port_state", "SKB_DROP_REASON_BRIDGE_INGRESS_STP_STATE"),
            Self::BridgeNoEgressPort => ("drop.bridge_no_egress_port", "SKB_DROP_REASON_NO_TX_TARGET"),
            Self::VxlanVniNotFound => ("drop.vxlan_vni_not_found", "SKB_DROP_REASON_VXLAN_VNI_NOT_FOUND"),
            Self::VxlanNoRemote => ("drop.vxlan_no_remote", "SKB_DROP_REASON_NO_TX_TARGET"),
            Self::VxlanInvalidHdr => ("drop.vxlan_invalid_hdr", "SKB_DROP_REASON_VXLAN_INVALID_HDR"),
            Self::UnhandledProto => ("drop.unhandled_proto", "SKB_DROP_REASON_UNHANDLED_PROTO"),
            Self::OversizeReceive => ("drop.oversize_receive", "OVERSIZE_RECEIVE"),
            Self::IcmpRateLimit => ("drop.icmp_rate_limit", "ICMP_RATELIMIT"),
            Self::NoPingSocket => ("drop.no_ping_socket", "SKB_DROP_REASON_NO_SOCKET"),
            Self::Recursion => ("drop.recursion", "SKB_DROP_REASON_RECURSION_LIMIT"),
            Self::TunnelNoRemote => ("drop.tunnel_no_remote", "TUNNEL_NO_REMOTE"),
            Self::NoTunnel => ("drop.no_tunnel", "NO_TUNNEL"),
            Self::GreChecksum => ("drop.gre_checksum", "GRE_CHECKSUM"),
            Self::GreSequence => ("drop.gre_sequence", "GRE_SEQUENCE"),
            Self::DummyDevice => ("drop.dummy_device", "DUMMY_DEVICE"),
            Self::PolicyDenied => ("drop.policy_denied", "POLICY_DENIED"),
            Self::VlanFilter => ("drop.vlan_filter", "BRIDGE_VLAN_FILTER"),
            Self::MacvlanNoTarget => ("drop.macvlan_no_target", "MACVLAN_NO_TARGET"),
            Self::IpvlanNoTarget => ("drop.ipvlan_no_target", "IPVLAN_NO_TARGET"),
            Self::XfrmInNoStates => ("drop.xfrm_in_no_states", "XFRM_IN_NO_STATES"),
            Self::XfrmInStateProtoError => ("drop.xfrm_in_state_proto_error", "XFRM_IN_STATE_PROTO_ERROR"),
            Self::XfrmInStateSeqError => ("drop.xfrm_in_state_seq_error", "XFRM_IN_STATE_SEQ_ERROR"),
            Self::XfrmInTmplMismatch => ("drop.xfrm_in_tmpl_mismatch", "XFRM_IN_TMPL_MISMATCH"),
            Self::XfrmInNoPols => ("drop.xfrm_in_no_pols", "XFRM_IN_NO_POLS"),
            Self::XfrmOutNoStates => ("drop.xfrm_out_no_states", "XFRM_OUT_NO_STATES"),
            Self::XfrmBlock => ("drop.xfrm_block", "SKB_DROP_REASON_XFRM_POLICY"),
            Self::NetemLoss => ("drop.netem_loss", "NETEM_LOSS"),
            Self::QdiscOverlimit => ("drop.qdisc_overlimit", "SKB_DROP_REASON_QDISC_OVERLIMIT"),
            Self::QdiscDrop => ("drop.qdisc_drop", "SKB_DROP_REASON_QDISC_DROP"),
            Self::CableCut => ("drop.cable_cut", "CABLE_CUT"),
            Self::StpGuard => ("drop.stp_guard", "STP_BPDU_GUARD"),
        }
    }
}
