//! Table rows as text, as `ip` and `bridge` print them, in a head and a tail so that a narrow box can break them.

use crate::base::{ChangeId, IfIndex, NetnsId};
use crate::trace::{
    BpfRow, CiliumChange, FdbRow, Inventory, NeighRow, NetfilterChange, QdiscRow, RouteKind, RouteRow, Table,
    TableChange, Trace, rows_text,
};

/// A row in two pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowText {
    /// What it is about: a prefix, an address.
    pub head: String,
    /// What it says of that.
    pub tail: String,
}

fn ifname(inventory: &Inventory, netns: NetnsId, ifindex: IfIndex) -> String {
    let state = inventory.netns.get(&netns);
    state.map_or_else(|| format!("if{}", ifindex.0), |state| state.ifname(ifindex).to_string())
}

/// A route.
pub fn route(inventory: &Inventory, row: &RouteRow) -> RowText {
    let kind = match row.kind {
        RouteKind::Unicast => "",
        RouteKind::Local => "local ",
        RouteKind::Broadcast => "broadcast ",
        RouteKind::Blackhole => "blackhole ",
        RouteKind::Unreachable => "unreachable ",
        RouteKind::Prohibit => "prohibit ",
        RouteKind::Throw => "throw ",
    };
    let dst = match row.dst.prefix_len() {
        0 => "default".to_string(),
        32 => row.dst.addr().to_string(),
        _ => row.dst.to_string(),
    };
    let mut tail = Vec::new();
    tail.extend((row.nhid > 0).then(|| format!("nhid {}", row.nhid)));
    tail.extend((row.tos > 0).then(|| format!("tos {}", rows_text::dsfield(row.tos))));
    tail.extend(row.gateway.map(|gateway| format!("via {gateway}")));
    tail.extend(row.oif.map(|oif| format!("dev {}", ifname(inventory, row.netns, oif))));
    tail.extend((row.gateway.is_none()).then_some(row.prefsrc).flatten().map(|src| format!("src {src}")));
    tail.extend((row.metric > 0).then(|| format!("metric {}", row.metric)));
    tail.extend(row.onlink.then(|| "onlink".to_string()));
    tail.extend(row.leg.map(rows_text::leg));
    RowText { head: format!("{kind}{dst}"), tail: tail.join(" ") }
}

/// A neighbour entry.
pub fn neighbor(inventory: &Inventory, row: &NeighRow) -> RowText {
    let mac = row.mac.map_or_else(String::new, |mac| format!("lladdr {mac} "));
    let dev = ifname(inventory, row.netns, row.ifindex);
    RowText { head: row.addr.to_string(), tail: format!("dev {dev} {mac}{}", rows_text::nud(row.state)) }
}

/// An entry of a forwarding database.
pub fn fdb(inventory: &Inventory, row: &FdbRow) -> RowText {
    let dev = ifname(inventory, row.netns, row.ifindex);
    let mut tail = vec![format!("dev {dev}")];
    tail.extend(row.dst.map(|dst| format!("dst {dst}")));
    tail.extend(Some(row.state()).filter(|state| !state.is_empty()).map(str::to_owned));
    RowText { head: row.mac.to_string(), tail: tail.join(" ") }
}

/// A row of netfilter.
pub fn netfilter(change: &NetfilterChange) -> RowText {
    match change {
        NetfilterChange::Rule(row) => RowText { head: row.table.name().to_owned(), tail: row.to_string() },
        NetfilterChange::Chain(row) => {
            let policy = row.policy.map_or("", |policy| policy.name());
            RowText { head: row.table.name().to_owned(), tail: format!("-P {} {policy}", row.name) }
        }
        NetfilterChange::Conntrack(row) => RowText { head: String::new(), tail: row.to_string() },
        NetfilterChange::ChainGone(..)
        | NetfilterChange::RuleGone(..)
        | NetfilterChange::Renamed(..)
        | NetfilterChange::ConntrackGone(..)
        | NetfilterChange::Clash(..)
        | NetfilterChange::Set(_)
        | NetfilterChange::SetGone(..) => RowText::default(),
        NetfilterChange::Ipvs(change) => {
            let line = change.line().unwrap_or_default();
            let (head, tail) = line.split_once(' ').unwrap_or_default();
            RowText { head: head.to_owned(), tail: tail.to_owned() }
        }
        NetfilterChange::Nft(change) => RowText {
            head: "nft".to_owned(),
            tail: change.line().unwrap_or_default()["nft ".len()..].to_owned(),
        },
        NetfilterChange::V6(change) => netfilter(change),
    }
}

/// An entry of an eBPF map.
pub fn bpf(inventory: &Inventory, row: &BpfRow) -> RowText {
    let ifname = inventory.netns.get(&row.netns).map_or_else(|| "".into(), |state| state.ifname(row.ifindex));
    let line = rows_text::bpf(row, &ifname);
    let mut words = line.splitn(3, ' ').skip(1).map(str::to_owned);
    RowText { head: words.next().unwrap_or_default(), tail: words.next().unwrap_or_default() }
}

/// An entry of a policy map, or a connection.
pub fn cilium(inventory: &Inventory, change: &CiliumChange) -> RowText {
    let ifname = |ifindex| {
        inventory.netns.get(&change.netns()).map_or_else(|| "".into(), |state| state.ifname(ifindex))
    };
    let line = change.text(ifname);
    let mut words = line.splitn(2, ' ').map(str::to_owned);
    RowText { head: words.next().unwrap_or_default(), tail: words.next().unwrap_or_default() }
}

/// A security association or policy, from its line.
pub fn xfrm(line: &str) -> RowText {
    let line = line.strip_prefix("xfrm ").unwrap_or(line);
    let (head, tail) = line.split_once(' ').unwrap_or((line, ""));
    RowText { head: head.to_owned(), tail: tail.to_owned() }
}

/// A queueing discipline.
pub fn qdisc(row: &QdiscRow) -> RowText {
    RowText { head: "netem".to_owned(), tail: row.netem.to_string() }
}

/// The row that decided; empty where none fitted.
pub fn decision(trace: &Trace, inventory: &Inventory, table: Table, row: Option<ChangeId>) -> RowText {
    let Some(row) = row else { return RowText::default() };
    match (table, &trace.changes[row.index()]) {
        (Table::Fib, TableChange::Route(row) | TableChange::RouteBefore(row)) => route(inventory, row),
        (Table::Neighbor, TableChange::Neigh(row)) => {
            let mut text = neighbor(inventory, row);
            // Narrow: the device is on the picture already.
            text.tail =
                row.mac.map_or_else(|| rows_text::nud(row.state).to_string(), |mac| format!("lladdr {mac}"));
            text
        }
        (Table::Xfrm, TableChange::Xfrm(change)) => xfrm(&change.to_string()),
        (Table::Qdisc, TableChange::Link(row)) => row.extra.qdisc.as_ref().map(qdisc).unwrap_or_default(),
        (Table::Bpf, TableChange::Bpf(row)) => bpf(inventory, row),
        (Table::Bpf, TableChange::Cilium(change)) => cilium(inventory, change),
        (Table::BridgeFdb, TableChange::Fdb(row)) => fdb(inventory, row),
        (Table::VxlanFdb, TableChange::Fdb(row)) => {
            let tail = row.dst.map_or_else(String::new, |dst| format!("dst {dst}"));
            RowText { head: row.mac.to_string(), tail }
        }
        (Table::Netfilter | Table::Conntrack | Table::Ipvs, TableChange::Netfilter(change)) => {
            netfilter(change)
        }
        _ => RowText::default(),
    }
}
