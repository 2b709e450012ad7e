//! `/proc/net`: tables of the kernel in the forms that older programs read.
#![expect(
    clippy::format_push_string,
    reason = "lines are put together piece by piece, as the kernel prints them"
)]

use super::{Entry, NO_ENTRY};
use crate::base::{Ipv4Addr, SimTime};
use crate::shell::{nettools, route};
use crate::trace::{
    Inventory, NetnsState, Nud, RouteKind, SnmpGroup, SnmpTables, SocketRow, SocketState, SocketTimer,
    SocketTimerKind, Transport,
};

/// Files whose content is not simulated.
const OTHERS: [&str; 38] = [
    "anycast6",
    "dev_mcast",
    "fib_trie",
    "fib_triestat",
    "icmp",
    "icmp6",
    "if_inet6",
    "igmp",
    "igmp6",
    "ip6_flowlabel",
    "ip6_tables_names",
    "ip_tables_matches",
    "ip_tables_names",
    "ip_tables_targets",
    "ipv6_route",
    "mcfilter",
    "mcfilter6",
    "netlink",
    "nf_conntrack",
    "packet",
    "protocols",
    "psched",
    "ptype",
    "raw",
    "raw6",
    "rt6_stats",
    "rt_acct",
    "rt_cache",
    "snmp6",
    "sockstat",
    "sockstat6",
    "softnet_stat",
    "tcp6",
    "udp6",
    "udplite",
    "udplite6",
    "unix",
    "xfrm_stat",
];

pub(super) fn find(inventory: &Inventory, state: &NetnsState, parts: &[&str]) -> Entry {
    match parts {
        [] | ["dev_snmp6" | "netfilter" | "stat"] => Entry::Directory(None),
        ["arp"] => Entry::File(arp(state)),
        ["dev"] => Entry::File(devices(state)),
        ["netstat"] => Entry::File(counters(inventory, state, |tables| tables.netstat)),
        ["route"] => Entry::File(routes(state)),
        ["snmp"] => Entry::File(counters(inventory, state, |tables| tables.snmp)),
        ["tcp"] => Entry::File(tcp(state, inventory.now)),
        ["udp"] => Entry::File(udp(state)),
        [name] if OTHERS.contains(name) => Entry::Unknown,
        _ => NO_ENTRY,
    }
}

/// The protocols' counters of one file.
fn counters(inventory: &Inventory, state: &NetnsState, of: impl Fn(SnmpTables) -> Vec<SnmpGroup>) -> String {
    let own = inventory.snmp.as_ref().filter(|(netns, _)| *netns == state.row.netns);
    let groups = own.map(|(_, snmp)| of(snmp.tables())).unwrap_or_default();
    groups.iter().map(ToString::to_string).collect()
}

fn arp(state: &NetnsState) -> String {
    let mut text =
        "IP address       HW type     Flags       HW address            Mask     Device\n".to_owned();
    for row in nettools::entries(state) {
        // ATF_COM, and ATF_PERM beside it.
        let flags = match row.state {
            Nud::Incomplete | Nud::Failed => 0,
            Nud::Permanent => 6,
            Nud::Reachable | Nud::Stale | Nud::Delay | Nud::Probe | Nud::NoArp => 2,
        };
        let mac = row.mac.map_or_else(|| "00:00:00:00:00:00".to_owned(), |mac| mac.to_string());
        let (addr, flags) = (row.addr.to_string(), format!("{flags:x}"));
        let device = state.ifname(row.ifindex);
        text += &format!("{addr:<16} 0x{:<10}0x{flags:<10}{mac}     *        {device}\n", "1");
    }
    text
}

fn devices(state: &NetnsState) -> String {
    let mut text = "Inter-|   Receive                                                |  Transmit\n \
                    face |bytes    packets errs drop fifo frame compressed multicast\
                    |bytes    packets errs drop fifo colls carrier compressed\n"
        .to_owned();
    for link in state.links.values() {
        let seen = state.counters.get(&link.ifindex).copied().unwrap_or_default();
        text += &format!(
            "{:>6}: {:7} {:7}    0 {:4}    0     0          0",
            link.name, seen.rx_bytes, seen.rx_packets, seen.rx_dropped
        );
        text += &format!(
            " {:9} {:8} {:7}    0 {:4}    0     0       0          0\n",
            seen.rx_multicast, seen.tx_bytes, seen.tx_packets, seen.tx_dropped
        );
    }
    text
}

/// An address as its four bytes lie in memory.
fn hex(addr: Ipv4Addr) -> String {
    format!("{:08X}", u32::from(addr).swap_bytes())
}

