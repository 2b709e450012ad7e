//! The commands of `ip` that change tables: what the kernel would refuse is refused here with its words.

use super::addr::{prefix, scope};
use super::neigh::{nud, read_filter};
use super::nexthop::{self, Hop};
use super::route::{LOCAL, MAIN, kind, protocol, table};
use super::rule::dsfield;
use super::{Ip, Stop, next, nexthop_objects};
use crate::base::{IfIndex, Ipv4Addr, Ipv4Net, MacAddr};
use crate::shell::change::KernelChange;
use crate::shell::{Command, out};
use crate::trace::{NeighRow, Nud, RouteKind, RouteMetrics, RouteProtocol, RouteRow, Scope};

/// What a command does if the entry is there already, or is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    /// `add`: it must not exist.
    Refused,
    /// `change`: it must exist.
    Required,
    /// `replace`: either is fine.
    Replaced,
    /// `append`: others may be there, but not the very same; it goes behind them.
    Appended,
    /// `prepend`: the same, but it goes before them.
    Prepended,
}

pub(super) fn answers(text: &str) -> Stop {
    (format!("RTNETLINK answers: {text}\n"), 2)
}

pub(super) fn kernel(text: &str) -> Stop {
    (format!("Error: {text}\n"), 2)
}

/// Words that the real `ip link set` knows besides those that are simulated.
const LINK_WORDS: [&str; 21] = [
    "index",
    "link",
    "broadcast",
    "brd",
    "netns",
    "trailers",
    "vf",
    "vrf",
    "dynamic",
    "group",
    "mode",
    "state",
    "addrgenmode",
    "link-netnsid",
    "protodown",
    "xdp",
    "carrier",
    "altname",
    "gso_max_size",
    "gso_max_segs",
    "gro_max_size",
];
/// The largest path MTU and segment size that a route can say (`ip_metrics_convert`).
const MTU_MAX: u32 = 65_520;
const ADVMSS_MAX: u32 = 65_495;

/// Words and types of routes that the real `ip route add` knows besides those that are simulated.
const ROUTE_WORDS: [&str; 24] = [
    "lock",
    "rtt",
    "rttvar",
    "window",
    "cwnd",
    "initrwnd",
    "hoplimit",
    "features",
    "quickack",
    "congctl",
    "rto_min",
    "reordering",
    "realms",
    "encap",
    "as",
    "pref",
    "expires",
    "fastopen_no_cookie",
    "ttl-propagate",
    "pervasive",
    "vrf",
    "nat",
    "anycast",
    "multicast",
];

/// Words of `ip link set` that are simulated, with how many words follow each.
const LINK_SET: [(&str, usize); 16] = [
    ("up", 0),
    ("down", 0),
    ("mtu", 1),
    ("address", 1),
    ("name", 1),
    ("master", 1),
    ("nomaster", 0),
    ("alias", 1),
    ("promisc", 1),
    ("qlen", 1),
    ("txqueuelen", 1),
    ("txqlen", 1),
    ("type", 1),
    ("arp", 1),
    ("multicast", 1),
    ("allmulticast", 1),
];

/// The kernel takes up the attributes of one request in this order (`do_setlink`).
const LINK_ORDER: [&str; 12] = [
    "address",
    "mtu",
    "name",
    "alias",
    "master",
    "arp",
    "multicast",
    "allmulticast",
    "promisc",
    "state",
    "txqlen",
    "type",
];

/// `ip link set`.
pub(super) fn link_set(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let mut device = None;
    let mut wanted: Vec<(&str, &str)> = Vec::new();
    let mut options = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let known = LINK_SET.iter().find(|(name, _)| name == word);
        match (word.as_str(), known) {
            ("type", _) => {
                wanted.push(("type", next(&mut words)?));
                options = words.by_ref().cloned().collect();
            }
            (word @ ("up" | "down"), _) => wanted.push(("state", word)),
            ("nomaster", _) => wanted.push(("master", "")),
            ("qlen" | "txqueuelen" | "txqlen", _) => wanted.push(("txqlen", next(&mut words)?)),
            (word, Some(_)) => wanted.push((word, next(&mut words)?)),
            (word, None) if LINK_WORDS.contains(&word) => {
                return Err(out::not_simulated("ip link set", word));
            }
            (word, None) if device.is_none() => {
                device = Some(if word == "dev" { next(&mut words)? } else { word });
            }
            (word, None) => {
                return Err((
                    format!("Error: either \"dev\" is duplicate, or \"{word}\" is a garbage.\n"),
                    255,
                ));
            }
        }
    }
    let missing = || ("Not enough information: \"dev\" argument is required.\n".to_owned(), 255);
    let link = ip.device(device.ok_or_else(missing)?)?;
    let mut changes = Vec::new();
    for order in LINK_ORDER {
        for (_, value) in wanted.iter().filter(|(word, _)| *word == order) {
            changes.extend(super::link_set::changes(ip, link, (order, value), &options)?);
        }
    }
    Ok(change(changes))
}

