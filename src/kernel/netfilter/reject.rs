//! What `REJECT` sends (`nf_reject_ipv4.c`).

use crate::base::IfIndex;
use crate::kernel::icmp::IcmpError;
use crate::kernel::{Ctx, Netns, Skb, Urgency, Work};
use crate::trace::{EventKind, Hook, Relation};
use crate::wire::{Body, Frame, Ipv4, Payload, Tcp, TcpFlags};
use crate::xtables::RejectWith;
use std::sync::Arc;

impl Netns {
    /// An ICMP error (`nf_send_unreach`).
    pub(super) fn nf_send_unreach(&mut self, ctx: &mut Ctx<'_>, at: IfIndex, with: RejectWith, skb: &Skb) {
        if let Some(code) = with.code() {
            self.icmp_send(ctx, at, skb, IcmpError::unreachable(code));
        }
    }

    /// A TCP segment with RST, from the address that was meant (`nf_send_reset`).
    pub(super) fn nf_send_reset(&mut self, ctx: &mut Ctx<'_>, at: IfIndex, hook: Hook, skb: &Skb) {
        let Some(packet) = skb.frame.ipv4() else { return };
        let Body::Tcp(segment) = &*packet.body else { return };
        let to_many = packet.dst.is_broadcast() || packet.dst.is_multicast();
        if segment.flags.contains(TcpFlags::RST) || packet.fragment_offset != 0 || to_many {
            return;
        }
        let answer = Ipv4 {
            tos: 0,
            id: 0,
            dont_fragment: true,
            more_fragments: false,
            fragment_offset: 0,
            ttl: self.sysctl.ip_default_ttl,
            src: packet.dst,
            dst: packet.src,
            options: None,
            body: Arc::new(Body::Tcp(reset_for(segment))),
        };
        let (mut dst, mut src) = (crate::base::MacAddr::ZERO, crate::base::MacAddr::ZERO);
        if skb.nf.bridge.is_some() {
            (dst, src) = (skb.frame.src, skb.frame.dst);
        }
        let to = answer.dst;
        let own_source = self.has_addr(answer.src).then_some(answer.src);
        let frame = Frame { dst, src, payload: Payload::Ipv4(answer) };
        let mut reset = ctx.child(skb, Relation::Error, Arc::new(frame));
        reset.nf.attach(skb.nf);
        self.nf_ct_set_closing(ctx, skb);
        ctx.note((self.id, at), &mut reset, EventKind::Originated);
        let after = ctx.delays.input;
        if let Some(bridged) = skb.nf.bridge.filter(|_| hook != Hook::Input) {
            // Bridged traffic: straight back to the port, as if the far end had sent it.
            return ctx.later(after, Urgency::Now, Work::Transmit(bridged.iif, reset));
        }
        if let Ok(flow) = self.ip_route_output(ctx.now, to, own_source, None) {
            self.ip_local_out(ctx, &flow, after, reset);
        }
    }
}

/// The segment that resets what `segment` wanted (`nf_reject_ip_tcphdr_put`).
fn reset_for(segment: &Tcp) -> Tcp {
    let has_ack = segment.flags.contains(TcpFlags::ACK);
    let bit = |flag| u32::from(segment.flags.contains(flag));
    let len = bit(TcpFlags::SYN) + bit(TcpFlags::FIN) + segment.data.len() as u32;
    Tcp {
        src_port: segment.dst_port,
        dst_port: segment.src_port,
        seq: if has_ack { segment.ack } else { 0 },
        ack: if has_ack { 0 } else { segment.seq.wrapping_add(len) },
        flags: if has_ack { TcpFlags::RST } else { TcpFlags::RST | TcpFlags::ACK },
        window: 0,
        urgent: 0,
        options: None,
        data: Arc::from(&[][..]),
    }
}
