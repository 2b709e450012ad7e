//! The tables of a namespace as the tools name them, row by row, with what the step shown used or changed in them.

mod bpf;
mod rules;

use crate::base::{ChangeId, EventId, IfIndex};
use crate::trace::{
    EventKind, Inventory, LinkKind, LinkRow, NetnsState, PortState, SocketRow, SocketState, Table, Trace,
    Transport, rows_text,
};
use crate::xtables;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// A table of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableKind {
    /// `ip -s link`.
    Links,
    /// `ip addr`.
    Addrs,
    /// `ip neigh`.
    Neighbors,
    /// `ip rule`.
    Rules,
    /// `ip route show table all`.
    Routes,
    /// `ip route show cache`.
    Exceptions,
    /// `bridge fdb`.
    Fdb,
    /// `bridge -d link`.
    Ports,
    /// `iptables -nvL`.
    Iptables,
    /// `conntrack -L`.
    Conntrack,
    /// `ss -tuna`.
    Sockets,
    /// Maps of eBPF programs.
    Bpf,
    /// `sysctl`.
    Sysctls,
}

impl TableKind {
    /// Every table, in the order in which they are shown.
    pub const ALL: [Self; 13] = [
        Self::Links,
        Self::Addrs,
        Self::Neighbors,
        Self::Rules,
        Self::Routes,
        Self::Exceptions,
        Self::Fdb,
        Self::Ports,
        Self::Iptables,
        Self::Conntrack,
        Self::Sockets,
        Self::Bpf,
        Self::Sysctls,
    ];

    /// Its name in keys.
    pub fn slug(self) -> &'static str {
        match self {
            Self::Links => "links",
            Self::Addrs => "addrs",
            Self::Neighbors => "neighbors",
            Self::Rules => "rules",
            Self::Routes => "routes",
            Self::Exceptions => "exceptions",
            Self::Fdb => "fdb",
            Self::Ports => "ports",
            Self::Iptables => "iptables",
            Self::Conntrack => "conntrack",
            Self::Sockets => "sockets",
            Self::Bpf => "bpf",
            Self::Sysctls => "sysctls",
        }
    }

    /// The command that prints it on a real machine.
    pub fn command(self) -> &'static str {
        match self {
            Self::Links => "ip -s link",
            Self::Addrs => "ip addr",
            Self::Neighbors => "ip neigh",
            Self::Rules => "ip rule",
            Self::Routes => "ip route show table all",
            Self::Exceptions => "ip route show cache",
            Self::Fdb => "bridge fdb",
            Self::Ports => "bridge -d link",
            Self::Iptables => "iptables-save -c",
            Self::Conntrack => "conntrack -L",
            Self::Sockets => "ss -tuna",
            Self::Bpf => "cilium bpf",
            Self::Sysctls => "sysctl",
        }
    }

    /// Its columns as the tools name them.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Links => &[
                "dev",
                "state",
                "mtu",
                "link",
                "master",
                "RX packets",
                "RX bytes",
                "RX dropped",
                "TX packets",
                "TX bytes",
                "TX dropped",
            ],
            Self::Addrs => &["inet", "dev", "brd", "scope"],
            Self::Neighbors => &["address", "dev", "lladdr", "state"],
            Self::Rules => &["priority", "from", "lookup"],
            Self::Routes => &["dst", "via", "dev", "table", "proto", "scope", "src", "metric"],
            Self::Exceptions => &["dst", "via", "mtu"],
            Self::Fdb => &["lladdr", "dev", "dst", "master", "state"],
            Self::Ports => &["dev", "master", "state", "hairpin", "learning", "flood"],
            Self::Iptables => &["pkts", "bytes", "table", "rule"],
            Self::Conntrack => &["proto", "state", "original", "reply", "flags", "mark", "timeout"],
            Self::Sockets => {
                &["Netid", "State", "Recv-Q", "Send-Q", "Local Address:Port", "Peer Address:Port"]
            }
            Self::Bpf => &["map", "key", "dev", "identity", "tunnelendpoint"],
            Self::Sysctls => &["key", "value"],
        }
    }
}

