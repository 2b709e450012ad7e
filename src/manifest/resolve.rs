//! The cluster with all defaults filled in: from the cluster document, from plain Node objects, or the lesson's own.

use super::values::{duration, net_of};
use super::{Parsed, kube_proxy};
use crate::api::{
    Autodetection, Backend, BridgeSpec, CalicoSpec, Cluster, ClusterSpec, Cni, Delays, DnsSpec,
    Encapsulation, ExternalSpec, GreSpec, InterfaceSpec, IpamSpec, NetworkSpec, Nic, Node, NodeAddressType,
    NodeSpec, VxlanSpec, WrittenBridge, WrittenCalico, WrittenExternal, WrittenInterface, WrittenNetwork,
    WrittenNode, WrittenSpec,
};
use crate::base::{IpNet, Ipv4Addr, Ipv4Net};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Annotation of a Node with its further addresses, separated by commas.
const EXTRA_ADDRESSES: &str = "vethscope.dev/extra-addresses";
/// Labels that every kubelet gives its node (`pkg/kubelet/kubelet_node_status.go`).
const OF_KUBELETS: [(&str, &str); 4] = [
    ("beta.kubernetes.io/arch", "amd64"),
    ("beta.kubernetes.io/os", "linux"),
    ("kubernetes.io/arch", "amd64"),
    ("kubernetes.io/os", "linux"),
];
/// Prefix length of a host's network where none is written.
const HOST_PREFIX_LEN: u8 = 24;
/// Prefix length of a node's Pod range where none is written, as kube-controller-manager allots them
/// (`--node-cidr-mask-size-ipv4`).
const NODE_POD_PREFIX_LEN: u8 = 24;
const DEFAULT_POD_CIDR: Ipv4Net = net(10, 244, 0, 0, 16);
const DEFAULT_SERVICE_CIDR: Ipv4Net = net(10, 96, 0, 0, 12);
const DEFAULT_LAN: Ipv4Net = net(192, 168, 1, 0, 24);
const DEFAULT_MTU: u32 = 1500;

const fn net(a: u8, b: u8, c: u8, d: u8, prefix_len: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix_len)
}

impl Parsed {
    /// The cluster with all defaults filled in. What has errors counts as not written.
    pub fn resolve_cluster(&self) -> ClusterSpec {
        let written = self.cluster().map(|cluster: &Cluster| cluster.spec.clone()).unwrap_or_default();
        let external = external(self, &written);
        let mut network = network(&written.network, balancer_pool(self, &written));
        if written.network.pod_cidr.is_none() && written.nodes.is_none() {
            network.pod_cidr = around_nodes(self);
        }
        let nodes = nodes(self, &written, &network, &external);
        let dns = DnsSpec {
            cluster_domain: written.dns.cluster_domain.unwrap_or_else(|| "cluster.local".to_owned()),
            service_ip: match written.dns.service_ip {
                None => Some(default_dns_address(network.service_cidr)),
                Some(text) => text.parse().ok(),
            },
            node_local: written.dns.node_local.unwrap_or(false),
        };
        let podsubnet = ranges(written.network.pod_cidr.as_deref());
        let proxy = kube_proxy::resolve(self, &podsubnet, network.pod_cidr);
        ClusterSpec { nodes, network, dns, proxy, external }
    }
}

/// Ranges of both families with a comma between, as kubeadm takes them (`podSubnet`).
fn ranges(written: Option<&str>) -> Vec<IpNet> {
    written.into_iter().flat_map(|text| text.split(',')).filter_map(|text| text.trim().parse().ok()).collect()
}

/// The tenth address of the Service range, as kubeadm chooses it.
fn default_dns_address(service_cidr: Ipv4Net) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(service_cidr.network()).saturating_add(10))
}

