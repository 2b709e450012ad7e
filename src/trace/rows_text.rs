//! Table rows as the real tools print them (iproute2 6.1): `ip route`, `ip neigh`, `bridge fdb`.
//!
//! The lines end where the tools end them: some with a blank. Whoever shows a row inside a sentence trims it.

use super::{
    BpfMap, BpfRow, ExceptionRow, FdbRow, Leg, NeighRow, Nud, PortState, RouteKind, RouteProtocol, RouteRow,
    Scope, SocketRow, Transport, VlanRow,
};
use crate::base::{IfIndex, Ipv4Net};
use crate::xtables::dscp_name;
use std::sync::Arc;

/// Gives an interface's name.
pub type IfName<'a> = &'a dyn Fn(IfIndex) -> Arc<str>;

/// How `ip route` was called, as far as it changes a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteStyle {
    /// Tables other than main are named, as with `table all`.
    pub names_table: bool,
    /// `-d`: type, protocol and scope are always there.
    pub details: bool,
    /// The way out has no carrier.
    pub linkdown: bool,
}

/// A line of `ip route`, with its final blank.
pub fn route(row: &RouteRow, ifname: IfName<'_>, style: RouteStyle) -> String {
    let mut words = Vec::new();
    if style.details || row.kind != RouteKind::Unicast {
        words.push(route_kind(row.kind).to_string());
    }
    words.push(destination(row.dst));
    if row.nhid != 0 {
        words.push(format!("nhid {}", row.nhid));
    }
    if row.tos != 0 {
        words.push(format!("tos {}", dsfield(row.tos)));
    }
    let mut hop: Vec<String> = row.gateway.map(|gateway| format!("via {gateway}")).into_iter().collect();
    hop.extend(row.oif.map(|oif| format!("dev {}", ifname(oif))));
    if row.leg.is_none() {
        words.append(&mut hop);
    }
    if style.names_table && (style.details || row.table != 254) {
        words.push(format!("table {}", table(row.table)));
    }
    if style.details || row.protocol != RouteProtocol::Boot {
        words.push(format!("proto {}", route_protocol(row.protocol)));
    }
    if style.details || row.scope != Scope::Global {
        words.push(format!("scope {}", scope(row.scope)));
    }
    words.extend(row.prefsrc.map(|src| format!("src {src}")));
    if row.metric != 0 {
        words.push(format!("metric {}", row.metric));
    }
    let flags = [("onlink", row.onlink), ("linkdown", style.linkdown)];
    let flags = flags.into_iter().filter(|(_, set)| *set).map(|(flag, _)| flag.to_string());
    match row.leg {
        None => {
            words.extend(flags);
            words.extend(row.metrics.words());
        }
        // One of several next hops, in the line of its own that it has in the tool.
        Some(leg) => {
            words.extend(row.metrics.words());
            words.push("nexthop".to_string());
            words.append(&mut hop);
            words.push(format!("weight {}", leg.weight));
            words.extend(leg.dead.then(|| "dead".to_string()));
            words.extend(flags);
        }
    }
    words.join(" ") + " "
}

/// A route's next hop among others: `weight 3 (1/2)`.
pub fn leg(leg: Leg) -> String {
    let dead = if leg.dead { " dead" } else { "" };
    format!("weight {} ({}/{}){dead}", leg.weight, leg.at + 1, leg.of)
}

/// An entry of an eBPF map: `cilium_lxc 10.244.1.10 dev lxc0a1b2c3d4e5f identity 4711`,
/// `cilium_ipcache 10.244.2.10 identity 4712 tunnelendpoint 192.168.1.11`.
pub fn bpf(row: &BpfRow, ifname: &str) -> String {
    let key = destination(row.key);
    let identity = row.identity;
    match row.map {
        BpfMap::Endpoints => format!("cilium_lxc {key} dev {ifname} identity {identity}"),
        BpfMap::Ipcache => {
            let end = row.tunnel.map_or_else(String::new, |node| format!(" tunnelendpoint {node}"));
            format!("cilium_ipcache {key} identity {identity}{end}")
        }
    }
}

/// What was learnt about a destination: `203.0.113.10 via 192.168.1.1 (redirected)`, `10.244.2.10 mtu 1450`.
pub fn exception(row: &ExceptionRow) -> String {
    let gateway = row.gateway.map_or_else(String::new, |gateway| format!(" via {gateway} (redirected)"));
    let lock = if row.locked { "lock " } else { "" };
    let mtu = row.mtu.map_or_else(String::new, |mtu| format!(" mtu {lock}{mtu}"));
    format!("cached {}{gateway}{mtu}", row.dst)
}

