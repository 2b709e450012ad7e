//! The ways between nodes: what flannel's daemon (flannel-io/flannel, `pkg/backend`), Calico's Felix and bird, Cilium's
//! agent or an administrator adds to a node for itself and for each other node.
//!
//! Routes taught by BGP, OSPF or RIP are a static stand-in: they appear as soon as both nodes' daemons run, marked as
//! bird marks them.

use super::pod_mtu;
use super::{calico, cilium, flannel, masquerade};
use crate::agent::fabric::ETH0;
use crate::agent::world::{World, with};
use crate::api::{Backend, ClusterSpec, Cni, Encapsulation, NodeSpec};
use crate::base::{IfIndex, Ipv4Addr, Ipv4Net, MacAddr, NetnsId};
use crate::kernel::{Ctx, Kind, Netns, NewLink, Vxlan};
use crate::trace::{
    RouteKind, RouteProtocol, RouteRow, Scope, TunnelRow, XfrmDirection, XfrmPolicyRow, XfrmStateRow,
    XfrmTemplate,
};
use sha2::Digest as _;
use std::collections::BTreeMap;
use std::sync::Arc;

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
    /// One IP-in-IP device for all other nodes.
    Ipip,
    /// A GRE device for each other node.
    Gre,
    /// Policies and security associations for each other node, and a plain route.
    Ipsec,
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
        // Without tunnels Calico's routes are taught by BGP.
        Some(Backend::Ipip) if network.cni == Cni::Calico && never(cluster) => {
            Way::Direct(RouteProtocol::Bird)
        }
        Some(Backend::Vxlan) => Way::Vxlan,
        Some(Backend::Ipip) => Way::Ipip,
        Some(Backend::Gre) => Way::Gre,
        Some(Backend::Ipsec) => Way::Ipsec,
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
    if !(direct && near.is_neighbor_of(far)) {
        return way(cluster);
    }
    let by_bird = network.cni == Cni::Calico && network.backend == Some(Backend::Ipip);
    Way::Direct(if by_bird { RouteProtocol::Bird } else { RouteProtocol::Boot })
}

fn device(cluster: &ClusterSpec) -> &'static str {
    match cluster.network.cni {
        Cni::Flannel if way(cluster) == Way::Ipip => "flannel.ipip",
        Cni::Bridge if way(cluster) == Way::Ipip => "ipip0",
        Cni::Calico if way(cluster) == Way::Ipip => "tunl0",
        Cni::Bridge | Cni::Flannel => "flannel.1",
        Cni::Calico => "vxlan.calico",
        Cni::Cilium => "cilium_vxlan",
    }
}

/// The daemon starts on a node: it makes its device.
pub(in crate::agent) fn start(world: &mut dyn World, node: &Peer, cluster: &ClusterSpec) {
    match way(cluster) {
        Way::Vxlan => add_vxlan(world, node, cluster),
        Way::Ipip => add_ipip(world, node, cluster),
        Way::Gre | Way::Ipsec | Way::Direct(_) | Way::None => {}
    }
    match cluster.network.cni {
        Cni::Cilium => cilium::start(world, node, cluster),
        Cni::Flannel => flannel::write_rules(world, node, cluster),
        Cni::Bridge | Cni::Calico => {}
    }
    if cluster.network.cni == Cni::Flannel {
        let env = masquerade::subnet_env(cluster.network.pod_cidr, node.spec.pod_cidr, pod_mtu(cluster));
        world.write_file(node.netns, "/run/flannel/subnet.env", env);
    }
    masquerade::start(world, node, cluster);
}

/// A device for packets to every other node, whose address the routes name (flannel `pkg/backend/ipip`; Calico's Felix
/// takes the device that the kernel makes with the module, which is bound to no address).
fn add_ipip(world: &mut dyn World, node: &Peer, cluster: &ClusterSpec) {
    let local = (cluster.network.cni != Cni::Calico).then_some(node.spec.address);
    let row = TunnelRow { local, pmtudisc: true, any_protocol: false, ..TunnelRow::default() };
    let name = device(cluster).into();
    let mtu = cluster.network.mtu.saturating_sub(Backend::Ipip.overhead());
    let new = NewLink { name, kind: Kind::Ipip(row.into()), mac: MacAddr::ZERO, mtu, txqlen: 1000 };
    let addr = Ipv4Net::new_assert(node.tunnel, 32);
    with(world, node.netns, |netns, ctx| {
        let device = netns.add_link(ctx, new);
        if cluster.network.cni != Cni::Bridge {
            netns.add_addr(ctx, device, addr, None, Scope::Global);
        }
        netns.set_up(ctx, device);
    });
}