pub(super) fn change(changes: Vec<KernelChange>) -> Command {
    Command::Change { changes, output: Vec::new(), status: 0 }
}

pub(super) fn mac(word: &str) -> Result<MacAddr, Stop> {
    let octets = word.split(':').all(|part| u8::from_str_radix(part, 16).is_ok());
    let invalid = || (format!("\"{word}\" is invalid lladdr.\n"), 1);
    word.parse().map_err(|_| if octets { kernel("Invalid link address.") } else { invalid() })
}

/// What `ip route add` and `del` say of a route.
#[derive(Default)]
struct Wanted {
    dst: Option<Ipv4Net>,
    kind: Option<RouteKind>,
    gateway: Option<Ipv4Addr>,
    oif: Option<IfIndex>,
    prefsrc: Option<Ipv4Addr>,
    tos: u8,
    metric: Option<u32>,
    scope: Option<Scope>,
    protocol: Option<RouteProtocol>,
    table: Option<u32>,
    onlink: bool,
    metrics: RouteMetrics,
    /// Number of a next hop that stands by itself.
    nhid: Option<u32>,
    /// Those that are given by `nexthop`.
    hops: Vec<Hop>,
}

fn read_route(ip: &Ip<'_>, words: &[String]) -> Result<Wanted, Stop> {
    let mut wanted = Wanted::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "via" => wanted.gateway = Some(prefix(next(&mut words)?)?.addr()),
            "dev" | "oif" => wanted.oif = Some(ip.device(next(&mut words)?)?.ifindex),
            "src" => wanted.prefsrc = Some(prefix(next(&mut words)?)?.addr()),
            "metric" | "priority" | "preference" => {
                let value = next(&mut words)?;
                let wrong = || {
                    (format!("Error: argument \"{value}\" is wrong: \"metric\" value is invalid\n\n"), 255)
                };
                wanted.metric = Some(value.parse().map_err(|_| wrong())?);
            }
            "scope" => wanted.scope = Some(scope(next(&mut words)?)?),
            "proto" | "protocol" => wanted.protocol = Some(protocol(next(&mut words)?)?),
            "table" => wanted.table = Some(table(next(&mut words)?)?),
            "onlink" => wanted.onlink = true,
            "tos" | "dsfield" => wanted.tos = tos(next(&mut words)?)?,
            "nhid" => wanted.nhid = Some(nhid(next(&mut words)?)?).filter(|id| *id != 0),
            "nexthop" => {
                wanted.hops = nexthop::read(ip, words.as_slice())?;
                break;
            }
            name @ ("mtu" | "advmss" | "initcwnd") => {
                let mut value = next(&mut words)?;
                let locked = value == "lock";
                if locked {
                    value = next(&mut words)?;
                }
                let number = metric(name, value)?;
                let metrics = &mut wanted.metrics;
                let (place, bit) = match name {
                    "mtu" => (&mut metrics.mtu, RouteMetrics::MTU),
                    "advmss" => (&mut metrics.advmss, RouteMetrics::ADVMSS),
                    _ => (&mut metrics.initcwnd, RouteMetrics::INITCWND),
                };
                *place = number;
                metrics.locks |= if locked { bit } else { 0 };
            }
            word if ROUTE_WORDS.contains(&word) => return Err(out::not_simulated("ip route", word)),
            "to" => wanted.dst = Some(prefix(next(&mut words)?)?),
            word => match kind(word) {
                Some(kind) if wanted.dst.is_none() => wanted.kind = Some(kind),
                _ if wanted.dst.is_some() => {
                    return Err((
                        format!("Error: either \"to\" is duplicate, or \"{word}\" is a garbage.\n"),
                        255,
                    ));
                }
                _ => wanted.dst = Some(prefix(word)?),
            },
        }
    }
    if wanted.tos & 3 != 0 {
        return Err(kernel("Invalid dsfield (tos): ECN bits must be 0."));
    }
    let named = wanted.gateway.is_some() || wanted.oif.is_some() || !wanted.hops.is_empty();
    if named && wanted.nhid.is_some() {
        return Err(kernel("Nexthop specification and nexthop id are mutually exclusive."));
    }
    Ok(wanted)
}

