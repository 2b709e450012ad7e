//! `route` of net-tools 2.10 and of busybox 1.35, and what `netstat -r` prints of the same table.
#![expect(
    clippy::format_push_string,
    reason = "lines are put together piece by piece, as the program prints them"
)]

use super::getopt::getopt;
use super::nettools::{Edition, FAMILIES, HARDWARE};
use super::out::{answer, not_simulated, refuse};
use super::{Command, Context, ip};
use crate::base::{Ipv4Addr, Ipv4Net};
use crate::trace::{NetnsState, RouteKind, RouteRow};

const USAGE: &str = include_str!("usage/route.txt");
const CHANGE_USAGE: &str = include_str!("usage/route-change.txt");
const BUSYBOX_USAGE: &str = include_str!("usage/busybox-route.txt");

/// Which columns a listing has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Columns {
    /// Metric, references and use.
    Metric,
    /// What TCP makes of the route (`-e`).
    Tcp,
    /// All of them (`-ee`).
    All,
}

/// `route`: lists, adds and deletes.
pub(super) fn route(context: &mut Context<'_>, words: &[String], edition: Edition) -> Command {
    let net_tools = edition == Edition::NetTools;
    let at = words.iter().position(|word| ["add", "del", "delete", "flush"].contains(&word.as_str()));
    let parsed =
        match getopt(if net_tools { "A:eCFhnN64Vv?" } else { "A:ne" }, &words[..at.unwrap_or(words.len())]) {
            Ok(parsed) => parsed,
            Err(text) if net_tools => return refuse(format!("route: {text}\n{USAGE}"), 0),
            Err(text) => return refuse(format!("route: {text}\n{BUSYBOX_USAGE}"), 1),
        };
    let has = |letter| parsed.options.iter().any(|(option, _)| *option == letter);
    if has('V') {
        let more = "+NEW_ADDRT +RTF_IRTT +RTF_REJECT +I18N +SELINUX";
        return answer(format!("net-tools 2.10\n{more}\nAF: (inet) {FAMILIES}\nHW:  {HARDWARE}\n"));
    }
    if let Some(at) = at {
        return change(context, &words[at..], edition);
    }
    if !parsed.operands.is_empty() || has('h') || has('?') {
        return if net_tools { refuse(USAGE, 3) } else { refuse(BUSYBOX_USAGE, 1) };
    }
    let family = parsed.options.iter().find(|(option, _)| *option == 'A').map(|(_, name)| name.as_str());
    if has('6') || family == Some("inet6") {
        return answer(inet6(edition));
    }
    if has('C') {
        return answer(
            "Kernel IP routing cache\n\
             Source          Destination     Gateway         Flags Metric Ref    Use Iface\n",
        );
    }
    if let Some(name) = family.filter(|name| *name != "inet") {
        let (text, status) = not_simulated("route", &format!("-A {name}"));
        return refuse(text, status);
    }
    let columns = match parsed.options.iter().filter(|(option, _)| *option == 'e').count() {
        0 => Columns::Metric,
        1 => Columns::Tcp,
        _ if net_tools => Columns::All,
        _ => Columns::Tcp,
    };
    let Some(state) = context.inventory.netns.get(&context.netns) else { return refuse("", 1) };
    answer(listing(state, columns, (!has('n'), edition)))
}

/// `netstat -r`: with `-e` the columns of `route`.
pub(super) fn netstat(context: &Context<'_>, named: bool, extended: bool, edition: Edition) -> Command {
    let Some(state) = context.inventory.netns.get(&context.netns) else { return refuse("", 1) };
    let columns = if extended { Columns::Metric } else { Columns::Tcp };
    answer(listing(state, columns, (named, edition)))
}

/// No packet of IPv6 is sent in this cluster: the table has the two entries that the kernel begins with.
fn inet6(edition: Edition) -> String {
    if edition == Edition::Busybox {
        let head = format!("{:<43} {:<39} Flags Metric Ref    Use Iface\n", "Destination", "Next Hop");
        let line = format!("{:<43} {:<39} !n    -1     1        0 lo      \n", "::/0", "::");
        return format!("Kernel IPv6 routing table\n{head}{line}{line}");
    }
    let line = format!("{:<30} {:<26} !n   -1  1      0 lo\n", "[::]/0", "[::]");
    let head = "Destination                    Next Hop                   Flag Met Ref  Use If\n";
    format!("Kernel IPv6 routing table\n{head}{line}{line}")
}

fn listing(state: &NetnsState, columns: Columns, (named, edition): (bool, Edition)) -> String {
    let heading = match columns {
        Columns::Metric => "Flags Metric Ref    Use Iface",
        Columns::Tcp => "Flags   MSS Window  irtt Iface",
        Columns::All => "Flags Metric Ref    Use Iface    MSS   Window irtt",
    };
    let mut text =
        format!("Kernel IP routing table\nDestination     Gateway         Genmask         {heading}\n");
    for row in main_table(state) {
        let to_nowhere = row.oif.is_none();
        let dst = match row.dst.network() {
            // Without `-n`, `/etc/networks` gives the unspecified network its name.
            network if named && network.is_unspecified() => "default".to_owned(),
            network => network.to_string(),
        };
        let gateway = match row.gateway {
            Some(gateway) => gateway.to_string(),
            None if named && edition == Edition::Busybox => "*".to_owned(),
            None => Ipv4Addr::UNSPECIFIED.to_string(),
        };
        let device = row.oif.map_or_else(|| "*".to_owned(), |oif| state.ifname(oif).to_string());
        let flags = flags(row, to_nowhere);
        text += &format!("{dst:<15} {gateway:<15} {:<15} {flags:<5} ", row.dst.netmask().to_string());
        text += &match columns {
            Columns::Metric => format!("{:<6} 0        0 {device}\n", row.metric),
            Columns::Tcp => format!("    0 0          0 {device}\n"),
            Columns::All => format!("{:<6} 0        0 {device:<8} 0     0      0\n", row.metric),
        };
    }
    text
}