fn routes(state: &NetnsState) -> String {
    let head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT";
    let mut text = format!("{head:<127}\n");
    for row in route::main_table(state) {
        // RTF_UP, RTF_GATEWAY, RTF_HOST, RTF_REJECT.
        let mut flags = 1;
        flags |= if row.gateway.is_some() { 2 } else { 0 };
        flags |= if row.dst.prefix_len() == 32 { 4 } else { 0 };
        let refuses = matches!(row.kind, RouteKind::Unreachable | RouteKind::Prohibit);
        flags |= if refuses { 0x200 } else { 0 };
        let device = row.oif.map_or_else(|| "*".to_owned(), |oif| state.ifname(oif).to_string());
        let gateway = hex(row.gateway.unwrap_or(Ipv4Addr::UNSPECIFIED));
        let (dst, mask) = (hex(row.dst.network()), hex(row.dst.netmask()));
        let line = format!("{device}\t{dst}\t{gateway}\t{flags:04X}\t0\t0\t{}\t{mask}\t0\t0\t0", row.metric);
        text += &format!("{line:<127}\n");
    }
    text
}

/// The kernel's number of a state.
fn number(state: SocketState) -> u8 {
    match state {
        SocketState::Established => 1,
        SocketState::SynSent => 2,
        SocketState::SynRecv => 3,
        SocketState::FinWait1 => 4,
        SocketState::FinWait2 => 5,
        SocketState::TimeWait => 6,
        SocketState::Close => 7,
        SocketState::CloseWait => 8,
        SocketState::LastAck => 9,
        SocketState::Listen => 10,
        SocketState::Closing => 11,
    }
}

/// Both ends, the state and the queues.
fn ends(row: &SocketRow) -> String {
    let (local, remote) = (row.local, row.remote);
    // A listening socket's limit is no queue.
    let send = if row.state == SocketState::Listen { 0 } else { row.send_queue };
    format!(
        "{}:{:04X} {}:{:04X} {:02X} {send:08X}:{:08X}",
        hex(*local.ip()),
        local.port(),
        hex(*remote.ip()),
        remote.port(),
        number(row.state),
        row.recv_queue
    )
}

/// The timer's kind and the hundredths of a second until it goes off.
fn timer(timer: Option<SocketTimer>, now: SimTime) -> String {
    let Some(timer) = timer else { return "00:00000000 00000000".to_owned() };
    let kind = match timer.kind {
        SocketTimerKind::Retransmit => 1,
        SocketTimerKind::KeepAlive => 2,
        SocketTimerKind::TimeWait => 3,
        SocketTimerKind::Persist => 4,
    };
    format!("{kind:02X}:{:08X} {:08X}", timer.expires.since(now).as_ms() / 10, timer.retransmits)
}

/// Where a socket lies in memory is not shown, as to somebody without `CAP_SYSLOG`.
const POINTER: &str = "0000000000000000";

fn tcp(state: &NetnsState, now: SimTime) -> String {
    let head =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
    let mut text = format!("{head:<149}\n");
    let mut rows: Vec<&SocketRow> =
        state.sockets.values().filter(|row| row.transport == Transport::Tcp && is_shown(row)).collect();
    rows.sort_by_key(|row| row.state != SocketState::Listen);
    for (at, row) in rows.into_iter().enumerate() {
        let timer = timer(row.timer, now);
        let (ends, uid, inode) = (ends(row), row.uid, row.inode);
        let tail = match row.state {
            SocketState::TimeWait => format!("    0        0 0 3 {POINTER}"),
            SocketState::SynRecv => format!("{uid:5}        0 0 0 {POINTER}"),
            SocketState::Listen => format!("{uid:5}        0 {inode} 1 {POINTER} 100 0 0 10 0"),
            SocketState::Established
            | SocketState::SynSent
            | SocketState::FinWait1
            | SocketState::FinWait2
            | SocketState::Close
            | SocketState::CloseWait
            | SocketState::LastAck
            | SocketState::Closing => {
                format!("{uid:5}        0 {inode} 1 {POINTER} {}", congestion(row))
            }
        };
        let line = format!("{at:4}: {ends} {timer} {tail}");
        text += &format!("{line:<149}\n");
    }
    text
}

/// A socket of TCP without a port is in no table.
fn is_shown(row: &SocketRow) -> bool {
    row.state != SocketState::Close
}

/// The retransmission timeout and that of a delayed acknowledgment in hundredths of a second, quick acknowledgments,
/// the congestion window and the threshold of slow start.
fn congestion(row: &SocketRow) -> String {
    let Some(info) = &row.tcp else { return "100 0 0 10 -1".to_owned() };
    let threshold = info.ssthresh.map_or_else(|| "-1".to_owned(), |threshold| threshold.to_string());
    format!("{} {} 0 {} {threshold}", info.rto_us / 10_000, info.ato_ms / 10, info.cwnd)
}

fn udp(state: &NetnsState) -> String {
    let head = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode \
                ref pointer drops";
    let mut text = format!("{head:<127}\n");
    let rows = state.sockets.values().filter(|row| row.transport == Transport::Udp && row.local.port() != 0);
    for row in rows {
        let (ends, uid, inode) = (ends(row), row.uid, row.inode);
        let line = format!(
            "{:5}: {ends} 00:00000000 00000000 {uid:5}        0 {inode} 2 {POINTER} 0",
            row.local.port()
        );
        text += &format!("{line:<127}\n");
    }
    text
}
