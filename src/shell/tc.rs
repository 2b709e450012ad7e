//! `tc` of iproute2 6.1: netem at a device's root (`tc-netem(8)`), and mirroring what passes a device to another one
//! (`tc-mirred(8)`).

mod mirror;
mod netem;

use super::out::{Out, answer, not_simulated, refuse};
use super::{Command, Context, KernelChange};
use crate::trace::{LinkRow, NetnsState, QdiscCounters, QdiscRow};

/// What stops a command: its text on standard error and its status.
type Stop = (String, u8);

/// A mistake in the words behind a discipline's kind, to which the program adds where it was.
fn usage(text: impl Into<String>) -> Stop {
    (text.into(), 1)
}

/// Runs `tc`.
pub(super) fn tc(context: &Context<'_>, words: &[String]) -> Command {
    let mut words = words;
    let mut statistics = false;
    while let Some((option, rest)) = words.split_first().filter(|(word, _)| word.starts_with('-')) {
        match option.as_str() {
            "-s" | "-statistics" | "-stats" => statistics = true,
            "-d" | "-details" | "-p" | "-pretty" => {}
            "-V" | "-Version" => return answer("tc utility, iproute2-6.1.0, libbpf 1.1.2\n"),
            option => {
                let (text, status) = not_simulated("tc", option);
                return refuse(text, status);
            }
        }
        words = rest;
    }
    let Some(state) = context.inventory.netns.get(&context.netns) else {
        return refuse("Cannot open network namespace: No such file or directory\n", 1);
    };
    let Some((object, rest)) = words.split_first() else { return refuse(USAGE, 0) };
    let is = |name: &str| !object.is_empty() && name.starts_with(object.as_str());
    let outcome = if is("qdisc") {
        qdisc(state, rest, statistics)
    } else if is("filter") {
        mirror::filter(state, rest)
    } else if is("class") || is("actions") || is("monitor") || is("exec") || is("chain") {
        Err(not_simulated("tc", object))
    } else {
        Err((format!("Object \"{object}\" is unknown, try \"tc help\".\n"), 255))
    };
    outcome.unwrap_or_else(|(text, status)| refuse(text, status))
}

const USAGE: &str = include_str!("usage/tc.txt");

/// What a `tc qdisc` command names before the discipline's own words.
#[derive(Default)]
struct Named<'a> {
    device: Option<&'a LinkRow>,
    /// `root`, `ingress` or `clsact`.
    parent: Option<&'static str>,
    /// Kind with the words behind it.
    kind: Option<(&'a str, &'a [String])>,
}

fn device<'a>(state: &'a NetnsState, name: &str) -> Result<&'a LinkRow, Stop> {
    state.link_named(name).ok_or_else(|| (format!("Cannot find device \"{name}\"\n"), 1))
}

fn read<'a>(state: &'a NetnsState, words: &'a [String]) -> Result<Named<'a>, Stop> {
    let mut named = Named::default();
    let mut rest = words;
    while let Some((word, after)) = rest.split_first() {
        rest = after;
        match word.as_str() {
            "dev" => {
                let missing = || usage("Command line is not complete. Try option \"help\"\n");
                let (name, after) = rest.split_first().ok_or_else(missing)?;
                named.device = Some(device(state, name)?);
                rest = after;
            }
            "root" => named.parent = Some("root"),
            "ingress" => named.parent = Some("ingress"),
            "clsact" => named.parent = Some("clsact"),
            // A handle of one's own choice changes nothing but what is shown.
            "handle" => {
                let (handle, after) = rest
                    .split_first()
                    .ok_or_else(|| usage("Command line is not complete. Try option \"help\"\n"))?;
                if !matches!(handle.as_str(), "ffff:" | "ffff:0") {
                    return Err(not_simulated("tc qdisc", "handle"));
                }
                rest = after;
            }
            "parent" | "estimator" | "stab" | "ingress_block" | "egress_block" => {
                return Err(not_simulated("tc qdisc", word));
            }
            "help" => return Err((USAGE.to_owned(), 255)),
            kind => {
                named.kind = Some((kind, rest));
                break;
            }
        }
    }
    Ok(named)
}