fn tos(value: &str) -> Result<u8, Stop> {
    let wrong = || (format!("Error: argument \"{value}\" is wrong: \"tos\" value is invalid\n\n"), 255);
    dsfield(value).ok_or_else(wrong)
}

/// The number of a next hop that stands by itself.
fn nhid(value: &str) -> Result<u32, Stop> {
    let wrong = || (format!("Error: argument \"{value}\" is wrong: \"id\" value is invalid\n\n"), 255);
    super::route::number(value).ok_or_else(wrong)
}

/// A metric's value (`get_unsigned`); the kernel cuts what is too much (`ip_metrics_convert`).
fn metric(name: &str, value: &str) -> Result<u32, Stop> {
    let wrong = || (format!("Error: argument \"{value}\" is wrong: \"{name}\" value is invalid\n\n"), 255);
    let number = super::route::number(value).ok_or_else(wrong)?;
    Ok(match name {
        "mtu" => number.min(MTU_MAX),
        "advmss" => number.min(ADVMSS_MAX),
        _ => number,
    })
}

/// `ip route add`, `change`, `replace`: the checks of `fib_create_info` in their order.
pub(super) fn route_add(ip: &Ip<'_>, words: &[String], existing: Existing) -> Result<Command, Stop> {
    let mut wanted = read_route(ip, words)?;
    let dst = wanted.dst.unwrap_or_default();
    let kind = wanted.kind.unwrap_or(RouteKind::Unicast);
    if dst.addr() != dst.network() {
        return Err(kernel("Invalid prefix for given prefix length."));
    }
    let forwards = matches!(kind, RouteKind::Unicast | RouteKind::Local | RouteKind::Broadcast);
    let own = Hop::plain(wanted.gateway, wanted.oif, wanted.onlink);
    nexthop::fit(&wanted.hops, own)?;
    if !forwards && (own.gateway.is_some() || own.oif.is_some() || !wanted.hops.is_empty()) {
        return Err(kernel("Gateway, device and multipath can not be specified for this route type."));
    }
    let widest = match kind {
        RouteKind::Local => Scope::Host,
        RouteKind::Broadcast => Scope::Link,
        RouteKind::Unicast
        | RouteKind::Blackhole
        | RouteKind::Unreachable
        | RouteKind::Prohibit
        | RouteKind::Throw => Scope::Global,
    };
    let scope = wanted.scope.unwrap_or_else(|| {
        let is_attached = kind == RouteKind::Unicast
            && own.gateway.is_none()
            && wanted.hops.is_empty()
            && wanted.nhid.is_none();
        if is_attached { Scope::Link } else { widest }
    });
    if scope < widest {
        return Err(kernel("Invalid scope."));
    }
    if scope == Scope::Host && wanted.hops.len() > 1 {
        return Err(kernel("Route with host scope can not have multiple nexthops."));
    }
    if kind != RouteKind::Unicast && wanted.nhid.is_some() {
        return Err(out::not_simulated("ip route", "nhid"));
    }
    let mut hops = if wanted.hops.is_empty() { vec![own] } else { std::mem::take(&mut wanted.hops) };
    for hop in hops.iter_mut().filter(|_| forwards && wanted.nhid.is_none()) {
        hop.check(ip, wanted.table.unwrap_or(MAIN), scope)?;
    }
    if wanted.prefsrc.is_some_and(|source| ip.state.addrs.iter().all(|row| row.addr.addr() != source)) {
        return Err(kernel("Invalid prefsrc address."));
    }
    let route = wanted.route(ip, (dst, kind, scope));
    let rows = match wanted.nhid {
        Some(id) => nexthop_objects::route_rows(ip, route, id)?,
        None => hops.iter().enumerate().map(|(at, hop)| hop.row(route, at, hops.len())).collect(),
    };
    insert(ip, rows, existing).map(change)
}