fn network(written: &WrittenNetwork, balancer_pool: Ipv4Net) -> NetworkSpec {
    let cni = choose(&Cni::ALL, written.cni.as_deref());
    let backend = written.backend.as_deref().and_then(|name| named(&Backend::ALL, name));
    // Without a word on it each plug-in connects the nodes in its own way; the plug-in bridge does not.
    let backend = backend.or_else(|| cni.backends().first().copied().filter(|_| cni != Cni::Bridge));
    NetworkSpec {
        cni,
        backend,
        pod_cidr: parsed(written.pod_cidr.as_deref(), DEFAULT_POD_CIDR),
        service_cidr: parsed(written.service_cidr.as_deref(), DEFAULT_SERVICE_CIDR),
        balancer_pool,
        mtu: written.mtu.unwrap_or(DEFAULT_MTU),
        vxlan: VxlanSpec {
            vni: written.vxlan.vni.unwrap_or(if cni == Cni::Calico { 4096 } else { 1 }),
            port: written.vxlan.port.unwrap_or(if cni == Cni::Calico { 4789 } else { 8472 }),
            learning: written.vxlan.learning.unwrap_or(written.vxlan.group.is_some()),
            group: written.vxlan.group.as_deref().and_then(|text| text.parse().ok()),
        },
        gre: GreSpec {
            key: written.gre.key,
            checksum: written.gre.checksum.unwrap_or(false),
            sequence: written.gre.sequence.unwrap_or(false),
        },
        ipam: IpamSpec { range_start: written.ipam.range_start.unwrap_or(2) },
        bridge: bridge(cni, &written.bridge),
        direct_routing: written.flannel.direct_routing.unwrap_or(false),
        calico: calico(backend, &written.calico),
        nic: choose(&Nic::ALL, written.nic.as_deref()),
        conntrack_race: written.conntrack_race.unwrap_or(false),
        delays: delays(written),
    }
}

/// flannel's delegate does not masquerade, for flannel's own daemon does.
fn bridge(cni: Cni, written: &WrittenBridge) -> BridgeSpec {
    let promisc_mode = written.promisc_mode.unwrap_or(false);
    BridgeSpec {
        ip_masq: written.ip_masq.unwrap_or(cni == Cni::Bridge),
        is_gateway: written.is_gateway.unwrap_or(true),
        hairpin_mode: written.hairpin_mode.unwrap_or(!promisc_mode),
        promisc_mode,
        vlan: written.vlan.filter(|vlan| *vlan != 0),
        mtu: written.mtu.filter(|mtu| *mtu != 0),
    }
}

fn calico(backend: Option<Backend>, written: &WrittenCalico) -> CalicoSpec {
    let mode = |written: Option<&str>| written.and_then(|name| named(&Encapsulation::ALL, name));
    let encapsulation = match backend {
        Some(Backend::Ipip) => mode(written.ipip_mode.as_deref()).unwrap_or_default(),
        Some(Backend::Vxlan) => mode(written.vxlan_mode.as_deref()).unwrap_or_default(),
        _ => Encapsulation::Never,
    };
    CalicoSpec {
        encapsulation,
        block_size: written.block_size.unwrap_or(26),
        nat_outgoing: written.nat_outgoing.unwrap_or(true),
        autodetection: written.ip_autodetection.as_deref().and_then(Autodetection::parse).unwrap_or_default(),
    }
}

/// The range of all Pods where no document says it, only Node objects, which may come from any cluster: the default,
/// unless their own ranges lie elsewhere; then the smallest one around them that is no smaller than a `/16`.
fn around_nodes(parsed: &Parsed) -> Ipv4Net {
    let ranges =
        parsed.nodes().filter_map(|node| range(&WrittenNode::default(), Some(node))).collect::<Vec<_>>();
    let around = |wide: &Ipv4Net| ranges.iter().all(|range| wide.contains(range));
    if around(&DEFAULT_POD_CIDR) {
        return DEFAULT_POD_CIDR;
    }
    let first = ranges.first().map_or(DEFAULT_POD_CIDR.network(), Ipv4Net::network);
    let wider =
        (0..=DEFAULT_POD_CIDR.prefix_len()).rev().filter_map(|length| Ipv4Net::new(first, length).ok());
    wider.map(|wide| wide.trunc()).find(around).unwrap_or(DEFAULT_POD_CIDR)
}

