//! CNI plug-ins (CNI specification 1.1): what `ADD` and `DEL` do, with request and result as the real ones give them,
//! and the daemons that connect the nodes.

mod bridge;
pub(super) mod calico;
pub(super) mod cilium;
mod flannel;
mod masquerade;
mod nodes;

pub(super) use nodes::{Peer, connect, forget, protect, start};

use super::world::World;
use crate::api::{Backend, ClusterSpec, Cni, Encapsulation, NodeSpec};
use crate::base::{IfIndex, Ipv4Addr, MacAddr, NetnsId};
use crate::cluster::blocks::Blocks;
use crate::cluster::ipam::{HostLocal, Ipam};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::Arc;

/// A call of a plug-in.
pub(super) struct Call<'a> {
    /// The node's root namespace.
    pub(super) node: NetnsId,
    /// The node's name.
    pub(super) node_name: &'a str,
    /// The Pod's namespace.
    pub(super) sandbox: NetnsId,
    /// `CNI_CONTAINERID`.
    pub(super) container: &'a str,
    /// `CNI_NETNS`.
    pub(super) netns_path: &'a str,
    /// Namespace and name of the Pod, for `CNI_ARGS`.
    pub(super) pod: (&'a str, &'a str),
    /// The address asked for (`CNI_ARGS`, `IP=`).
    pub(super) requested: Option<Ipv4Addr>,
    /// The Pod's security identity, which Cilium alone asks for.
    pub(super) identity: u32,
    /// The cluster.
    pub(super) cluster: &'a ClusterSpec,
}

impl Call<'_> {
    fn is_cilium(&self) -> bool {
        self.cluster.network.cni == Cni::Cilium
    }
}

/// What the first half of `ADD` made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attached {
    /// The Pod's address.
    pub(super) addr: Ipv4Addr,
    /// The bridge's address, where there is a bridge.
    pub(super) bridge_mac: MacAddr,
    /// The end of the veth pair at the node.
    pub(super) veth: (Arc<str>, IfIndex, MacAddr),
    /// The end in the Pod.
    pub(super) eth0: (IfIndex, MacAddr),
}

/// The address management of a new node.
pub(super) fn ipam(node: &NodeSpec, cluster: &ClusterSpec) -> Ipam {
    let network = &cluster.network;
    // host-local counts from 2, behind the gateway; blocks are given out from their very first address.
    let first = if network.ipam.range_start == 2 { 0 } else { network.ipam.range_start };
    match network.cni {
        Cni::Bridge | Cni::Flannel => {
            Ipam::HostLocal(HostLocal::new(node.pod_cidr, network.ipam.range_start))
        }
        Cni::Calico => Ipam::Blocks(Blocks::new(node.pod_cidr, network.calico.block_size, first)),
        // The first address is the router's.
        Cni::Cilium => Ipam::Blocks(Blocks::new(node.pod_cidr, node.pod_cidr.prefix_len(), first.max(2))),
    }
}

/// Whether the nodes' tunnel devices have addresses of the Pods' range.
pub(super) fn has_tunnel_address(cluster: &ClusterSpec) -> bool {
    cluster.network.cni == Cni::Calico && cluster.network.calico.encapsulation != Encapsulation::Never
}

/// MTU of the Pods: the nodes' less what the way between nodes adds.
pub(super) fn pod_mtu(cluster: &ClusterSpec) -> u32 {
    let network = &cluster.network;
    let overhead = match network.backend {
        Some(Backend::Gre) => network.gre.overhead(),
        Some(way) => way.overhead(),
        None => 0,
    };
    let tunnel = network.cni != Cni::Calico || network.calico.encapsulation != Encapsulation::Never;
    let room = network.mtu.saturating_sub(if tunnel { overhead } else { 0 });
    network.bridge.mtu.unwrap_or(room)
}

/// The request: environment and standard input of the plug-in.
pub(super) fn request(command: &str, call: &Call<'_>, ipam: &Ipam) -> Value {
    let (namespace, name) = call.pod;
    let mut args = format!("IgnoreUnknown=1;K8S_POD_NAMESPACE={namespace};K8S_POD_NAME={name}");
    let _ = write!(args, ";K8S_POD_INFRA_CONTAINER_ID={}", call.container);
    if let Some(addr) = call.requested {
        let _ = write!(args, ";IP={addr}");
    }
    let stdin = match ipam {
        Ipam::HostLocal(range) => bridge::config(call, range),
        Ipam::Blocks(_) if call.is_cilium() => cilium::config(),
        Ipam::Blocks(_) => calico::config(call),
    };
    json!({
        "env": {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": call.container,
            "CNI_NETNS": call.netns_path,
            "CNI_IFNAME": "eth0",
            "CNI_ARGS": args,
            "CNI_PATH": "/opt/cni/bin",
        },
        "stdin": stdin,
        // What the configuration list names behind it.
        "then": after(call.cluster.network.cni),
    })
}

