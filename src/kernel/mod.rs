//! One network namespace's Linux data path, without sockets of the machine it runs on and without a clock: frames,
//! timers and settings go in with `now`, and [`Effects`] come out. It knows Linux and no Kubernetes.
//!
//! Read it along the path of a packet: `device` takes frames in and hands them out, `bridge` and `vxlan` are
//! devices with a mind of their own, `arp` and `neighbor` find hardware addresses, `input`, `forward` and `output`
//! are IPv4, `icmp` answers, `ping` and `sock` are the sockets, and `config` is what administrators do.

mod addr;
mod addr_lifetime;
mod addr_routes;
mod arp;
mod away;
mod bpf;
mod bridge;
mod bridge_ageing;
mod bridge_config;
mod bridge_vlan;
mod conf;
mod config;
mod delays;
mod device;
mod effects;
mod exception;
mod fib;
mod fragment;
mod gre;
mod icmp;
mod input;
mod ip_options;
mod ip_tunnel;
mod ipip;
mod link;
mod multipath;
mod neighbor;
mod netfilter;
mod new_link;
mod nexthop;
mod output;
mod ping;
mod pneigh;
mod probe;
mod qdisc;
mod raw;
mod routes;
mod rule;
mod sock;
mod socket;
mod stacked;
mod stp;
mod stp_timer;
mod sysctl;
mod tcp;
mod timer;
mod vxlan;
mod xfrm;

pub use bpf::BpfProgram;
pub use bridge_config::{BridgeOption, PortOption};
pub use bridge_vlan::Vlans;
pub use conf::{CONF_NAMES, DeviceConf, default_setting};
pub use config::{Hairpin, NewLink};
pub use delays::Delays;
pub use effects::{Ctx, Dst, Effects, Skb, Timer, Urgency, Work};
pub use fib::FibResult;
pub use ip_tunnel::Tunnel;
pub use link::{Bridge, Kind, Link, Peer, Port, VlanLink, Vxlan};
pub use netfilter::{Fate, IpvsFlags, IpvsOp, NetfilterOp, Nf, Outcome, Passed, Probe, Ways};
pub use new_link::{LinkFlag, LinkSpec};
pub use output::Flow;
pub use qdisc::Qdisc;
pub use sock::Woken;
pub use socket::{
    Datagram, Errno, PathMtuDiscovery, PingMessage, PingSocket, RawMessage, RawSocket, Sender, Shutdown,
    SocketError, SocketOption, Transport, User,
};
pub use stp::{Stp, StpTimes};
pub use stp_timer::{BridgeTimer, PortTimer, StpTimer};
pub use sysctl::Sysctl;
pub use tcp::TcpTimer;

use crate::base::{IfIndex, Ipv4Addr, NetnsId, Rng, SimTime, SocketId};
use crate::trace::{AddrRow, FdbRow, NeighRow, ProxyRow, RouteRow, Snmp};
use bpf::BpfMaps;
use exception::Exception;
use fib::Fib;
use fragment::Reassembly;
use icmp::Limits;
use neighbor::Neighbor;
use nexthop::Nexthops;
use ping::PingSock;
use raw::RawSock;
use rule::Rules;
pub use sock::SocketServices;
use sock::Socks;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::sync::Arc;

