//! Words about rows of netfilter: the key of a sentence and its arguments.

use super::netfilter::{self, Clash, NetfilterChange};
use super::nft::NftChange;
use super::service_path::{self, ServiceFact};
use crate::base::NetnsId;
use crate::nftables::{Part, Rule};
use crate::xtables::{SideTarget, Target};

/// The sentence for a rule that fitted: what its target does.
pub(super) fn rule_key(target: &Target) -> &'static str {
    match target {
        Target::None => "why.netfilter.counted",
        Target::Accept => "why.netfilter.accept",
        Target::Drop => "why.netfilter.drop",
        Target::Return => "why.netfilter.return",
        Target::Jump(_) | Target::Goto(_) => "why.netfilter.jump",
        Target::Reject(_) => "why.netfilter.reject",
        Target::Dnat(..) | Target::Redirect(..) => "why.netfilter.dnat",
        Target::Snat(..) | Target::Masquerade(..) => "why.netfilter.snat",
        Target::Mark(..) | Target::Connmark(_) => "why.netfilter.mark",
        Target::Notrack(_) => "why.netfilter.notrack",
        Target::Log(_) => "why.netfilter.log",
        Target::Netmap(_) => "why.netfilter.netmap",
        Target::Ttl(_) => "why.netfilter.ttl",
        Target::Tos(..) | Target::Dscp(_) => "why.netfilter.tos",
        Target::Tcpmss(_) => "why.netfilter.tcpmss",
        Target::Side(side) => match **side {
            SideTarget::Classify(..) => "why.netfilter.classify",
            SideTarget::Checksum => "why.netfilter.counted",
            SideTarget::Tee(_) => "why.netfilter.tee",
            SideTarget::Nflog(_) | SideTarget::Audit(_) => "why.netfilter.log",
        },
    }
}

pub(super) fn args(change: &NetfilterChange, of: &dyn Fn(NetnsId) -> String) -> (&'static str, Vec<String>) {
    let line = netfilter::row_line(change).unwrap_or_default();
    let netns = of(netfilter::netns_of(change));
    match change {
        NetfilterChange::Chain(_) | NetfilterChange::Renamed(..) => ("chain", vec![netns, line]),
        NetfilterChange::ChainGone(_, table, name) => {
            ("chain_gone", vec![netns, format!("{} {name}", table.name())])
        }
        NetfilterChange::Rule(_) => ("rule", vec![netns, line]),
        NetfilterChange::RuleGone(..) => ("rule_gone", vec![netns]),
        NetfilterChange::Conntrack(row) => ("conntrack", vec![netns, row.to_string()]),
        NetfilterChange::ConntrackGone(..) => ("conntrack_gone", vec![netns]),
        NetfilterChange::Clash(_, Clash::Lost) => ("clash_lost", vec![netns]),
        NetfilterChange::Clash(_, Clash::Resolved | Clash::Joined) => ("clash_joined", vec![netns]),
        NetfilterChange::Set(_) => ("set", vec![netns, line]),
        NetfilterChange::SetGone(_, name) => ("set_gone", vec![netns, name.to_string()]),
        NetfilterChange::Ipvs(change) => match change.line() {
            Some(line) => ("ipvs", vec![netns, line]),
            None => ("ipvs_gone", vec![netns]),
        },
        NetfilterChange::Nft(change) => match change {
            NftChange::Chain(_) => ("chain", vec![netns, line]),
            NftChange::ChainGone(_, name) => ("chain_gone", vec![netns, name.to_string()]),
            NftChange::Rule(_) => ("rule", vec![netns, line]),
            NftChange::RuleGone(..) => ("rule_gone", vec![netns]),
            NftChange::Set(_) | NftChange::Element(_) => ("set", vec![netns, line]),
            NftChange::SetGone(_, name) => ("set_gone", vec![netns, name.to_string()]),
            NftChange::ElementGone(_, set, element) => {
                ("set_gone", vec![netns, format!("{set} {{ {element} }}")])
            }
        },
        NetfilterChange::V6(change) => {
            let (kind, mut args) = args(change, of);
            if let Some(line) = args.get_mut(1) {
                *line = format!("ip6 {line}");
            }
            (kind, args)
        }
    }
}

/// Why a row of nftables decided about a packet.
pub(super) fn nft_decision(change: &NftChange, netns: &str) -> (&'static str, Vec<String>) {
    if let Some(fact) = service_path::nft_fact(change) {
        return service_words(&fact, netns);
    }
    let chain = |name: &str| format!("nft {name}");
    match change {
        NftChange::Rule(row) => {
            let to = row.rule.parts.iter().flat_map(Part::chains).next().map_or("", |chain| &**chain);
            (nft_key(&row.rule), vec![netns.to_owned(), chain(&row.chain), row.to_string(), to.to_owned()])
        }
        NftChange::Element(row) => {
            ("why.nft.element", vec![netns.to_owned(), row.set.to_string(), row.to_string()])
        }
        NftChange::Chain(_)
        | NftChange::Set(_)
        | NftChange::ChainGone(..)
        | NftChange::RuleGone(..)
        | NftChange::SetGone(..)
        | NftChange::ElementGone(..) => ("why.netfilter.none", vec![netns.to_owned()]),
    }
}

fn service_words(fact: &ServiceFact, netns: &str) -> (&'static str, Vec<String>) {
    (fact.fact.key(), vec![netns.to_owned(), fact.service.clone(), fact.endpoint.clone()])
}

fn nft_key(rule: &Rule) -> &'static str {
    match rule.parts.last() {
        Some(Part::Jump(_) | Part::Goto(_)) => "why.netfilter.jump",
        Some(Part::Choose(_)) => "why.nft.choose",
        Some(Part::Vmap(..)) => "why.nft.asked",
        Some(Part::Return) => "why.netfilter.return",
        Some(Part::Drop) => "why.netfilter.drop",
        Some(Part::Reject) => "why.netfilter.reject",
        Some(Part::Dnat(_)) => "why.netfilter.dnat",
        Some(Part::Masquerade) => "why.netfilter.snat",
        Some(Part::MarkOr(_) | Part::MarkXor(_)) => "why.netfilter.mark",
        Some(Part::Remember(_)) => "why.nft.remember",
        Some(
            Part::New
            | Part::Address(..)
            | Part::Local(_)
            | Part::Interface { .. }
            | Part::Protocol(_)
            | Part::Port(..)
            | Part::Unmarked(_),
        )
        | None => "why.netfilter.counted",
    }
}
