//! The walk of a packet through the chains of a table (`nft_do_chain`).

use super::mangle::set_header_fields;
use super::matches::{Place, Seen, is_stateful};
use super::{HookState, Verdict};
use crate::base::{IfIndex, SimTime};
use crate::kernel::{Ctx, Netns, Skb};
use crate::trace::{EventKind, Table as Decider};
use crate::xtables::{ConnmarkOp, Policy, RejectWith, SideTarget, Table, Target};

/// How deep chains may call one another (`NFT_JUMP_STACK_SIZE`).
pub(super) const JUMP_STACK_SIZE: usize = 16;

/// What a rule that fitted has the walk do.
enum Next {
    /// The rule after it.
    Continue,
    /// Another chain, and whether to come back.
    Jump(usize, bool),
    /// Back to where this chain was called.
    Return,
    /// The end.
    End(Verdict),
}

impl Netns {
    /// Passes a packet through the built-in chain of a table at a hook.
    pub(super) fn nf_chain(
        &mut self,
        ctx: &mut Ctx<'_>,
        at: IfIndex,
        table: Table,
        state: HookState,
        skb: &mut Skb,
    ) -> Verdict {
        let Some(chains) = self.netfilter.tables.get(table) else { return Verdict::Accept };
        let Some(base) = chains.base(state.hook) else { return Verdict::Accept };
        let Some(seen) = Seen::of(skb) else { return Verdict::Accept };
        let mut stack = [(0, 0); JUMP_STACK_SIZE];
        let (mut depth, mut chain, mut number) = (0, base, 0);
        loop {
            let Some(place) = self.nf_find((table, chain, number), (&seen, state), (skb, ctx.now)) else {
                // The end of the chain: back to the caller, or the policy of the built-in chain.
                if depth == 0 {
                    return self.nf_policy(ctx, at, table, base, skb);
                }
                depth -= 1;
                (chain, number) = stack[depth];
                continue;
            };
            number = place.2 + 1;
            match self.nf_rule(ctx, at, place, (&seen, state), skb) {
                Next::Continue => {}
                Next::Jump(to, comes_back) => {
                    if comes_back {
                        if depth == JUMP_STACK_SIZE {
                            return Verdict::Drop;
                        }
                        stack[depth] = (chain, number);
                        depth += 1;
                    }
                    (chain, number) = (to, 0);
                }
                Next::Return if depth == 0 => return self.nf_policy(ctx, at, table, base, skb),
                Next::Return => {
                    depth -= 1;
                    (chain, number) = stack[depth];
                }
                Next::End(verdict) => return verdict,
            }
        }
    }

    fn nf_policy(
        &mut self,
        ctx: &mut Ctx<'_>,
        at: IfIndex,
        table: Table,
        base: usize,
        skb: &mut Skb,
    ) -> Verdict {
        let Some(chain) = self.netfilter.tables.get(table).and_then(|chains| chains.chain(base)) else {
            return Verdict::Accept;
        };
        let drops = chain.policy == Some(Policy::Drop);
        if drops || chain.counts {
            let change = chain.change;
            ctx.note((self.id, at), skb, EventKind::Decided(Decider::Netfilter, change));
        }
        if drops { Verdict::Drop } else { Verdict::Accept }
    }

    /// The first rule from `place` on that fits as far as that can be said without changing anything; `None` where the
    /// chain ends before.
    fn nf_find(&self, place: Place, seen: (&Seen, HookState), asked: (&Skb, SimTime)) -> Option<Place> {
        let (table, chain, from) = place;
        let rules = self.netfilter.tables.get(table)?.chain(chain)?.rules.get(from..)?;
        let fits = rules.iter().position(|entry| self.nf_fits(&entry.rule, seen, asked))?;
        Some((table, chain, from + fits))
    }

