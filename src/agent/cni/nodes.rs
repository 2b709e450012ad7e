//! The ways between nodes: what flannel's daemon (flannel-io/flannel, `pkg/backend`), Calico's Felix and bird, Cilium's
//! agent or an administrator adds to a node for itself and for each other node.
//!
//! Routes taught by BGP, OSPF or RIP are a static stand-in: they appear as soon as both nodes' daemons run, marked as
//! bird marks them.

use super::pod_mtu;
use super::{calico, cilium, flannel};
use crate::agent::fabric::ETH0;
use crate::agent::world::{World, with};
use crate::api::{Backend, ClusterSpec, Cni, Encapsulation, NodeSpec};
use crate::base::{IfIndex, Ipv4Addr, Ipv4Net, MacAddr, NetnsId};
use crate::kernel::{Ctx, Kind, Netns, NewLink, Vxlan};
use crate::trace::{RouteKind, RouteProtocol, RouteRow, Scope};
use std::collections::BTreeMap;

/// Leading octets of a tunnel end's Ethernet address; its IPv4 address follows. Real ones are random; these are as
/// good, and easier to read.
const VTEP: [u8; 2] = [0x02, 0xf1];
/// Metric of the routes that bird installs.
const BIRD_METRIC: u32 = 32;

/// A node as its peers see it.
#[derive(Clone, Debug)]
pub(in crate::agent) struct Peer {
    /// Its root namespace.
    pub(in crate::agent) netns: NetnsId,
    /// The node.
    pub(in crate::agent) spec: NodeSpec,
    /// The ranges whose Pods live there: the node's one range, or the blocks it claimed.
    pub(in crate::agent) ranges: Vec<Ipv4Net>,
    /// Address of its tunnel device.
    pub(in crate::agent) tunnel: Ipv4Addr,
}

/// How packets get from one node to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Vxlan,
    /// By a route to the other node, installed by this protocol.
    Direct(RouteProtocol),
    None,
}

impl Peer {
    fn is_neighbor_of(&self, other: &Self) -> bool {
        Ipv4Net::new(self.spec.address, self.spec.prefix_len)
            .is_ok_and(|net| net.contains(&other.spec.address))
    }

    fn tunnel_mac(&self, cluster: &ClusterSpec) -> MacAddr {
        match cluster.network.cni {
            Cni::Calico => calico::tunnel_mac(&self.spec.name),
            Cni::Bridge | Cni::Flannel | Cni::Cilium => MacAddr::from_ipv4(VTEP, self.tunnel),
        }
    }
}

/// The way that the cluster document asks for, before it is known how far the other node is.
fn way(cluster: &ClusterSpec) -> Way {
    let network = &cluster.network;
    match network.backend {
        None => Way::None,
        Some(Backend::HostGw | Backend::Static) => Way::Direct(RouteProtocol::Boot),
        Some(Backend::Bgp | Backend::Ospf | Backend::Rip) => Way::Direct(RouteProtocol::Bird),
        Some(Backend::Vxlan) if network.cni == Cni::Calico && never(cluster) => {
            Way::Direct(RouteProtocol::Boot)
        }
        Some(Backend::Vxlan | Backend::Gre | Backend::Ipip | Backend::Ipsec) => Way::Vxlan,
    }
}

fn never(cluster: &ClusterSpec) -> bool {
    cluster.network.calico.encapsulation == Encapsulation::Never
}

/// The way between two nodes: those of one network may do without the tunnel.
fn way_between(near: &Peer, far: &Peer, cluster: &ClusterSpec) -> Way {
    let network = &cluster.network;
    let direct = match network.cni {
        Cni::Flannel => network.direct_routing,
        Cni::Calico => network.calico.encapsulation == Encapsulation::CrossSubnet,
        Cni::Bridge | Cni::Cilium => false,
    };
    if direct && near.is_neighbor_of(far) { Way::Direct(RouteProtocol::Boot) } else { way(cluster) }
}

fn device(cluster: &ClusterSpec) -> &'static str {
    match cluster.network.cni {
        Cni::Bridge | Cni::Flannel => "flannel.1",
        Cni::Calico => "vxlan.calico",
        Cni::Cilium => "cilium_vxlan",
    }
}

/// The daemon starts on a node: it makes its device.
pub(in crate::agent) fn start(world: &mut dyn World, node: &Peer, cluster: &ClusterSpec) {
    if way(cluster) == Way::Vxlan {
        add_vxlan(world, node, cluster);
    }
    match cluster.network.cni {
        Cni::Cilium => cilium::start(world, node, cluster),
        Cni::Flannel => flannel::write_rules(world, node, cluster),
        Cni::Bridge | Cni::Calico => {}
    }
}