impl Wanted {
    /// The route without its next hops.
    fn route(&self, ip: &Ip<'_>, (dst, kind, scope): (Ipv4Net, RouteKind, Scope)) -> RouteRow {
        RouteRow {
            netns: ip.state.row.netns,
            table: self.table.unwrap_or_else(|| table_of(kind)),
            dst,
            kind,
            gateway: None,
            oif: None,
            prefsrc: self.prefsrc,
            tos: self.tos,
            metric: self.metric.unwrap_or(0),
            scope,
            protocol: self.protocol.unwrap_or(RouteProtocol::Boot),
            onlink: false,
            metrics: self.metrics,
            nhid: 0,
            leg: None,
        }
    }
}

/// The table of a kind of route where none is said (`iproute_modify`).
fn table_of(kind: RouteKind) -> u32 {
    if matches!(kind, RouteKind::Local | RouteKind::Broadcast) { LOCAL } else { MAIN }
}

/// What becomes of a route's rivals (`fib_table_insert`); a route is a row for each of its next hops.
fn insert(ip: &Ip<'_>, rows: Vec<RouteRow>, existing: Existing) -> Result<Vec<KernelChange>, Stop> {
    let others = ip.state.routes.iter().map(|(_, other)| *other);
    let rivals: Vec<RouteRow> = others.filter(|other| rows[0].is_rival(other)).collect();
    match existing {
        Existing::Refused if !rivals.is_empty() => Err(answers("File exists")),
        Existing::Required if rivals.is_empty() => Err(answers("No such file or directory")),
        Existing::Required | Existing::Replaced if RouteRow::begin(&rows, &rivals) => Ok(Vec::new()),
        Existing::Required | Existing::Replaced | Existing::Appended | Existing::Prepended
            if RouteRow::is_among(&rows, &rivals) =>
        {
            Err(answers("File exists"))
        }
        Existing::Refused => Ok(vec![KernelChange::AddRoute(rows)]),
        Existing::Appended => Ok(vec![KernelChange::AppendRoute(rows)]),
        Existing::Prepended => Ok(vec![KernelChange::PrependRoute(rows)]),
        Existing::Required | Existing::Replaced => Ok(vec![KernelChange::ReplaceRoute(rows)]),
    }
}

/// `ip route del`: the first route of that destination that has all that was said.
pub(super) fn route_del(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let wanted = read_route(ip, words)?;
    let dst = wanted.dst.unwrap_or_default();
    let table = wanted.table.unwrap_or_else(|| wanted.kind.map_or(MAIN, table_of));
    if wanted.nhid.is_some_and(|id| !ip.state.nexthops.contains_key(&id)) {
        return Err(kernel("Nexthop id does not exist."));
    }
    let has_way = wanted.gateway.is_some() || wanted.oif.is_some() || !wanted.hops.is_empty();
    let fits = |row: &&RouteRow| {
        row.is_head()
            && wanted.nhid.is_none_or(|id| row.nhid == id)
            // Of a next hop that stands by itself only the number is asked (`fib_nh_match`).
            && (row.nhid == 0 || !has_way)
            && row.table == table
            && row.dst == dst
            && row.tos == wanted.tos
            && wanted.kind.is_none_or(|kind| row.kind == kind)
            && wanted.gateway.is_none_or(|gateway| row.gateway == Some(gateway))
            && wanted.oif.is_none_or(|oif| row.oif == Some(oif))
            && wanted.prefsrc.is_none_or(|source| row.prefsrc == Some(source))
            && wanted.metric.is_none_or(|metric| row.metric == metric)
            && wanted.scope.is_none_or(|scope| row.scope == scope)
            && wanted.protocol.is_none_or(|protocol| row.protocol == protocol)
            && has_metrics(row.metrics, wanted.metrics)
            && nexthop::matches(ip, row, &wanted.hops)
    };
    let rows = ip.state.routes.iter().map(|(_, row)| row).filter(fits);
    let row = rows.min_by_key(|row| row.metric).ok_or_else(|| answers("No such process"))?;
    Ok(change(vec![KernelChange::DelRoute(*row)]))
}

