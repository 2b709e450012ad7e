//! The plug-in bridge (containernetworking/plugins, `plugins/main/bridge`) as flannel delegates to it: `cni0`, a veth
//! pair for each Pod, host-local addresses. `ADD` is split into its two halves, which the lesson shows as two steps.

use super::{Attached, Call, pod_mtu};
use crate::agent::fabric::random_mac;
use crate::agent::world::{Wire, World, with};
use crate::base::{IfIndex, Ipv4Addr, Ipv4Net, MacAddr};
use crate::cluster::ipam::HostLocal;
use crate::kernel::{BridgeOption, Ctx, Hairpin, Kind, Netns, NewLink};
use crate::trace::{Scope, VlanRow};
use serde_json::{Value, json};
use std::sync::Arc;

/// Leading octets of a Pod's Ethernet address; its IPv4 address follows (`SetHWAddrByIP`).
const POD: [u8; 2] = [0x0a, 0x58];
const BRIDGE: &str = "cni0";
/// Name of the network, from the configuration list.
pub(super) const NETWORK: &str = "cbr0";

/// The configuration on standard input: flannel's delegate, or the plug-in by itself.
pub(super) fn config(call: &Call<'_>, ipam: &HostLocal) -> Value {
    let network = &call.cluster.network;
    let bridge = &network.bridge;
    let mut range = json!({ "subnet": ipam.subnet().to_string() });
    if network.ipam.range_start != 2 {
        let start = u32::from(ipam.subnet().network()) + network.ipam.range_start;
        range["rangeStart"] = json!(Ipv4Addr::from(start).to_string());
    }
    let mut config = json!({
        "cniVersion": "0.3.1",
        "name": NETWORK,
        "type": "bridge",
        "bridge": BRIDGE,
        "mtu": pod_mtu(call.cluster),
        "hairpinMode": bridge.hairpin_mode,
        "isGateway": bridge.is_gateway,
        "isDefaultGateway": bridge.is_gateway,
        "ipMasq": bridge.ip_masq,
        "ipam": {
            "type": "host-local",
            "ranges": [[range]],
            "routes": [{ "dst": network.pod_cidr.to_string() }],
        },
    });
    if bridge.promisc_mode {
        config["promiscMode"] = json!(true);
    }
    if let Some(vlan) = bridge.vlan {
        config["vlan"] = json!(vlan);
    }
    config
}

/// The result of `ADD` (`types/040`).
pub(super) fn result(call: &Call<'_>, ipam: &HostLocal, made: &Attached) -> Value {
    let prefix_len = ipam.subnet().prefix_len();
    json!({
        "cniVersion": "0.3.1",
        "interfaces": [
            { "name": BRIDGE, "mac": made.bridge_mac.to_string() },
            { "name": &*made.veth.0, "mac": made.veth.2.to_string() },
            { "name": "eth0", "mac": made.eth0.1.to_string(), "sandbox": call.netns_path },
        ],
        "ips": [{
            "version": "4",
            "interface": 2,
            "address": format!("{}/{prefix_len}", made.addr),
            "gateway": ipam.gateway().to_string(),
        }],
        "routes": [
            { "dst": call.cluster.network.pod_cidr.to_string() },
            { "dst": "0.0.0.0/0", "gw": ipam.gateway().to_string() },
        ],
        "dns": {},
    })
}

/// First half of `ADD` (`setupBridge`, `setupVeth`, `ipam.ExecAdd`): the address from the pool, `cni0`, the veth pair,
/// the host end as a port of the bridge.
pub(super) fn attach(world: &mut dyn World, call: &Call<'_>, addr: Ipv4Addr) -> Attached {
    let mtu = pod_mtu(call.cluster);
    let (bridge, bridge_mac) = ensure_bridge(world, call, mtu);
    let eth0_mac = MacAddr::from_ipv4(POD, addr);
    let veth_mac = random_mac(world);
    let veth_name: Arc<str> = format!("veth{:08x}", world.rng().u32(..)).into();
    let host_end = veth(veth_name.clone(), veth_mac, mtu);
    let pod_end = veth("eth0".into(), eth0_mac, mtu);
    let (eth0, veth) = world.add_wire(Wire::Veth, (call.sandbox, pod_end), (call.node, host_end));
    let hairpin = if call.cluster.network.bridge.hairpin_mode { Hairpin::On } else { Hairpin::Off };
    let vlan = call.cluster.network.bridge.vlan;
    with(world, call.node, |netns, ctx| {
        netns.set_up(ctx, veth);
        netns.set_master(ctx, veth, bridge, hairpin);
        join_vlan(netns, ctx, veth, vlan);
    });
    Attached { addr, bridge_mac, veth: (veth_name, veth, veth_mac), eth0: (eth0, eth0_mac) }
}