fn delays(written: &WrittenNetwork) -> Delays {
    let delay = |name: &str| written.delays.get(name).and_then(|text| duration(text));
    Delays {
        veth: delay("veth"),
        bridge: delay("bridge"),
        forward: delay("forward"),
        input: delay("input"),
        output: delay("output"),
        vxlan: delay("vxlan"),
        link: delay("link"),
        wakeup: delay("wakeup"),
    }
}

fn choose<T: Copy + Default>(all: &[(&str, T)], written: Option<&str>) -> T {
    written.and_then(|name| named(all, name)).unwrap_or_default()
}

fn named<T: Copy>(all: &[(&str, T)], name: &str) -> Option<T> {
    all.iter().find(|known| known.0 == name).map(|known| known.1)
}

fn parsed(written: Option<&str>, default: Ipv4Net) -> Ipv4Net {
    let ipv4 = |net: IpNet| if let IpNet::V4(net) = net { Some(net.trunc()) } else { None };
    ranges(written).into_iter().find_map(ipv4).unwrap_or(default)
}

/// The lesson's hosts outside the cluster, in the network that the nodes are in.
fn default_external(lan: Ipv4Net) -> Vec<ExternalSpec> {
    let in_lan = |number: u32| Ipv4Addr::from(u32::from(lan.network()) + number);
    let host = |name: &str, address, router, ports: &[u16], behind: Option<&str>| ExternalSpec {
        name: name.to_owned(),
        address,
        prefix_len: HOST_PREFIX_LEN,
        router,
        ports: ports.to_vec(),
        behind: behind.map(str::to_owned),
        zone: None,
    };
    vec![
        host("gw", in_lan(1), true, &[], None),
        host("ext", in_lan(100), false, &[80], None),
        host("example.com", Ipv4Addr::new(203, 0, 113, 10), false, &[80, 443], Some("gw")),
    ]
}

/// The network of the first node that says where it is; the lesson's own where none does.
fn lan(parsed: &Parsed, written: &WrittenSpec) -> Ipv4Net {
    let entries = written.nodes.iter().flatten().filter_map(|node| address(node, None));
    let nothing = WrittenNode::default();
    let mut objects = parsed.nodes().filter_map(|node| address(&nothing, Some(node)));
    let found = entries.into_iter().next().or_else(|| objects.next());
    found.map_or(DEFAULT_LAN, |(address, _)| Ipv4Net::new_assert(address, HOST_PREFIX_LEN).trunc())
}

/// The range that is written for load balancers, or the last sixteen addresses of the nodes' network.
fn balancer_pool(cluster: &Parsed, written: &WrittenSpec) -> Ipv4Net {
    let last = u32::from(lan(cluster, written).broadcast()) & !15;
    parsed(written.network.balancer_pool.as_deref(), Ipv4Net::new_assert(last.into(), 28))
}

/// The hosts that are written; without any, the lesson's, less those whose address a node has.
fn external(parsed: &Parsed, written: &WrittenSpec) -> Vec<ExternalSpec> {
    let Some(hosts) = &written.external else {
        let mut hosts = default_external(lan(parsed, written));
        let nothing = WrittenNode::default();
        let written = written.nodes.iter().flatten().filter_map(|node| address(node, None));
        let taken: BTreeSet<Ipv4Addr> = written
            .chain(parsed.nodes().filter_map(|node| address(&nothing, Some(node))))
            .map(|(address, _)| address)
            .collect();
        let gw_taken = taken.contains(&hosts[0].address);
        hosts.retain(|host| !taken.contains(&host.address) && (host.behind.is_none() || !gw_taken));
        return hosts;
    };
    let host = |host: &WrittenExternal| {
        let (address, prefix_len) = host_address(host.address.as_deref()?)?;
        Some(ExternalSpec {
            name: host.name.clone(),
            address,
            prefix_len,
            router: host.router,
            ports: host.ports.clone(),
            behind: host.behind.clone(),
            zone: host.zone.clone(),
        })
    };
    hosts.iter().filter_map(host).collect()
}

