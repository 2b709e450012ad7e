//! VLAN filtering of a bridge (IEEE 802.1Q; `net/bridge/br_vlan.c`): which frames may enter by a port, in which VLAN,
//! and which leave, with or without a tag.
//!
//! Simplified: the table with the default VLAN is made when filtering is first turned on or a VLAN is first added, so
//! that bridges that do not filter look as on a kernel built without it.

use super::{Ctx, Netns, Skb};
use crate::base::{EventId, IfIndex};
use crate::trace::{TableChange, VlanRow};
use crate::wire::Payload;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The VLANs of a port, or of the bridge itself (`struct net_bridge_vlan_group`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vlans {
    /// VLAN that untagged frames are put into; 0 for none.
    pub pvid: u16,
    /// VLANs it is a member of, and whether frames leave without a tag.
    pub members: BTreeMap<u16, bool>,
}

impl Netns {
    pub(super) fn filters_vlans(&self, bridge: IfIndex) -> bool {
        self.bridge(bridge).is_some_and(|state| state.row.vlan_filtering)
    }

    /// Whether a frame may enter the bridge by `at`, a port or the bridge itself, and in which VLAN
    /// (`br_allowed_ingress`): 0 where nothing is filtered. An untagged frame gets the tag of the port's own VLAN.
    pub(super) fn br_allowed_ingress(&self, bridge: IfIndex, at: IfIndex, skb: &mut Skb) -> Option<u16> {
        if !self.filters_vlans(bridge) {
            return Some(0);
        }
        let protocol = self.bridge(bridge)?.row.vlan_protocol;
        let vlans = &self.link(at)?.vlans;
        let vid = match skb.frame.vlan_id(protocol) {
            None => {
                let frame = skb.frame_mut();
                *frame = frame.clone().tagged(protocol, vlans.pvid);
                vlans.pvid
            }
            Some(0) => {
                if let Payload::Vlan(vlan) = &mut skb.frame_mut().payload {
                    vlan.id = vlans.pvid;
                }
                vlans.pvid
            }
            Some(vid) => vid,
        };
        (vid != 0 && vlans.members.contains_key(&vid)).then_some(vid)
    }

    /// Whether a frame of this VLAN may leave by `at` (`br_allowed_egress`).
    pub(super) fn br_allowed_egress(&self, bridge: IfIndex, at: IfIndex, vid: u16) -> bool {
        !self.filters_vlans(bridge) || self.link(at).is_some_and(|link| link.vlans.members.contains_key(&vid))
    }

    /// Takes the tag off where the port wants that (`br_handle_vlan`).
    pub(super) fn br_handle_vlan(&self, at: IfIndex, vid: u16, skb: &mut Skb) {
        let untagged = vid != 0
            && self.link(at).is_some_and(|link| link.vlans.members.get(&vid).copied().unwrap_or(false));
        if untagged {
            let frame = Arc::new((*skb.frame).clone().untagged());
            *skb.frame_mut() = Arc::unwrap_or_clone(frame);
        }
    }

    /// Puts every port and the bridge itself into the default VLAN, unless that was done before.
    pub(super) fn init_vlans(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex) {
        let Some(state) = self.bridge_mut(bridge).filter(|state| !state.has_vlans) else { return };
        state.has_vlans = true;
        let (pvid, ports) = (state.row.default_pvid, state.ports.clone());
        for at in ports.into_iter().chain([bridge]) {
            self.join_default_vlan(ctx, at, pvid);
        }
    }

    fn join_default_vlan(&mut self, ctx: &mut Ctx<'_>, at: IfIndex, pvid: u16) {
        if pvid != 0 {
            let row = VlanRow { netns: self.id, ifindex: at, id: pvid, pvid: true, untagged: true };
            self.put_vlan(ctx, row);
        }
    }

    /// A new port of a bridge that has a table gets its default VLAN (`nbp_vlan_init`).
    pub(super) fn nbp_vlan_init(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex, at: IfIndex) {
        if let Some(pvid) =
            self.bridge(bridge).filter(|state| state.has_vlans).map(|state| state.row.default_pvid)
        {
            self.join_default_vlan(ctx, at, pvid);
        }
    }

    /// A port that leaves its bridge leaves its VLANs (`nbp_vlan_flush`).
    pub(super) fn nbp_vlan_flush(&mut self, ctx: &mut Ctx<'_>, at: IfIndex) {
        let ids: Vec<u16> =
            self.link(at).map(|link| link.vlans.members.keys().copied().collect()).unwrap_or_default();
        for id in ids {
            self.del_vlan(ctx, at, id);
        }
    }

    /// Makes a port, or the bridge itself, a member of a VLAN (`bridge vlan add`).
    pub fn add_vlan(&mut self, ctx: &mut Ctx<'_>, row: VlanRow) {
        let bridge =
            self.link(row.ifindex).and_then(|link| link.port).map_or(row.ifindex, |port| port.master);
        self.init_vlans(ctx, bridge);
        self.put_vlan(ctx, row);
    }

    fn put_vlan(&mut self, ctx: &mut Ctx<'_>, row: VlanRow) {
        let Some(link) = self.link_mut(row.ifindex) else { return };
        let mut changed = vec![row];
        link.vlans.members.insert(row.id, row.untagged);
        let old = link.vlans.pvid;
        if row.pvid && old != row.id {
            link.vlans.pvid = row.id;
            if let Some(&untagged) = link.vlans.members.get(&old) {
                changed.insert(0, VlanRow { id: old, pvid: false, untagged, ..row });
            }
        } else if !row.pvid && old == row.id {
            link.vlans.pvid = 0;
        }
        for row in changed {
            ctx.change(self.id, row.ifindex, EventId::NONE, TableChange::Vlan(row));
        }
    }

    /// Takes a port, or the bridge itself, out of a VLAN (`bridge vlan del`).
    pub fn del_vlan(&mut self, ctx: &mut Ctx<'_>, at: IfIndex, id: u16) {
        let Some(link) = self.link_mut(at) else { return };
        if link.vlans.members.remove(&id).is_none() {
            return;
        }
        if link.vlans.pvid == id {
            link.vlans.pvid = 0;
        }
        ctx.change(self.id, at, EventId::NONE, TableChange::VlanGone(self.id, at, id));
    }

    /// Changes the VLAN that new ports get; ports that still have the old one follow (`br_vlan_set_default_pvid`).
    pub(super) fn set_default_pvid(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex, pvid: u16) {
        let Some(state) = self.bridge_mut(bridge) else { return };
        let old = std::mem::replace(&mut state.row.default_pvid, pvid);
        let (has_vlans, ports) = (state.has_vlans, state.ports.clone());
        if !has_vlans || old == pvid {
            return;
        }
        for at in ports.into_iter().chain([bridge]) {
            if self.link(at).is_some_and(|link| link.vlans.pvid == old) {
                self.join_default_vlan(ctx, at, pvid);
                self.del_vlan(ctx, at, old);
            }
        }
    }
}
