//! Cilium (cilium/cilium): its CNI plug-in (`plugins/cilium-cni`), the interfaces of its agent (`pkg/datapath`) and the
//! entries that the agent writes into the eBPF maps. *Simulated*: the veth path with eBPF host routing, tunnels of
//! VXLAN or routes to the nodes themselves; ENI and netkit are not.

use super::nodes::Peer;
use super::{Attached, Call, pod_mtu};
use crate::agent::fabric::{ETH0, random_mac};
use crate::agent::world::{Wire, World, with};
use crate::api::{Backend, ClusterSpec};
use crate::base::{IfIndex, Ipv4Addr, Ipv4Net, MacAddr, NetnsId};
use crate::cluster::policy::cilium::FIRST_RANGE;
use crate::kernel::{BpfProgram, Kind, Netns, NewLink};
use crate::trace::{BpfMap, BpfRow, RouteProtocol, RouteRow, Scope};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Identities that are reserved (`pkg/identity/numericidentity.go`).
const HOST: u32 = 1;
const WORLD: u32 = 2;
const REMOTE_NODE: u32 = 6;
/// The first identity that is given to labels.
const FIRST_IDENTITY: u32 = 256;

/// The identities of all label sets, in the order in which they appeared. *Simplified*: real agents draw numbers.
#[derive(Clone, Debug, Default)]
pub(in crate::agent) struct Identities {
    known: Vec<(Arc<str>, BTreeMap<String, String>)>,
}

impl Identities {
    /// The identity of a Pod with these labels in this namespace.
    pub(in crate::agent) fn of(&mut self, namespace: &Arc<str>, labels: &BTreeMap<String, String>) -> u32 {
        let is_it =
            |known: &(Arc<str>, BTreeMap<String, String>)| known.0 == *namespace && known.1 == *labels;
        let at = self.known.iter().position(is_it).unwrap_or_else(|| {
            self.known.push((namespace.clone(), labels.clone()));
            self.known.len() - 1
        });
        FIRST_IDENTITY + at as u32
    }
}

/// The configuration on standard input.
pub(super) fn config() -> Value {
    json!({
        "cniVersion": "0.3.1",
        "name": "cilium",
        "type": "cilium-cni",
        "enable-debug": false,
        "log-file": "/var/run/cilium/cilium-cni.log",
    })
}

/// The address of `cilium_host`, which is every Pod's gateway.
pub(super) fn router(range: Ipv4Net) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(range.network()) + 1)
}

/// The result of `ADD`.
pub(super) fn result(call: &Call<'_>, made: &Attached, gateway: Ipv4Addr) -> Value {
    json!({
        "cniVersion": "0.3.1",
        "interfaces": [
            { "name": &*made.veth.0, "mac": made.veth.2.to_string() },
            { "name": "eth0", "mac": made.eth0.1.to_string(), "sandbox": call.netns_path },
        ],
        "ips": [{
            "version": "4",
            "interface": 1,
            "address": format!("{}/32", made.addr),
            "gateway": gateway.to_string(),
        }],
        "routes": [
            { "dst": format!("{gateway}/32") },
            { "dst": "0.0.0.0/0", "gw": gateway.to_string() },
        ],
        "dns": {},
    })
}

/// First half of `ADD`: the veth pair, with the program that takes the Pod's packets.
pub(super) fn attach(world: &mut dyn World, call: &Call<'_>, addr: Ipv4Addr) -> Attached {
    let mtu = pod_mtu(call.cluster);
    let veth_name: Arc<str> = format!("lxc{:012x}", world.rng().u64(..) >> 16).into();
    let (eth0_mac, veth_mac) = (random_mac(world), random_mac(world));
    let link = |name: Arc<str>, mac: MacAddr| NewLink { name, kind: Kind::Loopback, mac, mtu, txqlen: 1000 };
    let ends =
        ((call.sandbox, link("eth0".into(), eth0_mac)), (call.node, link(veth_name.clone(), veth_mac)));
    let (eth0, veth) = world.add_wire(Wire::Veth, ends.0, ends.1);
    with(world, call.node, |netns, ctx| {
        netns.attach_bpf(veth, BpfProgram::FromContainer(addr, call.identity));
        netns.set_up(ctx, veth);
        let key = Ipv4Net::new_assert(addr, 32);
        let (map, mac, identity) = (BpfMap::Endpoints, Some(eth0_mac), call.identity);
        netns.bpf_update(
            ctx,
            BpfRow { netns: netns.id, map, key, ifindex: veth, mac, identity, tunnel: None },
        );
    });
    Attached { addr, bridge_mac: MacAddr::ZERO, veth: (veth_name, veth, veth_mac), eth0: (eth0, eth0_mac) }
}

