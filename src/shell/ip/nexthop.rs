//! The next hops of a route: as they are given to `ip route add`, checked by the kernel, and listed.

use super::addr::prefix;
use super::change::{answers, kernel};
use super::route::LOCAL;
use super::{Ip, Stop, next, route_get};
use crate::base::{IfIndex, Ipv4Addr};
use crate::shell::out::not_simulated;
use crate::shell::print::{Color, Printer};
use crate::trace::{Leg, RouteRow, Scope};

/// A next hop as it is given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hop {
    pub(super) gateway: Option<Ipv4Addr>,
    pub(super) oif: Option<IfIndex>,
    pub(super) onlink: bool,
    /// Its share of the flows, 1 to 256.
    pub(super) weight: u16,
}

impl Hop {
    const NONE: Self = Self { gateway: None, oif: None, onlink: false, weight: 1 };

    /// The one that stands in the route's own words.
    pub(super) fn plain(gateway: Option<Ipv4Addr>, oif: Option<IfIndex>, onlink: bool) -> Self {
        Self { gateway, oif, onlink, weight: 1 }
    }

    /// Finds the device of a gateway, and asks whether the next hop can be used (`fib_check_nh`). The gateway has to be
    /// nearer than what lies behind it: attached, or for a route of scope link on this machine itself.
    pub(super) fn check(&mut self, ip: &Ip<'_>, table: u32, scope: Scope) -> Result<(), Stop> {
        let Some(gateway) = self.gateway else {
            return self.check_device(ip, scope == Scope::Host, "Device for nexthop is not up.");
        };
        if scope == Scope::Host {
            return Err(kernel("Route with host scope can not have a gateway."));
        }
        let invalid = || kernel("Nexthop has invalid gateway.");
        if self.onlink {
            if scope >= Scope::Link {
                return Err(kernel("Nexthop has invalid scope."));
            }
            self.oif.ok_or_else(|| kernel("Nexthop device required for onlink."))?;
            self.check_device(ip, false, "Nexthop device is not up.")?;
            let is_special = |row: &RouteRow| row.table == LOCAL && row.dst.contains(&gateway);
            let special = ip.state.routes.iter().any(|(_, row)| is_special(row));
            return if special || gateway.is_multicast() { Err(invalid()) } else { Ok(()) };
        }
        let nearer = if scope < Scope::Link { Scope::Link } else { Scope::Host };
        let found = route_get::reach(ip, table, (gateway, self.oif), nearer).ok_or_else(invalid)?;
        self.oif = found.oif;
        self.check_device(ip, false, "Device for nexthop is not up.")
    }

    /// Addresses of this machine are its own also while their device is down.
    fn check_device(&self, ip: &Ip<'_>, may_be_down: bool, complaint: &str) -> Result<(), Stop> {
        let oif = self.oif.ok_or_else(|| answers("No such device"))?;
        let is_up = ip.state.links.get(&oif).is_some_and(|link| link.up);
        if is_up || may_be_down { Ok(()) } else { Err(kernel(complaint)) }
    }

    /// The row of this next hop, which is one of several; number and key of its route are the kernel's to give.
    pub(super) fn row(self, route: RouteRow, at: usize, of: usize) -> RouteRow {
        let (at, of) = (at as u16, of as u16);
        let leg = Leg { route: 0, at, of, weight: self.weight, dead: false, key: 0 };
        let (gateway, oif, onlink) = (self.gateway, self.oif, self.onlink);
        RouteRow { gateway, oif, onlink, leg: (of > 1).then_some(leg), ..route }
    }
}

/// `nexthop via ADDRESS dev NAME weight N` as often as it is given, from behind the first `nexthop` on
/// (`parse_nexthops`).
pub(super) fn read(ip: &Ip<'_>, words: &[String]) -> Result<Vec<Hop>, Stop> {
    let mut hops = Vec::new();
    let mut words = words.iter().peekable();
    loop {
        if words.peek().is_none() {
            return Err(("Error: unexpected end of line after \"nexthop\"\n".to_owned(), 255));
        }
        let mut hop = Hop::NONE;
        while let Some(word) = words.next_if(|word| *word != "nexthop") {
            match word.as_str() {
                "via" => hop.gateway = Some(prefix(next(&mut words)?)?.addr()),
                "dev" => {
                    let device = ip.device(next(&mut words)?);
                    let cannot = |(text, _)| (text + "Error: cannot parse nexthop\n", 255);
                    hop.oif = Some(device.map_err(cannot)?.ifindex);
                }
                "weight" => hop.weight = weight(next(&mut words)?)?,
                "onlink" => hop.onlink = true,
                "encap" | "realms" | "as" | "pervasive" => return Err(not_simulated("ip route", word)),
                _ => {
                    let text =
                        format!("Error: \"nexthop\" or end of line is expected instead of \"{word}\"\n");
                    return Err((text, 255));
                }
            }
        }
        hops.push(hop);
        if words.next().is_none() {
            return Ok(hops);
        }
    }
}

