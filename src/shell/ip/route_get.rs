//! `ip route get`: the routing decision of the kernel for one destination, as its tables stand.

use super::addr::prefix;
use super::route::{LOCAL, MAIN, kind_name, print_plain};
use super::{Ip, Stop, done, next};
use crate::base::{IfIndex, Ipv4Addr};
use crate::shell::Command;
use crate::shell::print::{Color, Printer};
use crate::trace::{ExceptionRow, RouteKind, RouteRow, Scope};

#[derive(Default)]
struct Question {
    dst: Option<Ipv4Addr>,
    from: Option<Ipv4Addr>,
    iif: Option<IfIndex>,
    oif: Option<IfIndex>,
    mark: Option<u32>,
    fibmatch: bool,
    /// The length of a prefix that was given for an address.
    warning: Option<u8>,
}

fn answers(text: &str) -> Stop {
    (format!("RTNETLINK answers: {text}\n"), 2)
}

/// Runs `ip route get`.
pub(super) fn run(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let question = read(ip, words)?;
    let Some(dst) = question.dst else {
        return Err(("need at least a destination address\n".to_owned(), 1));
    };
    let row = decide(ip, dst, &question)?;
    let mut printer = ip.options.printer();
    printer.object("");
    if question.fibmatch {
        print_plain(ip, &mut printer, &row);
    } else {
        print(ip, &mut printer, dst, &question, &row);
    }
    printer.close();
    let Some(len) = question.warning else { return Ok(done(printer.finish())) };
    let mut out = crate::shell::out::Out::default();
    out.err(format!("Warning: /{len} as prefix is invalid, only /32 (or none) is supported.\n"));
    out.out(printer.finish());
    Ok(out.done(0))
}

fn read(ip: &Ip<'_>, words: &[String]) -> Result<Question, Stop> {
    let mut question = Question::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "from" => question.from = Some(prefix(next(&mut words)?)?.addr()),
            "iif" => question.iif = Some(ip.device(next(&mut words)?)?.ifindex),
            "oif" | "dev" => question.oif = Some(ip.device(next(&mut words)?)?.ifindex),
            "mark" => question.mark = next(&mut words)?.parse().ok(),
            "fibmatch" => question.fibmatch = true,
            "to" => question.dst = Some(prefix(next(&mut words)?)?.addr()),
            // No packet of IPv6 finds a route here.
            word if word.parse::<std::net::Ipv6Addr>().is_ok() => {
                return Err(answers("Network is unreachable"));
            }
            word => {
                let net = prefix(word)?;
                if net.prefix_len() < 32 {
                    question.warning = Some(net.prefix_len());
                }
                question.dst = Some(net.addr());
            }
        }
    }
    Ok(question)
}

/// `fib_lookup`: the local table, then the main one; the longest prefix, then the lowest metric.
fn lookup(ip: &Ip<'_>, dst: Ipv4Addr, oif: Option<IfIndex>) -> Option<RouteRow> {
    [LOCAL, MAIN].into_iter().find_map(|table| {
        let rows = ip.state.routes.iter().map(|(_, row)| row);
        rows.filter(|row| row.table == table && row.dst.contains(&dst))
            .filter(|row| oif.is_none_or(|oif| row.oif == Some(oif)))
            .filter(|row| {
                let link = row.oif.and_then(|oif| ip.state.links.get(&oif));
                // An address is the machine's own also while its device is down (`fib_check_nh`).
                row.kind == RouteKind::Local || link.is_none_or(|link| link.up)
            })
            .min_by_key(|row| (32 - row.dst.prefix_len(), row.metric))
            .copied()
    })
}

/// What was learnt about a destination, as long as it holds.
fn learnt<'a>(ip: &Ip<'a>, dst: Ipv4Addr) -> Option<&'a ExceptionRow> {
    ip.state.exceptions.get(&dst).filter(|row| ip.now < row.expires)
}

fn decide(ip: &Ip<'_>, dst: Ipv4Addr, question: &Question) -> Result<RouteRow, Stop> {
    let own = |addr: Ipv4Addr| ip.state.addrs.iter().any(|row| row.addr.addr() == addr) || addr.is_loopback();
    let spoofed = question.from.is_some_and(|from| question.iif.is_some() && own(from));
    if spoofed {
        return Err(answers("Invalid argument"));
    }
    if question.iif.is_none() && question.from.is_some_and(|from| !own(from)) {
        return Err(answers("Network is unreachable"));
    }
    let forwards = ip.state.sysctls.get("net.ipv4.ip_forward").is_some_and(|value| &**value == "1");
    // The unspecified address stands for this host (`ip_route_output_key_hash_rcu`).
    if dst.is_unspecified() && question.iif.is_none() {
        let lo = Ipv4Addr::LOCALHOST;
        let row = attached(ip, dst, IfIndex(1));
        return Ok(RouteRow { kind: RouteKind::Local, prefsrc: Some(lo), table: LOCAL, ..row });
    }
    match lookup(ip, dst, question.oif) {
        // Only a router looks further than its own addresses (`ip_route_input_slow`).
        None if question.iif.is_some() && !forwards => Err(answers("No route to host")),
        None if question.iif.is_some() => Err(answers("Network is unreachable")),
        None => match question.oif {
            // With an interface named and no route, the kernel takes the destination for attached.
            Some(oif) => Ok(attached(ip, dst, oif)),
            None => Err(answers("Network is unreachable")),
        },
        Some(row) => match row.kind {
            // Whatever the route, all hosts of the network are attached (`__mkroute_output`).
            RouteKind::Unicast if dst.is_broadcast() => {
                Ok(RouteRow { kind: RouteKind::Broadcast, gateway: None, ..row })
            }
            RouteKind::Unicast if dst.is_multicast() => Ok(RouteRow { gateway: None, ..row }),
            RouteKind::Unicast | RouteKind::Local | RouteKind::Broadcast => {
                let learnt = learnt(ip, dst).filter(|_| !question.fibmatch).and_then(|row| row.gateway);
                Ok(RouteRow { gateway: learnt.or(row.gateway), ..row })
            }
            RouteKind::Blackhole => Err(answers("Invalid argument")),
            RouteKind::Unreachable => Err(answers("No route to host")),
            RouteKind::Prohibit => Err(answers("Permission denied")),
        },
    }
}

