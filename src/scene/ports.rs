//! The node's ends of the veth pairs: ports on the bridge, or on the stack where there is no bridge.

use super::geometry::{Point, Rect};
use super::layout::{Draft, cable_end, stack_of};
use super::model::{Anchor, LabelStyle, ShapeKind, Spot, WireKind};
use super::pod;
use crate::base::{IfIndex, NetnsId};
use crate::trace::{LinkKind, LinkRow, NetnsState, PodRow};

/// The Pod's end of a veth whose node's end is `link`.
fn peer(link: &LinkRow) -> Option<Spot> {
    match link.kind {
        LinkKind::Veth { peer_netns, peer, .. } => Some((peer_netns, peer)),
        LinkKind::Loopback
        | LinkKind::Bridge { .. }
        | LinkKind::Vxlan { .. }
        | LinkKind::Physical { .. }
        | LinkKind::Dummy
        | LinkKind::Vlan { .. }
        | LinkKind::Macvlan { .. }
        | LinkKind::Ipvlan { .. }
        | LinkKind::Ipip(_)
        | LinkKind::Gre(_)
        | LinkKind::Gretap(_) => None,
    }
}

/// Draws the veth ends of a namespace under their Pods, standing on the row that begins at `base`.
pub(super) fn place(draft: &mut Draft<'_>, state: &NetnsState, base: i32, pods_bottom: i32, inner: Rect) {
    let netns = state.row.netns;
    let veths: Vec<LinkRow> =
        state.links.values().filter(|link| cable_end(draft.inventory, link).is_none()).cloned().collect();
    let drawn = |draft: &Draft<'_>, spot: Spot| {
        let key = format!("{}.{}", spot.0.0, spot.1.0);
        draft.scene.shapes.iter().any(|shape| shape.key == key)
    };
    let seen: Vec<(LinkRow, Spot, Point)> = veths
        .into_iter()
        .filter_map(|link| {
            let other = peer(&link)?;
            drawn(draft, other).then(|| draft.scene.rest(other)).flatten().map(|rest| (link, other, rest))
        })
        .collect();
    // Names stand where neighbors leave them room.
    let mut places: Vec<i32> = seen.iter().map(|(_, _, rest)| rest.x).collect();
    places.sort_unstable();
    let apart = places.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or(i32::MAX);
    let is_upper = |from: &Point| from.y + draft.px(20) < pods_bottom;
    let named = seen.len() <= 2 && apart >= draft.px(116) && !seen.iter().any(|(_, _, rest)| is_upper(rest));
    let (w, h) = if named { (draft.px(112), draft.px(26)) } else { (draft.px(14), draft.px(10)) };
    let widest = inner.w / seen.len().max(1) as i32 - draft.px(8);
    for (at, (link, other, from)) in seen.into_iter().enumerate() {
        let spot = (netns, link.ifindex);
        // A Pod in an upper line of tiles leads its wire down the gap at its right.
        let upper = from.y + draft.px(20) < pods_bottom;
        let shift = draft.px(8 + 4 * (at as i32 % 3));
        let lane = if upper { lane_right_of(draft, other).map_or(from.x, |x| x + shift) } else { from.x };
        let w = w.min(widest.max(draft.px(14)));
        // It stands on its bridge, clear of what is written there.
        let top = if named { base + draft.px(5) - h } else { base - h * 2 / 3 };
        let rect = Rect::new(lane - w / 2, top, w, h);
        let shape = draft.shape(format!("{}.{}", netns.0, link.ifindex.0), ShapeKind::Port, rect, Some(spot));
        draft.scene.shapes[shape].pending = !(link.up && link.carrier);
        if named {
            let name = draft.fitted(&link.name, w - draft.px(8));
            let at = Point::new(rect.center().x, rect.center().y + draft.px(5));
            draft.label(shape, at, &name, LabelStyle::Detail, Anchor::Middle);
        }
        draft.rest(spot, Point::new(lane, rect.y));
        let down = from.y + draft.px(5);
        draft.wire(WireKind::Veth, other, spot, &[Point::new(from.x, down), Point::new(lane, down)]);
        onto_master(draft, &link, spot, lane);
    }
}

/// The right edge of the Pod that an interface belongs to.
fn lane_right_of(draft: &Draft<'_>, spot: Spot) -> Option<i32> {
    let pod = |shape: &&super::model::Shape| {
        shape.kind == ShapeKind::PodTile && shape.spot.is_some_and(|(netns, _)| netns == spot.0)
    };
    draft.scene.shapes.iter().find(pod).map(|shape| shape.rect.right() - draft.px(6))
}

/// The way from a port to its bridge, or to the stack.
fn onto_master(draft: &mut Draft<'_>, link: &LinkRow, spot: Spot, lane: i32) {
    let home = stack_of(spot.0);
    let master = link.port.as_ref().map_or(home, |port| (spot.0, port.master));
    if let Some(rest) = draft.scene.rest(master) {
        let corners = [Point::new(lane, rest.y)];
        draft.scene.ways.connect(spot, master, &corners);
    }
}

/// Connects a pile of Pods: one port stands for all their veths.
pub(super) fn connect_pile(draft: &mut Draft<'_>, place: Spot, node: NetnsId, pods: &[&PodRow], base: i32) {
    let Some(from) = draft.scene.rest(place) else { return };
    let ends: Vec<Spot> = pods
        .iter()
        .filter_map(|row| pod::sandbox(draft, row, node))
        .flat_map(|state| state.links.values().filter_map(peer))
        .collect();
    let (w, h) = (draft.px(32), draft.px(10));
    let rect = Rect::new(from.x - w / 2, base - h * 2 / 3, w, h);
    draft.shape(format!("pile port {}", node.0), ShapeKind::Port, rect, Some(stack_of(node)));
    let port: Spot = (node, IfIndex(u32::MAX - 2));
    draft.rest(port, Point::new(from.x, rect.y));
    draft.wire(WireKind::Veth, place, port, &[]);
    let master = draft.inventory.netns.get(&node).and_then(|state| {
        let link = ends.iter().find_map(|end| state.links.get(&end.1))?;
        link.port.as_ref().map(|port| (node, port.master))
    });
    let master = master.unwrap_or_else(|| stack_of(node));
    if let Some(rest) = draft.scene.rest(master) {
        draft.scene.ways.connect(port, master, &[Point::new(from.x, rest.y)]);
    }
    for end in ends {
        draft.scene.ways.share(end, port);
    }
}