/// What the step shown did to a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RowMark {
    /// Nothing.
    #[default]
    None,
    /// It decided about a packet.
    Used,
    /// It changed.
    Changed,
    /// It came.
    Came,
    /// It went.
    Gone,
}

/// A cell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TableCell {
    /// What it says.
    pub text: String,
    /// What it said one step before, where that was something else.
    pub before: Option<String>,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableLine {
    /// Its name among the rows of its table.
    pub key: String,
    /// What the step did to it.
    pub mark: RowMark,
    /// Whether it decided about a packet, whatever else happened to it.
    pub used: bool,
    /// Cells in the order of the columns.
    pub cells: Vec<TableCell>,
}

/// A table with its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSheet {
    /// Which one.
    pub kind: TableKind,
    /// Rows in the tool's order; those that went at this step are at the end.
    pub rows: Vec<TableLine>,
}

/// A row before it is compared.
struct Entry {
    key: String,
    /// The changes that this row stands for in decisions.
    change: Option<ChangeId>,
    /// The interface it belongs to, for showing one interface alone.
    dev: Option<IfIndex>,
    /// The bridge that it belongs to as well.
    master: Option<IfIndex>,
    cells: Vec<String>,
}

/// The rows that decided between two moments, in one namespace, and the keys of the rules that led to routes.
#[derive(Default)]
struct Uses {
    rows: BTreeSet<ChangeId>,
    rules: BTreeSet<String>,
}

/// The tables of a namespace at a moment, against what they were one step before. With `only`, the rows of that
/// interface.
pub fn sheets(
    trace: &Trace,
    before: &Inventory,
    now: &Inventory,
    netns: &str,
    only: Option<IfIndex>,
) -> Vec<TableSheet> {
    let Some(state) = now.netns_named(netns) else { return Vec::new() };
    let old = before.netns.get(&state.row.netns);
    let uses = uses(trace, before.upto..now.upto, state);
    let sheet = |kind| {
        let wanted = |entry: &Entry| {
            only.is_none() || entry.dev.is_none() || [entry.dev, entry.master].contains(&only)
        };
        let rows: Vec<Entry> = entries(kind, state, now).into_iter().filter(wanted).collect();
        let then: Vec<Entry> =
            old.map_or_else(Vec::new, |old| entries(kind, old, before)).into_iter().filter(wanted).collect();
        TableSheet { kind, rows: compare(kind, rows, then, &uses, old.is_some()) }
    };
    TableKind::ALL.into_iter().map(sheet).filter(|sheet| !sheet.rows.is_empty()).collect()
}

fn uses(trace: &Trace, events: Range<usize>, state: &NetnsState) -> Uses {
    let mut uses = Uses::default();
    for (at, event) in events.clone().zip(trace.events.range(events)) {
        let EventKind::Decided(table, row) = event.kind else { continue };
        if event.netns != state.row.netns || !row.is_some() {
            continue;
        }
        uses.rows.insert(row);
        if let (Table::Fib, Some(route)) = (table, trace.changes[row.index()].as_route()) {
            uses.rules.extend(rules::leading(trace, EventId(at as u32), state, route.table));
        }
    }
    uses
}