fn qdisc(state: &NetnsState, words: &[String], statistics: bool) -> Result<Command, Stop> {
    let (verb, rest) = words.split_first().map_or(("show", words), |(verb, rest)| (verb.as_str(), rest));
    match verb {
        "show" | "list" | "ls" => {
            let named = read(state, rest)?;
            if let Some((word, _)) = named.kind {
                return Err((format!("What is \"{word}\"? Try \"tc qdisc help\".\n"), 255));
            }
            Ok(answer(show(state, named.device, statistics)))
        }
        "add" | "change" | "replace" | "delete" | "del" => {
            let named = read(state, rest)?;
            let missing = || usage("Command line is not complete. Try option \"help\"\n");
            let link = named.device.ok_or_else(missing)?;
            change(link, verb, &named)
        }
        "help" => Err((USAGE.to_owned(), 255)),
        word => Err((format!("Command \"{word}\" is unknown, try \"tc qdisc help\".\n"), 255)),
    }
}

fn change_of(change: KernelChange) -> Command {
    Command::Change { changes: vec![change], output: Out::default().into_pieces(), status: 0 }
}

fn kernel(text: &str) -> Stop {
    (format!("Error: {text}\n"), 2)
}

fn change(link: &LinkRow, verb: &str, named: &Named<'_>) -> Result<Command, Stop> {
    let deletes = matches!(verb, "delete" | "del");
    if matches!(named.parent, Some("ingress" | "clsact")) {
        return match (deletes, link.extra.mirrors.is_ready) {
            (false, true) => Err(kernel("Exclusivity flag on, cannot modify.")),
            (true, false) => Err(kernel("Cannot find specified qdisc on specified device.")),
            (deletes, _) => Ok(change_of(KernelChange::SetClsact(link.ifindex, !deletes))),
        };
    }
    if deletes {
        return match link.extra.qdisc {
            Some(_) => Ok(change_of(KernelChange::SetQdisc(link.ifindex, None))),
            None => Err(kernel("Cannot delete qdisc with handle of zero.")),
        };
    }
    let Some((kind, words)) = named.kind else {
        return Err(usage("Command line is not complete. Try option \"help\"\n"));
    };
    if kind != "netem" {
        return Err(not_simulated("tc qdisc", kind));
    }
    if named.parent.is_none() {
        return Err(kernel("Operation not supported by qdisc."));
    }
    match (verb, link.extra.qdisc.is_some()) {
        ("add", true) => return Err(kernel("Exclusivity flag on, cannot modify.")),
        ("change", false) => return Err(kernel("Qdisc not found. To create specify NLM_F_CREATE flag.")),
        _ => {}
    }
    let netem = netem::read(words)?;
    Ok(change_of(KernelChange::SetQdisc(link.ifindex, Some(netem))))
}

fn show(state: &NetnsState, device: Option<&LinkRow>, statistics: bool) -> String {
    let shown =
        state.links.values().filter(|link| device.is_none_or(|device| device.ifindex == link.ifindex));
    let mut out = String::new();
    let nothing = QdiscCounters::default().to_string();
    for link in shown.filter(|link| link.up || link.extra.qdisc.is_some()) {
        let name = if device.is_none() { format!("dev {} ", link.name) } else { String::new() };
        let root = match link.extra.qdisc {
            Some(QdiscRow { handle, netem }) => {
                format!("qdisc netem {handle:x}: {name}root refcnt 2 {netem}\n")
            }
            None => format!("qdisc noqueue 0: {name}root refcnt 2 \n"),
        };
        out.push_str(&root);
        let counted = state.qdiscs.get(&link.ifindex).map_or_else(|| nothing.clone(), ToString::to_string);
        out.push_str(if statistics { &counted } else { "" });
        if link.extra.mirrors.is_ready {
            out.extend(["qdisc clsact ffff: ", &name, "parent ffff:fff1 \n"]);
            out.push_str(if statistics { &nothing } else { "" });
        }
    }
    out
}
