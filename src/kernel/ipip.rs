//! Tunnels of IPv4 in IPv4 (RFC 2003; `net/ipv4/ipip.c`, `tunnel4.c`).

use super::icmp::IcmpError;
use super::ip_tunnel::{Outgoing, bare};
use super::{Ctx, Kind, Link, Netns, Skb};
use crate::base::IfIndex;
use crate::trace::{DropReason, PacketType};
use crate::wire::{Body, Ipv4};
use std::sync::Arc;

impl Netns {
    /// `ipip_tunnel_xmit`.
    pub(super) fn ipip_tunnel_xmit(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, skb: Skb) {
        let Some(row) = self.link(ifindex).and_then(Link::tunnel).map(|tunnel| tunnel.row) else { return };
        let Some(inner) = skb.frame.ipv4().cloned() else {
            return ctx.drop((self.id, ifindex), skb, DropReason::UnhandledProto);
        };
        let body = Body::Ipip(Arc::new(inner));
        self.ip_tunnel_xmit(ctx, ifindex, Outgoing { skb, row, body, header_len: 0 });
    }

    /// A packet of protocol 4 arrived (`tunnel4_rcv`, `ipip_rcv`). Without any such device the protocol is not known
    /// here, for the kernel loads it with the first.
    pub(super) fn ipip_rcv(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        kind: PacketType,
        (outer, inner): (&Ipv4, &Ipv4),
        skb: Skb,
    ) {
        let is_ipip = |kind: &Kind| matches!(kind, Kind::Ipip(_));
        if !self.links().any(|link| is_ipip(&link.kind)) {
            return self.unclaimed(ctx, ifindex, kind, IcmpError::PROTOCOL_UNREACHABLE, skb);
        }
        let Some(tunnel) = self.ip_tunnel_lookup(is_ipip, None, outer, ifindex) else {
            self.icmp_send(ctx, ifindex, &skb, IcmpError::PORT_UNREACHABLE);
            return ctx.drop((self.id, ifindex), skb, DropReason::NoTunnel);
        };
        self.ip_tunnel_rcv(ctx, tunnel, outer.tos, bare(inner), skb);
    }
}