/// Second half: the address without a network, a route to the gateway, the default route through it.
pub(super) fn configure(world: &mut dyn World, call: &Call<'_>, made: &Attached, gateway: Ipv4Addr) {
    let eth0 = made.eth0.0;
    with(world, call.sandbox, |netns, ctx| {
        netns.set_up(ctx, eth0);
        netns.add_addr(ctx, eth0, Ipv4Net::new_assert(made.addr, 32), None, Scope::Global);
        netns.add_route(ctx, netns.route_to(Ipv4Net::new_assert(gateway, 32), None, eth0));
        netns.add_route(ctx, netns.route_to(Ipv4Net::default(), Some(gateway), eth0));
    });
}

/// A Pod goes: its endpoint is forgotten.
pub(super) fn detach(world: &mut dyn World, node: NetnsId, addr: Ipv4Addr) {
    let key = Ipv4Net::new_assert(addr, 32);
    with(world, node, |netns, ctx| {
        let is_own = |row: &&BpfRow| row.map == BpfMap::Endpoints && row.key == key;
        let endpoint = netns.bpf_rows().find(is_own).map(|row| row.ifindex);
        netns.bpf_delete(ctx, BpfMap::Endpoints, key);
        if let Some(endpoint) = endpoint {
            netns.bpf_forget_policy(ctx, endpoint);
        }
    });
}

/// A Pod whose labels have changed.
#[derive(Clone, Copy, Debug)]
pub(in crate::agent) struct Relabelled {
    /// Its address.
    pub(in crate::agent) addr: Ipv4Addr,
    /// Its new identity.
    pub(in crate::agent) identity: u32,
}

/// A Pod's endpoint gets another identity at its own node.
pub(in crate::agent) fn relabel(world: &mut dyn World, node: NetnsId, pod: Relabelled) {
    let key = Ipv4Net::new_assert(pod.addr, 32);
    with(world, node, |netns, ctx| {
        let is_own = |row: &&BpfRow| row.map == BpfMap::Endpoints && row.key == key;
        let Some(row) = netns.bpf_rows().find(is_own).copied() else { return };
        netns.attach_bpf(row.ifindex, BpfProgram::FromContainer(pod.addr, pod.identity));
        netns.bpf_update(ctx, BpfRow { identity: pod.identity, ..row });
    });
}

/// Ranges of addresses outside the cluster get identities of their own, and lose them.
pub(in crate::agent) fn enter_ranges(
    world: &mut dyn World,
    node: NetnsId,
    gone: impl Iterator<Item = Ipv4Net>,
    new: impl Iterator<Item = (Ipv4Net, u32)>,
) {
    with(world, node, |netns, ctx| {
        // An address that is a Pod's or a node's stays theirs.
        let foreign = |netns: &Netns, range: Ipv4Net| {
            let is_it = |row: &&BpfRow| row.map == BpfMap::Ipcache && row.key == range;
            netns.bpf_rows().find(is_it).is_some_and(|row| row.identity < FIRST_RANGE)
        };
        for range in gone {
            if !foreign(netns, range) {
                netns.bpf_delete(ctx, BpfMap::Ipcache, range);
            }
        }
        for (range, identity) in new {
            if !foreign(netns, range) {
                netns.bpf_update(ctx, ipcache(netns.id, range, identity, None));
            }
        }
    });
}

/// Whether nodes are joined by tunnels.
pub(in crate::agent) fn is_tunnelled(cluster: &ClusterSpec) -> bool {
    cluster.network.backend == Some(Backend::Vxlan)
}

