//! A comparison as text: a table with one line a network, then the way of the packet in each.

use super::{Followed, Outcome};
use std::fmt::Write as _;

const HEAD: [&str; 9] =
    ["NETWORK", "REACHED", "PACKET", "ON WIRE", "ADDED", "POD MTU", "ONE WAY", "TTL", "NETFILTER"];

/// The outcomes as text, with a final newline.
pub fn text(outcomes: &[Outcome]) -> String {
    let rows: Vec<[String; 9]> = outcomes.iter().map(row).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([HEAD[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let line = |cells: [&str; 9]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let mut out = line(HEAD);
    for row in &rows {
        out += &line(row.each_ref().map(String::as_str));
    }
    for outcome in outcomes {
        let _ = write!(out, "\n{}\n", outcome.network);
        details(&mut out, outcome);
    }
    out
}

fn row(outcome: &Outcome) -> [String; 9] {
    let none = || "-".to_owned();
    let Some(packet) = &outcome.followed else {
        let mut cells = std::array::from_fn(|_| none());
        cells[0].clone_from(&outcome.network);
        "no".clone_into(&mut cells[1]);
        return cells;
    };
    [
        outcome.network.clone(),
        if packet.delivered { "yes" } else { "no" }.to_owned(),
        format!("{} B", packet.packet_bytes),
        format!("{} B", packet.wire_bytes),
        format!("{} B", added(packet)),
        outcome.mtu.map_or_else(none, |mtu| mtu.to_string()),
        format!("{} us", packet.one_way_ns / 1_000),
        format!("{} > {}", packet.ttl_sent, packet.ttl_seen),
        netfilter(packet),
    ]
}

/// Bytes of all headers that were added.
pub fn added(packet: &Followed) -> usize {
    packet.headers.iter().map(|header| header.bytes).sum()
}

fn netfilter(packet: &Followed) -> String {
    let saw = |(node, hooks): (&std::sync::Arc<str>, &usize)| format!("{node} {hooks}");
    let list = packet.netfilter.iter().map(saw).collect::<Vec<_>>().join(", ");
    match (list.is_empty(), packet.bpf) {
        (false, _) => list,
        (true, 0) => "not seen".to_owned(),
        (true, _) => "bypassed by eBPF".to_owned(),
    }
}

fn details(out: &mut String, outcome: &Outcome) {
    let _ = writeln!(out, "  command  {}", outcome.command.join(" "));
    if let Some(error) = &outcome.error {
        let _ = writeln!(out, "  error    {error}");
    }
    let Some(packet) = &outcome.followed else { return };
    let _ = writeln!(out, "  packet   {}", packet.packet);
    let hops = packet.path.iter().map(|hop| format!("{}/{}", hop.namespace, hop.interface));
    let _ = writeln!(out, "  path     {}", hops.collect::<Vec<_>>().join(" > "));
    if !packet.headers.is_empty() {
        let headers = packet.headers.iter().map(|header| format!("{} {}", header.name, header.bytes));
        let _ = writeln!(out, "  headers  {}", headers.collect::<Vec<_>>().join(", "));
    }
}