/// Name of the device for another node, at most 15 bytes.
fn gre_name(far: &Peer) -> Arc<str> {
    let name: String = format!("gre-{}", far.spec.name).chars().filter(char::is_ascii).take(15).collect();
    name.into()
}

/// A device for packets to one other node, as an administrator makes it: sequence numbers need one for each sender.
fn add_gre(
    netns: &mut Netns,
    ctx: &mut Ctx<'_>,
    (near, far): (&Peer, &Peer),
    cluster: &ClusterSpec,
) -> IfIndex {
    let name = gre_name(far);
    if let Some(link) = netns.link_named(&name) {
        return link.ifindex;
    }
    let gre = &cluster.network.gre;
    let row = TunnelRow {
        local: Some(near.spec.address),
        remote: Some(far.spec.address),
        pmtudisc: true,
        ikey: gre.key,
        okey: gre.key,
        iseq: gre.sequence,
        oseq: gre.sequence,
        icsum: gre.checksum,
        ocsum: gre.checksum,
        ..TunnelRow::default()
    };
    let mtu = cluster.network.mtu.saturating_sub(gre.overhead());
    let new = NewLink { name, kind: Kind::Gre(row.into()), mac: MacAddr::ZERO, mtu, txqlen: 1000 };
    let device = netns.add_link(ctx, new);
    netns.set_up(ctx, device);
    device
}

/// The number that ties flannel's policies to what its key exchange agrees on.
const REQID: u32 = 11;

/// A key that nobody told: the two ends of a pair derive the same from their addresses, in the place of IKE.
fn esp_key(from: &Peer, to: &Peer) -> (u32, [u8; 20]) {
    let digest = sha2::Sha256::digest(format!("esp {} {}", from.spec.address, to.spec.address));
    let mut key = [0; 20];
    key.copy_from_slice(&digest[..20]);
    let spi = u32::from_be_bytes([0xc0 | digest[20] & 0x0f, digest[21], digest[22], digest[23]]);
    (spi, key)
}

/// flannel's policies (`pkg/backend/ipsec`), and the associations that its key exchange would make: AES-GCM with 128
/// bits, another key for each way.
fn add_ipsec(netns: &mut Netns, ctx: &mut Ctx<'_>, near: &Peer, far: &Peer) {
    let pair =
        |from: &Peer, to: &Peer| XfrmTemplate { src: from.spec.address, dst: to.spec.address, reqid: REQID };
    for (from, to, replay_window) in [(near, far, 0), (far, near, 32)] {
        let (spi, key) = esp_key(from, to);
        let known = netns.xfrm_states().any(|state| (state.dst, state.spi) == (to.spec.address, spi));
        if !known {
            let row = XfrmStateRow {
                netns: netns.id,
                src: from.spec.address,
                dst: to.spec.address,
                spi,
                reqid: REQID,
                key: Arc::from(key),
                replay_window,
            };
            netns.add_xfrm_state(ctx, row);
        }
    }
    for policy in policies(netns, near, far, &pair) {
        if !netns.xfrm_policies().any(|known| *known == policy) {
            netns.add_xfrm_policy(ctx, policy);
        }
    }
}

fn policies(
    netns: &Netns,
    near: &Peer,
    far: &Peer,
    pair: &dyn Fn(&Peer, &Peer) -> XfrmTemplate,
) -> Vec<XfrmPolicyRow> {
    let directions = [
        (XfrmDirection::Out, near, far),
        (XfrmDirection::In, far, near),
        (XfrmDirection::Forward, far, near),
    ];
    let row = |(direction, from, to): (XfrmDirection, &Peer, &Peer)| XfrmPolicyRow {
        netns: netns.id,
        src: from.spec.pod_cidr,
        dst: to.spec.pod_cidr,
        direction,
        priority: 0,
        template: Some(pair(from, to)),
    };
    directions.into_iter().map(row).collect()
}