/// The plug-ins of the configuration list that are called with the first one's result. *Simplified*: host ports are not
/// opened by it.
fn after(cni: Cni) -> Value {
    match cni {
        Cni::Flannel | Cni::Bridge => {
            json!([{ "type": "portmap", "capabilities": { "portMappings": true } }])
        }
        Cni::Calico => json!([
            { "type": "portmap", "snat": true, "capabilities": { "portMappings": true } },
            { "type": "bandwidth", "capabilities": { "bandwidth": true } },
        ]),
        Cni::Cilium => json!([]),
    }
}

/// First half of `ADD`: the address and the veth pair. When no address is left nothing is left behind.
pub(super) fn attach(world: &mut dyn World, call: &Call<'_>, ipam: &mut Ipam) -> Result<Attached, String> {
    let addr = ipam.allocate(call.container, call.requested)?;
    Ok(match ipam {
        Ipam::HostLocal(_) => bridge::attach(world, call, addr),
        Ipam::Blocks(_) if call.is_cilium() => cilium::attach(world, call, addr),
        Ipam::Blocks(_) => calico::attach(world, call, addr),
    })
}

/// Second half of `ADD`: addresses and routes.
pub(super) fn configure(world: &mut dyn World, call: &Call<'_>, ipam: &Ipam, made: &Attached) {
    match ipam {
        Ipam::HostLocal(range) => bridge::configure(world, call, range, made),
        Ipam::Blocks(blocks) if call.is_cilium() => {
            cilium::configure(world, call, made, cilium::router(blocks.range()));
        }
        Ipam::Blocks(_) => calico::configure(world, call, made),
    }
}

/// The result of `ADD` (`types/040`).
pub(super) fn result(call: &Call<'_>, ipam: &Ipam, made: &Attached) -> Value {
    match ipam {
        Ipam::HostLocal(range) => bridge::result(call, range, made),
        Ipam::Blocks(blocks) if call.is_cilium() => {
            cilium::result(call, made, cilium::router(blocks.range()))
        }
        Ipam::Blocks(_) => calico::result(made),
    }
}

/// The Pod's gateway.
pub(super) fn gateway(call: &Call<'_>, ipam: &Ipam) -> Ipv4Addr {
    match ipam {
        Ipam::HostLocal(range) => range.gateway(),
        Ipam::Blocks(blocks) if call.is_cilium() => cilium::router(blocks.range()),
        Ipam::Blocks(_) => calico::GATEWAY,
    }
}

/// What the runtime says about a plug-in that failed.
pub(super) fn failure(cluster: &ClusterSpec, error: &str) -> String {
    match cluster.network.cni {
        Cni::Flannel => format!("plugin type=\"flannel\" failed (add): failed to delegate add: {error}"),
        Cni::Bridge => format!("plugin type=\"bridge\" failed (add): {error}"),
        Cni::Calico => format!("plugin type=\"calico\" failed (add): {error}"),
        Cni::Cilium => format!("plugin type=\"cilium-cni\" failed (add): {error}"),
    }
}

/// Second half of `DEL` (`ip.DelLinkByNameAddr`): the veth pair goes, and with it the routes by its end at the node.
pub(super) fn detach(world: &mut dyn World, call: &Call<'_>, addr: Option<Ipv4Addr>) {
    let (node, sandbox) = (call.node, call.sandbox);
    if let Some(addr) = addr {
        cilium::detach(world, node, addr);
    }
    if matches!(call.cluster.network.cni, Cni::Bridge | Cni::Flannel) && call.cluster.network.bridge.ip_masq {
        masquerade::del_pod(world, node, call.container);
    }
    let eth0 = world.netns(sandbox).and_then(|netns| netns.link_named("eth0")).map(|link| link.ifindex);
    if let Some(eth0) = eth0 {
        world.del_wire(sandbox, eth0);
    }
}
