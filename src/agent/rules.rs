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

/// Gives a chain of one's own these rules, in words without the chain's name; nothing is written where they stand there.
pub(super) fn replace(netns: &mut Netns, ctx: &mut Ctx<'_>, table: Table, chain: &str, lines: &[String]) {
    let parsed = lines.iter().filter_map(|line| {
        let words = split(line);
        parse_rule(&words.iter().map(String::as_str).collect::<Vec<_>>()).ok().map(Arc::new)
    });
    let wanted: Vec<_> = parsed.collect();
    debug_assert_eq!(wanted.len(), lines.len(), "agents write rules that can be read");
    let chain: Arc<str> = chain.into();
    netns.change_netfilter(ctx, NetfilterOp::NewChain(table, chain.clone()));
    let present: Vec<_> = netns.nf_rules(Family::V4, table, &chain).collect();
    if present.iter().map(|(_, rule)| rule).eq(wanted.iter()) {
        return;
    }
    for (handle, _) in present {
        netns.change_netfilter(ctx, NetfilterOp::Delete(table, chain.clone(), handle));
    }
    for (index, rule) in wanted.into_iter().enumerate() {
        netns.change_netfilter(ctx, NetfilterOp::Insert(table, chain.clone(), index as u32, rule, (0, 0)));
    }
}
