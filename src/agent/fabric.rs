//! The machines and cables under the cluster: nodes, the switch between them, the router and hosts outside.

use super::launch::{Environment, Launch, Mounts};
use super::rules::append;
use super::stand_ins::plain_site;
use super::world::{Wire, World, with};
use crate::api::{ClusterSpec, ExternalSpec, InterfaceSpec, Nic, NodeSpec};
use crate::app::Transport;
use crate::app::server::{Listener, Serve};
use crate::base::{IFNAME_LEN, IfIndex, Ipv4Addr, Ipv4Net, MacAddr, NetnsId};
use crate::cluster::dns::outside::Outside;
use crate::cluster::{names, resolv};
use crate::kernel::{Hairpin, Kind, NewLink};
use crate::trace::{NetnsRole, Scope};
use crate::xtables::Table;
use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::sync::Arc;

/// Leading octets of the Ethernet addresses of machines; the address follows.
const NIC: [u8; 2] = [0x02, 0x00];
/// Interface number of a machine's `eth0`, the first link after `lo`.
pub(super) const ETH0: IfIndex = IfIndex(2);

/// What was built.
#[derive(Clone, Debug, Default)]
pub(super) struct Fabric {
    pub(super) switch: Option<NetnsId>,
    bridge: IfIndex,
    /// Outside hosts by name.
    pub(super) hosts: BTreeMap<String, NetnsId>,
}

fn link(name: &str, mac: MacAddr, mtu: u32) -> NewLink {
    NewLink { name: name.into(), kind: Kind::Loopback, mac, mtu, txqlen: 1000 }
}

impl Fabric {
    /// Builds the switch.
    pub(super) fn build_switch(&mut self, world: &mut dyn World) {
        let switch = world.new_netns("switch".into(), NetnsRole::Switch);
        let bridge = with(world, switch, |netns, ctx| {
            let mac = MacAddr([0x02, 0, 0, 0, 0xb0, 0]);
            let new = NewLink { kind: Kind::bridge(), ..link("br0", mac, 1500) };
            let bridge = netns.add_link(ctx, new);
            netns.set_up(ctx, bridge);
            bridge
        });
        self.switch = Some(switch);
        self.bridge = bridge.unwrap_or(IfIndex::NONE);
    }

    /// Plugs a machine's `eth0` into a port `p-NAME` of the switch and gives it its address.
    fn plug(&self, world: &mut dyn World, machine: (NetnsId, &str), nic: Nic, net: Ipv4Net, mtu: u32) {
        let mac = MacAddr::from_ipv4(NIC, net.addr());
        let port = format!("p-{}", machine.1);
        self.plug_as(world, machine.0, nic, (link("eth0", mac, mtu), &port), Some(net));
    }

    /// Plugs a further interface of a node into a port `p-NAME-INTERFACE` of the switch.
    fn plug_further(&self, world: &mut dyn World, node: (NetnsId, &str), nic: Nic, spec: &InterfaceSpec) {
        let mac = spec.mac.or_else(|| Some(MacAddr::from_ipv4(NIC, spec.address?.addr())));
        let mac = mac.unwrap_or_else(|| random_mac(world));
        let port = format!("p-{}-{}", node.1, spec.name);
        self.plug_as(world, node.0, nic, (link(&spec.name, mac, spec.mtu), &port), spec.address);
    }

    /// Plugs an interface into a port of the switch, whose name is cut where it is too long for one.
    fn plug_as(
        &self,
        world: &mut dyn World,
        machine: NetnsId,
        nic: Nic,
        (interface, port_name): (NewLink, &str),
        net: Option<Ipv4Net>,
    ) {
        let Some(switch) = self.switch else { return };
        let port_name = self.port_name(world, port_name);
        let port = link(&port_name, random_mac(world), interface.mtu);
        let wire = match nic {
            Nic::Veth => Wire::Veth,
            Nic::Physical => Wire::Cable,
        };
        let (port, own) = world.add_wire(wire, (switch, port), (machine, interface));
        let bridge = self.bridge;
        with(world, switch, |netns, ctx| {
            netns.set_master(ctx, port, bridge, Hairpin::Off);
            netns.set_up(ctx, port);
        });
        with(world, machine, |netns, ctx| {
            if let Some(net) = net {
                netns.add_addr(ctx, own, net, None, Scope::Global);
            }
            netns.set_up(ctx, own);
        });
    }