/// A destination as `ip route` prints it: `default`, an address, or a prefix.
pub fn destination(dst: Ipv4Net) -> String {
    match dst.prefix_len() {
        0 => "default".to_string(),
        32 => dst.addr().to_string(),
        _ => dst.to_string(),
    }
}

/// A host's address, or a network with its length.
pub fn host_or_net(net: Ipv4Net) -> String {
    if net.prefix_len() == 32 { net.addr().to_string() } else { net.to_string() }
}

/// A line of `ip neigh`, with its final blank. `stats` stands before the state: what `-s` adds, or nothing.
pub fn neigh(row: &NeighRow, ifname: IfName<'_>, stats: &str) -> String {
    let mac = row.mac.map_or_else(String::new, |mac| format!("lladdr {mac} "));
    format!("{} dev {} {mac}{stats}{} ", row.addr, ifname(row.ifindex), nud(row.state))
}

/// How `bridge fdb` was called, as far as it changes a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FdbStyle<'a> {
    /// One device was asked for by `dev`, which is then not repeated.
    pub hides_dev: bool,
    /// What `-s` adds, as `used 0/0 `, or nothing.
    pub stats: &'a str,
}

/// A line of `bridge fdb`. A learnt entry's ends with a blank, a permanent one's does not.
pub fn fdb(row: &FdbRow, ifname: IfName<'_>, style: FdbStyle<'_>) -> String {
    let dev = if style.hides_dev { String::new() } else { format!("dev {} ", ifname(row.ifindex)) };
    let dst = row.dst.map_or_else(String::new, |dst| format!("dst {dst} "));
    let vlan = if row.vlan == 0 { String::new() } else { format!("vlan {} ", row.vlan) };
    let owner =
        row.master.map_or_else(|| "self ".to_string(), |bridge| format!("master {} ", ifname(bridge)));
    let state = row.state();
    format!("{} {dev}{dst}{vlan}{}{owner}{state}", row.mac, style.stats)
}

/// A VLAN as `bridge vlan` prints it behind the port's name.
pub fn vlan(row: &VlanRow) -> String {
    let pvid = if row.pvid { " PVID" } else { "" };
    let untagged = if row.untagged { " Egress Untagged" } else { "" };
    format!("{}{pvid}{untagged}", row.id)
}

/// A bridge port's state in the words of iproute2.
pub fn port_state(state: PortState) -> &'static str {
    match state {
        PortState::Disabled => "disabled",
        PortState::Listening => "listening",
        PortState::Learning => "learning",
        PortState::Forwarding => "forwarding",
        PortState::Blocking => "blocking",
    }
}

/// A socket in one line: number, protocol, state, both ends, and what waits in its queues.
pub fn socket(row: &SocketRow) -> String {
    let transport = match row.transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    };
    let number = row.socket.0;
    let ends = format!("{} {}", row.local, row.remote);
    format!(
        "#{number} {transport} {} {ends} recv {} send {}",
        row.state.name(),
        row.recv_queue,
        row.send_queue
    )
}

/// Name of a route's type (`rtnetlink(7)`, `RTN_*`).
pub fn route_kind(kind: RouteKind) -> &'static str {
    match kind {
        RouteKind::Unicast => "unicast",
        RouteKind::Local => "local",
        RouteKind::Broadcast => "broadcast",
        RouteKind::Blackhole => "blackhole",
        RouteKind::Unreachable => "unreachable",
        RouteKind::Prohibit => "prohibit",
        RouteKind::Throw => "throw",
    }
}

/// Name of a route's origin (`/etc/iproute2/rt_protos`).
pub fn route_protocol(protocol: RouteProtocol) -> &'static str {
    match protocol {
        RouteProtocol::Kernel => "kernel",
        RouteProtocol::Boot => "boot",
        RouteProtocol::Static => "static",
        RouteProtocol::Bird => "bird",
        RouteProtocol::Felix => "80",
    }
}

/// A field of differentiated services (`/etc/iproute2/rt_dsfield`).
pub fn dsfield(tos: u8) -> String {
    match dscp_name(tos >> 2).filter(|_| tos.is_multiple_of(4)) {
        Some(name) => name.to_owned(),
        None => format!("0x{tos:02x}"),
    }
}

/// Name of a scope (`/etc/iproute2/rt_scopes`).
pub fn scope(scope: Scope) -> &'static str {
    match scope {
        Scope::Global => "global",
        Scope::Site => "site",
        Scope::Link => "link",
        Scope::Host => "host",
    }
}

/// Name of a neighbour entry's state.
pub fn nud(state: Nud) -> &'static str {
    match state {
        Nud::Incomplete => "INCOMPLETE",
        Nud::Reachable => "REACHABLE",
        Nud::Stale => "STALE",
        Nud::Delay => "DELAY",
        Nud::Probe => "PROBE",
        Nud::Failed => "FAILED",
        Nud::Permanent => "PERMANENT",
        Nud::NoArp => "NOARP",
    }
}

