//! Devices that stand on a device of another namespace: a macvlan, ipvlan or VLAN device that a CNI plug-in makes on a
//! node's card and moves into a Pod. At the node a stub stays behind, which takes part in what the card does and is
//! shown to nobody; the Pod's device is tied to it like one end of a pair. An end of a wire is moved as it is.

use super::{Ctx, Kind, Netns, NewLink, Peer, Skb, Urgency, Work};
use crate::base::{Duration, IfIndex, Ipv4Addr, MacAddr, NetnsId};
use crate::trace::LinkKind;
use std::collections::BTreeSet;

impl Kind {
    /// The same end of a wire that leads elsewhere; other kinds have no other end.
    #[must_use]
    pub fn with_peer(self, peer: Peer, nsid: u32) -> Self {
        match self {
            Self::Veth(..) => Self::Veth(peer, nsid),
            Self::Physical(_) => Self::Physical(peer),
            Self::Loopback
            | Self::Bridge(_)
            | Self::Vxlan(_)
            | Self::Dummy
            | Self::Vlan(_)
            | Self::Macvlan { .. }
            | Self::Ipvlan { .. }
            | Self::Ipip(_)
            | Self::Gre(_)
            | Self::Gretap(_) => self,
        }
    }
}

impl Netns {
    /// The `link-netnsid` of another namespace: the one it has here, or else the lowest that is free now that only those
    /// for which `lives` holds are left (`peernet2id_alloc`).
    pub fn nsid_of(&mut self, other: NetnsId, lives: impl Fn(NetnsId) -> bool) -> u32 {
        if let Some(known) = self.nsids.get(&other) {
            return *known;
        }
        self.nsids.retain(|netns, _| lives(*netns));
        let taken: BTreeSet<u32> = self.nsids.values().copied().collect();
        let free =
            (0..).zip(&taken).find(|(id, taken)| id != *taken).map_or(taken.len() as u32, |(id, _)| id);
        self.nsids.insert(other, free);
        free
    }

    /// Takes in an end of a wire from another namespace, down. It keeps its number where that is free
    /// (`dev_change_net_namespace`). The wire is cut or not, and the other end up or not.
    pub fn take_in(
        &mut self,
        ctx: &mut Ctx<'_>,
        new: NewLink,
        kept: IfIndex,
        (cut, other_up): (bool, bool),
    ) -> IfIndex {
        let is_taken = self.link(kept).is_some();
        let ifindex = if is_taken { self.next_ifindex() } else { kept };
        self.add_link_at(ctx, ifindex, new, |link| {
            link.extra.cut = cut;
            link.carrier = other_up && !cut;
        })
    }

    /// The other end of a wire is in another place now.
    pub fn set_peer(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, peer: Peer, nsid: u32) {
        let Some(link) = self.link_mut(ifindex) else { return };
        link.kind = link.kind.clone().with_peer(peer, nsid);
        self.record_link(ctx, ifindex);
    }

    /// Leaves a stub behind for a device that is moved to `peer`.
    pub fn add_stub(
        &mut self,
        ctx: &mut Ctx<'_>,
        kind: Kind,
        (mac, mtu): (MacAddr, u32),
        peer: Peer,
    ) -> IfIndex {
        let name = format!("stub{}", self.next_ifindex().0).into();
        let stub = self.add_link_as(ctx, NewLink { name, kind, mac, mtu, txqlen: 1000 }, |link| {
            link.away = Some(peer);
        });
        self.set_up(ctx, stub);
        stub
    }

    /// Makes the device that was moved here; `shown` is what it is, and `below` the number of the other namespace.
    pub fn add_moved(&mut self, ctx: &mut Ctx<'_>, new: NewLink, shown: &LinkKind, below: u32) -> IfIndex {
        self.add_link_as(ctx, new, |link| {
            link.shown = Some(shown.clone());
            link.extra.lower_nsid = Some(below);
            link.carrier = true;
        })
    }

    /// Tells a stub which addresses its device has, by which ipvlan finds it.
    pub fn set_stub_addrs(&mut self, stub: IfIndex, addrs: Vec<Ipv4Addr>) {
        if let Some(link) = self.link_mut(stub) {
            link.away_addrs = addrs;
        }
    }

    /// A frame is for a device that stands on another: it comes in there, wherever it is.
    pub(super) fn receive_rider(&mut self, ctx: &mut Ctx<'_>, rider: IfIndex, mut skb: Skb) {
        match self.link(rider).and_then(|link| link.away) {
            Some(peer) => {
                (skb.nf, skb.dst) = (skb.nf.scrubbed(true), super::Dst::default());
                ctx.effects.wire.push((Duration::ZERO, peer.netns, peer.ifindex, skb));
            }
            None => self.netif_receive(ctx, rider, skb),
        }
    }

    /// Has a device that stands on another take a frame once the one below is through with it.
    pub(super) fn receive_rider_later(&mut self, ctx: &mut Ctx<'_>, rider: IfIndex, skb: Skb) {
        if self.link(rider).is_some_and(|link| link.away.is_some()) {
            return self.receive_rider(ctx, rider, skb);
        }
        ctx.later(Duration::ZERO, Urgency::Now, Work::Receive(rider, skb));
    }
}
