//! The bridge (`net/bridge/br_input.c`, `br_forward.c`, `br_fdb.c`): learning, ageing, flooding, hairpin, port
//! states; and its netfilter hook (`br_netfilter_hooks.c`). VLANs are in `bridge_vlan`, the spanning tree in `stp`. Not
//! modelled here: multicast snooping (group frames are flooded, as without a querier).

use super::device::is_skb_forwardable;
use super::fragment::Pieces;
use super::link::FdbEntry;
use super::{Ctx, Netns, Port, Skb, Urgency, Work};
use crate::base::{ChangeId, Duration, IfIndex, MacAddr};
use crate::trace::{DropReason, EventKind, PortState, Table, TableChange};
use crate::wire::{Bpdu, Payload};

/// Where the forwarding database sends a frame.
enum Egress {
    Up,
    Port(IfIndex),
    Flood,
}

/// A frame inside a bridge: where it came in, if by a port, and its VLAN.
#[derive(Clone, Copy)]
struct Inside {
    bridge: IfIndex,
    from: Option<IfIndex>,
    vid: u16,
}

impl Netns {
    /// A frame came in at a bridge port (`br_handle_frame`, `br_handle_frame_finish`).
    pub(super) fn br_handle_frame(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, port: Port, mut skb: Skb) {
        let at = (self.id, ifindex);
        if skb.frame.src.is_multicast() {
            return ctx.drop(at, skb, DropReason::UnhandledProto);
        }
        if is_link_local(skb.frame.dst) && !self.forwards_link_local(port.master, skb.frame.dst) {
            // Frames for the bridge group are taken in whatever state the port has, and go no further. Who sent them is
            // learnt nevertheless (`__br_handle_local_finish`).
            let vid = self.br_allowed_ingress(port.master, ifindex, &mut skb.clone());
            if let Some(vid) = vid.filter(|_| port.learning && may_learn(port)) {
                self.br_fdb_update(ctx, port.master, (ifindex, vid), &skb);
            }
            return self.br_stp_rcv(ctx, port.master, ifindex, skb);
        }
        if port.state == PortState::Forwarding && self.is_hooked(&skb) {
            match self.br_nf_pre_routing(ctx, ifindex, port, skb) {
                Some(passed) => skb = passed,
                None => return,
            }
        }
        self.br_handle_frame_finish(ctx, ifindex, port, skb);
    }

    /// Learns and forwards.
    fn br_handle_frame_finish(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, port: Port, mut skb: Skb) {
        let at = (self.id, ifindex);
        if !may_learn(port) {
            return ctx.drop(at, skb, DropReason::BridgePortState);
        }
        let Some(vid) = self.br_allowed_ingress(port.master, ifindex, &mut skb) else {
            return ctx.drop(at, skb, DropReason::VlanFilter);
        };
        if port.learning {
            self.br_fdb_update(ctx, port.master, (ifindex, vid), &skb);
        }
        if port.state != PortState::Forwarding {
            return ctx.drop(at, skb, DropReason::BridgePortState);
        }
        let inside = Inside { bridge: port.master, from: Some(ifindex), vid };
        let dst = skb.frame.dst;
        if dst.is_multicast() {
            // Ports come first: a translation of their way out is made before this machine takes its own copy in.
            let copy = ctx.copy(&skb);
            self.br_flood(ctx, inside, skb);
            return self.br_frame_up(ctx, inside, copy);
        }
        let egress = self.br_fdb_find(ctx, inside, dst, &mut skb);
        if matches!(egress, Egress::Up) {
            return self.br_frame_up(ctx, inside, skb);
        }
        // A bridge in promiscuous mode hands everything up as well, after the ports (`local_rcv`).
        let copy = self.is_promiscuous(port.master).then(|| ctx.copy(&skb));
        match egress {
            Egress::Up => {}
            Egress::Port(to) => self.br_forward(ctx, inside, to, skb),
            Egress::Flood => self.br_flood(ctx, inside, skb),
        }
        if let Some(copy) = copy {
            self.br_frame_up(ctx, inside, copy);
        }
    }

    /// Whether somebody wants every frame of a device (`IFF_PROMISC` of `dev->flags`).
    fn is_promiscuous(&self, ifindex: IfIndex) -> bool {
        self.link(ifindex).is_some_and(|link| link.extra.promisc > 0)
    }