fn weight(word: &str) -> Result<u16, Stop> {
    let wrong = || (format!("Error: argument \"{word}\" is wrong: \"weight\" is invalid\n\n"), 255);
    let number = super::route::number(word).filter(|number| (1..=256).contains(number));
    number.and_then(|number| number.try_into().ok()).ok_or_else(wrong)
}

/// What is said of the route itself has to fit the first of its next hops (`fib_get_nhs`).
pub(super) fn fit(hops: &[Hop], own: Hop) -> Result<(), Stop> {
    let Some(first) = hops.first() else { return Ok(()) };
    if own.oif.is_some() && own.oif != first.oif {
        return Err(kernel("Nexthop device index does not match RTA_OIF."));
    }
    if own.gateway.is_some() && own.gateway != first.gateway {
        return Err(kernel("Nexthop gateway does not match RTA_GATEWAY or RTA_VIA."));
    }
    Ok(())
}

/// Whether a route has the next hops that `ip route del` names: one for each of its own, weights aside
/// (`fib_nh_match`).
pub(super) fn matches(ip: &Ip<'_>, row: &RouteRow, hops: &[Hop]) -> bool {
    let mut legs = ip.state.legs(row);
    let mut wanted = hops.iter();
    hops.is_empty()
        || legs.all(|leg| {
            wanted.next().is_some_and(|hop| {
                hop.oif.is_none_or(|oif| leg.oif == Some(oif))
                    && hop.gateway.is_none_or(|gateway| leg.gateway == Some(gateway))
            })
        })
}

/// A line for each of several next hops (`print_rta_multipath`).
pub(super) fn print(ip: &Ip<'_>, printer: &mut Printer, row: &RouteRow) {
    printer.list("nexthops");
    for (row, leg) in ip.state.legs(row).filter_map(|row| row.leg.map(|leg| (row, leg))) {
        printer.object("");
        printer.plain(format!("{}\tnexthop ", ip.options.separator()));
        print_way(ip, printer, (row.gateway, row.oif));
        printer.any("weight", leg.weight, format!("weight {} ", leg.weight));
        print_flags(ip, printer, row);
        printer.close();
    }
    printer.close();
}

/// Where a next hop leads.
pub(super) fn print_way(
    ip: &Ip<'_>,
    printer: &mut Printer,
    (gateway, oif): (Option<Ipv4Addr>, Option<IfIndex>),
) {
    if let Some(gateway) = gateway {
        let gateway = gateway.to_string();
        printer.plain("via ");
        printer.colored(Color::Inet, "gateway", gateway.as_str(), format!("{gateway} "));
    }
    if let Some(oif) = oif {
        let name = ip.ifname(oif);
        printer.plain("dev ");
        printer.colored(Color::Name, "dev", name.as_str(), format!("{name} "));
    }
}

/// Flags of a next hop. The kernel marks one whose interface has no carrier, and what is dead has none.
pub(super) fn print_flags(ip: &Ip<'_>, printer: &mut Printer, row: &RouteRow) {
    let dead = is_dead(row) || avoids(ip, row);
    let flags = [("dead", dead), ("onlink", row.onlink), ("linkdown", dead || lacks_carrier(ip, row))];
    print_set(printer, &flags);
}

/// Flags of a route with several next hops: it has lost its carrier where one device's carrier was the last that they had
/// (`fib_sync_down_dev`).
pub(super) fn print_head_flags(ip: &Ip<'_>, printer: &mut Printer, row: &RouteRow) {
    let mut alive = ip.state.legs(row).filter(|leg| !is_dead(leg));
    let linkdown =
        alive.next().is_some_and(|first| lacks_carrier(ip, first) && alive.all(|leg| leg.oif == first.oif));
    print_set(printer, &[("linkdown", linkdown)]);
}

fn is_dead(row: &RouteRow) -> bool {
    row.leg.is_some_and(|leg| leg.dead)
}

fn lacks_carrier(ip: &Ip<'_>, row: &RouteRow) -> bool {
    let link = row.oif.and_then(|oif| ip.state.links.get(&oif));
    // What ends on this machine does not ask for one (`RT_SCOPE_NOWHERE`).
    row.scope != Scope::Host && link.is_some_and(|link| link.up && !link.carrier)
}

/// Whether a route does not count while its device has no carrier (`ip_ignore_linkdown`).
pub(super) fn avoids(ip: &Ip<'_>, row: &RouteRow) -> bool {
    let of = |name: &str| format!("net.ipv4.conf.{name}.ignore_routes_with_linkdown");
    let is_set = |key: String| ip.state.sysctls.get(&*key).is_some_and(|value| &**value != "0");
    let own = || row.oif.is_some_and(|oif| is_set(of(&ip.ifname(oif).replace('.', "/"))));
    lacks_carrier(ip, row) && (is_set(of("all")) || own())
}

fn print_set(printer: &mut Printer, flags: &[(&str, bool)]) {
    let set: Vec<&str> = flags.iter().filter_map(|(flag, set)| set.then_some(*flag)).collect();
    let text: String = set.iter().flat_map(|flag| [*flag, " "]).collect();
    printer.any("flags", set, text);
}