fn host_address(text: &str) -> Option<(Ipv4Addr, u8)> {
    let net = net_of(text, HOST_PREFIX_LEN)?;
    Some((net.addr(), net.prefix_len()))
}

/// Node entries before their defaults: from the cluster document, then from Node objects, which override and extend;
/// with neither, the lesson's two.
fn nodes(
    parsed: &Parsed,
    written: &WrittenSpec,
    network: &NetworkSpec,
    external: &[ExternalSpec],
) -> Vec<NodeSpec> {
    let mut entries = match &written.nodes {
        Some(nodes) => nodes.iter().map(|node| (node.clone(), None)).collect::<Vec<_>>(),
        None if parsed.nodes().next().is_none() => lesson_nodes().map(|node| (node, None)).into(),
        None => Vec::new(),
    };
    for node in parsed.nodes() {
        match entries.iter_mut().find(|entry| entry.0.name == node.metadata.name) {
            Some(entry) => entry.1 = Some(node),
            None => {
                entries.push((
                    WrittenNode { name: node.metadata.name.clone(), ..WrittenNode::default() },
                    Some(node),
                ));
            }
        }
    }
    let mut free = Free::new(&entries, network, external);
    entries.iter().map(|(written, node)| resolve_node(written, *node, network, external, &mut free)).collect()
}

fn lesson_nodes() -> [WrittenNode; 2] {
    let node = |name: &str, address: &str, pod_cidr: &str| WrittenNode {
        name: name.to_owned(),
        address: Some(address.to_owned()),
        pod_cidr: Some(pod_cidr.to_owned()),
        ..WrittenNode::default()
    };
    [node("node1", "192.168.1.10", "10.244.1.0/24"), node("node2", "192.168.1.11", "10.244.2.0/24")]
}

/// What is left to give to nodes that do not say what they want.
struct Free {
    addresses: BTreeSet<Ipv4Addr>,
    ranges: Vec<Ipv4Net>,
    within: Ipv4Net,
}

impl Free {
    fn new(
        entries: &[(WrittenNode, Option<&Node>)],
        network: &NetworkSpec,
        external: &[ExternalSpec],
    ) -> Self {
        let addresses =
            entries.iter().filter_map(|(written, node)| address(written, *node)).map(|found| found.0);
        let addresses = addresses.chain(external.iter().map(|host| host.address)).collect();
        let ranges = entries.iter().filter_map(|(written, node)| range(written, *node)).collect();
        Self { addresses, ranges, within: network.pod_cidr }
    }

    fn address(&mut self) -> Ipv4Addr {
        let address = (10..=254).map(|host| Ipv4Addr::new(192, 168, 1, host));
        let address = address.into_iter().find(|address| !self.addresses.contains(address));
        // With the lesson's own network full, the next one goes on; its nodes are reached over the router.
        let more = (0..=u16::MAX).map(|host| Ipv4Addr::from(0xc0a8_0200 + u32::from(host)));
        let address = address.or_else(|| more.into_iter().find(|address| !self.addresses.contains(address)));
        let address = address.unwrap_or(Ipv4Addr::UNSPECIFIED);
        self.addresses.insert(address);
        address
    }

    fn range(&mut self) -> Ipv4Net {
        let length = NODE_POD_PREFIX_LEN.max(self.within.prefix_len());
        let taken =
            |range: &Ipv4Net| self.ranges.iter().any(|other| other.contains(range) || range.contains(other));
        let free = self.within.subnets(length).into_iter().flatten().find(|range| !taken(range));
        let range = free.unwrap_or(self.within);
        self.ranges.push(range);
        range
    }
}

fn address(written: &WrittenNode, node: Option<&Node>) -> Option<(Ipv4Addr, u8)> {
    let internal = node.and_then(|node| {
        let mut addresses =
            node.status.addresses.iter().filter(|address| address.kind == NodeAddressType::InternalIP);
        addresses.find_map(|address| host_address(&address.address))
    });
    let own = written.address.as_deref().and_then(host_address);
    // A Node object names the address alone; the length of the prefix is the cluster document's to say.
    match (internal, own) {
        (Some((address, _)), Some((_, prefix_len))) => Some((address, prefix_len)),
        (internal, own) => internal.or(own),
    }
}