fn attached(ip: &Ip<'_>, dst: Ipv4Addr, oif: IfIndex) -> RouteRow {
    RouteRow {
        netns: ip.state.row.netns,
        table: MAIN,
        dst: dst.into(),
        kind: RouteKind::Unicast,
        gateway: None,
        oif: Some(oif),
        prefsrc: None,
        metric: 0,
        scope: Scope::Link,
        protocol: crate::trace::RouteProtocol::Boot,
        onlink: false,
    }
}

/// `fib_select_addr`: the preferred source, else the first address of the way out that reaches the next hop, else any.
fn source(ip: &Ip<'_>, row: &RouteRow, dst: Ipv4Addr) -> Option<Ipv4Addr> {
    if row.prefsrc.is_some() {
        return row.prefsrc;
    }
    if row.kind == RouteKind::Local {
        return Some(dst);
    }
    let toward = row.gateway.unwrap_or(dst);
    let of_link = || {
        ip.state
            .addrs
            .iter()
            .filter(|addr| Some(addr.ifindex) == row.oif && addr.scope <= row.scope.max(Scope::Link))
    };
    of_link()
        .find(|addr| addr.addr.contains(&toward))
        .or_else(|| of_link().next())
        .or_else(|| ip.state.addrs.iter().find(|addr| addr.scope == Scope::Global))
        .map(|addr| addr.addr.addr())
}

fn print(ip: &Ip<'_>, printer: &mut Printer, dst: Ipv4Addr, question: &Question, row: &RouteRow) {
    let group = dst.is_multicast() && row.kind == RouteKind::Unicast;
    if row.kind != RouteKind::Unicast || ip.options.details || group {
        let kind = if group { "multicast" } else { kind_name(row.kind) };
        printer.any("type", kind, format!("{kind} "));
    }
    let address = dst.to_string();
    printer.colored(Color::Inet, "dst", address.as_str(), format!("{address} "));
    if let Some(from) = question.from {
        let from = from.to_string();
        printer.plain("from ");
        printer.colored(Color::Inet, "from", from.as_str(), format!("{from} "));
    }
    if let Some(gateway) = row.gateway {
        let gateway = gateway.to_string();
        printer.plain("via ");
        printer.colored(Color::Inet, "gateway", gateway.as_str(), format!("{gateway} "));
    }
    let dev = match row.kind {
        RouteKind::Local => Some("lo".to_owned()),
        RouteKind::Unicast
        | RouteKind::Broadcast
        | RouteKind::Blackhole
        | RouteKind::Unreachable
        | RouteKind::Prohibit => row.oif.map(|oif| ip.ifname(oif)),
    };
    if let Some(dev) = dev {
        printer.plain("dev ");
        printer.colored(Color::Name, "dev", dev.as_str(), format!("{dev} "));
    }
    if ip.options.details {
        let table = if row.table == LOCAL { "local" } else { "main" };
        printer.any("table", table, format!("table {table} "));
    }
    if let Some(source) = source(ip, row, dst).filter(|_| question.from.is_none()) {
        let source = source.to_string();
        printer.plain("src ");
        printer.colored(Color::Inet, "prefsrc", source.as_str(), format!("{source} "));
    }
    if let Some(mark) = question.mark.filter(|mark| *mark > 0) {
        printer.any("mark", mark, format!("mark {mark} "));
    }
    // The kernel's mark of a group's route is the bit that the program takes for this flag.
    let flags: &[&str] = if group { &["rt_offload_failed"] } else { &[] };
    printer.any("flags", flags.to_vec(), flags.iter().flat_map(|flag| [*flag, " "]).collect::<String>());
    if question.iif.is_none() {
        printer.any("uid", 0, "uid 0 ");
    }
    print_cache(ip, printer, dst, question, row);
    printer.plain("\n");
}

fn print_cache(ip: &Ip<'_>, printer: &mut Printer, dst: Ipv4Addr, question: &Question, row: &RouteRow) {
    let learnt = learnt(ip, dst);
    let flags: &[&str] = match row.kind {
        // Every host is a member of the group of all hosts.
        RouteKind::Unicast if dst.octets() == [224, 0, 0, 1] => &["local", "mc"],
        RouteKind::Unicast if dst.is_multicast() => &["mc"],
        RouteKind::Unicast if learnt.is_some_and(|row| row.gateway.is_some()) => &["redirected"],
        RouteKind::Local => &["local"],
        RouteKind::Broadcast => &["local", "brd"],
        RouteKind::Unicast | RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit => &[],
    };
    printer.plain(ip.options.separator());
    printer.plain("    cache ");
    if !flags.is_empty() {
        printer.plain(format!("<{}> ", flags.join(",")));
    }
    printer.field("cache", flags.to_vec());
    if let Some(row) = learnt {
        let seconds = row.expires.since(ip.now).as_secs();
        printer.any("expires", seconds, format!("expires {seconds}sec "));
        if let Some(mtu) = row.mtu {
            printer.any("metrics", serde_json::json!([{ "mtu": mtu }]), format!("mtu {mtu} "));
        }
    }
    if let Some(iif) = question.iif {
        let name = ip.ifname(iif);
        printer.any("iif", name.as_str(), format!("iif {name} "));
    }
}
