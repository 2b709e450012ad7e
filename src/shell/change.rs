//! Changes to a kernel's tables that commands ask for, as plain data. What the kernel would refuse is refused before,
//! with the text of the tool; the rest is for whoever owns the kernels to carry out.

use crate::base::{IfIndex, Ipv4Addr, MacAddr};
use crate::kernel::{BridgeOption, LinkFlag, LinkSpec, NetfilterOp, PortOption};
use crate::trace::{
    AddrRow, FibRuleRow, IpcChange, Mirror, NeighRow, Netem, NexthopRow, ProxyRow, RouteRow, VlanRow,
    XfrmPolicyRow, XfrmStateRow,
};
use std::sync::Arc;

/// A change to the tables of the namespace that the command runs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelChange {
    /// A file with this content (`sed -i`).
    Write(String, Vec<u8>),
    /// `ip link set DEV up`.
    SetLinkUp(IfIndex),
    /// `ip link set DEV down`.
    SetLinkDown(IfIndex),
    /// `ip link set DEV mtu BYTES`.
    SetMtu(IfIndex, u32),
    /// `ip link set DEV address MAC`.
    SetMac(IfIndex, MacAddr),
    /// `ip link add`.
    AddLink(Box<LinkSpec>),
    /// `ip link delete`.
    DelLink(IfIndex),
    /// `ip link set DEV name NAME`.
    Rename(IfIndex, Arc<str>),
    /// `ip link set DEV txqueuelen PACKETS`.
    SetTxqlen(IfIndex, u32),
    /// `ip link set DEV alias TEXT`; empty for none.
    SetAlias(IfIndex, Arc<str>),
    /// `ip link set DEV promisc on|off`.
    SetPromisc(IfIndex, bool),
    /// `ip link set DEV arp|multicast|allmulticast on|off`.
    SetLinkFlag(IfIndex, LinkFlag, bool),
    /// `ip link property add` and `del`: all further names that there are afterwards.
    SetAltnames(IfIndex, Vec<Arc<str>>),
    /// `ip link set DEV master BRIDGE`.
    SetMaster(IfIndex, IfIndex),
    /// `ip link set DEV nomaster`.
    DelMaster(IfIndex),
    /// `ip link set BRIDGE type bridge OPTION`.
    SetBridge(IfIndex, BridgeOption),
    /// `bridge link set dev PORT OPTION`.
    SetPort(IfIndex, PortOption),
    /// `bridge vlan add`: the port or bridge is the row's.
    AddVlan(VlanRow),
    /// `bridge vlan del`: the port or bridge, and the VLAN.
    DelVlan(IfIndex, u16),
    /// `ip addr add`.
    AddAddr(Box<AddrRow>),
    /// `ip addr change` of an address that is there: its metric and its lifetimes.
    ChangeAddr(Box<AddrRow>),
    /// `ip addr del`: an address that is there.
    DelAddr(Box<AddrRow>),
    /// `ip route add`: a row for each next hop, here and below.
    AddRoute(Vec<RouteRow>),
    /// `ip route del`: a row that exists, with all that are next hops of the same route.
    DelRoute(RouteRow),
    /// Adds a route behind others of its destination.
    AppendRoute(Vec<RouteRow>),
    /// Add a route before others of its destination and metric.
    PrependRoute(Vec<RouteRow>),
    /// `ip route replace`: the first route of the same destination and metric goes, this one comes in its place.
    ReplaceRoute(Vec<RouteRow>),
    /// `ip nexthop add` and `replace`; number 0 for any that is free.
    SetNexthop(Box<NexthopRow>),
    /// `ip nexthop del`.
    DelNexthop(u32),
    /// `ip rule add`.
    AddRule(Box<FibRuleRow>),
    /// `ip rule del`: a row that exists.
    DelRule(Box<FibRuleRow>),
    /// `ip neigh add proxy`.
    AddProxy(ProxyRow),
    /// `ip neigh del proxy`.
    DelProxy(Ipv4Addr, Option<IfIndex>),
    /// `ip neigh add`, `replace` or `change`.
    AddNeigh(NeighRow),
    /// `ip neigh del`.
    DelNeigh(IfIndex, Ipv4Addr),
    /// `ip route flush cache`: what was learnt about destinations.
    FlushExceptions,
    /// `ip neigh flush`: the entries that the tool asks to go.
    FlushNeigh(Vec<(IfIndex, Ipv4Addr)>),
    /// `bridge fdb add` or `append` for a VXLAN device: its number, the address, the tunnel end.
    AddVxlanFdb(IfIndex, MacAddr, Ipv4Addr),
    /// `bridge fdb del` for a VXLAN device: all tunnel ends of the address.
    DelVxlanFdb(IfIndex, MacAddr),
    /// `bridge fdb replace … master dynamic` or `static`: the port, the address behind it, and whether it is never to age.
    SetBridgeFdb(IfIndex, MacAddr, bool),
    /// `bridge fdb del … master`.
    DelBridgeFdb(IfIndex, MacAddr),
    /// `iptables` and `iptables-restore`, and `conntrack -D`.
    Netfilter(Box<NetfilterOp>),
    /// `tc qdisc replace … netem`, or `del`.
    SetQdisc(IfIndex, Option<Netem>),
    /// `tc qdisc add … clsact`, or `del`.
    SetClsact(IfIndex, bool),
    /// `tc filter … mirred`: whether for what comes in, and where to.
    SetMirror(IfIndex, bool, Option<Mirror>),
    /// `ip xfrm state add`.
    AddXfrmState(Box<XfrmStateRow>),
    /// `ip xfrm state delete`: destination and SPI.
    DelXfrmState(Ipv4Addr, u32),
    /// `ip xfrm policy add`.
    AddXfrmPolicy(XfrmPolicyRow),
    /// `ip xfrm policy delete`.
    DelXfrmPolicy(XfrmPolicyRow),
    /// `mkfifo PATH`.
    MakeFifo(String),
    /// `touch PATH`: an empty file where there is none.
    Touch(String),
    /// `rm PATH`.
    Unlink(String),
    /// `ipcmk` and `ipcrm`.
    Ipc(Box<IpcChange>),
    /// `sysctl -w`: the key with dots, and the value.
    SetSysctl(String, String),
}
