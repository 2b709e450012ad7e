//! `ip addr add`, `change`, `replace`, `del` and `flush`: what the program reads, and what the kernel would refuse.
#![expect(
    clippy::format_push_string,
    reason = "warnings are gathered one by one, as the program prints them"
)]

use super::addr::{FLAGS, prefix, scope_of};
use super::change::kernel;
use super::options::Family;
use super::{Ip, Stop, next};
use crate::base::{IFNAME_LEN, Ipv4Addr, Ipv4Net};
use crate::shell::change::KernelChange;
use crate::shell::{Command, out};
use crate::trace::{AddrLifetime, AddrRow, FOREVER, Scope};

/// What the words of `ip addr add` or `del` say.
#[derive(Default)]
struct Said<'w> {
    local: Option<Ipv4Net>,
    /// Whether the address stood there without a length.
    bare: bool,
    peer: Option<Ipv4Net>,
    broadcast: Option<&'w str>,
    scope: Option<Scope>,
    device: Option<&'w str>,
    label: Option<&'w str>,
    metric: u32,
    valid: Option<u32>,
    preferred: Option<u32>,
    no_prefix_route: bool,
    warnings: String,
}

fn invalid(value: &str, what: &str) -> Stop {
    (format!("Error: argument \"{value}\" is wrong: {what}\n"), 255)
}

fn duplicate(what: &str, value: &str) -> Stop {
    (format!("Error: duplicate \"{what}\": \"{value}\" is the second value.\n"), 255)
}

/// `get_prefix` and `get_addr`: once the family is known, the error names it.
fn inet(word: &str, what: &str, known: bool) -> Result<Ipv4Net, Stop> {
    let is_address = what == "prefix" || !word.contains('/');
    let wrong = || {
        let expected = if known { format!("inet {what}") } else { format!("any valid {what}") };
        (format!("Error: {expected} is expected rather than \"{word}\".\n"), 1)
    };
    prefix(word).ok().filter(|_| is_address).ok_or_else(wrong)
}

fn lifetime(value: &str, what: &str) -> Result<u32, Stop> {
    match value {
        "forever" => Ok(FOREVER),
        _ => super::route::number(value).ok_or_else(|| invalid(value, &format!("{what} value"))),
    }
}

fn read<'w>(ip: &Ip<'_>, words: &'w [String]) -> Result<Said<'w>, Stop> {
    let mut said = Said::default();
    let mut words = words.iter();
    let four = ip.options.family == Some(Family::Inet);
    while let Some(word) = words.next() {
        let known = four || said.peer.is_some() || said.local.is_some();
        let begins = |name: &str| name.starts_with(word.as_str());
        match word.as_str() {
            "peer" | "remote" => {
                let value = next(&mut words)?;
                if said.peer.is_some() {
                    return Err(duplicate("peer", value));
                }
                said.peer = Some(inet(value, "prefix", known)?);
            }
            word if word == "brd" || begins("broadcast") => {
                let value = next(&mut words)?;
                if said.broadcast.is_some() {
                    return Err(duplicate("broadcast", value));
                }
                if !matches!(value, "+" | "-") {
                    inet(value, "address", known)?;
                }
                said.broadcast = Some(value);
            }
            // The kernel has no anycast addresses of IPv4, and reads on.
            "anycast" => drop(inet(next(&mut words)?, "address", known)?),
            "scope" => said.scope = Some(read_scope(next(&mut words)?)?),
            "dev" => said.device = Some(next(&mut words)?),
            "label" => said.label = Some(next(&mut words)?),
            _ if ["metric", "priority", "preference"].into_iter().any(begins) => {
                let value = next(&mut words)?;
                let wrong = || invalid(value, "\"metric\" value is invalid\n");
                said.metric = super::route::number(value).ok_or_else(wrong)?;
            }
            _ if begins("valid_lft") => {
                said.valid = Some(lifetime(next(&mut words)?, "valid_lft")?);
            }
            _ if begins("preferred_lft") => {
                said.preferred = Some(lifetime(next(&mut words)?, "preferred_lft")?);
            }
            "noprefixroute" => said.no_prefix_route = true,
            "autojoin" => return Err(out::not_simulated("ip address", word)),
            "home" | "nodad" | "mngtmpaddr" => {
                said.warnings += &format!("Warning: {word} option can be set only for IPv6 addresses\n");
            }
            flag if FLAGS.contains(&flag) => {
                said.warnings += &format!("Warning: {flag} option is not mutable from userspace\n");
            }
            word => {
                let word = if word == "local" { next(&mut words)? } else { word };
                if said.local.is_some() {
                    let text = format!("Error: either \"local\" is duplicate, or \"{word}\" is a garbage.\n");
                    return Err((text, 255));
                }
                said.bare = !word.contains('/');
                said.local = Some(inet(word, "prefix", known)?);
            }
        }
    }
    Ok(said)
}

fn read_scope(value: &str) -> Result<Scope, Stop> {
    let number = scope_of(value).ok_or_else(|| invalid(value, "invalid scope value."))?;
    let known = [Scope::Global, Scope::Site, Scope::Link, Scope::Host];
    let found = known.into_iter().find(|scope| scope.number() == number);
    found.ok_or_else(|| out::not_simulated("ip address", &format!("scope {value}")))
}

