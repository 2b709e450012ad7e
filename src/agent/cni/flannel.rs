//! The flannel daemon (flannel-io/flannel, `pkg/backend/vxlan`, `pkg/backend/hostgw`): what it adds to a node for
//! itself and for each other node's lease. *Simulated*: the backends vxlan and host-gw, and bridge without flannel.

use crate::agent::fabric::ETH0;
use crate::agent::world::{World, with};
use crate::api::{Backend, ClusterSpec, Cni, NodeSpec};
use crate::base::{IfIndex, Ipv4Addr, Ipv4Net, MacAddr, NetnsId};
use crate::kernel::{Kind, NewLink, Vxlan};
use crate::trace::Scope;
use std::collections::BTreeMap;

/// Leading octets of a tunnel end's Ethernet address; its IPv4 address follows. Real ones are random; these are as
/// good, and easier to read.
const VTEP: [u8; 2] = [0x02, 0xf1];
const DEVICE: &str = "flannel.1";

/// Ways between nodes that are simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Vxlan,
    Direct,
    None,
}

/// What is not simulated yet runs over VXLAN, as the diagnostic about it says.
fn way(cluster: &ClusterSpec) -> Way {
    match (cluster.network.cni, cluster.network.backend) {
        (Cni::Bridge, _) => Way::None,
        (Cni::Flannel | Cni::Calico | Cni::Cilium, Backend::HostGw | Backend::Static) => Way::Direct,
        (Cni::Flannel | Cni::Calico | Cni::Cilium, _) => Way::Vxlan,
    }
}

/// Bytes that the backend adds to every packet between nodes: for VXLAN the outer IPv4, UDP and VXLAN headers and the
/// inner Ethernet header.
pub(in crate::agent) fn overhead(cluster: &ClusterSpec) -> u32 {
    match way(cluster) {
        Way::Vxlan => 20 + 8 + 8 + 14,
        Way::Direct | Way::None => 0,
    }
}

/// The tunnel end's address: the network address of the node's range.
fn vtep(node: &NodeSpec) -> Ipv4Addr {
    node.pod_cidr.network()
}

fn vtep_mac(node: &NodeSpec) -> MacAddr {
    MacAddr::from_ipv4(VTEP, vtep(node))
}

/// The daemon starts on a node: it makes its device.
pub(in crate::agent) fn start(world: &mut dyn World, netns: NetnsId, node: &NodeSpec, cluster: &ClusterSpec) {
    if way(cluster) != Way::Vxlan {
        return;
    }
    let vxlan = &cluster.network.vxlan;
    let kind = Kind::Vxlan(Vxlan {
        vni: vxlan.vni,
        local: node.address,
        dev: ETH0,
        port: vxlan.port,
        learning: vxlan.learning,
        group: None,
        fdb: BTreeMap::new(),
    });
    let mtu = super::bridge::pod_mtu(cluster);
    let new = NewLink { name: DEVICE.into(), kind, mac: vtep_mac(node), mtu, txqlen: 1000 };
    let addr = Ipv4Net::new_assert(vtep(node), 32);
    with(world, netns, |netns, ctx| {
        let device = netns.add_link(ctx, new);
        netns.add_addr(ctx, device, addr, None, Scope::Global);
        netns.set_up(ctx, device);
    });
}

/// Another node's lease is seen: neighbour, forwarding entry, route, in this order (`handleSubnetEvents`).
pub(in crate::agent) fn add_lease(
    world: &mut dyn World,
    netns: NetnsId,
    far: &NodeSpec,
    cluster: &ClusterSpec,
) {
    with(world, netns, |netns, ctx| match way(cluster) {
        Way::Vxlan => {
            let Some(device) = netns.link_named(DEVICE).map(|link| link.ifindex) else { return };
            netns.set_permanent_neighbor(ctx, device, vtep(far), vtep_mac(far));
            netns.add_vxlan_fdb(ctx, device, vtep_mac(far), far.address);
            let mut route = netns.route_to(far.pod_cidr, Some(vtep(far)), device);
            route.onlink = true;
            netns.add_route(ctx, route);
        }
        Way::Direct => {
            let route = netns.route_to(far.pod_cidr, Some(far.address), ETH0);
            netns.add_route(ctx, route);
        }
        Way::None => {}
    });
}

/// Another node's lease is gone: route, neighbour and forwarding entry go.
pub(in crate::agent) fn del_lease(world: &mut dyn World, netns: NetnsId, far: &NodeSpec) {
    with(world, netns, |netns, ctx| {
        netns.del_routes(ctx, |route| route.dst == far.pod_cidr && route.gateway.is_some());
        let device: Option<IfIndex> = netns.link_named(DEVICE).map(|link| link.ifindex);
        if let Some(device) = device {
            netns.del_neighbor(ctx, device, vtep(far));
            netns.del_vxlan_fdb(ctx, device, vtep_mac(far));
        }
    });
}