/// A network namespace.
#[derive(Clone, Debug)]
pub struct Netns {
    /// Its number.
    pub id: NetnsId,
    /// Its name as captures show it.
    pub name: Arc<str>,
    /// Settings under `/proc/sys/net`.
    pub sysctl: Sysctl,
    /// Links; the index is the interface number.
    links: Vec<Option<Link>>,
    addrs: Vec<AddrRow>,
    /// When the next address is deprecated or goes.
    addr_check_at: Option<SimTime>,
    /// Addresses of IPv6. Only rules ask for them: nothing is sent or taken in over IPv6 yet.
    addrs6: BTreeSet<Ipv6Addr>,
    fib: Fib,
    nexthops: Nexthops,
    rules: Rules,
    neighbors: BTreeMap<(IfIndex, Ipv4Addr), Neighbor>,
    /// Addresses of others that ARP is answered for, in the kernel's order.
    proxies: Vec<ProxyRow>,
    pings: BTreeMap<SocketId, PingSock>,
    raws: BTreeMap<SocketId, RawSock>,
    next_socket: u32,
    socks: Socks,
    /// Services that are replaced by endpoints when a socket connects.
    socket_services: Option<Arc<SocketServices>>,
    hash_secret: u64,
    /// The segment being worked on, which gives rise to what is sent meanwhile.
    tcp_cause: Option<Skb>,
    /// Where the numbers of a connection that takes the place of one in TIME-WAIT begin.
    tcp_next_isn: Option<u32>,
    reassembly: Reassembly,
    /// Counters of the protocols.
    mib: Snmp,
    netfilter: netfilter::Netfilter,
    limits: Limits,
    /// Path MTUs and better next hops learnt (`ip route get` shows them as `cache`).
    exceptions: BTreeMap<Ipv4Addr, Exception>,
    bpf: BpfMaps,
    xfrm: xfrm::Xfrm,
    next_ip_id: u16,
    /// Identifiers of the other namespaces that this one has to do with (`netns_ids` of `struct net`).
    nsids: BTreeMap<NetnsId, u32>,
    /// Major number of the next queueing discipline.
    next_qdisc: u16,
    rng: Rng,
}

impl Netns {
    /// A namespace with `lo` still to be made; see `config`.
    pub fn new(id: NetnsId, name: Arc<str>, mut rng: Rng) -> Self {
        Self {
            id,
            name,
            sysctl: Sysctl::default(),
            links: vec![None],
            addrs: Vec::new(),
            addr_check_at: None,
            addrs6: BTreeSet::from([Ipv6Addr::LOCALHOST]),
            fib: Fib::default(),
            nexthops: Nexthops::default(),
            rules: Rules::new(id),
            neighbors: BTreeMap::new(),
            proxies: Vec::new(),
            pings: BTreeMap::new(),
            raws: BTreeMap::new(),
            next_socket: 0,
            socks: Socks::default(),
            socket_services: None,
            hash_secret: rng.get_seed(),
            tcp_cause: None,
            tcp_next_isn: None,
            reassembly: Reassembly::default(),
            mib: Snmp::default(),
            netfilter: netfilter::Netfilter::default(),
            limits: Limits::default(),
            exceptions: BTreeMap::new(),
            bpf: BpfMaps::default(),
            xfrm: xfrm::Xfrm::default(),
            next_ip_id: rng.u16(..),
            nsids: BTreeMap::new(),
            next_qdisc: 0x8001,
            rng,
        }
    }

    /// The link `ifindex`.
    pub fn link(&self, ifindex: IfIndex) -> Option<&Link> {
        self.links.get(ifindex.index())?.as_ref()
    }

    fn link_mut(&mut self, ifindex: IfIndex) -> Option<&mut Link> {
        self.links.get_mut(ifindex.index())?.as_mut()
    }

