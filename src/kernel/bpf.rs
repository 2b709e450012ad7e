//! eBPF programs at traffic control (`cls_bpf`), as far as Cilium's data path needs them (cilium/cilium, `bpf/`): an
//! endpoint's packets are handed on by two maps, without routing, bridge or netfilter. The programs are at the ingress
//! of a Pod's interface (`cil_from_container`), of the tunnel device (`cil_from_overlay`) and at the egress of
//! `cilium_host` (`cil_from_host`).
//!
//! *Simplified*: no service translation; a packet whose TTL is used up is dropped
//! without an answer; what is for this node itself or for the outside goes up the stack.

mod policy;

use super::{Ctx, Link, Netns, Skb, Urgency, Work};
use crate::base::{ChangeId, EventId, IfIndex, Ipv4Addr, Ipv4Net};
use crate::trace::{BpfMap, BpfRow, Disposition, DropReason, EventKind, Relation, Table, TableChange};
use crate::wire::{Arp, ArpOp, Frame, Payload};
use std::sync::Arc;

/// A program attached to a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BpfProgram {
    /// At the ingress of a Pod's interface: the Pod's address and its identity.
    FromContainer(Ipv4Addr, u32),
    /// At the ingress of the tunnel device.
    FromOverlay,
    /// At the ingress of a network card: what is for an endpoint goes there, all else up the stack.
    FromNetdev,
    /// At the egress of `cilium_host`, with the identity of the host.
    FromHost(u32),
}

/// How an endpoint gets a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handover {
    /// At the other end of its veth pair, inside the Pod (`bpf_redirect_peer`).
    Peer,
    /// By its interface at the node (`bpf_redirect`).
    Link,
}

/// The maps of a namespace.
#[derive(Clone, Debug, Default)]
pub(super) struct BpfMaps {
    entries: Vec<(BpfRow, ChangeId)>,
    policies: policy::Policies,
}

impl BpfMaps {
    fn lookup(&self, map: BpfMap, addr: Ipv4Addr) -> Option<(BpfRow, ChangeId)> {
        let fits = |(row, _): &&(BpfRow, ChangeId)| row.map == map && row.key.contains(&addr);
        self.entries.iter().filter(fits).max_by_key(|(row, _)| row.key.prefix_len()).copied()
    }
}

impl Netns {
    /// The entries of the eBPF maps.
    pub fn bpf_rows(&self) -> impl Iterator<Item = &BpfRow> {
        self.bpf.entries.iter().map(|(row, _)| row)
    }

    /// Attaches a program to a link.
    pub fn attach_bpf(&mut self, ifindex: IfIndex, program: BpfProgram) {
        if let Some(link) = self.link_mut(ifindex) {
            link.bpf = Some(program);
        }
    }

    /// Writes an entry of a map.
    pub fn bpf_update(&mut self, ctx: &mut Ctx<'_>, row: BpfRow) {
        let old = self.bpf.entries.iter().position(|(old, _)| (old.map, old.key) == (row.map, row.key));
        if old.is_some_and(|at| self.bpf.entries[at].0 == row) {
            return;
        }
        let change = ctx.change(self.id, row.ifindex, EventId::NONE, TableChange::Bpf(row));
        match old {
            Some(at) => self.bpf.entries[at] = (row, change),
            None => self.bpf.entries.push((row, change)),
        }
    }

    /// Removes an entry of a map.
    pub fn bpf_delete(&mut self, ctx: &mut Ctx<'_>, map: BpfMap, key: Ipv4Net) {
        let Some(at) = self.bpf.entries.iter().position(|(row, _)| (row.map, row.key) == (map, key)) else {
            return;
        };
        let (row, _) = self.bpf.entries.remove(at);
        ctx.change(self.id, row.ifindex, EventId::NONE, TableChange::BpfGone(row));
    }

    /// A frame came in at a link with a program. What the program leaves to the stack is given back.
    pub(super) fn bpf_ingress(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, skb: Skb) -> Option<Skb> {
        let Some(program) = self.link(ifindex).and_then(|link| link.bpf) else { return Some(skb) };
        let identity = match (program, &skb.frame.payload) {
            (BpfProgram::FromContainer(own, _), Payload::Arp(arp)) => {
                let arp = *arp;
                return self.bpf_arp(ctx, ifindex, own, &arp, skb);
            }
            (BpfProgram::FromContainer(_, identity), Payload::Ipv4(_)) => {
                let skb = self.bpf_police(ctx, (ifindex, ifindex), (true, None), skb)?;
                return self.bpf_ipv4(ctx, ifindex, Some(identity), Handover::Peer, skb);
            }
            (BpfProgram::FromOverlay, Payload::Ipv4(_)) => None,
            (BpfProgram::FromNetdev, Payload::Ipv4(packet)) => {
                let Some((row, _)) = self.bpf.lookup(BpfMap::Endpoints, packet.dst) else { return Some(skb) };
                let dst = row.key.addr();
                let mut skb = skb;
                self.bpf_lookup(ctx, ifindex, (BpfMap::Endpoints, dst), &mut skb);
                self.bpf_deliver(ctx, ifindex, (&row, None), Handover::Peer, skb);
                return None;
            }
            _ => return Some(skb),
        };
        self.bpf_ipv4(ctx, ifindex, identity, Handover::Peer, skb)
    }

