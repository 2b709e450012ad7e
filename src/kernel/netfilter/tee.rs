//! `TEE`: a copy of a packet goes to another host (`xt_TEE.c`, `nf_dup_ipv4.c`).

use super::{CtInfo, HookState, Nf};
use crate::base::Duration;
use crate::kernel::{Ctx, Netns, Skb};
use crate::trace::Hook;
use crate::wire::Payload;
use crate::xtables::Tee;

impl Netns {
    /// Sends a copy by the way to the gateway. Copies are not copied again.
    pub(super) fn nf_tee(&mut self, ctx: &mut Ctx<'_>, tee: &Tee, state: HookState, skb: &Skb) {
        if self.netfilter.is_duplicating {
            return;
        }
        let oif = match &tee.oif {
            None => None,
            // By a device that is not there nothing can be sent.
            Some(name) => match self.link_named(name) {
                Some(link) => Some(link.ifindex),
                None => return,
            },
        };
        let Ok(flow) = self.ip_route_output(ctx.now, tee.gateway, None, oif) else { return };
        let mut copy = ctx.copy(skb);
        copy.nf = Nf { mark: skb.nf.mark, sender: skb.nf.sender, info: CtInfo::Untracked, ..Nf::default() };
        if let Payload::Ipv4(packet) = &mut copy.frame_mut().payload {
            // Nobody is told that a copy is too large, and copies that go in a circle come to an end.
            packet.dont_fragment = true;
            if matches!(state.hook, Hook::Prerouting | Hook::Input) {
                packet.ttl = packet.ttl.wrapping_sub(1);
            }
        }
        self.netfilter.is_duplicating = true;
        // It is on its way before the packet itself goes on.
        self.ip_local_out(ctx, &flow, Duration::ZERO, copy);
        self.netfilter.is_duplicating = false;
    }
}
