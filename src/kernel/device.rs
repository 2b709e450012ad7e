//! Frames coming in and going out of a device (`net/core/dev.c`), and the wires between namespaces
//! (`drivers/net/veth.c`).

use super::stacked::Claimed;
use super::{Ctx, Kind, Link, Netns, Peer, Skb, Urgency, Work};
use crate::base::{Duration, IfIndex, MacAddr};
use crate::trace::{DropReason, EventKind, Mirror, PacketType};
use crate::wire::{Frame, Payload};

/// How many devices may hand a frame on to each other before the kernel calls it a dead loop (`XMIT_RECURSION_LIMIT`).
const XMIT_RECURSION_LIMIT: u8 = 8;

impl Netns {
    /// Takes in a frame (`__netif_receive_skb_core`).
    pub(super) fn netif_receive(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, mut skb: Skb) {
        let at = (self.id, ifindex);
        let Some(link) = self.link(ifindex).filter(|link| link.up) else {
            return ctx.drop(at, skb, DropReason::DevReady);
        };
        if link.away.is_some() {
            // It was sent by the device for which this is a stub.
            skb.nesting = 0;
            return self.stacked_xmit(ctx, ifindex, skb);
        }
        if is_oversize(link, &skb.frame) {
            return ctx.drop(at, skb, DropReason::OversizeReceive);
        }
        skb.nesting = 0;
        let kind = packet_type(link, &skb.frame);
        let port = link.port;
        let ingress = link.extra.mirrors.ingress;
        ctx.note(at, &mut skb, EventKind::Received(kind));
        let Some(skb) = self.tcf_mirred(ctx, ingress, skb) else { return };
        let Some(skb) = self.hand_to_riders(ctx, ifindex, skb) else { return };
        match port {
            Some(port) => self.br_handle_frame(ctx, ifindex, port, skb),
            None => {
                if let Some(skb) = self.bpf_ingress(ctx, ifindex, skb) {
                    self.deliver_up(ctx, ifindex, kind, skb);
                }
            }
        }
    }

    /// Gives a frame to the devices that stand on the one it came in at; what comes back is the device's own.
    fn hand_to_riders(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, mut skb: Skb) -> Option<Skb> {
        if !self.has_riders(ifindex) {
            return Some(skb);
        }
        match self.rx_handler(ifindex, &mut skb) {
            Claimed::By(rider) => {
                self.receive_rider(ctx, rider, skb);
                None
            }
            Claimed::After(riders) => {
                for rider in riders {
                    let copy = ctx.copy(&skb);
                    // Broadcasts wait for a worker (`macvlan_broadcast_enqueue`): the device itself comes first.
                    if skb.frame.dst == MacAddr::BROADCAST {
                        self.receive_rider_later(ctx, rider, copy);
                    } else {
                        self.receive_rider(ctx, rider, copy);
                    }
                }
                Some(skb)
            }
        }
    }

    fn deliver_up(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, kind: PacketType, skb: Skb) {
        match skb.frame.payload {
            Payload::Arp(arp) => self.arp_rcv(ctx, ifindex, kind, arp, skb),
            Payload::Ipv4(_) => self.ip_rcv(ctx, ifindex, kind, skb),
            // No device here is for that VLAN: the frame counts as somebody else's.
            Payload::Vlan(_) => ctx.drop((self.id, ifindex), skb, DropReason::OtherHost),
            Payload::Bpdu(_) | Payload::Other { .. } => {
                ctx.drop((self.id, ifindex), skb, DropReason::UnhandledProto);
            }
        }
    }

    /// A frame that a bridge hands up to its own device (`br_pass_frame_up`).
    pub(super) fn br_pass_frame_up(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex, mut skb: Skb) {
        let at = (self.id, bridge);
        let Some(link) = self.link(bridge).filter(|link| link.up) else {
            return ctx.drop(at, skb, DropReason::DevReady);
        };
        let kind = packet_type(link, &skb.frame);
        ctx.note(at, &mut skb, EventKind::Received(kind));
        let Some(skb) = self.hand_to_riders(ctx, bridge, skb) else { return };
        self.deliver_up(ctx, bridge, kind, skb);
    }

    /// Hands a frame to a device's queueing discipline, or to the device itself where it has none (`dev_queue_xmit`).
    pub(super) fn dev_queue_xmit(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, skb: Skb) {
        let at = (self.id, ifindex);
        let Some(link) = self.link(ifindex).filter(|link| link.up) else {
            return ctx.drop(at, skb, DropReason::DevReady);
        };
        if !link.carrier {
            let reason = if link.extra.cut { DropReason::CableCut } else { DropReason::NoCarrier };
            return ctx.drop(at, skb, reason);
        }
        let (has_qdisc, egress) = (link.qdisc.is_some(), link.extra.mirrors.egress);
        let Some(skb) = self.bpf_egress(ctx, ifindex, skb) else { return };
        let Some(skb) = self.tcf_mirred(ctx, egress, skb) else { return };
        if has_qdisc {
            self.netem_enqueue(ctx, ifindex, skb, true);
        } else {
            self.dev_hard_start_xmit(ctx, ifindex, skb);
        }
    }

