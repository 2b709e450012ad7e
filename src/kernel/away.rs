//! Devices that stand on a device of another namespace: a macvlan, ipvlan or VLAN device that a CNI plug-in makes on a
//! node's card and moves into a Pod. At the node a stub stays behind, which takes part in what the card does and is
//! shown to nobody; the Pod's device is tied to it like one end of a pair.

use super::{Ctx, Kind, Netns, NewLink, Peer, Skb, Urgency, Work};
use crate::base::{Duration, IfIndex, Ipv4Addr, MacAddr};
use crate::trace::LinkKind;

impl Netns {
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
                skb.nf = skb.nf.scrubbed(true);
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
