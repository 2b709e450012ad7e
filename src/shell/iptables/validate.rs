//! What the kernel refuses when rules are handed to it: targets and matches where they cannot work
//! (`xt_check_target`, `xt_check_match`), and chains that lead in a circle (`nft_chain_validate`).

use super::model::{ModelChain, ModelRule, ModelTable};
use crate::xtables::{
    CountingMatch, Match, PacketMatch, RejectWith, Rule, Search, SideTarget, Table, Target,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How deep jumps may go (`NFT_JUMP_STACK_SIZE`).
const JUMPS_MAX: usize = 16;

const INVALID: &str = "Invalid argument";
const TOO_MANY_LINKS: &str = "Too many links";

/// Where something may stand: a table, if it is bound to one, and hooks by the names of their chains.
struct Place {
    table: Option<Table>,
    hooks: &'static [&'static str],
}

const ANYWHERE: &[&str] = &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];

fn place_of(target: &Target) -> Place {
    let (table, hooks): (_, &'static [&'static str]) = match target {
        Target::Dnat(..) | Target::Redirect(..) => (Some(Table::Nat), &["PREROUTING", "OUTPUT"]),
        Target::Snat(..) => (Some(Table::Nat), &["POSTROUTING", "INPUT"]),
        Target::Netmap(_) => (Some(Table::Nat), &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"]),
        Target::Ttl(_) | Target::Tos(..) | Target::Dscp(_) => (Some(Table::Mangle), ANYWHERE),
        Target::Side(side) => match **side {
            SideTarget::Classify(..) => (None, &["FORWARD", "OUTPUT", "POSTROUTING"]),
            SideTarget::Checksum => (Some(Table::Mangle), ANYWHERE),
            SideTarget::Tee(_) | SideTarget::Nflog(_) | SideTarget::Audit(_) => (None, ANYWHERE),
        },
        Target::Masquerade(..) => (Some(Table::Nat), &["POSTROUTING"]),
        Target::Reject(_) => (Some(Table::Filter), &["INPUT", "FORWARD", "OUTPUT"]),
        Target::Notrack(_) => (Some(Table::Raw), &["PREROUTING", "OUTPUT"]),
        Target::Tcpmss(crate::xtables::Tcpmss::Clamp) => (None, &["FORWARD", "OUTPUT", "POSTROUTING"]),
        Target::None
        | Target::Accept
        | Target::Drop
        | Target::Return
        | Target::Jump(_)
        | Target::Goto(_)
        | Target::Mark(..)
        | Target::Connmark(_)
        | Target::Log(_)
        | Target::Tcpmss(_) => (None, ANYWHERE),
    };
    Place { table, hooks }
}

/// Hooks at which a match can look at what it asks for.
fn hooks_of(each: &Match) -> &'static [&'static str] {
    match each {
        Match::Rpfilter(_) => &["PREROUTING"],
        Match::Packet(PacketMatch::Mac(_)) => &["PREROUTING", "INPUT", "FORWARD"],
        Match::Owner(_) => &["OUTPUT", "POSTROUTING"],
        Match::Addrtype(addrtype) if addrtype.limit_in => &["PREROUTING", "INPUT", "FORWARD"],
        Match::Addrtype(addrtype) if addrtype.limit_out => &["FORWARD", "OUTPUT", "POSTROUTING"],
        Match::Addrtype(_)
        | Match::Tcp(_)
        | Match::Udp(_)
        | Match::Sctp(_)
        | Match::Icmp(_)
        | Match::Comment(_)
        | Match::Conntrack(_)
        | Match::State(_)
        | Match::Mark(_)
        | Match::Connmark(_)
        | Match::Statistic(_)
        | Match::Recent(_)
        | Match::Multiport(_)
        | Match::Set(_)
        | Match::Physdev(_)
        | Match::Limit { .. }
        | Match::Ttl(_)
        | Match::Tos(_)
        | Match::Dscp(_)
        | Match::Packet(_)
        | Match::Counting(_)
        | Match::Tcpmss(_) => ANYWHERE,
    }
}