fn compare(kind: TableKind, rows: Vec<Entry>, then: Vec<Entry>, uses: &Uses, known: bool) -> Vec<TableLine> {
    let mut old: BTreeMap<String, Entry> = then.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
    let is_used = |entry: &Entry, old: Option<&Entry>| {
        let by = |change: Option<ChangeId>| change.is_some_and(|change| uses.rows.contains(&change));
        let rule = kind == TableKind::Rules && uses.rules.contains(&entry.key);
        by(entry.change) || by(old.and_then(|old| old.change)) || rule
    };
    let mut lines: Vec<TableLine> = rows
        .into_iter()
        .map(|entry| {
            let before = old.remove(&entry.key);
            let used = is_used(&entry, before.as_ref());
            let cells: Vec<TableCell> = entry
                .cells
                .into_iter()
                .enumerate()
                .map(|(at, text)| {
                    let other = before.as_ref().and_then(|old| old.cells.get(at)).filter(|old| **old != text);
                    TableCell { before: other.cloned(), text }
                })
                .collect();
            let mark = if before.is_none() && known {
                RowMark::Came
            } else if cells.iter().any(|cell| cell.before.is_some()) {
                RowMark::Changed
            } else if used {
                RowMark::Used
            } else {
                RowMark::None
            };
            TableLine { key: entry.key, mark, used, cells }
        })
        .collect();
    lines.extend(old.into_values().map(|entry| {
        let used = is_used(&entry, None);
        let cells = entry.cells.into_iter().map(|text| TableCell { text, before: None }).collect();
        TableLine { key: format!("gone {}", entry.key), mark: RowMark::Gone, used, cells }
    }));
    lines
}

fn entries(kind: TableKind, state: &NetnsState, all: &Inventory) -> Vec<Entry> {
    match kind {
        TableKind::Links => state.links.values().map(|link| link_entry(state, link)).collect(),
        TableKind::Addrs => addr_entries(state),
        TableKind::Neighbors => neighbor_entries(state),
        TableKind::Rules => rules::entries(state),
        TableKind::Routes => route_entries(state),
        TableKind::Exceptions => exception_entries(state),
        TableKind::Fdb => fdb_entries(state),
        TableKind::Ports => state.links.values().filter_map(|link| port_entry(state, link)).collect(),
        TableKind::Iptables => iptables_entries(state),
        TableKind::Conntrack => conntrack_entries(state, all),
        TableKind::Sockets => state.sockets.values().map(socket_entry).collect(),
        TableKind::Bpf => bpf::entries(state),
        TableKind::Sysctls => {
            let entry = |(key, value): (&std::sync::Arc<str>, &std::sync::Arc<str>)| Entry {
                key: key.to_string(),
                change: None,
                dev: None,
                master: None,
                cells: vec![key.to_string(), value.to_string()],
            };
            state.sysctls.iter().map(entry).collect()
        }
    }
}

fn said<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn link_entry(state: &NetnsState, link: &LinkRow) -> Entry {
    let counters = state.counters.get(&link.ifindex).copied().unwrap_or_default();
    // As `ip link` tells it: a link that is up without a carrier has no state to speak of.
    let word = match (link.up, link.carrier) {
        _ if link.kind == LinkKind::Loopback && link.up => "UNKNOWN",
        (true, true) => "UP",
        (true, false) => "NO-CARRIER",
        (false, _) => "DOWN",
    };
    Entry {
        key: link.ifindex.0.to_string(),
        change: None,
        dev: Some(link.ifindex),
        master: None,
        cells: vec![
            link.name.to_string(),
            word.to_string(),
            link.mtu.to_string(),
            link.mac.to_string(),
            said(link.port.as_ref().map(|port| state.ifname(port.master))),
            counters.rx_packets.to_string(),
            counters.rx_bytes.to_string(),
            counters.rx_dropped.to_string(),
            counters.tx_packets.to_string(),
            counters.tx_bytes.to_string(),
            counters.tx_dropped.to_string(),
        ],
    }
}

fn addr_entries(state: &NetnsState) -> Vec<Entry> {
    let entry = |row: &crate::trace::AddrRow| Entry {
        key: format!("{} {}", row.ifindex.0, row.text()),
        change: None,
        dev: Some(row.ifindex),
        master: None,
        cells: vec![
            row.text(),
            state.ifname(row.ifindex).to_string(),
            said(row.broadcast),
            rows_text::scope(row.scope).to_string(),
        ],
    };
    state.addrs.iter().map(entry).collect()
}