    /// Does what a rule that fits says, unless a match that changes something says no.
    fn nf_rule(
        &mut self,
        ctx: &mut Ctx<'_>,
        at: IfIndex,
        place: Place,
        (seen, state): (&Seen, HookState),
        skb: &mut Skb,
    ) -> Next {
        let chain = self.netfilter.tables.get(place.0).and_then(|chains| chains.chain(place.1));
        let Some(entry) = chain.and_then(|chain| chain.rules.get(place.2)) else { return Next::Continue };
        let (rule, change, jump) = (entry.rule.clone(), entry.change, entry.jump);
        if rule.matches.iter().any(is_stateful) {
            match self.nf_fits_now(ctx.now, place, &rule, (seen, state, skb)) {
                Some(true) => {}
                Some(false) => return Next::Continue,
                None => return Next::End(Verdict::Drop),
            }
        }
        ctx.note((self.id, at), skb, EventKind::Decided(Decider::Netfilter, change));
        self.nf_target(ctx, at, (&rule.target, jump), state, skb)
    }

    fn nf_target(
        &mut self,
        ctx: &mut Ctx<'_>,
        at: IfIndex,
        (target, jump): (&Target, Option<usize>),
        state: HookState,
        skb: &mut Skb,
    ) -> Next {
        match target {
            // What is logged is the event itself.
            Target::None | Target::Log(_) => Next::Continue,
            Target::Accept => Next::End(Verdict::Accept),
            Target::Drop => Next::End(Verdict::Drop),
            Target::Return => Next::Return,
            Target::Jump(_) => jump.map_or(Next::Continue, |to| Next::Jump(to, true)),
            Target::Goto(_) => jump.map_or(Next::Continue, |to| Next::Jump(to, false)),
            Target::Reject(with) => {
                if *with == RejectWith::TcpReset {
                    self.nf_send_reset(ctx, at, state.hook, skb);
                } else {
                    self.nf_send_unreach(ctx, at, *with, skb);
                }
                Next::End(Verdict::Drop)
            }
            Target::Mark(value, mask) => {
                skb.nf.mark = (skb.nf.mark & !mask) ^ value;
                Next::Continue
            }
            Target::Connmark(op) => {
                self.nf_connmark(ctx, *op, skb);
                Next::Continue
            }
            Target::Notrack(_) => {
                // Whoever was looked up already keeps what was found (`notrack_tg`).
                if skb.nf.ct.is_none() {
                    skb.nf.info = super::CtInfo::Untracked;
                }
                Next::Continue
            }
            Target::Tcpmss(op) => {
                self.nf_tcpmss(ctx, *op, state, skb);
                Next::Continue
            }
            Target::Ttl(op) => {
                set_header_fields(skb, |ttl, tos| (op.apply(ttl), tos));
                Next::Continue
            }
            Target::Tos(value, mask) => {
                set_header_fields(skb, |ttl, tos| (ttl, (tos & !mask) ^ value));
                Next::Continue
            }
            // The two bits of explicit congestion notification stay (`INET_ECN_MASK`).
            Target::Dscp(value) => {
                set_header_fields(skb, |ttl, tos| (ttl, (tos & 3) | (value << 2)));
                Next::Continue
            }
            Target::Side(side) => {
                if let SideTarget::Tee(tee) = &**side {
                    self.nf_tee(ctx, tee, state, skb);
                }
                Next::Continue
            }
            Target::Dnat(..)
            | Target::Snat(..)
            | Target::Masquerade(..)
            | Target::Redirect(..)
            | Target::Netmap(_) => Next::End(self.nf_nat_target(ctx, target, state, skb)),
        }
    }

    fn nf_connmark(&mut self, ctx: &mut Ctx<'_>, op: ConnmarkOp, skb: &mut Skb) {
        let Some(id) = skb.nf.ct else { return };
        let Some(old) = self.netfilter.conntrack.mark(id) else { return };
        let new = match op {
            ConnmarkOp::Set(value, mask) => (old & !mask) ^ value,
            ConnmarkOp::Save(packet, conn) => (old & !conn) ^ (skb.nf.mark & packet),
            ConnmarkOp::Restore(packet, conn) => {
                skb.nf.mark = (skb.nf.mark & !packet) ^ (old & conn);
                return;
            }
        };
        if new != old {
            self.set_conntrack_mark(ctx, id, new, skb.cause);
        }
    }
}
