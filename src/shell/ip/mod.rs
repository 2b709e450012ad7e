//! `ip` of iproute2 6.1.

mod add;
mod addr;
mod addr_change;
mod change;
mod details;
mod help;
mod link;
mod link_set;
mod neigh;
mod nexthop;
mod nexthop_objects;
mod options;
mod other;
mod proxy;
mod route;
mod route_get;
mod rule;
mod stats;
mod tunnel;
mod xfrm;

use super::out::{Out, answer, refuse};
use super::{Command, Context};
use crate::base::IfIndex;
use crate::trace::{Inventory, LinkRow, NetnsState};
pub(super) use details::{gc_timer, state_name as port_state_name};
pub(super) use link::{flags as link_flags, hardware, peer, state as operstate};
use options::{Family, Options};

const USAGE: &str = include_str!("../usage/ip.txt");

/// What stops a command of `ip`: its text on standard error and its status.
type Stop = (String, u8);

/// What the objects of `ip` work with.
struct Ip<'a> {
    options: Options,
    state: &'a NetnsState,
    inventory: &'a Inventory,
    now: crate::base::SimTime,
    rng: crate::base::Rng,
}

/// Runs `ip` with these words after its name.
pub(super) fn ip(context: &mut Context<'_>, words: &[String]) -> Command {
    let (options, rest) = match options::read(words) {
        Ok(read) => read,
        Err((text, status)) => return refuse(text, status),
    };
    if options.version {
        return answer("ip utility, iproute2-6.1.0, libbpf 1.1.2\n");
    }
    let Some(state) = context.inventory.netns.get(&context.netns) else {
        return refuse("Cannot open network namespace: No such file or directory\n", 1);
    };
    let Some((object, rest)) = rest.split_first() else { return refuse(USAGE, 255) };
    // Every command has a generator of its own, so a copy gives no number twice.
    let rng = context.rng.clone();
    let inventory = context.inventory;
    let mut ip = Ip { options, state, inventory, now: inventory.now, rng };
    if let Some(text) = object_named(object).and_then(|object| help::of(object, rest)) {
        return refuse(text, 255);
    }
    let outcome = match object_named(object) {
        Some("address") => addr::run(&ip, rest),
        Some("link") => link::run(&mut ip, rest),
        Some("tunnel") => tunnel::run(&mut ip, rest),
        Some("neighbor") => neigh::run(&ip, rest),
        Some("route") => route::run(&ip, rest),
        Some("nexthop") => nexthop_objects::run(&ip, rest),
        Some("xfrm") => xfrm::run(&ip, rest),
        Some("rule") => rule::run(&ip, rest),
        // No namespace has a name, as in a Pod.
        Some("netns") => other::netns(&ip, rest),
        Some("help") => return refuse(USAGE, 255),
        Some(name) if name.starts_with('?') => other::run(&ip, name, rest),
        Some(_) | None => Err((format!("Object \"{object}\" is unknown, try \"ip help\".\n"), 1)),
    };
    outcome.unwrap_or_else(|(text, status)| refuse(text, status))
}

/// The object that a word stands for: the first in the program's table that begins with it. Objects that are not
/// simulated have a `?` before their name and keep their places, so that an abbreviation means here what it means there.
fn object_named(word: &str) -> Option<&'static str> {
    const OBJECTS: [(&str, &str); 34] = [
        ("address", "address"),
        ("addrlabel", "?addrlabel"),
        ("maddress", "?maddress"),
        ("route", "route"),
        ("rule", "rule"),
        ("neighbor", "neighbor"),
        ("neighbour", "neighbor"),
        ("ntable", "?ntable"),
        ("ntbl", "?ntable"),
        ("link", "link"),
        ("l2tp", "?l2tp"),
        ("fou", "?fou"),
        ("ila", "?ila"),
        ("macsec", "?macsec"),
        ("tunnel", "tunnel"),
        ("tunl", "tunnel"),
        ("tuntap", "?tuntap"),
        ("tap", "?tuntap"),
        ("token", "?token"),
        ("tcpmetrics", "?tcpmetrics"),
        ("tcp_metrics", "?tcpmetrics"),
        ("monitor", "?monitor"),
        ("xfrm", "xfrm"),
        ("mroute", "?mroute"),
        ("mrule", "?mrule"),
        ("netns", "netns"),
        ("netconf", "?netconf"),
        ("vrf", "?vrf"),
        ("sr", "?sr"),
        ("nexthop", "nexthop"),
        ("mptcp", "?mptcp"),
        ("ioam", "?ioam"),
        ("stats", "?stats"),
        ("help", "help"),
    ];
    let found = OBJECTS.iter().find(|(name, _)| name.starts_with(word)).map(|(_, object)| *object)?;
    Some(found).filter(|_| !word.is_empty())
}

/// The sub-command that a word stands for: the first of `names` that begins with it (`matches`).
fn command_named<'a>(object: &str, word: &str, names: &[&'a str]) -> Result<&'a str, Stop> {
    names
        .iter()
        .find(|name| name.starts_with(word))
        .copied()
        .ok_or_else(|| (format!("Command \"{word}\" is unknown, try \"ip {object} help\".\n"), 255))
}

impl<'a> Ip<'a> {
    fn link(&self, name: &str) -> Option<&'a LinkRow> {
        self.state.link_named(name)
    }

    fn device(&self, name: &str) -> Result<&'a LinkRow, Stop> {
        self.link(name).ok_or_else(|| (format!("Cannot find device \"{name}\"\n"), 1))
    }

    /// An Ethernet address drawn by the kernel: of one station, locally administered (`eth_random_addr`).
    fn random_mac(&mut self) -> crate::base::MacAddr {
        let mut octets: [u8; 6] = std::array::from_fn(|_| self.rng.u8(..));
        octets[0] = octets[0] & 0xfe | 0x02;
        crate::base::MacAddr(octets)
    }

    fn ifname(&self, ifindex: IfIndex) -> String {
        self.state.ifname(ifindex).to_string()
    }

    fn is_inet6(&self) -> bool {
        self.options.family == Some(Family::Inet6)
    }
}

/// The next word, or the error of `NEXT_ARG`.
fn next<'w>(words: &mut impl Iterator<Item = &'w String>) -> Result<&'w str, Stop> {
    let missing = || ("Command line is not complete. Try option \"help\"\n".to_owned(), 255);
    words.next().map(String::as_str).ok_or_else(missing)
}

fn done(text: String) -> Command {
    let mut out = Out::default();
    out.out(text);
    out.done(0)
}
