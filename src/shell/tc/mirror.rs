//! `tc filter … matchall action mirred egress mirror|redirect dev IF`: what passes a device goes to another one too.

use super::{Stop, answer, change_of, device, kernel, not_simulated, usage};
use crate::shell::{Command, KernelChange};
use crate::trace::{LinkRow, Mirror, NetnsState};

/// Runs `tc filter`.
pub(super) fn filter(state: &NetnsState, words: &[String]) -> Result<Command, Stop> {
    let (verb, rest) = words.split_first().map_or(("show", words), |(verb, rest)| (verb.as_str(), rest));
    let mut words = rest.iter().map(String::as_str);
    let (mut link, mut incoming, mut has_kind, mut mirror) = (None, None, false, None);
    while let Some(word) = words.next() {
        match word {
            "dev" => link = Some(device(state, next(&mut words)?)?),
            "ingress" => incoming = Some(true),
            "egress" => incoming = Some(false),
            // What is matched is everything, whatever its protocol and order.
            "protocol" if next(&mut words)? == "all" => {}
            "prio" | "pref" | "preference" => drop(next(&mut words)?),
            "matchall" => has_kind = true,
            "action" => mirror = Some(action(state, &mut words)?),
            word => return Err(not_simulated("tc filter", word)),
        }
    }
    let link = link.ok_or_else(|| usage("Must specify netdevice=\"dev\"\n"))?;
    match verb {
        "show" | "list" | "ls" => Ok(answer(show(state, link, incoming))),
        "add" | "replace" => {
            let incoming = incoming.ok_or_else(|| not_simulated("tc filter", "parent"))?;
            let (true, Some((to, takes))) = (has_kind, mirror) else {
                return Err(not_simulated("tc filter", "a filter without \"matchall action mirred\""));
            };
            if !link.extra.mirrors.is_ready {
                return Err(kernel("Parent Qdisc doesn't exists."));
            }
            if incoming_of(link, incoming).is_some() && verb == "add" {
                return Err(kernel("Filter already exists."));
            }
            let mirror = Mirror { to, takes };
            Ok(change_of(KernelChange::SetMirror(link.ifindex, incoming, Some(mirror))))
        }
        "delete" | "del" => {
            let incoming = incoming.ok_or_else(|| not_simulated("tc filter", "parent"))?;
            if incoming_of(link, incoming).is_none() {
                return Err(kernel("Cannot find specified filter chain."));
            }
            Ok(change_of(KernelChange::SetMirror(link.ifindex, incoming, None)))
        }
        word => Err((format!("Command \"{word}\" is unknown, try \"tc filter help\".\n"), 255)),
    }
}

fn next<'w>(words: &mut impl Iterator<Item = &'w str>) -> Result<&'w str, Stop> {
    words.next().ok_or_else(|| usage("Command line is not complete. Try option \"help\"\n"))
}

/// `mirred egress mirror|redirect dev IF`: the interface, and whether it takes the packet for itself.
fn action<'w>(
    state: &NetnsState,
    words: &mut impl Iterator<Item = &'w str>,
) -> Result<(crate::base::IfIndex, bool), Stop> {
    for wanted in ["mirred", "egress"] {
        let word = next(words)?;
        if word != wanted {
            return Err(not_simulated("tc filter action", word));
        }
    }
    let takes = match next(words)? {
        "mirror" => false,
        "redirect" => true,
        word => return Err(usage(format!("mirred option not supported {word}\n"))),
    };
    match next(words)? {
        "dev" => Ok((device(state, next(words)?)?.ifindex, takes)),
        word => Err(usage(format!("bad mirred option {word}\n"))),
    }
}

fn incoming_of(link: &LinkRow, incoming: bool) -> Option<Mirror> {
    if incoming { link.extra.mirrors.ingress } else { link.extra.mirrors.egress }
}

fn show(state: &NetnsState, link: &LinkRow, incoming: Option<bool>) -> String {
    let mut out = String::new();
    for incoming in [true, false].into_iter().filter(|at| incoming.is_none_or(|wanted| wanted == *at)) {
        let Some(mirror) = incoming_of(link, incoming) else { continue };
        let way = if mirror.takes { "Redirect" } else { "Mirror" };
        let then = if mirror.takes { "stolen" } else { "pipe" };
        let name = state.ifname(mirror.to);
        let at = if incoming { "ingress" } else { "egress" };
        let head = format!("filter {at} protocol all pref 49152 matchall chain 0 ");
        let action = format!("\taction order 1: mirred (Egress {way} to device {name}) {then}");
        out.extend([
            &head,
            "\n",
            &head,
            "handle 0x1 \n  not_in_hw\n",
            &action,
            "\n \tindex 1 ref 1 bind 1\n\n",
        ]);
    }
    out
}
