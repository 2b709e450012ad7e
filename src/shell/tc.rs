//! `tc` of iproute2 6.1, as far as there is something to show: no device here has a queue (`noqueue`).

use super::out::{answer, not_simulated, refuse};
use super::{Command, Context};
use crate::trace::LinkRow;
use std::fmt::Write as _;

const USAGE: &str = include_str!("usage/tc.txt");

/// Runs `tc`.
pub(super) fn tc(context: &Context<'_>, words: &[String]) -> Command {
    let (mut statistics, mut json) = (false, false);
    let mut words = words.iter().map(String::as_str);
    let mut object = None;
    for word in words.by_ref() {
        match word {
            "-s" | "-stats" | "-statistics" => statistics = true,
            "-d" | "-details" | "-o" | "-oneline" => {}
            "-j" | "-json" => json = true,
            "-V" | "-Version" => return answer("tc utility, iproute2-6.1.0, libbpf 1.1.2\n"),
            "-h" | "-help" => return answer(USAGE),
            option if option.starts_with('-') => return unsimulated(option),
            word => {
                object = Some(word);
                break;
            }
        }
    }
    let Some(object) = object else { return refuse(USAGE, 0) };
    let rest: Vec<&str> = words.collect();
    let is = |name: &str| name.starts_with(object);
    if is("qdisc") {
        return qdisc(context, &rest, (statistics, json));
    }
    if ["class", "filter"].into_iter().any(is) {
        return match rest.as_slice() {
            ["show" | "list" | "ls", "dev", name] | ["dev", name] => match device(context, name) {
                Ok(_) => answer(""),
                Err(refused) => refused,
            },
            _ => unsimulated(&format!("{object} {}", rest.join(" "))),
        };
    }
    if ["chain", "action", "monitor", "exec"].into_iter().any(is) {
        return unsimulated(object);
    }
    if object == "help" {
        return answer(USAGE);
    }
    refuse(format!("Object \"{object}\" is unknown, try \"tc help\".\n"), 255)
}

fn unsimulated(word: &str) -> Command {
    let (text, status) = not_simulated("tc", word);
    refuse(text, status)
}

fn device<'a>(context: &'a Context<'_>, name: &str) -> Result<&'a LinkRow, Command> {
    let state = context.inventory.netns.get(&context.netns);
    let link = state.and_then(|state| state.link_named(name));
    link.ok_or_else(|| refuse(format!("Cannot find device \"{name}\"\n"), 1))
}

fn qdisc(context: &Context<'_>, words: &[&str], (statistics, json): (bool, bool)) -> Command {
    let words = match words {
        ["show" | "list" | "ls", rest @ ..] => rest,
        rest => rest,
    };
    let only = match words {
        [] => None,
        ["dev", name] => match device(context, name) {
            Ok(link) => Some(link.ifindex),
            Err(refused) => return refused,
        },
        other => return unsimulated(&format!("qdisc {}", other.join(" "))),
    };
    let Some(state) = context.inventory.netns.get(&context.netns) else { return answer("") };
    let links = state.links.values().filter(|link| !link.extra.never_up);
    let links: Vec<&LinkRow> = links.filter(|link| only.is_none_or(|only| link.ifindex == only)).collect();
    if json {
        let rows: Vec<String> = links.iter().map(|link| row(link, only.is_some(), statistics)).collect();
        return answer(format!("[{}]\n", rows.join(",")));
    }
    let mut out = String::new();
    for link in links {
        let name = if only.is_some() { String::new() } else { format!("dev {} ", link.name) };
        let _ = writeln!(out, "qdisc noqueue 0: {name}root refcnt 2 ");
        if statistics {
            out += " Sent 0 bytes 0 pkt (dropped 0, overlimits 0 requeues 0) \n backlog 0b 0p requeues 0\n";
        }
    }
    answer(out)
}

fn row(link: &LinkRow, only: bool, statistics: bool) -> String {
    let name = if only { String::new() } else { format!(r#""dev":"{}","#, link.name) };
    let counts = if statistics {
        r#","bytes":0,"packets":0,"drops":0,"overlimits":0,"requeues":0,"backlog":0,"qlen":0"#
    } else {
        ""
    };
    format!(r#"{{"kind":"noqueue","handle":"0:",{name}"root":true,"refcnt":2,"options":{{}}{counts}}}"#)
}