fn range(written: &WrittenNode, node: Option<&Node>) -> Option<Ipv4Net> {
    let of_node = node.and_then(|node| {
        let all = node.spec.pod_cidr.iter().chain(&node.spec.pod_cidrs);
        all.into_iter().find_map(|text| text.parse::<Ipv4Net>().ok())
    });
    of_node.or_else(|| written.pod_cidr.as_deref()?.parse().ok()).map(|range: Ipv4Net| range.trunc())
}

fn resolve_node(
    written: &WrittenNode,
    node: Option<&Node>,
    network: &NetworkSpec,
    external: &[ExternalSpec],
    free: &mut Free,
) -> NodeSpec {
    let (address, prefix_len) = address(written, node).unwrap_or_else(|| (free.address(), HOST_PREFIX_LEN));
    let mut labels = written.labels.clone();
    labels.entry("kubernetes.io/hostname".to_owned()).or_insert_with(|| written.name.clone());
    for (label, value) in OF_KUBELETS {
        labels.entry(label.to_owned()).or_insert_with(|| value.to_owned());
    }
    labels.extend(node.map(|node| node.metadata.labels.clone()).unwrap_or_default());
    let annotations = node.map(|node| node.metadata.annotations.clone()).unwrap_or_default();
    let extra = further_addresses(node, annotations.get(EXTRA_ADDRESSES).map_or("", String::as_str));
    NodeSpec {
        name: written.name.clone(),
        address,
        prefix_len,
        extra_addresses: extra.iter().filter_map(ipv4).filter(|extra| *extra != address).collect(),
        addresses6: extra
            .iter()
            .filter_map(|ip| if let IpAddr::V6(ip) = ip { Some(*ip) } else { None })
            .collect(),
        pod_cidr: range(written, node).unwrap_or_else(|| free.range()),
        gateway: gateway(written, address, prefix_len, external),
        resolv_conf: written.resolv_conf.clone(),
        interfaces: written
            .interfaces
            .iter()
            .map(|interface| resolve_interface(interface, network))
            .collect(),
        labels,
        annotations,
        taints: match node {
            Some(node) if !node.spec.taints.is_empty() => node.spec.taints.clone(),
            Some(_) | None => written.taints.clone(),
        },
        unschedulable: node.is_some_and(|node| node.spec.unschedulable == Some(true)),
        allocatable: node.map(allocatable).unwrap_or_default(),
    }
}

/// The addresses that a Node has besides its first one of IPv4: those of its status, and those of the annotation.
fn further_addresses(node: Option<&Node>, annotation: &str) -> Vec<IpAddr> {
    let status = node.into_iter().flat_map(|node| &node.status.addresses);
    let internal = status.filter(|address| address.kind == NodeAddressType::InternalIP);
    let internal = internal.filter_map(|address| address.address.parse().ok());
    let annotated = annotation.split([',', ' ']).filter_map(|text| text.parse().ok());
    let mut found: Vec<IpAddr> = Vec::new();
    for ip in internal.chain(annotated) {
        if !found.contains(&ip) {
            found.push(ip);
        }
    }
    found
}

fn ipv4(ip: &IpAddr) -> Option<Ipv4Addr> {
    if let IpAddr::V4(ip) = ip { Some(*ip) } else { None }
}