fn neighbor_entries(state: &NetnsState) -> Vec<Entry> {
    let entry = |entry: &crate::trace::Neighbor| Entry {
        key: format!("{} {}", entry.row.ifindex.0, entry.row.addr),
        change: Some(entry.change),
        dev: Some(entry.row.ifindex),
        master: None,
        cells: vec![
            entry.row.addr.to_string(),
            state.ifname(entry.row.ifindex).to_string(),
            said(entry.row.mac),
            rows_text::nud(entry.row.state).to_string(),
        ],
    };
    state.neighbors.values().map(entry).collect()
}

/// The three rules that every namespace begins with.
fn route_entries(state: &NetnsState) -> Vec<Entry> {
    let entry = |(change, row): &(ChangeId, crate::trace::RouteRow)| {
        let kind = rows_text::route_kind(row.kind);
        let dst = rows_text::destination(row.dst);
        let dst = if kind == "unicast" { dst } else { format!("{kind} {dst}") };
        let dst = if row.tos == 0 { dst } else { format!("{dst} tos {}", rows_text::dsfield(row.tos)) };
        let at = row.leg.map(|leg| (leg.route, leg.at));
        let table = match row.table {
            254 => "main".to_string(),
            255 => "local".to_string(),
            other => other.to_string(),
        };
        let onlink = row.onlink.then(|| "onlink".to_owned());
        let leg = row.leg.map(rows_text::leg);
        let gateway = row.gateway.map(|gateway| gateway.to_string());
        let gateway: Vec<String> = [gateway, onlink, leg].into_iter().flatten().collect();
        Entry {
            key: format!("{table} {dst} {} {:?} {:?} {at:?}", row.metric, row.oif, row.gateway),
            change: Some(*change),
            dev: row.oif,
            master: None,
            cells: vec![
                dst,
                gateway.join(" "),
                said(row.oif.map(|oif| state.ifname(oif))),
                table,
                rows_text::route_protocol(row.protocol).to_string(),
                rows_text::scope(row.scope).to_string(),
                said(row.prefsrc),
                if row.metric == 0 { String::new() } else { row.metric.to_string() },
            ],
        }
    };
    // The main table first: it is the one people look for.
    let (main, others): (Vec<_>, Vec<_>) = state.routes.iter().partition(|(_, row)| row.table == 254);
    main.into_iter().chain(others).map(entry).collect()
}

fn exception_entries(state: &NetnsState) -> Vec<Entry> {
    let entry = |row: &crate::trace::ExceptionRow| Entry {
        key: row.dst.to_string(),
        change: None,
        dev: None,
        master: None,
        cells: vec![
            row.dst.to_string(),
            said(row.gateway),
            said(row.mtu.map(|mtu| if row.locked { format!("lock {mtu}") } else { mtu.to_string() })),
        ],
    };
    state.exceptions.values().map(entry).collect()
}

fn fdb_entries(state: &NetnsState) -> Vec<Entry> {
    let entry = |entry: &crate::trace::Fdb| {
        let row = &entry.row;
        let place = row.master.map_or_else(|| format!("self {}", row.ifindex.0), |it| it.0.to_string());
        Entry {
            key: format!("{place} {}", row.mac),
            change: Some(entry.change),
            dev: Some(row.ifindex),
            master: row.master,
            cells: vec![
                row.mac.to_string(),
                state.ifname(row.ifindex).to_string(),
                said(row.dst),
                row.master.map_or_else(|| "self".to_string(), |bridge| state.ifname(bridge).to_string()),
                row.state().to_owned(),
            ],
        }
    };
    state.fdb.iter().map(entry).collect()
}