    /// A frame is to leave by a link with a program. What the program does not take is given back.
    pub(super) fn bpf_egress(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, skb: Skb) -> Option<Skb> {
        let Some(BpfProgram::FromHost(identity)) = self.link(ifindex).and_then(|link| link.bpf) else {
            return Some(skb);
        };
        // From this side the peer cannot be entered directly: the frame goes out by the endpoint's own interface.
        self.bpf_ipv4(ctx, ifindex, Some(identity), Handover::Link, skb)
    }

    /// An endpoint here, an endpoint behind a tunnel, or neither. Without an identity, as out of a tunnel, the packet
    /// goes into no other tunnel.
    fn bpf_ipv4(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        identity: Option<u32>,
        handover: Handover,
        mut skb: Skb,
    ) -> Option<Skb> {
        let Some(dst) = skb.frame.ipv4().map(|packet| packet.dst) else { return Some(skb) };
        if let Some(endpoint) = self.bpf_lookup(ctx, ifindex, (BpfMap::Endpoints, dst), &mut skb) {
            self.bpf_deliver(ctx, ifindex, (&endpoint, identity), handover, skb);
            return None;
        }
        let remote = self.bpf_lookup(ctx, ifindex, (BpfMap::Ipcache, dst), &mut skb);
        let Some(identity) = identity else { return self.bpf_to_host(ctx, ifindex, skb) };
        let Some(tunnel) = remote.and_then(|row| row.tunnel) else { return Some(skb) };
        let collects = |link: &&Link| link.bpf == Some(BpfProgram::FromOverlay);
        let Some(device) = self.links().find(collects).map(|link| link.ifindex) else { return Some(skb) };
        ctx.note((self.id, device), &mut skb, EventKind::Transmitted);
        self.vxlan_xmit_one(ctx, device, (tunnel, identity), skb);
        None
    }

    fn bpf_lookup(
        &self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        (map, addr): (BpfMap, Ipv4Addr),
        skb: &mut Skb,
    ) -> Option<BpfRow> {
        let (row, change) = self.bpf.lookup(map, addr)?;
        ctx.note((self.id, ifindex), skb, EventKind::Decided(Table::Bpf, change));
        Some(row)
    }

    /// Hands a packet to an endpoint of this node (`ipv4_local_delivery`), if the endpoint's policy admits it: one hop,
    /// whatever way it takes. The sender's identity is looked up where the packet does not bring it.
    fn bpf_deliver(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        (endpoint, identity): (&BpfRow, Option<u32>),
        handover: Handover,
        skb: Skb,
    ) {
        let at = (self.id, ifindex);
        let policed = self.bpf_police(ctx, (ifindex, endpoint.ifindex), (false, identity), skb);
        let Some(mut skb) = policed else { return };
        let Some((src, peer)) = self.link(endpoint.ifindex).map(|link| (link.mac, link.peer())) else {
            return ctx.drop(at, skb, DropReason::DevReady);
        };
        if skb.frame.ipv4().is_none_or(|packet| packet.ttl <= 1) {
            return ctx.drop(at, skb, DropReason::TtlExceeded);
        }
        let frame = skb.frame_mut();
        (frame.src, frame.dst) = (src, endpoint.mac.unwrap_or(frame.dst));
        if let Payload::Ipv4(packet) = &mut frame.payload {
            packet.ttl -= 1;
        }
        match (handover, peer) {
            (Handover::Peer, Some(peer)) => {
                ctx.effects.wire.push((ctx.delays.veth, peer.netns, peer.ifindex, skb));
            }
            (Handover::Peer | Handover::Link, _) => {
                ctx.later(ctx.delays.veth, Urgency::Now, Work::Transmit(endpoint.ifindex, skb));
            }
        }
    }

    /// What comes out of a tunnel for no endpoint is for this node: it comes in once more at `cilium_host`.
    fn bpf_to_host(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, mut skb: Skb) -> Option<Skb> {
        let is_host = |link: &&Link| matches!(link.bpf, Some(BpfProgram::FromHost(_)));
        let Some((host, mac)) = self.links().find(is_host).map(|link| (link.ifindex, link.mac)) else {
            return Some(skb);
        };
        if skb.frame.ipv4().is_none_or(|packet| packet.ttl <= 1) {
            ctx.drop((self.id, ifindex), skb, DropReason::TtlExceeded);
            return None;
        }
        let frame = skb.frame_mut();
        frame.dst = mac;
        if let Payload::Ipv4(packet) = &mut frame.payload {
            packet.ttl -= 1;
        }
        ctx.later(ctx.delays.veth, Urgency::Now, Work::Receive(host, skb));
        None
    }

    /// Answers every ARP request of a Pod but one for its own address (`tail_handle_arp`).
    fn bpf_arp(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        own: Ipv4Addr,
        request: &Arp,
        skb: Skb,
    ) -> Option<Skb> {
        let mac = self.link(ifindex)?.mac;
        if request.op != ArpOp::Request || request.target_ip == own {
            return Some(skb);
        }
        let reply = Arp {
            op: ArpOp::Reply,
            sender_mac: mac,
            sender_ip: request.target_ip,
            target_mac: request.sender_mac,
            target_ip: request.sender_ip,
        };
        let frame = Frame { dst: request.sender_mac, src: mac, payload: Payload::Arp(reply) };
        let mut reply = ctx.child(&skb, Relation::Reply, Arc::new(frame));
        ctx.note((self.id, ifindex), &mut reply, EventKind::Originated);
        ctx.later(ctx.delays.veth, Urgency::Now, Work::Transmit(ifindex, reply));
        ctx.end((self.id, ifindex), skb, Disposition::Consumed);
        None
    }
}