    /// Hands a frame to a device (`dev_hard_start_xmit`).
    pub(super) fn dev_hard_start_xmit(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, mut skb: Skb) {
        let at = (self.id, ifindex);
        let Some(link) = self.link(ifindex) else { return ctx.drop(at, skb, DropReason::DevReady) };
        if !link.carrier {
            let reason = if link.extra.cut { DropReason::CableCut } else { DropReason::NoCarrier };
            return ctx.drop(at, skb, reason);
        }
        let is_cable = matches!(link.kind, Kind::Physical(_));
        let next = match &link.kind {
            Kind::Loopback => Next::Loop,
            Kind::Veth(peer, _) => Next::Wire(*peer, ctx.delays.veth),
            Kind::Physical(peer) => Next::Wire(*peer, ctx.delays.link),
            Kind::Bridge(_) => Next::Bridge,
            Kind::Vxlan(_) => Next::Vxlan,
            Kind::Dummy => Next::Swallow,
            Kind::Vlan(_) | Kind::Macvlan { .. } | Kind::Ipvlan { .. } => Next::Stacked,
            Kind::Ipip(_) => Next::Ipip,
            Kind::Gre(_) | Kind::Gretap(_) => Next::Gre,
        };
        if skb.nesting > XMIT_RECURSION_LIMIT {
            return ctx.drop(at, skb, DropReason::Recursion);
        }
        ctx.note(at, &mut skb, EventKind::Transmitted);
        match next {
            Next::Loop => ctx.later(ctx.delays.veth, Urgency::Now, Work::Receive(ifindex, skb)),
            Next::Wire(peer, delay) => {
                skb.confirms &= !is_cable;
                skb.nf = skb.nf.scrubbed(true);
                (skb.sec, skb.dst) = (None, super::Dst::default());
                ctx.effects.wire.push((delay, peer.netns, peer.ifindex, skb));
            }
            Next::Bridge => self.br_dev_xmit(ctx, ifindex, skb),
            Next::Vxlan => self.vxlan_xmit(ctx, ifindex, skb),
            // `dummy_xmit` frees what it gets.
            Next::Swallow => ctx.drop(at, skb, DropReason::DummyDevice),
            Next::Stacked => self.stacked_xmit(ctx, ifindex, skb),
            Next::Ipip => self.ipip_tunnel_xmit(ctx, ifindex, skb),
            Next::Gre => self.gre_tunnel_xmit(ctx, ifindex, skb),
        }
    }
}

impl Netns {
    /// Sends a copy of a packet, or the packet itself, out of another device (`tcf_mirred_act`).
    fn tcf_mirred(&mut self, ctx: &mut Ctx<'_>, mirror: Option<Mirror>, skb: Skb) -> Option<Skb> {
        let Some(mirror) = mirror else { return Some(skb) };
        let (mut sent, kept) = if mirror.takes { (skb, None) } else { (ctx.copy(&skb), Some(skb)) };
        sent.nesting += 1;
        self.dev_queue_xmit(ctx, mirror.to, sent);
        kept
    }
}

enum Next {
    Loop,
    Wire(Peer, Duration),
    Bridge,
    Vxlan,
    Swallow,
    Stacked,
    Ipip,
    Gre,
}

/// A veth drops on receiving what exceeds its own MTU (`__dev_forward_skb`).
fn is_oversize(link: &Link, frame: &Frame) -> bool {
    matches!(link.kind, Kind::Veth(..)) && !is_skb_forwardable(link, frame)
}

/// Whether a device's MTU has room for a frame, with a VLAN tag to spare (`is_skb_forwardable`).
pub(super) fn is_skb_forwardable(link: &Link, frame: &Frame) -> bool {
    const VLAN_LEN: usize = 4;
    frame.wire_len() <= link.mtu as usize + Frame::HEADER_LEN + VLAN_LEN
}

/// `eth_type_trans`.
fn packet_type(link: &Link, frame: &Frame) -> PacketType {
    if link.is_raw_ip() {
        PacketType::Host
    } else if frame.dst.is_broadcast() {
        PacketType::Broadcast
    } else if frame.dst.is_multicast() {
        PacketType::Multicast
    } else if frame.dst == link.mac {
        PacketType::Host
    } else {
        PacketType::OtherHost
    }
}