/// The main table as `/proc/net/route` has it.
pub(super) fn main_table(state: &NetnsState) -> Vec<&RouteRow> {
    let rows = state.routes.iter().map(|(_, row)| row);
    let mut rows: Vec<&RouteRow> =
        rows.filter(|row| row.table == 254 && row.is_head() && row.kind != RouteKind::Broadcast).collect();
    rows.sort_by_key(|row| (row.dst.network(), 32 - row.dst.prefix_len(), row.rank()));
    rows
}

/// Only `unreachable` and `prohibit` say that they refuse (`fib_flag_trans`).
fn flags(row: &RouteRow, to_nowhere: bool) -> String {
    let refuses = to_nowhere && matches!(row.kind, RouteKind::Unreachable | RouteKind::Prohibit);
    let up = if refuses { "!" } else { "U" };
    let gateway = if row.gateway.is_some() { "G" } else { "" };
    let host = if row.dst.prefix_len() == 32 { "H" } else { "" };
    format!("{up}{gateway}{host}")
}

/// `route add` and `del`, which ask the kernel for what `ip route` asks it for.
fn change(context: &mut Context<'_>, words: &[String], edition: Edition) -> Command {
    let usage = || match edition {
        Edition::NetTools => refuse(CHANGE_USAGE, 3),
        Edition::Busybox => refuse(BUSYBOX_USAGE, 1),
    };
    let adds = words[0] == "add";
    if words[0] == "flush" {
        return refuse(format!("Flushing `inet' routing table not supported\n{CHANGE_USAGE}"), 3);
    }
    let asked = match translate(&words[1..], adds) {
        Ok(asked) => asked,
        Err(Some(text)) => return refuse(format!("{text}{CHANGE_USAGE}"), 3),
        Err(None) => return usage(),
    };
    let call = if adds { "SIOCADDRT" } else { "SIOCDELRT" };
    let program = if edition == Edition::Busybox { "route: " } else { "" };
    let status = if edition == Edition::Busybox { 1 } else { 7 };
    let answered = ip::ip(context, &asked);
    let Command::Done { output, status: 1.. } = answered else { return answered };
    let text: String = output.into_iter().map(|(_, text)| text).collect();
    let reason = match text.trim_end().trim_start_matches("RTNETLINK answers: ") {
        "Error: Nexthop has invalid gateway." => "Network is unreachable",
        "Error: Invalid prefix for given prefix length." => "Invalid argument",
        text if text.starts_with("Cannot find device") => "No such device",
        text if text.starts_with("Error: Device for nexthop") => "Network is down",
        text => text,
    };
    refuse(format!("{program}{call}: {reason}\n"), status)
}

/// The words of `ip route` that ask for the same. The error is a text, or nothing where only the usage is said.
fn translate(words: &[String], adds: bool) -> Result<Vec<String>, Option<String>> {
    let mut words = words.iter().map(String::as_str).peekable();
    let is_net = words.next_if_eq(&"-net").is_some();
    let is_host = !is_net && words.next_if_eq(&"-host").is_some();
    let target = words.next().ok_or(None)?;
    let mut asked: Vec<String> = ["route", if adds { "add" } else { "del" }].map(str::to_owned).to_vec();
    let (mut prefix, mut rest) = (None, Vec::new());
    while let Some(word) = words.next() {
        match word {
            "netmask" => {
                let mask: Ipv4Addr = words.next().and_then(|mask| mask.parse().ok()).ok_or(None)?;
                prefix = Some(u32::from(mask).count_ones() as u8);
            }
            "gw" | "gateway" => rest.extend(["via", words.next().ok_or(None)?]),
            "metric" => rest.extend(["metric", words.next().ok_or(None)?]),
            "dev" | "device" => rest.extend(["dev", words.next().ok_or(None)?]),
            "reject" => asked.push("unreachable".to_owned()),
            "mss" | "window" | "irtt" => {
                words.next().ok_or(None)?;
            }
            "mod" | "dyn" | "reinstate" => {}
            device => rest.extend(["dev", device]),
        }
    }
    if target == "default" {
        asked.push("default".to_owned());
    } else {
        let (addr, given) = target.split_once('/').map_or((target, None), |(addr, len)| (addr, Some(len)));
        let addr: Ipv4Addr = addr.parse().map_err(|_| Some(format!("{addr}: Unknown host\n")))?;
        let given = given.map(|len| len.parse::<u8>().map_err(|_| None)).transpose()?;
        let host = if is_net && !is_host { None } else { Some(32) };
        // A network without a mask has the one of its class, which the address has to fit.
        let by_class = match addr.octets()[0] {
            0..=127 => 8,
            128..=191 => 16,
            _ => 24,
        };
        let len = given.or(prefix).or(host).unwrap_or(by_class);
        let net = Ipv4Net::new(addr, len).map_err(|_| None)?;
        if given.or(prefix).is_some() && net.network() != addr {
            return Err(Some("route: netmask doesn't match route address\n".to_owned()));
        }
        asked.push(net.to_string());
    }
    asked.extend(rest.into_iter().map(str::to_owned));
    Ok(asked)
}