fn port_entry(state: &NetnsState, link: &LinkRow) -> Option<Entry> {
    let port = link.port.as_ref()?;
    let word = match port.state {
        PortState::Disabled => "disabled",
        PortState::Listening => "listening",
        PortState::Learning => "learning",
        PortState::Forwarding => "forwarding",
        PortState::Blocking => "blocking",
    };
    let flag = |on: bool| if on { "on" } else { "off" }.to_string();
    Some(Entry {
        key: link.ifindex.0.to_string(),
        change: None,
        dev: Some(link.ifindex),
        master: Some(port.master),
        cells: vec![
            link.name.to_string(),
            state.ifname(port.master).to_string(),
            word.to_string(),
            flag(port.hairpin),
            flag(port.learning),
            flag(port.flood),
        ],
    })
}

fn iptables_entries(state: &NetnsState) -> Vec<Entry> {
    let mut out = Vec::new();
    for table in xtables::Table::ALL {
        for chain in state.netfilter.listed(table) {
            let head = chain.row.policy.map_or_else(
                || format!("-N {}", chain.row.name),
                |policy| format!("-P {} {}", chain.row.name, policy.name()),
            );
            out.push(Entry {
                key: format!("{} {}", table.name(), chain.row.name),
                change: Some(chain.change),
                dev: None,
                master: None,
                cells: vec![String::new(), String::new(), table.name().to_string(), head],
            });
            out.extend(state.netfilter.rules_of(chain).map(|rule| Entry {
                key: format!("rule {}", rule.row.handle),
                change: Some(rule.change),
                dev: None,
                master: None,
                cells: vec![
                    rule.packets.to_string(),
                    rule.bytes.to_string(),
                    table.name().to_string(),
                    rule.row.to_string(),
                ],
            }));
        }
    }
    out
}

fn conntrack_entries(state: &NetnsState, all: &Inventory) -> Vec<Entry> {
    let entry = |connection: &crate::trace::Connection| {
        let row = &connection.row;
        let flags = [(!row.seen_reply).then_some("[UNREPLIED]"), row.assured.then_some("[ASSURED]")];
        let flags: Vec<&str> = flags.into_iter().flatten().collect();
        Entry {
            key: row.id.to_string(),
            change: Some(connection.change),
            dev: None,
            master: None,
            cells: vec![
                xtables::protocol_name(row.orig.protocol),
                row.tcp.map_or_else(String::new, |state| state.name().to_string()),
                row.orig.to_string().trim_end().to_string(),
                row.reply.to_string().trim_end().to_string(),
                flags.join(" "),
                row.mark.to_string(),
                (connection.left(all.now).0 / 1_000_000_000).to_string(),
            ],
        }
    };
    state.netfilter.conntrack.values().map(entry).collect()
}

fn socket_entry(row: &SocketRow) -> Entry {
    let (netid, word) = match row.transport {
        Transport::Tcp => ("tcp", socket_state(row.state)),
        Transport::Udp if row.state == SocketState::Close => ("udp", "UNCONN"),
        Transport::Udp => ("udp", socket_state(row.state)),
    };
    let end = |end: std::net::SocketAddrV4| {
        let port = if end.port() == 0 { "*".to_string() } else { end.port().to_string() };
        format!("{}:{port}", end.ip())
    };
    Entry {
        key: row.socket.0.to_string(),
        change: None,
        dev: row.device,
        master: None,
        cells: vec![
            netid.to_string(),
            word.to_string(),
            row.recv_queue.to_string(),
            row.send_queue.to_string(),
            end(row.local),
            end(row.remote),
        ],
    }
}

/// The state as `ss` writes it.
fn socket_state(state: SocketState) -> &'static str {
    match state {
        SocketState::Established => "ESTAB",
        SocketState::SynSent => "SYN-SENT",
        SocketState::SynRecv => "SYN-RECV",
        SocketState::FinWait1 => "FIN-WAIT-1",
        SocketState::FinWait2 => "FIN-WAIT-2",
        SocketState::TimeWait => "TIME-WAIT",
        SocketState::Close => "UNCONN",
        SocketState::CloseWait => "CLOSE-WAIT",
        SocketState::LastAck => "LAST-ACK",
        SocketState::Listen => "LISTEN",
        SocketState::Closing => "CLOSING",
    }
}
