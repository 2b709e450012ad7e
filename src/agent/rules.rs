//! Rules of iptables in words, as agents write them into a node's netfilter.

use crate::kernel::{Ctx, NetfilterOp, Netns};
use crate::xtables::{Family, Table, parse_rule};
use std::sync::Arc;

/// The words of a line, in quotes or not.
pub(super) fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('"').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// `iptables -t TABLE -A CHAIN …`, which makes a chain that is missing and adds no rule twice.
pub(super) fn append(netns: &mut Netns, ctx: &mut Ctx<'_>, table: Table, line: &str) {
    let words = split(line);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let parsed = match words.as_slice() {
        [chain, rest @ ..] => parse_rule(rest).map(|rule| (Arc::<str>::from(*chain), Arc::new(rule))),
        [] => return,
    };
    let Ok((chain, rule)) = parsed else {
        debug_assert!(false, "agents write rules that can be read: {line}");
        return;
    };
    if !table.builtin().contains(&&*chain) {
        netns.change_netfilter(ctx, NetfilterOp::NewChain(table, chain.clone()));
    }
    if let Some(target) = rule.jumps_to() {
        netns.change_netfilter(ctx, NetfilterOp::NewChain(table, target.clone()));
    }
    let present: Vec<_> = netns.nf_rules(Family::V4, table, &chain).map(|(_, rule)| rule).collect();
    if !present.contains(&rule) {
        let at = present.len() as u32;
        netns.change_netfilter(ctx, NetfilterOp::Insert(table, chain, at, rule, (0, 0)));
    }
}