fn add_vxlan(world: &mut dyn World, node: &Peer, cluster: &ClusterSpec) {
    let vxlan = &cluster.network.vxlan;
    let kind = Kind::Vxlan(Vxlan {
        vni: vxlan.vni,
        local: node.spec.address,
        dev: ETH0,
        port: vxlan.port,
        learning: vxlan.learning,
        group: None,
        fdb: BTreeMap::new(),
    });
    let (name, mtu) = (device(cluster).into(), pod_mtu(cluster));
    let new = NewLink { name, kind, mac: node.tunnel_mac(cluster), mtu, txqlen: 1000 };
    let addr = Ipv4Net::new_assert(node.tunnel, 32);
    with(world, node.netns, |netns, ctx| {
        let device = netns.add_link(ctx, new);
        // Cilium's device has no address: its program alone takes what comes in.
        if cluster.network.cni != Cni::Cilium {
            netns.add_addr(ctx, device, addr, None, Scope::Global);
        }
        netns.set_up(ctx, device);
    });
}

/// Calico protects what it claimed: an address of a block that no Pod has is nowhere else either.
pub(in crate::agent) fn protect(world: &mut dyn World, node: &Peer, cluster: &ClusterSpec) {
    if cluster.network.cni != Cni::Calico {
        return;
    }
    with(world, node.netns, |netns, ctx| {
        for &range in &node.ranges {
            let hole = RouteRow {
                kind: RouteKind::Blackhole,
                oif: None,
                scope: Scope::Global,
                protocol: match way(cluster) {
                    Way::Direct(protocol) => protocol,
                    Way::Vxlan | Way::None => RouteProtocol::Felix,
                },
                ..netns.route_to(range, None, IfIndex::NONE)
            };
            add_missing(netns, ctx, hole);
        }
    });
}

fn add_missing(netns: &mut Netns, ctx: &mut Ctx<'_>, route: RouteRow) {
    if !netns.routes().any(|old| *old == route) {
        netns.add_route(ctx, route);
    }
}

/// A node hears of another one, or of a range more that lives there: flannel sets neighbour, forwarding entry and
/// route in this order (`handleSubnetEvents`).
pub(in crate::agent) fn connect(world: &mut dyn World, near: &Peer, far: &Peer, cluster: &ClusterSpec) {
    let way = way_between(near, far, cluster);
    if cluster.network.cni == Cni::Cilium {
        cilium::connect(world, near.netns, near, far, cluster);
        if way == Way::Vxlan {
            return;
        }
    }
    with(world, near.netns, |netns, ctx| match way {
        Way::Vxlan => {
            let Some(device) = netns.link_named(device(cluster)).map(|link| link.ifindex) else { return };
            let mac = far.tunnel_mac(cluster);
            if !netns.neighbors().any(|row| row.ifindex == device && row.addr == far.tunnel) {
                netns.set_permanent_neighbor(ctx, device, far.tunnel, mac);
                netns.add_vxlan_fdb(ctx, device, mac, far.spec.address);
            }
            for &range in &far.ranges {
                let route = netns.route_to(range, Some(far.tunnel), device);
                add_missing(netns, ctx, RouteRow { onlink: true, ..route });
            }
        }
        Way::Direct(protocol) => {
            for &range in &far.ranges {
                let metric = if protocol == RouteProtocol::Bird { BIRD_METRIC } else { 0 };
                let route = netns.route_to(range, Some(far.spec.address), ETH0);
                add_missing(netns, ctx, RouteRow { metric, protocol, ..route });
            }
        }
        Way::None => {}
    });
}

/// Another node is gone: route, neighbour and forwarding entry go.
pub(in crate::agent) fn forget(world: &mut dyn World, near: NetnsId, far: &Peer, cluster: &ClusterSpec) {
    with(world, near, |netns, ctx| {
        netns.del_routes(ctx, |route| far.ranges.contains(&route.dst) && route.gateway.is_some());
        let device: Option<IfIndex> = netns.link_named(device(cluster)).map(|link| link.ifindex);
        if let Some(device) = device {
            netns.del_neighbor(ctx, device, far.tunnel);
            netns.del_vxlan_fdb(ctx, device, far.tunnel_mac(cluster));
        }
    });
}