    /// Frames for the bridge group are forwarded only where no spanning tree runs, to keep other bridges' loop
    /// detection working; those of the other reserved addresses never are.
    fn forwards_link_local(&self, bridge: IfIndex, dst: MacAddr) -> bool {
        dst == Bpdu::GROUP && self.bridge(bridge).is_some_and(|state| !state.row.stp)
    }

    /// Hands a frame up to the bridge's own device, if that is a member of its VLAN.
    fn br_frame_up(&mut self, ctx: &mut Ctx<'_>, inside: Inside, mut skb: Skb) {
        let Inside { bridge, vid, .. } = inside;
        if !self.is_promiscuous(bridge) && !self.br_allowed_egress(bridge, bridge, vid) {
            return ctx.drop((self.id, bridge), skb, DropReason::VlanFilter);
        }
        self.br_handle_vlan(bridge, vid, &mut skb);
        self.br_pass_frame_up(ctx, bridge, skb);
    }

    /// A frame of this machine's own leaves by the bridge device (`br_dev_xmit`).
    pub(super) fn br_dev_xmit(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex, mut skb: Skb) {
        if let Some((ifindex, port)) = self.br_nf_dev_xmit(&mut skb) {
            return self.br_handle_frame_finish(ctx, ifindex, port, skb);
        }
        let dst = skb.frame.dst;
        let Some(vid) = self.br_allowed_ingress(bridge, bridge, &mut skb) else {
            return ctx.drop((self.id, bridge), skb, DropReason::VlanFilter);
        };
        let inside = Inside { bridge, from: None, vid };
        if dst.is_multicast() {
            return self.br_flood(ctx, inside, skb);
        }
        match self.br_fdb_find(ctx, inside, dst, &mut skb) {
            Egress::Up => self.br_frame_up(ctx, inside, skb),
            Egress::Port(to) => self.br_forward(ctx, inside, to, skb),
            Egress::Flood => self.br_flood(ctx, inside, skb),
        }
    }

    fn br_fdb_find(&mut self, ctx: &mut Ctx<'_>, inside: Inside, dst: MacAddr, skb: &mut Skb) -> Egress {
        let Inside { bridge, from, vid } = inside;
        let Some(state) = self.bridge(bridge) else { return Egress::Flood };
        let ageing = state.ageing_in_force();
        // The addresses of ports and of the bridge itself are in every VLAN.
        let local = || state.fdb.get(&(dst, 0)).copied().filter(|entry| entry.local);
        // An entry that is too old is not used, though the collector has still to come by (`has_expired`).
        let is_fresh = |entry: &FdbEntry| !entry.is_learnt() || entry.updated + ageing > ctx.now;
        let entry = state.fdb.get(&(dst, vid)).copied().filter(is_fresh).or_else(local);
        let row = entry.map_or(ChangeId::NONE, |entry| entry.change);
        let at = (self.id, from.unwrap_or(bridge));
        ctx.note(at, skb, EventKind::Decided(Table::BridgeFdb, row));
        match entry {
            Some(FdbEntry { local: true, .. }) => Egress::Up,
            Some(FdbEntry { port, .. }) => Egress::Port(port),
            None => Egress::Flood,
        }
    }

    /// Learns where a source lives, or that it moved (`br_fdb_update`).
    fn br_fdb_update(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex, (port, vid): (IfIndex, u16), skb: &Skb) {
        let (now, key) = (ctx.now, (skb.frame.src, vid));
        let Some(state) = self.bridge_mut(bridge) else { return };
        // A bridge that forgets at once learns nothing.
        let is_own = state.fdb.get(&(key.0, 0)).is_some_and(|entry| entry.local);
        if is_own || state.ageing_in_force() == Duration(0) {
            return;
        }
        match state.fdb.get_mut(&key) {
            Some(entry) if entry.port == port => entry.updated = now,
            known => {
                // An entry that does not age moves all the same.
                let is_static = known.is_some_and(|entry| entry.is_static);
                let mut entry = FdbEntry { is_static, ..FdbEntry::at(port, now) };
                let row = self.bridge_fdb_row(bridge, key, &entry);
                entry.change = ctx.change(self.id, port, skb.cause, TableChange::Fdb(row));
                let Some(state) = self.bridge_mut(bridge) else { return };
                state.fdb.insert(key, entry);
                // What was learnt before ends before.
                if state.gc_at.is_none_or(|set| set <= now) {
                    self.br_fdb_watch(ctx, bridge);
                }
            }
        }
    }