/// Second half (`ConfigureIface`): link up, address, routes, a gratuitous ARP; then the gateway address on `cni0`.
pub(super) fn configure(world: &mut dyn World, call: &Call<'_>, ipam: &HostLocal, made: &Attached) {
    let net = Ipv4Net::new_assert(made.addr, ipam.subnet().prefix_len());
    let (eth0, gateway, pod_cidr) = (made.eth0.0, ipam.gateway(), call.cluster.network.pod_cidr);
    with(world, call.sandbox, |netns, ctx| {
        // Going up with an address, the link announces it.
        netns.set_sysctl(ctx, "net.ipv4.conf.eth0.arp_notify", "1");
        netns.add_addr(ctx, eth0, net, Some(net.broadcast()), Scope::Global);
        netns.set_up(ctx, eth0);
        netns.add_route(ctx, netns.route_to(pod_cidr, Some(gateway), eth0));
        netns.add_route(ctx, netns.route_to(Ipv4Net::default(), Some(gateway), eth0));
    });
    let bridge = &call.cluster.network.bridge;
    if bridge.is_gateway {
        let gateway_net = Ipv4Net::new_assert(gateway, net.prefix_len());
        let device = ensure_vlan_interface(world, call, bridge.vlan);
        with(world, call.node, |netns, ctx| ensure_gateway(netns, ctx, &device, gateway_net));
    }
    if bridge.ip_masq {
        super::masquerade::add_pod(world, call, net);
    }
}

/// A port with a VLAN of its own belongs to that one, untagged, beside the bridge's default (`BridgeVlanAdd`).
fn join_vlan(netns: &mut Netns, ctx: &mut Ctx<'_>, port: IfIndex, vlan: Option<u16>) {
    if let Some(id) = vlan {
        netns.add_vlan(ctx, VlanRow { netns: netns.id, ifindex: port, id, pvid: true, untagged: true });
    }
}

/// The device that gets the gateway's address: the bridge, or with a VLAN one end of a veth pair whose other end is a
/// port in that VLAN (`ensureVlanInterface`).
fn ensure_vlan_interface(world: &mut dyn World, call: &Call<'_>, vlan: Option<u16>) -> Arc<str> {
    let Some(id) = vlan else { return BRIDGE.into() };
    let name: Arc<str> = format!("{BRIDGE}.{id}").into();
    let there =
        |name: &str| world.netns(call.node).and_then(|netns| netns.link_named(name)).map(|link| link.ifindex);
    let (Some(bridge), None) = (there(BRIDGE), there(&name)) else { return name };
    let mtu = pod_mtu(call.cluster);
    let macs = (random_mac(world), random_mac(world));
    let port_name: Arc<str> = format!("veth{:08x}", world.rng().u32(..)).into();
    let ends = (veth(name.clone(), macs.0, mtu), veth(port_name, macs.1, mtu));
    let (own, port) = world.add_wire(Wire::Veth, (call.node, ends.0), (call.node, ends.1));
    with(world, call.node, |netns, ctx| {
        netns.set_up(ctx, own);
        netns.set_up(ctx, port);
        netns.set_master(ctx, port, bridge, Hairpin::Off);
        join_vlan(netns, ctx, port, vlan);
    });
    name
}

fn ensure_gateway(netns: &mut Netns, ctx: &mut Ctx<'_>, device: &str, net: Ipv4Net) {
    let Some(bridge) = netns.link_named(device).map(|link| link.ifindex) else { return };
    if !netns.has_addr(net.addr()) {
        netns.add_addr(ctx, bridge, net, Some(net.broadcast()), Scope::Global);
    }
    if !netns.sysctl.ip_forward {
        netns.set_sysctl(ctx, "net.ipv4.ip_forward", "1");
    }
}

fn veth(name: Arc<str>, mac: MacAddr, mtu: u32) -> NewLink {
    // The plug-in asks for no queue on veths.
    NewLink { name, kind: Kind::Loopback, mac, mtu, txqlen: 0 }
}

fn ensure_bridge(world: &mut dyn World, call: &Call<'_>, mtu: u32) -> (IfIndex, MacAddr) {
    let (node, settings) = (call.node, call.cluster.network.bridge);
    let there =
        world.netns(node).and_then(|netns| netns.link_named(BRIDGE)).map(|link| (link.ifindex, link.mac));
    if let Some(found) = there {
        return found;
    }
    let mac = random_mac(world);
    let made = with(world, node, |netns, ctx| {
        let new = NewLink { name: BRIDGE.into(), kind: Kind::bridge(), mac, mtu, txqlen: 1000 };
        let bridge = netns.add_link(ctx, new);
        if settings.vlan.is_some() {
            netns.set_bridge(ctx, bridge, BridgeOption::VlanFiltering(true));
        }
        if settings.promisc_mode {
            netns.set_promisc(ctx, bridge, true);
        }
        netns.set_up(ctx, bridge);
        bridge
    });
    (made.unwrap_or(IfIndex::NONE), mac)
}