    /// A name of at most 15 bytes that no other port has.
    fn port_name(&self, world: &dyn World, wished: &str) -> String {
        let taken = |name: &str| {
            let switch = self.switch.and_then(|switch| world.netns(switch));
            switch.is_some_and(|switch| switch.link_named(name).is_some())
        };
        let cut = |text: &str, len: usize| text.chars().take(len).collect::<String>();
        let numbered = (2..).map(|number| {
            let end = format!("-{number}");
            cut(wished, IFNAME_LEN - end.len()) + &end
        });
        std::iter::once(cut(wished, IFNAME_LEN)).chain(numbered).find(|name| !taken(name)).unwrap_or_default()
    }

    /// Builds a node with its `eth0` and routes; the CNI plug-in's parts come later.
    pub(super) fn build_node(
        &self,
        world: &mut dyn World,
        spec: &NodeSpec,
        cluster: &ClusterSpec,
    ) -> NetnsId {
        let name: Arc<str> = spec.name.as_str().into();
        let node = world.new_netns(name, NetnsRole::Node);
        let net = Ipv4Net::new_assert(spec.address, spec.prefix_len);
        self.plug(world, (node, &spec.name), cluster.network.nic, net, cluster.network.mtu);
        for interface in &spec.interfaces {
            self.plug_further(world, (node, &spec.name), cluster.network.nic, interface);
        }
        with(world, node, |netns, ctx| {
            netns.set_sysctl(ctx, "net.ipv4.ip_forward", "1");
            netns.sysctl.bridge_nf_call_iptables = true;
            netns.sysctl.conntrack = true;
            netns.sysctl.conntrack_race = cluster.network.conntrack_race;
            for &extra in &spec.extra_addresses {
                netns.add_addr(ctx, ETH0, Ipv4Net::new_assert(extra, spec.prefix_len), None, Scope::Global);
            }
            for &extra in &spec.addresses6 {
                netns.add_addr6(extra);
            }
            if let Some(gateway) = spec.gateway {
                netns.add_route(ctx, netns.route_to(Ipv4Net::default(), Some(gateway), ETH0));
            }
        });
        if spec.gateway.is_none() {
            Self::route_behind_routers(world, node, cluster);
        }
        world.write_file(node, "/etc/hosts", names::node_hosts_file(&spec.name));
        world.write_file(node, "/etc/hostname", format!("{}\n", spec.name));
        world.write_file(node, "/etc/resolv.conf", resolv::node_resolv_conf(spec));
        node
    }

    /// Builds the router and the other hosts outside the cluster.
    pub(super) fn build_external(&mut self, world: &mut dyn World, cluster: &ClusterSpec) {
        for spec in &cluster.external {
            let role = if spec.router { NetnsRole::Router } else { NetnsRole::Host };
            let netns = world.new_netns(spec.name.as_str().into(), role);
            world.write_file(netns, "/etc/hosts", names::node_hosts_file(&spec.name));
            world.write_file(netns, "/etc/hostname", format!("{}\n", spec.name));
            self.hosts.insert(spec.name.clone(), netns);
            if spec.router {
                with(world, netns, |netns, ctx| netns.set_sysctl(ctx, "net.ipv4.ip_forward", "1"));
            }
            if spec.behind.is_none() {
                let net = Ipv4Net::new_assert(spec.address, spec.prefix_len);
                self.plug(world, (netns, &spec.name), Nic::Veth, net, cluster.network.mtu);
            }
            Self::serve(world, spec, netns, cluster);
        }
        for spec in &cluster.external {
            match &spec.behind {
                Some(router) => self.plug_behind(world, spec, router),
                None if !spec.router => {
                    if let Some(&netns) = self.hosts.get(&spec.name) {
                        Self::route_behind_routers(world, netns, cluster);
                    }
                }
                None => {}
            }
        }
    }

    /// Builds the load balancer, with the first address of its pool; `None` where a host bears its name already.
    pub(super) fn build_balancer(
        &mut self,
        world: &mut dyn World,
        cluster: &ClusterSpec,
        name: &str,
    ) -> Option<NetnsId> {
        let address = cluster.network.balancer_pool.hosts().next()?;
        if self.hosts.contains_key(name) || cluster.nodes.iter().any(|node| node.name == name) {
            return None;
        }
        let node = cluster.nodes.iter().find(|node| {
            Ipv4Net::new(node.address, node.prefix_len).is_ok_and(|lan| lan.contains(&address))
        })?;
        let netns = world.new_netns(name.into(), NetnsRole::Host);
        world.write_file(netns, "/etc/hosts", names::node_hosts_file(name));
        world.write_file(netns, "/etc/hostname", format!("{name}\n"));
        self.hosts.insert(name.to_owned(), netns);
        let net = Ipv4Net::new_assert(address, node.prefix_len);
        self.plug(world, (netns, name), Nic::Veth, net, cluster.network.mtu);
        with(world, netns, |netns, ctx| {
            netns.set_sysctl(ctx, "net.ipv4.ip_forward", "1");
            for line in [
                "PREROUTING -j BALANCER",
                "OUTPUT -j BALANCER",
                "POSTROUTING -m conntrack --ctstate DNAT -j MASQUERADE",
            ] {
                append(netns, ctx, Table::Nat, line);
            }
            let router = cluster.external.iter().find(|host| host.router && net.contains(&host.address));
            if let Some(router) = router {
                netns.add_route(ctx, netns.route_to(Ipv4Net::default(), Some(router.address), ETH0));
            }
        });
        Some(netns)
    }