/// Why the kernel would not take a match, wherever it stands (`checkentry` of its module).
fn refused_match(each: &Match, is_tcp: bool) -> Option<&'static str> {
    match each {
        Match::Packet(PacketMatch::String(string)) => {
            let is_known = !matches!(string.search, Search::Unknown(_));
            let is_invalid = string.from > string.to || string.pattern.is.is_empty();
            if is_known { is_invalid.then_some(INVALID) } else { Some("No such file or directory") }
        }
        Match::Packet(PacketMatch::Ecn(ecn)) => (ecn.asks_tcp() && !is_tcp).then_some(INVALID),
        Match::Counting(CountingMatch::Hashlimit(limit)) => limit.refused(),
        Match::Packet(_)
        | Match::Counting(CountingMatch::Connlimit(_) | CountingMatch::Quota(_))
        | Match::Tcp(_)
        | Match::Udp(_)
        | Match::Sctp(_)
        | Match::Icmp(_)
        | Match::Comment(_)
        | Match::Conntrack(_)
        | Match::State(_)
        | Match::Mark(_)
        | Match::Connmark(_)
        | Match::Statistic(_)
        | Match::Recent(_)
        | Match::Addrtype(_)
        | Match::Multiport(_)
        | Match::Set(_)
        | Match::Physdev(_)
        | Match::Limit { .. }
        | Match::Rpfilter(_)
        | Match::Tcpmss(_)
        | Match::Owner(_)
        | Match::Ttl(_)
        | Match::Tos(_)
        | Match::Dscp(_) => None,
    }
}

/// Why the kernel would not take a rule into this table, wherever it stands.
fn refused_anywhere(table: Table, rule: &Rule) -> Option<&'static str> {
    let resets = matches!(rule.target, Target::Reject(RejectWith::TcpReset));
    let is_tcp = rule.protocol.is_some_and(|protocol| !protocol.negated && protocol.is == 6);
    let elsewhere = place_of(&rule.target).table.is_some_and(|only| only != table);
    let no_gateway = matches!(&rule.target, Target::Side(side)
        if matches!(&**side, SideTarget::Tee(tee) if tee.gateway.is_unspecified()));
    let refused = rule.matches.iter().find_map(|each| refused_match(each, is_tcp));
    refused.or_else(|| (elsewhere || no_gateway || (resets && !is_tcp)).then_some(INVALID))
}

/// A rule that the kernel does not take: why, by the kernel's text, the chain, and the line it stood in.
pub(super) type Refusal = (&'static str, Arc<str>, usize);

/// Checks a table with its new rules.
pub(super) fn check(table: Table, model: &ModelTable) -> Result<(), Refusal> {
    let built_in = |name: &str| model.find(name).is_some_and(|chain| chain.policy.is_some());
    for chain in &model.chains {
        for rule in chain.rules.iter().filter(|rule| rule.handle.is_none()) {
            if let Some(why) = refused_anywhere(table, &rule.rule) {
                return Err((why, chain.name.clone(), rule.line));
            }
            if rule.rule.jumps_to().is_some_and(|name| built_in(name)) {
                return Err(("Operation not supported", chain.name.clone(), rule.line));
            }
        }
    }
    for base in model.chains.iter().filter(|chain| chain.policy.is_some()) {
        walk(model, (base, base), None, 0, &mut BTreeSet::new())?;
    }
    Ok(())
}

/// Walks the ways from a built-in chain. What is wrong is the fault of the latest new rule on the way.
fn walk(
    model: &ModelTable,
    (base, chain): (&ModelChain, &ModelChain),
    latest: Option<&(Arc<str>, usize)>,
    depth: usize,
    done: &mut BTreeSet<(Arc<str>, usize)>,
) -> Result<(), Refusal> {
    if !done.insert((chain.name.clone(), depth)) {
        return Ok(());
    }
    for ModelRule { rule, line, handle, .. } in &chain.rules {
        let own = (chain.name.clone(), *line);
        let latest = if handle.is_none() { Some(&own) } else { latest };
        let (blamed, line) = latest.unwrap_or(&own).clone();
        let fits = |hooks: &[&str]| hooks.contains(&&*base.name);
        if !fits(place_of(&rule.target).hooks) || !rule.matches.iter().all(|each| fits(hooks_of(each))) {
            return Err((INVALID, blamed, line));
        }
        if let Some(next) = rule.jumps_to().and_then(|to| model.find(to)) {
            if depth + 1 >= JUMPS_MAX {
                return Err((TOO_MANY_LINKS, blamed, line));
            }
            walk(model, (base, next), latest, depth + 1, done)?;
        }
    }
    Ok(())
}
