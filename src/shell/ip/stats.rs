//! Counters of `ip -s link` (`print_link_stats64`): columns as wide as the widest figure or heading.
#![expect(
    clippy::format_push_string,
    reason = "lines are put together piece by piece, as the program prints them"
)]

use super::Ip;
use crate::shell::print::Printer;
use crate::trace::{LinkKind, LinkRow};

const RX_KEYS: [&str; 6] = ["bytes", "packets", "errors", "dropped", "over_errors", "multicast"];
const TX_KEYS: [&str; 6] = ["bytes", "packets", "errors", "dropped", "carrier_errors", "collisions"];
const RX_MORE: [&str; 5] = ["length_errors", "crc_errors", "frame_errors", "fifo_errors", "missed_errors"];
const TX_MORE: [&str; 5] =
    ["aborted_errors", "fifo_errors", "window_errors", "heartbeat_errors", "carrier_changes"];

/// The rows after the lines about a link.
pub(super) fn print(ip: &Ip<'_>, printer: &mut Printer, link: &LinkRow) {
    let counters = ip.state.counters.get(&link.ifindex).copied().unwrap_or_default();
    let rx = [counters.rx_bytes, counters.rx_packets, 0, counters.rx_dropped, 0, counters.rx_multicast];
    let tx = [counters.tx_bytes, counters.tx_packets, 0, counters.tx_dropped, 0, 0];
    // The carrier of a veth was found absent when the device was made, and came once.
    let changes = if matches!(link.kind, LinkKind::Veth { .. } | LinkKind::Physical { .. }) { 2 } else { 0 };
    let (rx_errors, tx_errors) = ([0; 5], [0, 0, 0, 0, changes]);
    let more = ip.options.stats > 1;
    printer.object("stats64");
    for (side, keys, figures, more_keys, errors) in
        [("rx", RX_KEYS, rx, RX_MORE, rx_errors), ("tx", TX_KEYS, tx, TX_MORE, tx_errors)]
    {
        printer.object(side);
        keys.into_iter().zip(figures).for_each(|(key, figure)| printer.field(key, figure));
        let errors = more_keys.into_iter().zip(errors).filter(|_| more);
        errors.for_each(|(key, figure)| printer.field(key, figure));
        printer.close();
    }
    printer.close();
    if printer.is_json() {
        return;
    }
    let errors: &[&[u64; 5]] = &[&rx_errors, &tx_errors];
    let widths = widths(&[&rx, &tx], if more { errors } else { &[] });
    let end = ip.options.separator();
    let rx_heads = ["bytes", "packets", "errors", "dropped", "missed", "mcast"];
    let tx_heads = ["bytes", "packets", "errors", "dropped", "carrier", "collsns"];
    printer.plain(head("RX:", &rx_heads, &widths, end));
    printer.plain(row(&rx, &widths, ip.options.human));
    if more {
        let heads = ["length", "crc", "frame", "fifo", "overrun"];
        printer.plain(error_rows("RX errors:", heads, &rx_errors, &widths, end));
    }
    printer.plain(head("TX:", &tx_heads, &widths, end));
    printer.plain(row(&tx, &widths, ip.options.human));
    if more {
        let heads = ["aborted", "fifo", "window", "heartbt", "transns"];
        printer.plain(error_rows("TX errors:", heads, &tx_errors, &widths, end));
    }
}

/// `size_columns`: figures of error rows stand one column to the right.
fn widths(rows: &[&[u64; 6]], errors: &[&[u64; 5]]) -> [usize; 6] {
    let mut widths = ["*X errors:", "packets", "errors", "dropped", "heartbt", "overrun"].map(str::len);
    let shifted = errors.iter().flat_map(|row| row.iter().enumerate().map(|(at, figure)| (at + 1, figure)));
    let all = rows.iter().flat_map(|row| row.iter().enumerate()).chain(shifted);
    for (at, figure) in all {
        widths[at] = widths[at].max(figure.to_string().len());
    }
    widths
}

fn head(label: &str, names: &[&str; 6], widths: &[usize; 6], end: &str) -> String {
    let width = widths[0] - 4;
    let mut line = format!("{end}    {label} {:>width$}", names[0]);
    for (name, width) in names.iter().zip(widths).skip(1) {
        line.push_str(&format!(" {name:>width$}"));
    }
    // A column for compressed packets is left blank when there are none.
    line + &" ".repeat(11) + end
}

fn row(figures: &[u64; 6], widths: &[usize; 6], human: bool) -> String {
    let figures = figures.iter().map(|figure| if human { short(*figure) } else { figure.to_string() });
    let cells = figures.zip(widths).map(|(figure, width)| format!("{figure:>width$} "));
    format!("    {}", cells.collect::<Vec<_>>().concat())
}

fn error_rows(label: &str, names: [&str; 5], figures: &[u64; 5], widths: &[usize; 6], end: &str) -> String {
    let pad = widths[0] - 10;
    let heads = names.iter().zip(&widths[1..]).map(|(name, width)| format!(" {name:>width$}"));
    let heads = heads.collect::<Vec<_>>().concat();
    let cells = figures.iter().zip(&widths[1..]).map(|(figure, width)| format!("{figure:>width$} "));
    let cells = cells.collect::<Vec<_>>().concat();
    format!("{end}    {label}{:pad$}{heads}{end}{:before$}{cells}", "", "", before = widths[0] + 5)
}

/// `print_num` with `-h`: three digits and a letter.
fn short(figure: u64) -> String {
    if figure < 1000 {
        return figure.to_string();
    }
    let mut power = 1000;
    let mut letters = "kMGTPE".chars();
    let mut letter = letters.next().unwrap_or('k');
    while figure / power >= 1000 {
        power *= 1000;
        letter = letters.next().unwrap_or('E');
    }
    let decimals: u32 = match figure / power {
        0..10 => 2,
        10..100 => 1,
        _ => 0,
    };
    let scale = 10_u64.pow(decimals);
    let value = (u128::from(figure) * u128::from(scale) + u128::from(power) / 2) / u128::from(power);
    let (whole, rest) = (value / u128::from(scale), value % u128::from(scale));
    match decimals {
        0 => format!("{whole}{letter}"),
        _ => format!("{whole}.{rest:0width$}{letter}", width = decimals as usize),
    }
}