/// The agent starts: the pair `cilium_net` and `cilium_host`, the route of all Pods by it, the programs, and what is
/// known of this node and of the world.
pub(super) fn start(world: &mut dyn World, node: &Peer, cluster: &ClusterSpec) {
    let mtu = cluster.network.mtu;
    let (net_mac, host_mac) = (random_mac(world), random_mac(world));
    let link = |name: &str, mac: MacAddr| NewLink {
        name: name.into(),
        kind: Kind::Loopback,
        mac,
        mtu,
        txqlen: 1000,
    };
    let ends = ((node.netns, link("cilium_net", net_mac)), (node.netns, link("cilium_host", host_mac)));
    let (net, host) = world.add_wire(Wire::Veth, ends.0, ends.1);
    let gateway = router(node.spec.pod_cidr);
    let tunnel = cluster.network.backend == Some(Backend::Vxlan);
    with(world, node.netns, |netns, ctx| {
        netns.set_up(ctx, net);
        netns.set_up(ctx, host);
        netns.add_addr(ctx, host, Ipv4Net::new_assert(gateway, 32), None, Scope::Global);
        // The real pair is without ARP; an entry of its own has the same effect.
        netns.set_permanent_neighbor(ctx, host, gateway, host_mac);
        netns.attach_bpf(host, BpfProgram::FromHost(HOST));
        netns.attach_bpf(ETH0, BpfProgram::FromNetdev);
        add_route(netns, ctx, (node.spec.pod_cidr, gateway), host);
        let overlay = netns.link_named("cilium_vxlan").map(|link| link.ifindex).filter(|_| tunnel);
        if let Some(overlay) = overlay {
            netns.attach_bpf(overlay, BpfProgram::FromOverlay);
        }
        let rows = [(node.spec.address, 32, HOST), (gateway, 32, HOST), (Ipv4Addr::UNSPECIFIED, 0, WORLD)];
        for (addr, prefix_len, identity) in rows {
            let key = Ipv4Net::new_assert(addr, prefix_len);
            netns.bpf_update(ctx, ipcache(netns.id, key, identity, None));
        }
    });
}

fn add_route(
    netns: &mut Netns,
    ctx: &mut crate::kernel::Ctx<'_>,
    (dst, gateway): (Ipv4Net, Ipv4Addr),
    host: IfIndex,
) {
    let route = netns.route_to(dst, Some(gateway), host);
    let protocol = RouteProtocol::Kernel;
    netns.add_route(ctx, RouteRow { prefsrc: Some(gateway), protocol, ..route });
}

fn ipcache(netns: NetnsId, key: Ipv4Net, identity: u32, tunnel: Option<Ipv4Addr>) -> BpfRow {
    BpfRow { netns, map: BpfMap::Ipcache, key, ifindex: IfIndex::NONE, mac: None, identity, tunnel }
}

/// A node hears of another one: its addresses, and with tunnels the route to its Pods by `cilium_host`.
pub(super) fn connect(world: &mut dyn World, near: NetnsId, own: &Peer, far: &Peer, cluster: &ClusterSpec) {
    let tunnel = is_tunnelled(cluster).then_some(far.spec.address);
    with(world, near, |netns, ctx| {
        let node = Ipv4Net::new_assert(far.spec.address, 32);
        netns.bpf_update(ctx, ipcache(netns.id, node, REMOTE_NODE, None));
        let router = Ipv4Net::new_assert(router(far.spec.pod_cidr), 32);
        netns.bpf_update(ctx, ipcache(netns.id, router, REMOTE_NODE, tunnel));
        let host = netns.link_named("cilium_host").map(|link| link.ifindex);
        if let Some(host) = host.filter(|_| tunnel.is_some()) {
            add_route(netns, ctx, (far.spec.pod_cidr, self::router(own.spec.pod_cidr)), host);
        }
    });
}

/// All agents hear of a Pod's address and identity.
pub(in crate::agent) fn publish(
    world: &mut dyn World,
    at: NetnsId,
    (addr, identity): (Ipv4Addr, u32),
    elsewhere: Option<Ipv4Addr>,
) {
    let key = Ipv4Net::new_assert(addr, 32);
    with(world, at, |netns, ctx| netns.bpf_update(ctx, ipcache(netns.id, key, identity, elsewhere)));
}

/// All agents hear that a Pod is gone.
pub(in crate::agent) fn withdraw(world: &mut dyn World, at: NetnsId, addr: Ipv4Addr) {
    let key = Ipv4Net::new_assert(addr, 32);
    with(world, at, |netns, ctx| netns.bpf_delete(ctx, BpfMap::Ipcache, key));
}