/// What Pods may use of a node: what its status says, or else what the machine has.
fn allocatable(node: &Node) -> BTreeMap<String, String> {
    let status = &node.status;
    let listed = if status.allocatable.is_empty() { &status.capacity } else { &status.allocatable };
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    listed.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

/// The gateway that is written, or the first router in the node's own network.
fn gateway(
    written: &WrittenNode,
    address: Ipv4Addr,
    prefix_len: u8,
    external: &[ExternalSpec],
) -> Option<Ipv4Addr> {
    match written.gateway.as_deref() {
        Some("none") => None,
        Some(text) => text.parse().ok(),
        None => {
            let lan = Ipv4Net::new(address, prefix_len).ok()?;
            let mut routers = external.iter().filter(|host| host.router && host.behind.is_none());
            routers.find(|router| lan.contains(&router.address)).map(|router| router.address)
        }
    }
}

fn resolve_interface(written: &WrittenInterface, network: &NetworkSpec) -> InterfaceSpec {
    InterfaceSpec {
        name: written.name.clone(),
        address: written.address.as_deref().and_then(|text| net_of(text, HOST_PREFIX_LEN)),
        mtu: written.mtu.unwrap_or(network.mtu),
        mac: written.mac.as_deref().and_then(|text| text.parse().ok()),
    }
}

#[cfg(test)]
mod tests {
    use crate::api::{ClusterSpec, NodeSpec};
    use crate::manifest::parse;

    fn resolve(text: &str) -> ClusterSpec {
        let parsed = parse(text);
        assert!(!parsed.has_errors(), "{:?}", parsed.diagnostics);
        parsed.resolve_cluster()
    }

    fn line(node: &NodeSpec) -> String {
        let gateway = node.gateway.map_or("none".to_owned(), |gateway| gateway.to_string());
        format!("{} {}/{} {} {gateway}", node.name, node.address, node.prefix_len, node.pod_cidr)
    }

    fn check(text: &str, nodes: &[&str]) -> ClusterSpec {
        let spec = resolve(text);
        assert_eq!(spec.nodes.iter().map(line).collect::<Vec<_>>(), nodes);
        spec
    }

    #[test]
    fn without_a_document_the_lesson_stands() {
        let nodes = [
            "node1 192.168.1.10/24 10.244.1.0/24 192.168.1.1",
            "node2 192.168.1.11/24 10.244.2.0/24 192.168.1.1",
        ];
        let spec = check("", &nodes);
        assert_eq!(
            spec.external.iter().map(|host| &*host.name).collect::<Vec<_>>(),
            ["gw", "ext", "example.com"]
        );
        assert_eq!((spec.network.vxlan.port, spec.network.ipam.range_start), (8472, 2));
        assert_eq!(spec.dns.service_ip, "10.96.0.10".parse().ok());
    }

    #[test]
    fn what_a_node_leaves_out_is_allotted_in_order() {
        let text = "apiVersion: vethscope.dev/v1alpha1\nkind: Cluster\nspec:\n  nodes:\n  - {name: a}\n  \
                    - {name: b, address: 192.168.1.10, podCIDR: 10.244.0.0/24, gateway: none}\n  - {name: c, address: 172.16.0.1/16}\n";
        let nodes = [
            "a 192.168.1.11/24 10.244.1.0/24 192.168.1.1",
            "b 192.168.1.10/24 10.244.0.0/24 none",
            "c 172.16.0.1/16 10.244.2.0/24 none",
        ];
        check(text, &nodes);
    }

    #[test]
    fn node_objects_are_the_nodes_and_override_the_document() {
        let node = "apiVersion: v1\nkind: Node\nmetadata: {name: a}\nspec: {podCIDR: 10.42.3.0/24}\n\
                    status: {addresses: [{type: InternalIP, address: 192.168.1.77}]}\n";
        let spec = check(node, &["a 192.168.1.77/24 10.42.3.0/24 192.168.1.1"]);
        assert_eq!(spec.network.pod_cidr.to_string(), "10.42.0.0/16");
        let cluster = "apiVersion: vethscope.dev/v1alpha1\nkind: Cluster\nspec:\n  network: {podCIDR: 10.40.0.0/13}\n  \
                       nodes: [{name: a, address: 192.168.1.5/16}, {name: b}]\n";
        let nodes =
            ["a 192.168.1.77/16 10.42.3.0/24 192.168.1.1", "b 192.168.1.10/24 10.40.0.0/24 192.168.1.1"];
        check(&format!("{cluster}---\n{node}"), &nodes);
    }
}