/// Name of a routing table (`/etc/iproute2/rt_tables`).
pub fn table(table: u32) -> String {
    match table {
        255 => "local".to_string(),
        254 => "main".to_string(),
        253 => "default".to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{NetnsId, SimTime};

    fn name(ifindex: IfIndex) -> Arc<str> {
        ["lo", "eth0", "flannel.1", "cni0"][ifindex.index() - 1].into()
    }

    fn row(dst: &str) -> RouteRow {
        RouteRow {
            netns: NetnsId(0),
            table: 254,
            dst: dst.parse().unwrap(),
            kind: RouteKind::Unicast,
            gateway: None,
            oif: None,
            prefsrc: None,
            metric: 0,
            scope: Scope::Global,
            protocol: RouteProtocol::Boot,
            onlink: false,
            metrics: crate::trace::RouteMetrics::default(),
            tos: 0,
            nhid: 0,
            leg: None,
        }
    }

    #[test]
    fn routes_are_printed_as_ip_prints_them() {
        let check = |row: &RouteRow, names_table, line: &str| {
            let style = RouteStyle { names_table, ..RouteStyle::default() };
            assert_eq!(route(row, &name, style), line);
        };
        let gateway = Some("10.244.2.0".parse().unwrap());
        let overlay = RouteRow { gateway, oif: Some(IfIndex(3)), onlink: true, ..row("10.244.2.0/24") };
        check(&overlay, true, "10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink ");
        let attached = RouteRow {
            oif: Some(IfIndex(4)),
            prefsrc: Some("10.244.1.1".parse().unwrap()),
            scope: Scope::Link,
            protocol: RouteProtocol::Kernel,
            ..row("10.244.1.0/24")
        };
        check(&attached, true, "10.244.1.0/24 dev cni0 proto kernel scope link src 10.244.1.1 ");
        let local = RouteRow {
            table: 255,
            kind: RouteKind::Local,
            scope: Scope::Host,
            dst: "10.244.1.1/32".parse().unwrap(),
            ..attached
        };
        check(&local, false, "local 10.244.1.1 dev cni0 proto kernel scope host src 10.244.1.1 ");
        check(&local, true, "local 10.244.1.1 dev cni0 table local proto kernel scope host src 10.244.1.1 ");
        check(
            &RouteRow { kind: RouteKind::Blackhole, ..row("198.51.100.1/32") },
            true,
            "blackhole 198.51.100.1 ",
        );
        let default = RouteRow { gateway, oif: Some(IfIndex(2)), metric: 32, ..row("0.0.0.0/0") };
        check(&default, true, "default via 10.244.2.0 dev eth0 metric 32 ");
    }

    #[test]
    fn neighbours_and_forwarding_entries_are_printed_as_the_tools_print_them() {
        let entry = NeighRow {
            netns: NetnsId(0),
            ifindex: IfIndex(2),
            addr: "10.244.1.77".parse().unwrap(),
            mac: None,
            state: Nud::Failed,
            probes: 3,
            updated: SimTime::ZERO,
            confirmed: SimTime::ZERO,
        };
        assert_eq!(neigh(&entry, &name, ""), "10.244.1.77 dev eth0 FAILED ");
        let mac = "0a:58:0a:f4:01:0b".parse().unwrap();
        let known = NeighRow { mac: Some(mac), state: Nud::Reachable, ..entry };
        assert_eq!(
            neigh(&known, &name, " ref 1 used 0/0/0probes 4 "),
            "10.244.1.77 dev eth0 lladdr 0a:58:0a:f4:01:0b  ref 1 used 0/0/0probes 4 REACHABLE "
        );
        let tunnel = FdbRow {
            vlan: 0,
            netns: NetnsId(0),
            ifindex: IfIndex(3),
            master: None,
            mac,
            permanent: true,
            is_static: false,
            dst: Some("192.168.1.11".parse().unwrap()),
            updated: SimTime::ZERO,
        };
        let style = FdbStyle { hides_dev: true, stats: "" };
        assert_eq!(fdb(&tunnel, &name, style), "0a:58:0a:f4:01:0b dst 192.168.1.11 self permanent");
        let learnt =
            FdbRow { master: Some(IfIndex(4)), dst: None, permanent: false, ifindex: IfIndex(2), ..tunnel };
        let style = FdbStyle { hides_dev: false, stats: "used 0/0 " };
        assert_eq!(fdb(&learnt, &name, style), "0a:58:0a:f4:01:0b dev eth0 used 0/0 master cni0 ");
    }
}
