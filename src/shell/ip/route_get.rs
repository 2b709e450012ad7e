//! `ip route get`: the routing decision of the kernel for one destination, as its tables stand.

use super::addr::prefix;
use super::route::{LOCAL, MAIN, number, print_metrics, print_plain, print_tos};
use super::rule::dsfield;
use super::{Ip, Stop, done, next, nexthop};
use crate::base::{IfIndex, Ipv4Addr};
use crate::shell::Command;
use crate::shell::print::{Color, Printer};
use crate::trace::{
    AddrRow, ExceptionRow, FibRuleAction, FibRuleRow, FlowKeys, HashFields, NextHop, RouteKind, RouteMetrics,
    RouteRow, Scope, rows_text, select,
};
use crate::wire::names;

#[derive(Default)]
struct Question {
    dst: Option<Ipv4Addr>,
    from: Option<Ipv4Addr>,
    iif: Option<IfIndex>,
    oif: Option<IfIndex>,
    mark: Option<u32>,
    uid: u32,
    tos: u8,
    /// UDP, as in the kernel (`inet_rtm_getroute`), unless another one is given.
    ipproto: u8,
    ports: (u16, u16),
    fibmatch: bool,
    /// The least scope of the route, where not every one will do.
    scope: Option<Scope>,
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
    let mut question = Question { ipproto: 17, ..Question::default() };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "from" => question.from = Some(prefix(next(&mut words)?)?.addr()),
            "iif" => question.iif = Some(ip.device(next(&mut words)?)?.ifindex),
            "oif" | "dev" => question.oif = Some(ip.device(next(&mut words)?)?.ifindex),
            "mark" => {
                let word = next(&mut words)?;
                let wrong = || (format!("Error: argument \"{word}\" is wrong: invalid mark value\n"), 255);
                question.mark = Some(number(word).ok_or_else(wrong)?);
            }
            "uid" => {
                let word = next(&mut words)?;
                let wrong = || (format!("Error: argument \"{word}\" is wrong: invalid UID\n\n"), 255);
                question.uid = number(word).ok_or_else(wrong)?;
            }
            "ipproto" => {
                let word = next(&mut words)?;
                let wrong =
                    || (format!("Error: argument \"{word}\" is wrong: Invalid \"ipproto\" value\n\n"), 255);
                let known = number(word)
                    .map_or_else(|| names::protocol_number(word), |number| number.try_into().ok());
                question.ipproto = known.ok_or_else(wrong)?;
            }
            word @ ("sport" | "dport") => {
                let given = next(&mut words)?;
                let wrong = || (format!("Error: argument \"{given}\" is wrong: invalid {word}\n\n"), 255);
                let port = number(given).and_then(|port| port.try_into().ok()).ok_or_else(wrong)?;
                if word == "sport" { question.ports.0 = port } else { question.ports.1 = port }
            }
            "tos" | "dsfield" => {
                let word = next(&mut words)?;
                let wrong =
                    || (format!("Error: argument \"{word}\" is wrong: TOS value is invalid\n\n"), 255);
                question.tos = dsfield(word).ok_or_else(wrong)?;
            }
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

/// The deciding route of these tables, and of several next hops the first that lives (`fib_table_lookup`).
fn best(ip: &Ip<'_>, tables: &[u32], dst: Ipv4Addr, question: &Question) -> Option<RouteRow> {
    let rows = ip.state.routes.iter().map(|(_, row)| row);
    rows.filter(|row| tables.contains(&row.table) && row.dst.contains(&dst))
        .filter(|row| question.oif.is_none_or(|oif| row.oif == Some(oif)))
        .filter(|row| question.scope.is_none_or(|scope| row.scope >= scope))
        .filter(|row| {
            let link = row.oif.and_then(|oif| ip.state.links.get(&oif));
            // Where a gateway is looked for, its carrier does not count (`FIB_LOOKUP_IGNORE_LINKSTATE`).
            let avoided = question.scope.is_none() && nexthop::avoids(ip, row);
            let alive = row.leg.is_none_or(|leg| !leg.dead) && !avoided;
            // An address is the machine's own also while its device is down (`fib_check_nh`).
            row.is_for_tos(question.tos)
                && alive
                && (row.kind == RouteKind::Local || link.is_none_or(|link| link.up))
        })
        .min_by_key(|row| (32 - row.dst.prefix_len(), row.table != LOCAL, row.rank()))
        .filter(|row| row.kind != RouteKind::Throw)
        .copied()
}

/// The route by which a gateway is reached: the route's own table is asked first, then all of them, for routes of at least
/// a scope (`fib_check_nh_v4_gw`).
pub(super) fn reach(
    ip: &Ip<'_>,
    table: u32,
    (gateway, oif): (Ipv4Addr, Option<IfIndex>),
    scope: Scope,
) -> Option<RouteRow> {
    let question = Question { oif, scope: Some(scope), ..Question::default() };
    let is_one_trie = !ip.state.has_custom_rules && matches!(table, MAIN | LOCAL);
    let tables = if is_one_trie { &[LOCAL, MAIN][..] } else { &[table][..] };
    let is_way = |row: &RouteRow| matches!(row.kind, RouteKind::Unicast | RouteKind::Local);
    let refuses = |row: &RouteRow| !is_way(row) && row.kind != RouteKind::Broadcast;
    let own = best(ip, tables, gateway, &question).filter(|row| !refuses(row));
    own.or_else(|| lookup(ip, gateway, &question)).filter(is_way)
}

/// `fib_lookup`: each table that the rules name in turn; as long as nobody changed a rule, the tables local and main are
/// one, in which the longest prefix decides. A rule that refuses by itself gives a route of no table.
fn lookup(ip: &Ip<'_>, dst: Ipv4Addr, question: &Question) -> Option<RouteRow> {
    let best = |tables: &[u32]| best(ip, tables, dst, question);
    if !ip.state.has_custom_rules {
        return best(&[LOCAL, MAIN]).or_else(|| best(&[253]));
    }
    let rules = &ip.state.rules;
    let mut at = 0;
    while let Some((_, rule)) = rules.get(at) {
        at += 1;
        if !fits(ip, rule, dst, question) {
            continue;
        }
        let refusal = |kind| Some(RouteRow { table: 0, kind, ..attached(ip, dst, IfIndex(1)) });
        let table = match rule.action {
            FibRuleAction::Lookup(table) => table,
            FibRuleAction::Blackhole => return refusal(RouteKind::Blackhole),
            FibRuleAction::Unreachable => return refusal(RouteKind::Unreachable),
            FibRuleAction::Prohibit => return refusal(RouteKind::Prohibit),
            FibRuleAction::Goto(target) => {
                at = FibRuleRow::jump(rules, target).unwrap_or(at);
                continue;
            }
            FibRuleAction::Nop => continue,
        };
        let is_way =
            |row: &RouteRow| matches!(row.kind, RouteKind::Unicast | RouteKind::Local | RouteKind::Broadcast);
        let short = |row: &RouteRow| rule.suppress.is_some_and(|len| row.dst.prefix_len() <= len);
        if let Some(row) = best(&[table]).filter(|row| !(is_way(row) && short(row))) {
            return Some(row);
        }
    }
    None
}

/// The next hop that the packet in question takes of those of a route (`fib_select_path`).
fn choose(ip: &Ip<'_>, row: RouteRow, dst: Ipv4Addr, question: &Question) -> RouteRow {
    let Some(own) = row.leg.filter(|_| question.oif.is_none()) else { return row };
    let setting = |key: &str| ip.state.sysctls.get(key).and_then(|value| value.parse::<u16>().ok());
    let asks_neighbours = setting("net.ipv4.fib_multipath_use_neigh") == Some(1);
    let legs: Vec<&RouteRow> = ip.state.legs(&row).collect();
    let hops = legs.iter().map(|row| {
        let entry = row.oif.zip(row.gateway).and_then(|at| ip.state.neighbors.get(&at));
        let state = entry.filter(|_| asks_neighbours || row.nhid != 0).map(|entry| entry.row.state);
        let avoided = nexthop::avoids(ip, row);
        NextHop::of(row, (state, avoided), source(ip, &RouteRow { prefsrc: None, ..**row }, dst))
    });
    let from = question.from.unwrap_or(Ipv4Addr::UNSPECIFIED);
    let flow = FlowKeys { ends: (from, dst), protocol: question.ipproto, ports: question.ports };
    let policy = setting("net.ipv4.fib_multipath_hash_policy").unwrap_or(0) as u8;
    let fields = setting("net.ipv4.fib_multipath_hash_fields").map_or_else(HashFields::default, HashFields);
    let hash = FlowKeys::of_policy((policy, fields), flow, None).hash(own.key);
    let source = question.from.filter(|_| question.iif.is_none());
    let at = select(&hops.collect::<Vec<_>>(), hash, source);
    at.map_or(row, |at| *legs[at])
}

/// Whether a rule is for the packet in question (`fib_rule_match`).
fn fits(ip: &Ip<'_>, rule: &FibRuleRow, dst: Ipv4Addr, question: &Question) -> bool {
    let is = |name: &Option<std::sync::Arc<str>>, at: Option<IfIndex>| {
        name.as_ref().is_none_or(|name| at.is_some_and(|at| *ip.ifname(at) == **name))
    };
    let fits = rule.src.contains(&question.from.unwrap_or(Ipv4Addr::UNSPECIFIED))
        && rule.dst.contains(&dst)
        && (rule.mark ^ question.mark.unwrap_or(0)) & rule.mask == 0
        && rule.fits_flow(question.tos, question.ipproto, question.ports, question.uid)
        && is(&rule.iif, question.iif.or(Some(IfIndex(1))))
        && is(&rule.oif, question.oif);
    fits != rule.negated
}

/// What was learnt about a destination, as long as it holds.
fn learnt<'a>(ip: &Ip<'a>, dst: Ipv4Addr) -> Option<&'a ExceptionRow> {
    ip.state.exceptions.get(&dst).filter(|row| ip.now < row.expires)
}

