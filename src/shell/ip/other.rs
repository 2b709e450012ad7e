//! Objects of `ip` that have nothing to show in this cluster, or only what every namespace begins with.

use super::options::Options;
use super::{Ip, Stop, next};
use crate::shell::Command;
use crate::shell::out::{answer, not_simulated};
use crate::trace::LinkKind;
use std::fmt::Write as _;

/// Precedence of address labels (RFC 6724 section 2.1, as the kernel has it).
const LABELS: [(&str, u8); 10] = [
    ("::1/128", 0),
    ("::/96", 3),
    ("::ffff:0.0.0.0/96", 4),
    ("2001::/32", 6),
    ("2001:10::/28", 7),
    ("3ffe::/16", 12),
    ("2002::/16", 2),
    ("fec0::/10", 11),
    ("fc00::/7", 5),
    ("::/0", 1),
];

/// Whether the words ask for a list.
fn lists(words: &[String]) -> bool {
    words
        .first()
        .is_none_or(|word| ["show", "list", "lst"].iter().any(|name| name.starts_with(word.as_str())))
}

/// An empty list, which JSON shows as one.
fn nothing(options: &Options) -> Command {
    answer(if options.json { "[]\n" } else { "" })
}

/// Runs an object by its name with a `?` before it.
pub(super) fn run(ip: &Ip<'_>, name: &str, words: &[String]) -> Result<Command, Stop> {
    let name = name.trim_start_matches('?');
    if !lists(words) {
        return Err(not_simulated(&format!("ip {name}"), &words[0]));
    }
    Ok(match name {
        "tuntap" | "mroute" => nothing(&ip.options),
        "mptcp" | "ioam" => return Err(not_simulated("ip", name)),
        "mrule" => answer("32767:\tfrom all lookup default\n"),
        "vrf" => answer(format!("Name              Table\n{}\nNo VRF has been configured\n", "-".repeat(23))),
        "addrlabel" => {
            let mut out = String::new();
            for (net, label) in LABELS {
                let _ = writeln!(out, "prefix {net} label {label} ");
            }
            answer(out)
        }
        "token" => {
            let mut out = String::new();
            for link in ip.state.links.values().filter(|link| link.kind != LinkKind::Loopback) {
                let _ = writeln!(out, "token :: dev {}", link.name);
            }
            answer(out)
        }
        "maddress" => maddress(ip, words)?,
        other => return Err(not_simulated("ip", other)),
    })
}

/// `ip maddr`: every interface has joined the groups of all hosts, and an Ethernet device lets their frames in.
fn maddress(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let mut words = words.iter().skip(1);
    let mut only = None;
    while let Some(word) = words.next() {
        let name = if word == "dev" { next(&mut words)? } else { word };
        only = Some(ip.device(name)?.ifindex);
    }
    let mut out = String::new();
    for link in ip.state.links.values().filter(|link| only.is_none_or(|only| only == link.ifindex)) {
        let _ = writeln!(out, "{}:\t{}", link.ifindex.0, link.name);
        if link.kind != LinkKind::Loopback {
            out += "\tlink  33:33:00:00:00:01\n\tlink  01:00:5e:00:00:01\n";
        }
        out += "\tinet  224.0.0.1\n\tinet6 ff02::1\n\tinet6 ff01::1\n";
    }
    Ok(answer(out))
}

/// `ip netns`: no namespace has a name, as in a Pod.
pub(super) fn netns(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let Some((word, rest)) = words.split_first() else { return Ok(empty_list(ip)) };
    let name = rest.first().map_or("", String::as_str);
    let missing =
        |status| (format!("Cannot open network namespace \"{name}\": No such file or directory\n"), status);
    match word.as_str() {
        "list" | "show" | "lst" | "ls" | "l" => Ok(empty_list(ip)),
        "identify" => Ok(answer("\n")),
        "add" | "delete" | "del" | "set" | "pids" | "exec" if rest.is_empty() => {
            Err(("No netns name specified\n".to_owned(), 1))
        }
        "exec" | "pids" => Err(missing(255)),
        "delete" | "del" => Err((
            format!("Cannot remove namespace file \"/run/netns/{name}\": No such file or directory\n"),
            1,
        )),
        "add" | "set" | "attach" | "monitor" | "list-id" | "help" => Err(not_simulated("ip netns", word)),
        _ => Err((format!("Command \"{word}\" is unknown, try \"ip netns help\".\n"), 255)),
    }
}

fn empty_list(ip: &Ip<'_>) -> Command {
    answer(if ip.options.json { "[]\n" } else { "" })
}