    /// `should_deliver`: a forwarding port that is not the one it came from, unless that is a hairpin, that is a member
    /// of the VLAN, and not isolated from the other.
    fn should_deliver(&self, inside: Inside, to: IfIndex) -> bool {
        let port = |at: IfIndex| self.link(at).and_then(|link| link.port);
        let isolated = |at: IfIndex| port(at).is_some_and(|port| port.extra.isolated);
        port(to).is_some_and(|port| {
            port.state == PortState::Forwarding && (port.hairpin || inside.from != Some(to))
        }) && self.br_allowed_egress(inside.bridge, to, inside.vid)
            && !(isolated(to) && inside.from.is_some_and(isolated))
    }

    fn br_forward(&mut self, ctx: &mut Ctx<'_>, inside: Inside, to: IfIndex, skb: Skb) {
        if !self.should_deliver(inside, to) {
            let at = inside.from.unwrap_or(inside.bridge);
            return ctx.drop((self.id, at), skb, DropReason::BridgeNoEgressPort);
        }
        self.br_send(ctx, inside, to, ctx.delays.bridge, skb);
    }

    /// Sends to every port that takes it; the kernel walks its list from the newest port to the oldest (`br_flood`).
    fn br_flood(&mut self, ctx: &mut Ctx<'_>, inside: Inside, skb: Skb) {
        let dst = skb.frame.dst;
        let takes = |to: &IfIndex| {
            let floods = self.link(*to).and_then(|link| link.port).is_some_and(|port| {
                match (dst.is_broadcast(), dst.is_multicast()) {
                    (true, _) => port.extra.bcast_flood,
                    (false, true) => port.extra.mcast_flood,
                    (false, false) => port.flood,
                }
            });
            // What this machine itself sends to a group goes to every port.
            let own = inside.from.is_none() && dst.is_multicast();
            self.should_deliver(inside, *to) && (floods || own)
        };
        let ports: Vec<IfIndex> = self.port_list(inside.bridge).into_iter().filter(takes).collect();
        let Some((&last, others)) = ports.split_last() else {
            let at = inside.from.unwrap_or(inside.bridge);
            return ctx.drop((self.id, at), skb, DropReason::BridgeNoEgressPort);
        };
        let mut delay = ctx.delays.bridge;
        for &to in others {
            let copy = ctx.copy(&skb);
            self.br_send(ctx, inside, to, delay, copy);
            delay = delay + ctx.delays.copy;
        }
        self.br_send(ctx, inside, last, delay, skb);
    }

    /// The last step to a port, through netfilter's hooks where `bridge-nf-call-iptables` asks for it.
    fn br_send(&mut self, ctx: &mut Ctx<'_>, inside: Inside, to: IfIndex, delay: Duration, mut skb: Skb) {
        self.br_handle_vlan(to, inside.vid, &mut skb);
        let (delay, pieces) = match inside.from.filter(|_| self.is_hooked(&skb)) {
            Some(from) => {
                let Some(passed) = self.br_nf_forward(ctx, from, to, skb) else { return };
                (delay + ctx.delays.netfilter, self.br_refragment(ctx, to, passed))
            }
            None => (delay, Pieces::Whole(skb)),
        };
        pieces.each(|piece| {
            // `br_dev_queue_push_xmit` sends nothing that the port cannot take.
            if self.link(to).is_some_and(|link| !is_skb_forwardable(link, &piece.frame)) {
                ctx.drop((self.id, to), piece, DropReason::PktTooBig);
            } else {
                ctx.later(delay, Urgency::Now, Work::Transmit(to, piece));
            }
        });
    }

    /// Whether netfilter looks at this bridged frame.
    fn is_hooked(&self, skb: &Skb) -> bool {
        self.sysctl.bridge_nf_call_iptables && matches!(skb.frame.payload, Payload::Ipv4(_))
    }
}

/// Whether the state of a port lets the bridge learn there (`nbp_state_should_learn`).
fn may_learn(port: Port) -> bool {
    matches!(port.state, PortState::Learning | PortState::Forwarding)
}

/// Addresses that bridges keep to themselves (802.1D table 7-10): 01:80:c2:00:00:00 to 0f.
fn is_link_local(mac: MacAddr) -> bool {
    mac.0[..5] == Bpdu::GROUP.0[..5] && mac.0[5] < 16
}
