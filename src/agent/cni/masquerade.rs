//! What lets Pods reach hosts outside the cluster: the rules by which a node gives its own address to packets that leave
//! the Pods' range, as each plug-in writes them.
//!
//! flannel: see its own file. bridge: `pkg/ip/ipmasq_linux.go` (a
//! chain for each Pod). Calico: `felix/rules/nat.go`, the chain `cali-nat-outgoing` alone. Cilium: `pkg/datapath/iptables`,
//! the chain `CILIUM_POST_nat` alone.

use super::Call;
use super::bridge::NETWORK;
use super::nodes::Peer;
use crate::agent::world::{World, with};
use crate::api::{ClusterSpec, Cni};
use crate::base::{Ipv4Addr, Ipv4Net, NetnsId};
use crate::kernel::{Ctx, NetfilterOp, Netns};
use crate::trace::SetMember;
use crate::xtables::{Family, Rule, Table, Target, parse_rule_with};
use sha2::{Digest as _, Sha512};
use std::fmt::Write as _;
use std::sync::Arc;

const MULTICAST: &str = "224.0.0.0/4";
/// Sets that rules name.
const SETS: [&str; 3] = ["cali40all-ipam-pools", "cali40masq-ipam-pools", "cilium_node_set_v4"];

/// Appends rules to chains of a table, as `iptables -A` lines say them; `@` stands for `-m comment --comment` with this
/// comment.
fn append(netns: &mut Netns, ctx: &mut Ctx<'_>, table: Table, comment: &str, lines: &[String]) {
    for line in lines {
        let words: Vec<&str> = line
            .split_whitespace()
            .flat_map(
                |word| if word == "@" { vec!["-m", "comment", "--comment", comment] } else { vec![word] },
            )
            .collect();
        let Some((chain, rest)) = words.split_first() else { continue };
        let Ok(rule) = parse_rule_with(Family::V4, &SETS, rest) else {
            debug_assert!(false, "the plug-ins' rules can be read: {line}");
            continue;
        };
        let place = netns.nf_rules(Family::V4, table, chain).count() as u32;
        let chain: Arc<str> = (*chain).into();
        netns.change_netfilter(ctx, NetfilterOp::Insert(table, chain, place, Arc::new(rule), (0, 0)));
    }
}

fn chain(netns: &mut Netns, ctx: &mut Ctx<'_>, table: Table, name: &str) {
    netns.change_netfilter(ctx, NetfilterOp::NewChain(table, name.into()));
}

/// The daemon of a plug-in starts on a node.
pub(super) fn start(world: &mut dyn World, node: &Peer, cluster: &ClusterSpec) {
    with(world, node.netns, |netns, ctx| match cluster.network.cni {
        Cni::Calico if cluster.network.calico.nat_outgoing => calico(netns, ctx, cluster.network.pod_cidr),
        Cni::Cilium => cilium(netns, ctx, node, cluster),
        Cni::Calico | Cni::Bridge | Cni::Flannel => {}
    });
}

/// The pools of addresses stand in sets: those whose Pods are masqueraded, and all.
fn calico(netns: &mut Netns, ctx: &mut Ctx<'_>, pool: Ipv4Net) {
    let member = SetMember { addr: pool.network().into(), len: pool.prefix_len(), ..SetMember::EMPTY };
    for name in ["cali40all-ipam-pools", "cali40masq-ipam-pools"] {
        netns.change_netfilter(ctx, NetfilterOp::NewSet(name.into(), "hash:net".into(), None));
        netns.change_netfilter(ctx, NetfilterOp::Members(name.into(), vec![member]));
    }
    chain(netns, ctx, Table::Nat, "cali-POSTROUTING");
    chain(netns, ctx, Table::Nat, "cali-nat-outgoing");
    let rules = [
        ("cali:O3lYWMrLQYEMJtB5", "POSTROUTING @ -j cali-POSTROUTING"),
        ("cali:nYKhEzDlr11Jccal", "cali-POSTROUTING @ -j cali-nat-outgoing"),
        (
            "cali:flqWnvo8yq4ULQLa",
            "cali-nat-outgoing @ -m set --match-set cali40masq-ipam-pools src -m set ! --match-set \
             cali40all-ipam-pools dst -j MASQUERADE --random-fully",
        ),
    ];
    for (comment, line) in rules {
        append(netns, ctx, Table::Nat, comment, &[line.to_owned()]);
    }
}

