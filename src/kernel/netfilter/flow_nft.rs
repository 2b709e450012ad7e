//! What the table of nftables would do with a packet, asked without sending one.

use super::flow::{Fate, Passed, Stage, Way};
use super::nft::{Asked, key_of};
use crate::base::SimTime;
use crate::kernel::Netns;
use crate::nftables::{Far, Kind, Part, Rule, Verdict};
use crate::trace::Hook;
use crate::xtables::{Family, RejectWith};
use std::sync::Arc;

/// What a rule has the walk do.
enum Next {
    Continue,
    Jump(Arc<str>),
    Goto(Arc<str>),
    /// One of these chains, by chance.
    OneOf(Arc<[Arc<str>]>),
    Return,
    /// Translated: no other chain is asked.
    Done,
    End(Fate),
}

impl Netns {
    /// Passes the base chains of a stage at a hook. A fate where the packet goes no further.
    pub(super) fn pass_nft(
        &self,
        way: &mut Way,
        (hook, stage): (Hook, Stage),
        open: &mut Vec<Way>,
    ) -> Option<Fate> {
        let family = if way.probe.dst.is_ipv4() { Family::V4 } else { Family::V6 };
        let table = self.netfilter.nft_of(family);
        if table.is_empty() {
            return None;
        }
        if way.bases.is_none() {
            let done = match hook {
                Hook::Postrouting | Hook::Input => way.outcome.masqueraded_in.is_some(),
                Hook::Prerouting | Hook::Output | Hook::Forward => way.outcome.translated_in.is_some(),
            };
            let bases = match stage {
                Stage::Filter(priority) => table.bases(Kind::Filter, hook, Some(priority)),
                // What the table nat translated stays as it is.
                Stage::Nat if done => Vec::new(),
                Stage::Nat | Stage::Table(_) | Stage::Ipvs => table.bases(Kind::Nat, hook, None),
            };
            way.bases = Some(bases);
        }
        loop {
            let Some((chain, number)) = way.nft.pop() else {
                let bases = way.bases.as_mut().filter(|bases| !bases.is_empty())?;
                way.nft.push((bases.remove(0), 0));
                continue;
            };
            let Some((_, rule, _)) = table.rule(&chain, number) else { continue };
            way.nft.push((chain.clone(), number + 1));
            match self.flow_nft_rule(way, (family, hook), (&chain, rule), open) {
                Next::Continue => {}
                Next::Jump(to) => way.nft.push((to, 0)),
                Next::Goto(to) => {
                    way.nft.pop();
                    way.nft.push((to, 0));
                }
                Next::OneOf(chains) => {
                    way.nft.pop();
                    for other in chains.iter().skip(1) {
                        let mut another = way.clone();
                        another.nft.push((other.clone(), 0));
                        open.push(another);
                    }
                    way.nft.extend(chains.first().map(|chain| (chain.clone(), 0)));
                }
                Next::Return => {
                    way.nft.pop();
                }
                Next::Done => {
                    way.nft.clear();
                    return None;
                }
                Next::End(fate) => return Some(fate),
            }
        }
    }

    /// Asks one rule.
    fn flow_nft_rule(
        &self,
        way: &mut Way,
        (family, hook): (Family, Hook),
        (chain, rule): (&Arc<str>, &Rule),
        open: &mut Vec<Way>,
    ) -> Next {
        let table = self.netfilter.nft_of(family);
        let seen = way.seen();
        let iif = self.flow_devices(way, hook).iif;
        let mut is_noted = false;
        for part in &rule.parts {
            // Whether a client was remembered is not known: both ways are followed.
            if let Part::Address(_, _, Far::Set(name)) = part
                && table.is_dynamic(name)
            {
                open.push(way.clone());
                continue;
            }
            let asked = Asked { seen: &seen, mark: way.mark, is_new: true, iif };
            match self.nft_condition(family, part, asked, SimTime::ZERO) {
                Some(true) => continue,
                Some(false) => return Next::Continue,
                None => {}
            }
            if let Part::Vmap(key, map) = part {
                let element = key_of(*key, &seen);
                let Some((verdict, _)) = table.lookup(map, &element) else { return Next::Continue };
                way.outcome.passed.push(Passed::Nft(map.clone(), format!("{{ {element} : {verdict} }}")));
                return match verdict {
                    Verdict::Goto(to) => Next::Goto(to.clone()),
                    Verdict::Drop => Next::End(Fate::Dropped),
                };
            }
            if !std::mem::replace(&mut is_noted, true) {
                let text = rule.text(family == Family::V6);
                way.outcome.passed.push(Passed::Nft(chain.clone(), text));
            }
            let next = flow_statement(way, part, chain);
            if !matches!(next, Next::Continue) {
                return next;
            }
        }
        Next::Continue
    }
}

fn flow_statement(way: &mut Way, part: &Part, chain: &Arc<str>) -> Next {
    match part {
        Part::MarkOr(bits) => way.mark |= bits,
        Part::MarkXor(bits) => way.mark ^= bits,
        Part::Choose(chains) => return Next::OneOf(chains.clone()),
        Part::Jump(to) => return Next::Jump(to.clone()),
        Part::Goto(to) => return Next::Goto(to.clone()),
        Part::Return => return Next::Return,
        Part::Drop => return Next::End(Fate::Dropped),
        Part::Reject => return Next::End(Fate::Rejected(RejectWith::PortUnreachable)),
        Part::Dnat(to) => {
            (way.probe.dst, way.probe.dport) = (to.ip(), to.port());
            way.outcome.translated_in = Some(chain.clone());
            return Next::Done;
        }
        Part::Masquerade => {
            way.outcome.masqueraded_in = Some(chain.clone());
            return Next::Done;
        }
        Part::Remember(_)
        | Part::New
        | Part::Address(..)
        | Part::Local(_)
        | Part::Interface { .. }
        | Part::Protocol(_)
        | Part::Port(..)
        | Part::Unmarked(_)
        | Part::Vmap(..) => {}
    }
    Next::Continue
}