/// Whether a route says what was said of it (`fib_metrics_match`).
fn has_metrics(metrics: RouteMetrics, wanted: RouteMetrics) -> bool {
    [
        (wanted.mtu, metrics.mtu),
        (wanted.advmss, metrics.advmss),
        (wanted.initcwnd, metrics.initcwnd),
        (wanted.locks.into(), metrics.locks.into()),
    ]
    .into_iter()
    .all(|(wanted, value)| wanted == 0 || wanted == value)
}

/// `ip route flush` of the routes that a selector named.
pub(super) fn route_flush(ip: &Ip<'_>, rows: Vec<&RouteRow>) -> Command {
    if rows.is_empty() {
        return out::answer(if ip.options.stats > 0 { "Nothing to flush.\n" } else { "" });
    }
    change(rows.into_iter().map(|row| KernelChange::DelRoute(*row)).collect())
}

/// `get_addr`, whose message differs from that of `get_prefix`.
pub(super) fn address(word: &str) -> Result<Ipv4Addr, Stop> {
    let wrong = |_| (format!("Error: any valid address is expected rather than \"{word}\".\n"), 1);
    prefix(word).map(|net| net.addr()).map_err(wrong)
}

/// `ip neigh add`, `change`, `replace`.
pub(super) fn neigh_add(ip: &Ip<'_>, words: &[String], existing: Existing) -> Result<Command, Stop> {
    let (mut addr, mut device, mut lladdr, mut state) = (None, None, None, Nud::Permanent);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "dev" => device = Some(next(&mut words)?),
            "lladdr" => lladdr = Some(next(&mut words)?),
            "nud" => {
                let states = nud(next(&mut words)?)?;
                state = *states.first().unwrap_or(&Nud::Permanent);
            }
            "to" => addr = Some(address(next(&mut words)?)?),
            word => addr = Some(address(word)?),
        }
    }
    let (Some(device), Some(addr)) = (device, addr) else {
        return Err(("Device and destination are required arguments.\n".to_owned(), 255));
    };
    let link = ip.device(device)?;
    let known = ip.state.neighbors.get(&(link.ifindex, addr));
    // What is there keeps its address where none is given (`neigh_update`).
    let mac = lladdr.map(mac).transpose()?.or(known.and_then(|entry| entry.row.mac));
    if mac.is_none() && matches!(state, Nud::Permanent | Nud::Reachable | Nud::Stale | Nud::Delay) {
        return Err(kernel("No link layer address given."));
    }
    let exists = known.is_some();
    match existing {
        Existing::Refused if exists => return Err(answers("File exists")),
        Existing::Required if !exists => return Err(answers("No such file or directory")),
        Existing::Refused
        | Existing::Required
        | Existing::Replaced
        | Existing::Appended
        | Existing::Prepended => {}
    }
    let (netns, ifindex, now) = (link.netns, link.ifindex, ip.now);
    let row = NeighRow { netns, ifindex, addr, mac, state, probes: 0, updated: now, confirmed: now };
    Ok(change(vec![KernelChange::AddNeigh(row)]))
}

/// `ip neigh del`.
pub(super) fn neigh_del(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let filter = read_filter(ip, words)?;
    let (Some(ifindex), Some(to)) = (filter.ifindex, filter.to) else {
        return Err(("Device and destination are required arguments.\n".to_owned(), 255));
    };
    if !ip.state.neighbors.contains_key(&(ifindex, to.addr())) {
        return Err(answers("No such file or directory"));
    }
    Ok(change(vec![KernelChange::DelNeigh(ifindex, to.addr())]))
}

/// `ip neigh flush`: what is permanent stays unless its state was named.
pub(super) fn neigh_flush(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    if words.is_empty() {
        return Err(("Flush requires arguments.\n".to_owned(), 1));
    }
    let filter = read_filter(ip, words)?;
    let spared = |state| filter.states.is_empty() && matches!(state, Nud::Permanent | Nud::NoArp);
    let rows = ip.state.neighbors.values().filter(|entry| filter.accepts(entry) && !spared(entry.row.state));
    let entries: Vec<_> = rows.map(|entry| (entry.row.ifindex, entry.row.addr)).collect();
    if entries.is_empty() {
        return Ok(out::answer(""));
    }
    Ok(change(vec![KernelChange::FlushNeigh(entries)]))
}