fn decide(ip: &Ip<'_>, dst: Ipv4Addr, question: &Question) -> Result<RouteRow, Stop> {
    let own = |addr: Ipv4Addr| ip.state.addrs.iter().any(|row| row.addr.addr() == addr) || addr.is_loopback();
    if let Some(iif) = question.iif {
        if let Some(answer) = for_many(dst, question, iif, || attached(ip, dst, IfIndex(1))) {
            return answer;
        }
        let spoofed = own(question.from.unwrap_or(Ipv4Addr::UNSPECIFIED));
        if spoofed || dst.is_loopback() && !routes_localnet(ip, iif) {
            return Err(answers("Invalid argument"));
        }
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
    match lookup(ip, dst, question).map(|row| choose(ip, row, dst, question)) {
        // A rule refuses by itself.
        Some(RouteRow { table: 0, kind: RouteKind::Unreachable, .. }) => {
            Err(answers("Network is unreachable"))
        }
        // Only a router looks further than its own addresses (`ip_route_input_slow`).
        None if question.iif.is_some() && !forwards => Err(answers("No route to host")),
        None if question.iif.is_some() => Err(answers("Network is unreachable")),
        None => match question.oif {
            // With an interface named and no route, the kernel takes the destination for attached.
            Some(oif) => Ok(attached(ip, dst, oif)),
            None => Err(answers("Network is unreachable")),
        },
        Some(row) => match row.kind {
            // Whatever the route, all hosts of the network are attached (`__mkroute_output`); the source is the one of
            // the route all the same.
            RouteKind::Unicast if dst.is_broadcast() || dst.is_multicast() => {
                let kind = if dst.is_broadcast() { RouteKind::Broadcast } else { RouteKind::Unicast };
                Ok(RouteRow { kind, prefsrc: source(ip, &row, dst), gateway: None, ..row })
            }
            RouteKind::Unicast | RouteKind::Local | RouteKind::Broadcast => {
                let learnt = learnt(ip, dst).filter(|_| !question.fibmatch).and_then(|row| row.gateway);
                Ok(RouteRow { gateway: learnt.or(row.gateway), ..row })
            }
            RouteKind::Throw => Err(answers("Network is unreachable")),
            RouteKind::Blackhole => Err(answers("Invalid argument")),
            RouteKind::Unreachable => Err(answers("No route to host")),
            RouteKind::Prohibit => Err(answers("Permission denied")),
        },
    }
}

/// What the kernel says of a packet that comes in for many, or with an address that no packet may have
/// (`ip_route_input_rcu`, `ip_route_input_slow`).
fn for_many(
    dst: Ipv4Addr,
    question: &Question,
    iif: IfIndex,
    to_self: impl Fn() -> RouteRow,
) -> Option<Result<RouteRow, Stop>> {
    let from = question.from.unwrap_or(Ipv4Addr::UNSPECIFIED);
    let all_hosts = dst.octets() == [224, 0, 0, 1] && iif != IfIndex(1);
    if from.is_multicast() || from.is_broadcast() || dst.is_multicast() && !all_hosts {
        return Some(Err(answers("Invalid argument")));
    }
    if dst.is_multicast() {
        return Some(Ok(to_self()));
    }
    if dst.is_broadcast() || from.is_unspecified() && dst.is_unspecified() {
        return Some(Ok(RouteRow { kind: RouteKind::Broadcast, ..to_self() }));
    }
    (from.is_unspecified() || dst.is_unspecified()).then(|| Err(answers("Invalid argument")))
}

/// `route_localnet`.
fn routes_localnet(ip: &Ip<'_>, iif: IfIndex) -> bool {
    ["all".to_owned(), ip.ifname(iif)].iter().any(|name| {
        let key = format!("net.ipv4.conf.{name}.route_localnet");
        ip.state.sysctls.get(key.as_str()).is_some_and(|value| &**value == "1")
    })
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
        metrics: RouteMetrics::default(),
        tos: 0,
        nhid: 0,
        leg: None,
    }
}

