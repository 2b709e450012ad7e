//! Calico (projectcalico/calico): its CNI plug-in (`cni-plugin/pkg/dataplane/linux`), which makes no bridge but routes
//! to every Pod by itself, and what Felix sets at the Pods' interfaces. The ways between nodes are in `nodes`.

use super::{Attached, Call, pod_mtu};
use crate::agent::fabric::random_mac;
use crate::agent::world::{Wire, World, with};
use crate::base::{Ipv4Addr, Ipv4Net, MacAddr};
use crate::kernel::{Kind, NewLink};
use crate::trace::Scope;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use std::fmt::Write as _;
use std::sync::Arc;

/// The gateway of every Pod: nobody owns it, and the node answers for it.
pub(super) const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
/// The address of every Pod's interface at the node.
const CALI_MAC: MacAddr = MacAddr([0xee; 6]);

/// The name of a Pod's interface at the node (`VethNameForWorkload`).
pub(in crate::agent) fn veth_name(namespace: &str, pod: &str) -> Arc<str> {
    let digest = Sha1::digest(format!("{namespace}.{pod}"));
    let mut name = "cali".to_owned();
    for byte in &digest {
        let _ = write!(name, "{byte:02x}");
    }
    name.truncate("cali".len() + 11);
    name.into()
}

/// Address of a node's `vxlan.calico`: a hash of the node's name (`vxlanManager.getLocalVTEP`).
pub(super) fn tunnel_mac(node: &str) -> MacAddr {
    let digest = Sha1::digest(node);
    MacAddr([b'f', digest[0], digest[1], digest[2], digest[3], digest[4]])
}

/// The configuration on standard input.
pub(super) fn config(call: &Call<'_>) -> Value {
    json!({
        "cniVersion": "0.3.1",
        "name": "k8s-pod-network",
        "type": "calico",
        "log_level": "info",
        "datastore_type": "kubernetes",
        "nodename": call.node_name,
        "mtu": pod_mtu(call.cluster),
        "ipam": { "type": "calico-ipam" },
        "policy": { "type": "k8s" },
        "kubernetes": { "kubeconfig": "/etc/cni/net.d/calico-kubeconfig" },
    })
}

/// The result of `ADD`: Calico names its interface at the node alone.
pub(super) fn result(made: &Attached) -> Value {
    json!({
        "cniVersion": "0.3.1",
        "interfaces": [{ "name": &*made.veth.0 }],
        "ips": [{ "version": "4", "address": format!("{}/32", made.addr) }],
        "dns": {},
    })
}

/// First half of `ADD` (`DoNetworking`): the veth pair, whose end at the node answers for everybody.
pub(super) fn attach(world: &mut dyn World, call: &Call<'_>, addr: Ipv4Addr) -> Attached {
    let mtu = pod_mtu(call.cluster);
    let veth_name = veth_name(call.pod.0, call.pod.1);
    let eth0_mac = random_mac(world);
    let link = |name: Arc<str>, mac: MacAddr| NewLink { name, kind: Kind::Loopback, mac, mtu, txqlen: 1000 };
    let ends =
        ((call.sandbox, link("eth0".into(), eth0_mac)), (call.node, link(veth_name.clone(), CALI_MAC)));
    let (eth0, veth) = world.add_wire(Wire::Veth, ends.0, ends.1);
    with(world, call.node, |netns, ctx| {
        for (setting, value) in
            [("rp_filter", "1"), ("route_localnet", "1"), ("proxy_arp", "1"), ("forwarding", "1")]
        {
            netns.set_sysctl(ctx, &format!("net.ipv4.conf.{veth_name}.{setting}"), value);
        }
        netns.set_sysctl(ctx, &format!("net.ipv4.neigh.{veth_name}.proxy_delay"), "0");
        netns.set_up(ctx, veth);
    });
    Attached { addr, bridge_mac: MacAddr::ZERO, veth: (veth_name, veth, CALI_MAC), eth0: (eth0, eth0_mac) }
}

/// Second half: a route to the gateway that nobody owns, the default route through it, the address without a network;
/// and at the node a route to this one Pod.
pub(super) fn configure(world: &mut dyn World, call: &Call<'_>, made: &Attached) {
    let (eth0, host) = (made.eth0.0, Ipv4Net::new_assert(made.addr, 32));
    with(world, call.sandbox, |netns, ctx| {
        netns.set_up(ctx, eth0);
        netns.add_addr(ctx, eth0, host, None, Scope::Global);
        netns.add_route(ctx, netns.route_to(Ipv4Net::new_assert(GATEWAY, 32), None, eth0));
        netns.add_route(ctx, netns.route_to(Ipv4Net::default(), Some(GATEWAY), eth0));
    });
    with(world, call.node, |netns, ctx| netns.add_route(ctx, netns.route_to(host, None, made.veth.1)));
}

#[cfg(test)]
mod tests {
    use super::veth_name;

    #[test]
    fn the_interface_of_a_pod_is_named_by_a_hash() {
        assert_eq!(veth_name("default", "a").len(), 15);
        assert_ne!(veth_name("default", "a"), veth_name("default", "b"));
        // `printf default.web | sha1sum` begins with these digits.
        assert_eq!(&*veth_name("default", "web"), "cali68caf03a5f4");
    }
}
