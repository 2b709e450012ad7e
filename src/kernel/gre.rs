//! GRE tunnels, of bare packets and of Ethernet (RFC 2784, RFC 2890; `net/ipv4/ip_gre.c`, `gre_demux.c`).

use super::icmp::IcmpError;
use super::ip_tunnel::{Outgoing, bare, gre_header_len};
use super::{Ctx, Kind, Link, Netns, Skb};
use crate::base::IfIndex;
use crate::trace::{DropReason, PacketType};
use crate::wire::{Body, Frame, Gre, GrePayload, Ipv4};
use std::sync::Arc;

impl Netns {
    /// `ipgre_xmit`, and `gre_tap_xmit` for a device that carries Ethernet.
    pub(super) fn gre_tunnel_xmit(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, skb: Skb) {
        let at = (self.id, ifindex);
        let frame = skb.frame.clone();
        let Some(link) = self.link_mut(ifindex) else { return };
        let tap = matches!(link.kind, Kind::Gretap(_));
        let Some(tunnel) = link.tunnel_mut() else { return };
        let row = tunnel.row;
        let payload = match frame.ipv4() {
            _ if tap => GrePayload::Ethernet(frame),
            Some(packet) => GrePayload::Ipv4(Arc::new(packet.clone())),
            None => return ctx.drop(at, skb, DropReason::UnhandledProto),
        };
        let sequence = row.oseq.then_some(tunnel.o_seqno);
        tunnel.o_seqno = tunnel.o_seqno.wrapping_add(u32::from(row.oseq));
        let body = Body::Gre(Gre { checksum: row.ocsum, key: row.okey, sequence, payload });
        let header_len = gre_header_len(&row) + if tap { Frame::HEADER_LEN } else { 0 };
        self.ip_tunnel_xmit(ctx, ifindex, Outgoing { skb, row, body, header_len });
    }

    /// A packet of protocol 47 arrived (`gre_rcv`). Without any such device the protocol is not known here, for the
    /// kernel loads it with the first.
    pub(super) fn gre_rcv(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        kind: PacketType,
        (outer, gre): (&Ipv4, &Gre),
        skb: Skb,
    ) {
        let is_gre = |kind: &Kind| matches!(kind, Kind::Gre(_) | Kind::Gretap(_));
        if !self.links().any(|link| is_gre(&link.kind)) {
            return self.unclaimed(ctx, ifindex, kind, IcmpError::PROTOCOL_UNREACHABLE, skb);
        }
        let tap = matches!(gre.payload, GrePayload::Ethernet(_));
        let is_right = |kind: &Kind| {
            if tap { matches!(kind, Kind::Gretap(_)) } else { matches!(kind, Kind::Gre(_)) }
        };
        let found = self.ip_tunnel_lookup(is_right, gre.key, outer, ifindex);
        let Some(tunnel) = found else {
            self.icmp_send(ctx, ifindex, &skb, IcmpError::PORT_UNREACHABLE);
            return ctx.drop((self.id, ifindex), skb, DropReason::NoTunnel);
        };
        if let Err(reason) = self.gre_check(tunnel, gre) {
            return ctx.drop((self.id, tunnel), skb, reason);
        }
        let inner = match &gre.payload {
            GrePayload::Ipv4(packet) => bare(packet),
            GrePayload::Ethernet(frame) => (**frame).clone(),
            GrePayload::Other { .. } => {
                return ctx.drop((self.id, tunnel), skb, DropReason::UnhandledProto);
            }
        };
        self.ip_tunnel_rcv(ctx, tunnel, outer.tos, inner, skb);
    }

    /// Checksum and sequence number are as the tunnel wants them (`ip_tunnel_rcv`).
    fn gre_check(&mut self, tunnel: IfIndex, gre: &Gre) -> Result<(), DropReason> {
        let Some(tunnel) = self.link_mut(tunnel).and_then(Link::tunnel_mut) else { return Ok(()) };
        if gre.checksum != tunnel.row.icsum {
            return Err(DropReason::GreChecksum);
        }
        if !tunnel.row.iseq {
            return Ok(());
        }
        let late = |seq: u32| tunnel.i_seqno != 0 && (seq.wrapping_sub(tunnel.i_seqno) as i32) < 0;
        let seq = gre.sequence.filter(|seq| !late(*seq)).ok_or(DropReason::GreSequence)?;
        tunnel.i_seqno = seq.wrapping_add(1);
        Ok(())
    }
}