/// The source address that a route prefers (`fib_result_prefsrc`).
fn source(ip: &Ip<'_>, row: &RouteRow, dst: Ipv4Addr) -> Option<Ipv4Addr> {
    if row.prefsrc.is_some() {
        return row.prefsrc;
    }
    if row.kind == RouteKind::Local {
        return Some(dst);
    }
    let links = || ip.state.links.keys().copied();
    AddrRow::select(&ip.state.addrs, links, row.oif?, (row.gateway, row.scope))
}

fn print(ip: &Ip<'_>, printer: &mut Printer, dst: Ipv4Addr, question: &Question, row: &RouteRow) {
    let group = dst.is_multicast() && row.kind == RouteKind::Unicast;
    if row.kind != RouteKind::Unicast || ip.options.details || group {
        let kind = if group { "multicast" } else { rows_text::route_kind(row.kind) };
        printer.any("type", kind, format!("{kind} "));
    }
    let address = dst.to_string();
    printer.colored(Color::Inet, "dst", address.as_str(), format!("{address} "));
    if let Some(from) = question.from {
        let from = from.to_string();
        printer.plain("from ");
        printer.colored(Color::Inet, "from", from.as_str(), format!("{from} "));
    }
    print_tos(ip, printer, row.tos);
    if let Some(gateway) = row.gateway {
        let gateway = gateway.to_string();
        printer.plain("via ");
        printer.colored(Color::Inet, "gateway", gateway.as_str(), format!("{gateway} "));
    }
    let dev = match row.kind {
        RouteKind::Local => Some("lo".to_owned()),
        // What came in is handed up.
        RouteKind::Broadcast if question.iif.is_some() => Some("lo".to_owned()),
        RouteKind::Unicast
        | RouteKind::Broadcast
        | RouteKind::Blackhole
        | RouteKind::Unreachable
        | RouteKind::Prohibit
        | RouteKind::Throw => row.oif.map(|oif| ip.ifname(oif)),
    };
    if let Some(dev) = dev {
        printer.plain("dev ");
        printer.colored(Color::Name, "dev", dev.as_str(), format!("{dev} "));
    }
    // Until a rule is changed the tables local and main are one.
    if ip.options.details || ip.state.has_custom_rules && row.table != MAIN {
        let table = rows_text::table(row.table);
        printer.any("table", table.as_str(), format!("table {table} "));
    }
    if let Some(source) = source(ip, row, dst).filter(|_| question.from.is_none()) {
        let source = source.to_string();
        printer.plain("src ");
        printer.colored(Color::Inet, "prefsrc", source.as_str(), format!("{source} "));
    }
    // The kernel's mark of a group's route is the bit that the program takes for this flag.
    let flags: &[&str] = if group { &["rt_offload_failed"] } else { &[] };
    printer.any("flags", flags.to_vec(), flags.iter().flat_map(|flag| [*flag, " "]).collect::<String>());
    if let Some(mark) = question.mark.filter(|mark| *mark > 0) {
        let text = if mark >= 16 { format!("mark {mark:#x} ") } else { format!("mark {mark} ") };
        printer.any("mark", mark, text);
    }
    if question.iif.is_none() {
        printer.any("uid", question.uid, format!("uid {} ", question.uid));
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
        // Whatever leaves by the loopback stays here (`__mkroute_output`).
        RouteKind::Unicast if row.oif == Some(IfIndex(1)) => &["local"],
        RouteKind::Broadcast => &["local", "brd"],
        RouteKind::Unicast
        | RouteKind::Blackhole
        | RouteKind::Unreachable
        | RouteKind::Prohibit
        | RouteKind::Throw => &[],
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
    }
    // What was learnt of the path stands in the place of what the route says.
    let mtu = learnt.and_then(|row| row.mtu).unwrap_or(row.metrics.mtu);
    let locked = if learnt.is_some_and(|row| row.locked) { RouteMetrics::MTU } else { 0 };
    print_metrics(printer, RouteMetrics { mtu, locks: row.metrics.locks | locked, ..row.metrics });
    if let Some(iif) = question.iif {
        let name = ip.ifname(iif);
        printer.any("iif", name.as_str(), format!("iif {name} "));
    }
}