impl Said<'_> {
    /// The address that is meant. It stands at a device that there is.
    fn row(&self, ip: &Ip<'_>) -> Result<AddrRow, Stop> {
        let no_device = || ("Not enough information: \"dev\" argument is required.\n".to_owned(), 1);
        let device = self.device.ok_or_else(no_device)?;
        let end = self.peer.or(self.local);
        let link = ip.device(device)?;
        let forever = |seconds: Option<u32>| seconds.unwrap_or(FOREVER);
        let (valid, preferred) = (forever(self.valid), forever(self.preferred));
        if valid == 0 {
            return Err(("valid_lft is zero\n".to_owned(), 1));
        }
        if valid < preferred {
            return Err(("preferred_lft is greater than valid_lft\n".to_owned(), 1));
        }
        if self.label.is_some_and(|label| label.len() > IFNAME_LEN) {
            return Err(kernel("Attribute failed policy validation."));
        }
        let end = end.ok_or_else(|| ("RTNETLINK answers: Operation not supported\n".to_owned(), 2))?;
        let local = self.local.ok_or_else(|| kernel("ipv4: Local address is not supplied."))?.addr();
        let default = if local.is_loopback() { Scope::Host } else { Scope::Global };
        let limited = valid != FOREVER || preferred != FOREVER;
        let lifetime = AddrLifetime { valid, preferred, since: ip.now, deprecated: preferred == 0 };
        let addr = Ipv4Net::new_assert(local, end.prefix_len());
        Ok(AddrRow {
            peer: Some(end.addr()).filter(|peer| *peer != local),
            broadcast: self.broadcast_of(end),
            scope: self.scope.unwrap_or(default),
            label: self.label.filter(|label| **label != *link.name).map(Into::into),
            metric: self.metric,
            no_prefix_route: self.no_prefix_route,
            lifetime: limited.then_some(lifetime),
            ..AddrRow::new(link.netns, link.ifindex, addr)
        })
    }

    /// `+` and `-` set or clear the bits of the host, where there are more than two hosts.
    fn broadcast_of(&self, net: Ipv4Net) -> Option<Ipv4Addr> {
        match self.broadcast? {
            "+" | "-" if net.prefix_len() > 30 => None,
            "+" => Some(net.broadcast()),
            "-" => Some(net.network()),
            word => word.parse().ok(),
        }
    }

    fn done(self, changes: Vec<KernelChange>) -> Command {
        let mut output = out::Out::default();
        output.err(self.warnings);
        Command::Change { changes, output: output.into_pieces(), status: 0 }
    }
}

/// `ip addr add`, and `change` or `replace`, which change an address that is there and add one that is not.
pub(super) fn add(ip: &Ip<'_>, words: &[String], may_be_there: bool) -> Result<Command, Stop> {
    let said = read(ip, words)?;
    let row = said.row(ip)?;
    if ip.state.addrs.iter().any(|other| other.is_same(&row)) {
        if may_be_there {
            return Ok(said.done(vec![KernelChange::ChangeAddr(Box::new(row))]));
        }
        return Err(refused(said, "ipv4: Address already assigned."));
    }
    // Addresses of one network on a device have one scope (`__inet_insert_ifa`).
    if ip.state.addrs.iter().any(|other| other.is_of_one_network(&row) && other.scope != row.scope) {
        return Err(refused(said, "ipv4: Invalid scope value."));
    }
    Ok(said.done(vec![KernelChange::AddAddr(Box::new(row))]))
}

fn refused(said: Said<'_>, text: &str) -> Stop {
    let (text, status) = kernel(text);
    (said.warnings + &text, status)
}

/// `ip addr del`: the first address that has all that was said (`inet_rtm_deladdr`).
pub(super) fn del(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let mut said = read(ip, words)?;
    let row = said.row(ip)?;
    let wildcard = said.bare && said.peer.is_none();
    let found = ip.state.addrs.iter().find(|other| {
        other.ifindex == row.ifindex
            && other.addr.addr() == row.addr.addr()
            && (wildcard || other.network() == row.network())
            && (said.label.is_none() || other.label == row.label)
    });
    if wildcard {
        said.warnings += &format!(
            "Warning: Executing wildcard deletion to stay compatible with old scripts.\n\
             \x20        Explicitly specify the prefix length ({}/32) to avoid this warning.\n\
             \x20        This special behaviour is likely to disappear in further releases,\n\
             \x20        fix your scripts!\n",
            row.addr.addr()
        );
    }
    match found {
        Some(found) => Ok(said.done(vec![KernelChange::DelAddr(Box::new(found.clone()))])),
        None => Err(refused(said, "ipv4: Address not found.")),
    }
}

/// `ip addr flush` of the addresses that a selector named, with what it tells of them.
pub(super) fn flush(ip: &Ip<'_>, rows: &[&AddrRow], listed: String) -> Command {
    let delete = |row: &&AddrRow| KernelChange::DelAddr(Box::new((*row).clone()));
    let changes: Vec<KernelChange> = rows.iter().map(delete).collect();
    let mut output = out::Out::default();
    if ip.options.stats > 0 && rows.is_empty() {
        output.out("Nothing to flush.\n");
    } else if ip.options.stats > 0 {
        output.out(listed);
        let count = rows.len();
        output.out(format!(
            "\n*** Round 1, deleting {count} addresses ***\n*** Flush is complete after 1 round ***\n"
        ));
    }
    if changes.is_empty() {
        return output.done(0);
    }
    Command::Change { changes, output: output.into_pieces(), status: 0 }
}