    /// The links in the order of their numbers.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.all_links().filter(|link| link.away.is_none())
    }

    /// The links with the stubs of devices that were moved away.
    fn all_links(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().flatten()
    }

    /// The link called `name`, also by one of its further names (`dev_get_by_name`).
    pub fn link_named(&self, name: &str) -> Option<&Link> {
        let also = |link: &&Link| link.extra.altnames.iter().any(|other| **other == *name);
        self.links().find(|link| &*link.name == name).or_else(|| self.links().find(also))
    }

    /// The addresses in the order in which they were added.
    pub fn addrs(&self) -> &[AddrRow] {
        &self.addrs
    }

    /// Gives the namespace an address of IPv6, which only rules ask for.
    pub fn add_addr6(&mut self, addr: Ipv6Addr) {
        self.addrs6.insert(addr);
    }

    /// Takes an address of IPv6 away.
    pub fn del_addr6(&mut self, addr: Ipv6Addr) {
        self.addrs6.remove(&addr);
    }

    /// Whether `addr` is an address of this namespace.
    pub fn has_addr(&self, addr: Ipv4Addr) -> bool {
        self.addrs.iter().any(|row| row.addr.addr() == addr)
    }

    /// The routes of all tables, the table local first.
    pub fn routes(&self) -> impl Iterator<Item = &RouteRow> {
        self.fib.routes()
    }

    /// Whether this very route is there.
    pub fn has_route(&self, route: &RouteRow) -> bool {
        self.fib.holds(route)
    }

    /// Whether there is an entry for this neighbour.
    pub fn has_neighbor(&self, ifindex: IfIndex, addr: Ipv4Addr) -> bool {
        self.neighbors.contains_key(&(ifindex, addr))
    }

    /// The neighbour entries by interface and address.
    pub fn neighbors(&self) -> impl Iterator<Item = &NeighRow> {
        self.neighbors.values().map(|entry| &entry.row)
    }

    /// The entries of all forwarding databases, link by link.
    pub fn fdb(&self) -> Vec<FdbRow> {
        let mut rows = Vec::new();
        for link in self.links() {
            match &link.kind {
                Kind::Bridge(bridge) => {
                    rows.extend(
                        bridge.fdb.iter().map(|(&key, entry)| self.bridge_fdb_row(link.ifindex, key, entry)),
                    );
                }
                Kind::Vxlan(vxlan) => rows.extend(vxlan.fdb.iter().flat_map(|(&mac, remotes)| {
                    remotes.iter().map(move |remote| {
                        self.vxlan_fdb_row(link.ifindex, mac, remote.dst, remote.permanent, remote.updated)
                    })
                })),
                Kind::Loopback
                | Kind::Veth(..)
                | Kind::Physical(_)
                | Kind::Dummy
                | Kind::Vlan(_)
                | Kind::Macvlan { .. }
                | Kind::Ipvlan { .. }
                | Kind::Ipip(_)
                | Kind::Gre(_)
                | Kind::Gretap(_) => {}
            }
        }
        rows
    }

    /// The protocols' counters, with what is not counted but looked at (`snmp_seq_show`).
    pub fn snmp(&self) -> Snmp {
        let mut snmp = self.mib.clone();
        (snmp.forwarding, snmp.default_ttl) = (self.sysctl.ip_forward, self.sysctl.ip_default_ttl);
        snmp.established = self.socks.established();
        snmp
    }

    /// Takes up a piece of work at `ctx.now`.
    pub fn work(&mut self, ctx: &mut Ctx<'_>, work: Work) {
        match work {
            Work::Receive(ifindex, skb) => self.netif_receive(ctx, ifindex, skb),
            Work::Transmit(ifindex, skb) => self.dev_queue_xmit(ctx, ifindex, skb),
            Work::Dequeue(ifindex, epoch, skb) => self.netem_dequeue(ctx, ifindex, epoch, skb),
            Work::ProxyArp(ifindex, skb) => self.arp_redo(ctx, ifindex, skb),
            Work::Loopback(ifindex, skb) => {
                self.ip_rcv(ctx, ifindex, crate::trace::PacketType::Host, skb);
            }
            Work::Timer(timer) => self.fire(ctx, timer),
        }
    }

    fn fire(&mut self, ctx: &mut Ctx<'_>, timer: Timer) {
        match timer {
            Timer::Neighbor(ifindex, addr, deadline) => {
                self.neigh_timer_handler(ctx, ifindex, addr, deadline);
            }
            Timer::Reassembly(key) => self.ip_expire(ctx, key),
            Timer::Tcp(socket, which, deadline) => self.tcp_timer(ctx, socket, which, deadline),
            Timer::Stp(which, deadline) => self.stp_timer(ctx, which, deadline),
            Timer::LinkWatch(ifindex) => self.linkwatch(ctx, ifindex),
            Timer::Netfilter(deadline) => self.nf_timer(ctx, deadline),
            Timer::Ageing(bridge, deadline) => self.br_fdb_cleanup(ctx, bridge, deadline),
            Timer::AddrLifetimes(deadline) => self.addr_timer(ctx, deadline),
        }
    }

    /// The next identification for an IPv4 header (`__ip_select_ident`). The kernel keeps hashed counters; one
    /// counter serves here, for the values are chance to everybody who looks at them.
    fn next_ip_id(&mut self) -> u16 {
        self.next_ip_id = self.next_ip_id.wrapping_add(1 + u16::from(self.rng.u8(..4)));
        if self.next_ip_id == 0 {
            self.next_ip_id = 1;
        }
        self.next_ip_id
    }
}