/// With tunnels the node's own range is what is not masqueraded into, as what is in a tunnel never comes here; with
/// routes the range of all Pods.
fn cilium(netns: &mut Netns, ctx: &mut Ctx<'_>, node: &Peer, cluster: &ClusterSpec) {
    let own = node.spec.pod_cidr;
    let within = if super::cilium::is_tunnelled(cluster) { own } else { cluster.network.pod_cidr };
    netns.change_netfilter(ctx, NetfilterOp::NewSet("cilium_node_set_v4".into(), "hash:ip".into(), None));
    let nodes = cluster.nodes.iter().map(|node| SetMember { addr: node.address.into(), ..SetMember::EMPTY });
    netns.change_netfilter(ctx, NetfilterOp::Members("cilium_node_set_v4".into(), nodes.collect()));
    chain(netns, ctx, Table::Nat, "CILIUM_POST_nat");
    let rules = [
        ("cilium-feeder: CILIUM_POST_nat", "POSTROUTING @ -j CILIUM_POST_nat".to_owned()),
        (
            "exclude traffic to cluster nodes from masquerade",
            format!("CILIUM_POST_nat -s {own} -m set --match-set cilium_node_set_v4 dst @ -j ACCEPT"),
        ),
        (
            "cilium masquerade non-cluster",
            format!("CILIUM_POST_nat -s {own} ! -d {within} ! -o cilium_+ @ -j MASQUERADE"),
        ),
    ];
    for (comment, line) in rules {
        append(netns, ctx, Table::Nat, comment, &[line]);
    }
}

/// Name of a Pod's chain (`utils.FormatChainName`): a hash of the network's name and the container's id.
fn pod_chain(network: &str, container: &str) -> String {
    let mut name = "CNI-".to_owned();
    for byte in &Sha512::digest(format!("{network}{container}")) {
        let _ = write!(name, "{byte:02x}");
    }
    name.truncate(28);
    name
}

/// `ADD` of the plug-in bridge with `ipMasq` (`SetupIPMasq`): what stays in the Pod's own network is left alone.
pub(super) fn add_pod(world: &mut dyn World, call: &Call<'_>, net: Ipv4Net) {
    let name = pod_chain(NETWORK, call.container);
    let comment = format!("name: \"{NETWORK}\" id: \"{}\"", call.container);
    with(world, call.node, |netns, ctx| {
        chain(netns, ctx, Table::Nat, &name);
        let rules = [
            format!("{name} -d {} @ -j ACCEPT", net.trunc()),
            format!("{name} ! -d {MULTICAST} @ -j MASQUERADE"),
            format!("POSTROUTING -s {} @ -j {name}", net.addr()),
        ];
        append(netns, ctx, Table::Nat, &comment, &rules);
    });
}

/// `DEL` of the plug-in bridge with `ipMasq` (`TeardownIPMasq`).
pub(super) fn del_pod(world: &mut dyn World, node: NetnsId, container: &str) {
    let name = pod_chain(NETWORK, container);
    with(world, node, |netns, ctx| {
        let leads = |rule: &Rule| matches!(&rule.target, Target::Jump(to) if **to == *name);
        let jumps: Vec<u32> = netns
            .nf_rules(Family::V4, Table::Nat, "POSTROUTING")
            .filter(|(_, rule)| leads(rule))
            .map(|(handle, _)| handle)
            .collect();
        for handle in jumps {
            netns.change_netfilter(ctx, NetfilterOp::Delete(Table::Nat, "POSTROUTING".into(), handle));
        }
        netns.change_netfilter(ctx, NetfilterOp::DelChain(Table::Nat, name.as_str().into()));
    });
}

/// What flannel writes for its plug-in to read.
pub(super) fn subnet_env(all: Ipv4Net, own: Ipv4Net, mtu: u32) -> String {
    let gateway = Ipv4Addr::from(u32::from(own.network()) + 1);
    format!(
        "FLANNEL_NETWORK={all}\nFLANNEL_SUBNET={gateway}/{}\nFLANNEL_MTU={mtu}\nFLANNEL_IPMASQ=true\n",
        own.prefix_len()
    )
}