    /// An outside host runs an HTTP server on each of its ports, and a DNS server if it knows names.
    fn serve(world: &mut dyn World, spec: &ExternalSpec, netns: NetnsId, cluster: &ClusterSpec) {
        let names = Outside::of(cluster, spec).map(Arc::new);
        if spec.ports.is_empty() && names.is_none() {
            return;
        }
        let dns = |names: Arc<Outside>| {
            let local = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 53);
            let serve = Serve::Dns(names);
            [Transport::Udp, Transport::Tcp].map(|transport| Listener {
                transport,
                local,
                serve: serve.clone(),
            })
        };
        let listener = |port: &u16| Listener {
            transport: Transport::Tcp,
            local: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, *port),
            serve: Serve::Http(plain_site(Some(format!("Hello from {}\n", spec.name)))),
        };
        let pidns = world.new_pidns(2);
        let mounts = Mounts::bare(world.new_dir());
        let environment = Environment::machine(pidns, mounts);
        world.launch(Launch {
            serves: Some(spec.ports.iter().map(listener).chain(names.into_iter().flat_map(dns)).collect()),
            ..Launch::program(netns, environment, vec!["http-server".to_owned()])
        });
    }

    /// Connects a host with a router by a cable of its own. The router takes the first address of the host's network.
    fn plug_behind(&self, world: &mut dyn World, spec: &ExternalSpec, router: &str) {
        let (Some(&host), Some(&router)) = (self.hosts.get(&spec.name), self.hosts.get(router)) else {
            return;
        };
        let net = Ipv4Net::new_assert(spec.address, spec.prefix_len);
        let first = Ipv4Addr::from(u32::from(net.network()) + 1);
        let ifname = world.netns(router).map_or(1, |netns| netns.next_ifindex().0 - 2);
        let router_end = link(&format!("eth{ifname}"), MacAddr::from_ipv4(NIC, first), 1500);
        let host_end = link("eth0", MacAddr::from_ipv4(NIC, spec.address), 1500);
        let (there, here) = world.add_wire(Wire::Veth, (router, router_end), (host, host_end));
        with(world, router, |netns, ctx| {
            let taken = netns.has_addr(first);
            let prefix_len = if taken { 32 } else { spec.prefix_len };
            netns.add_addr(ctx, there, Ipv4Net::new_assert(first, prefix_len), None, Scope::Global);
            netns.set_up(ctx, there);
            if taken {
                netns.add_route(ctx, netns.route_to(Ipv4Net::new_assert(spec.address, 32), None, there));
            }
        });
        with(world, host, |netns, ctx| {
            netns.add_addr(ctx, here, net, None, Scope::Global);
            netns.set_up(ctx, here);
            netns.add_route(ctx, netns.route_to(Ipv4Net::default(), Some(first), here));
        });
    }

    /// A machine without a default gateway still knows the networks behind the routers of its own network.
    fn route_behind_routers(world: &mut dyn World, machine: NetnsId, cluster: &ClusterSpec) {
        for spec in &cluster.external {
            let router =
                spec.behind.as_ref().and_then(|name| cluster.external.iter().find(|host| host.name == *name));
            let Some(router) = router else { continue };
            let net = Ipv4Net::new_assert(spec.address, spec.prefix_len).trunc();
            with(world, machine, |netns, ctx| {
                netns.add_route(ctx, netns.route_to(net, Some(router.address), ETH0));
            });
        }
    }

    /// Takes everything down.
    pub(super) fn tear_down(&mut self, world: &mut dyn World) {
        for (_, netns) in std::mem::take(&mut self.hosts) {
            world.del_netns(netns);
        }
        if let Some(switch) = self.switch.take() {
            world.del_netns(switch);
        }
    }
}

/// A random locally administered address, as the kernel gives to a link made without one (`eth_random_addr`).
pub(super) fn random_mac(world: &mut dyn World) -> MacAddr {
    let mut octets = [0; 6];
    for octet in &mut octets {
        *octet = world.rng().u8(..);
    }
    octets[0] = octets[0] & 0xfe | 0x02;
    MacAddr(octets)
}