fn add_vxlan(world: &mut dyn World, node: &Peer, cluster: &ClusterSpec) {
    let vxlan = &cluster.network.vxlan;
    let kind = Kind::Vxlan(Vxlan {
        vni: vxlan.vni,
        local: node.spec.address,
        dev: ETH0,
        port: vxlan.port,
        learning: vxlan.learning,
        group: vxlan.group,
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
        if let Some(group) = vxlan.group {
            netns.add_vxlan_fdb(ctx, device, MacAddr::ZERO, group);
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
                    Way::Ipip => RouteProtocol::Bird,
                    Way::Vxlan | Way::Gre | Way::Ipsec | Way::None => RouteProtocol::Felix,
                },
                ..netns.route_to(range, None, IfIndex::NONE)
            };
            add_missing(netns, ctx, hole);
        }
    });
}

fn add_missing(netns: &mut Netns, ctx: &mut Ctx<'_>, route: RouteRow) {
    if !netns.has_route(&route) {
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
            // In a group everybody is asked and learnt; only the routes are written.
            let programmed = cluster.network.vxlan.group.is_none();
            if programmed && !netns.has_neighbor(device, far.tunnel) {
                netns.set_permanent_neighbor(ctx, device, far.tunnel, mac);
                netns.add_vxlan_fdb(ctx, device, mac, far.spec.address);
            }
            for &range in &far.ranges {
                let route = netns.route_to(range, Some(far.tunnel), device);
                add_missing(netns, ctx, RouteRow { onlink: true, ..route });
            }
        }
        Way::Ipip => {
            let Some(device) = netns.link_named(device(cluster)).map(|link| link.ifindex) else { return };
            let by_bird = cluster.network.cni == Cni::Calico;
            for &range in &far.ranges {
                let route = netns.route_to(range, Some(far.spec.address), device);
                let protocol = if by_bird { RouteProtocol::Bird } else { RouteProtocol::Boot };
                let metric = if by_bird { BIRD_METRIC } else { 0 };
                add_missing(netns, ctx, RouteRow { onlink: true, protocol, metric, ..route });
            }
        }
        Way::Gre => {
            let device = add_gre(netns, ctx, (near, far), cluster);
            for &range in &far.ranges {
                add_missing(netns, ctx, netns.route_to(range, None, device));
            }
        }
        Way::Ipsec => {
            add_ipsec(netns, ctx, near, far);
            for &range in &far.ranges {
                // The key exchange sets it in a table of its own (220), which is asked before the main one.
                let route = netns.route_to(range, Some(far.spec.address), ETH0);
                add_missing(netns, ctx, RouteRow { protocol: RouteProtocol::Static, ..route });
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

/// Another node is gone: route, neighbour and forwarding entry go, and what tunnels had for it alone.
pub(in crate::agent) fn forget(world: &mut dyn World, near: &Peer, far: &Peer, cluster: &ClusterSpec) {
    with(world, near.netns, |netns, ctx| {
        netns.del_routes(ctx, |route| far.ranges.contains(&route.dst) && route.gateway.is_some());
        let device: Option<IfIndex> = netns.link_named(device(cluster)).map(|link| link.ifindex);
        if let Some(device) = device.filter(|_| way(cluster) == Way::Vxlan) {
            netns.del_neighbor(ctx, device, far.tunnel);
            netns.del_vxlan_fdb(ctx, device, far.tunnel_mac(cluster));
        }
        let gre = netns.link_named(&gre_name(far)).map(|link| link.ifindex);
        if let Some(gre) = gre.filter(|_| way(cluster) == Way::Gre) {
            netns.del_link(ctx, gre);
        }
        if way(cluster) == Way::Ipsec {
            let ends = [(near, far), (far, near)];
            for (from, to) in ends {
                netns.del_xfrm_state(ctx, to.spec.address, esp_key(from, to).0);
            }
            let gone: Vec<XfrmPolicyRow> = netns
                .xfrm_policies()
                .filter(|row| row.src == far.spec.pod_cidr || row.dst == far.spec.pod_cidr)
                .copied()
                .collect();
            for row in &gone {
                netns.del_xfrm_policy(ctx, row);
            }
        }
    });
}
