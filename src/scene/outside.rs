//! What stands below the nodes: the switch with a port for each cable, and the routers and hosts outside the cluster.

use super::geometry::{Point, Rect};
use super::layout::{Draft, address_of, cable_end, is_outside, natural, stack_of};
use super::model::{ShapeKind, Spot, WireKind};
use crate::base::NetnsId;
use crate::trace::{Inventory, LinkKind, LinkRow, NetnsRole, NetnsState};
use std::collections::BTreeMap;

/// Height of a switch, a router and a host.
fn height(draft: &Draft<'_>) -> i32 {
    draft.px(if draft.options.compact { 32 } else { 38 })
}

/// Draws everything outside the nodes under `bottom`.
pub(super) fn place(draft: &mut Draft<'_>, bottom: i32) {
    let mut all: Vec<&NetnsState> =
        draft.inventory.netns.values().map(|state| &**state).filter(|state| is_outside(state)).collect();
    all.sort_by_cached_key(|state| natural(&state.row.name));
    let (switches, hosts): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|state| state.row.role == NetnsRole::Switch);
    let at_switch = |state: &&NetnsState| {
        cables(draft.inventory, state).any(|(_, far)| switches.iter().any(|switch| switch.row.netns == far.0))
    };
    let (near, far): (Vec<_>, Vec<_>) = hosts.into_iter().partition(at_switch);
    let (left, right) = span(draft);
    let compact = draft.options.compact;
    let (h, gap) = (height(draft), draft.px(if compact { 22 } else { 40 }));
    let y = bottom + if bottom > 0 { gap } else { 0 };
    // One or two hosts stand beside the switch; more of them have a row of their own under it.
    let beside = near.len() <= 2 && far.is_empty();
    let inset = if compact { 0 } else { draft.px(20) };
    let widths = Widths::new(draft, near.iter().chain(&far).copied(), right - left - 2 * inset);
    let room = if beside { widths.sum(&near) } else { 0 };
    let rect = Rect::new(left + inset, y, right - left - 2 * inset - room, h);
    for switch in &switches {
        place_switch(draft, switch, rect);
    }
    let row = if beside { y } else { y + h + draft.px(if compact { 18 } else { 32 }) };
    let start = if beside { rect.right() + widths.gap } else { rect.x };
    place_hosts(draft, &near, start, row, &widths);
    // What lies behind a router follows in the same row.
    place_hosts(draft, &far, rect.x + widths.sum(&near), row, &widths);
    connect(draft, &switches, &near, &far, beside);
}

/// Left and right edge of what is drawn so far.
fn span(draft: &Draft<'_>) -> (i32, i32) {
    let edges = draft.scene.shapes.iter().map(|shape| shape.rect).reduce(Rect::union);
    edges.map_or((0, draft.px(640)), |rect| (rect.x, rect.right().max(rect.x + draft.px(480))))
}

/// The cables of a namespace with their far ends.
fn cables<'a>(inventory: &'a Inventory, state: &'a NetnsState) -> impl Iterator<Item = (&'a LinkRow, Spot)> {
    state.links.values().filter_map(|link| Some((link, cable_end(inventory, link)?)))
}

fn place_switch(draft: &mut Draft<'_>, state: &NetnsState, rect: Rect) {
    let netns = state.row.netns;
    let bridge = state.links.values().find(|link| matches!(link.kind, LinkKind::Bridge { .. }));
    let home = bridge.map_or(stack_of(netns), |link| (netns, link.ifindex));
    let shape =
        draft.shape(format!("switch {}", state.row.name), ShapeKind::Switch, rect, Some(stack_of(netns)));
    let detail = bridge.map_or_else(String::new, |link| format!("{} · MTU {}", link.name, link.mtu));
    draft.device(shape, &state.row.name, &detail);
    draft.rest(home, rect.center());
    draft.scene.ways.share(stack_of(netns), home);
}

/// How wide each host is drawn: as wide as its name and address where there is room for all of them.
struct Widths {
    natural: BTreeMap<NetnsId, i32>,
    usual: i32,
    gap: i32,
}

impl Widths {
    fn new<'a>(draft: &Draft<'_>, hosts: impl Iterator<Item = &'a NetnsState>, room: i32) -> Self {
        let compact = draft.options.compact;
        let usual = draft.px(if compact { 124 } else { 176 });
        let gap = draft.px(if compact { 16 } else { 28 });
        let wide = |state: &NetnsState| {
            let text = draft.mono_width(&state.row.name) + draft.mono_width(&address(draft, state));
            (state.row.netns, (text + draft.px(34)).max(if compact { 0 } else { usual }))
        };
        let mut natural: BTreeMap<NetnsId, i32> = hosts.map(wide).collect();
        let sum: i32 = natural.values().map(|width| width + gap).sum();
        if sum - gap > room {
            natural.clear();
        }
        Self { natural, usual, gap }
    }

    fn of(&self, state: &NetnsState) -> i32 {
        self.natural.get(&state.row.netns).copied().unwrap_or(self.usual)
    }

    fn sum(&self, hosts: &[&NetnsState]) -> i32 {
        hosts.iter().map(|state| self.of(state) + self.gap).sum()
    }
}

/// The address that a host has on its first cable with one.
fn address(draft: &Draft<'_>, state: &NetnsState) -> String {
    let found = cables(draft.inventory, state)
        .map(|(link, _)| address_of(state, link.ifindex, false))
        .find(|address| !address.is_empty());
    found.unwrap_or_default()
}

fn place_hosts(draft: &mut Draft<'_>, hosts: &[&NetnsState], start: i32, y: i32, widths: &Widths) {
    let mut x = start;
    for state in hosts {
        let netns = state.row.netns;
        let rect = Rect::new(x, y, widths.of(state), height(draft));
        x = rect.right() + widths.gap;
        let home = stack_of(netns);
        let shape = draft.shape(format!("host {}", state.row.name), ShapeKind::Outside, rect, Some(home));
        let address = address(draft, state);
        let last = address.rsplit('.').next().map(|octet| format!(".{octet}")).unwrap_or_default();
        let room = rect.w - draft.px(32) - draft.mono_width(&state.row.name);
        let detail = if draft.mono_width(&address) <= room { address } else { last };
        draft.device(shape, &state.row.name, &detail);
        draft.rest(home, rect.center());
        draft.scene.notes.insert(netns, Point::new(rect.x, rect.bottom() + draft.px(8)));
    }
}

/// Draws the cables, from the nodes' cards to the switch and from the switch to the hosts.
fn connect(
    draft: &mut Draft<'_>,
    switches: &[&NetnsState],
    near: &[&NetnsState],
    far: &[&NetnsState],
    beside: bool,
) {
    for switch in switches {
        let home = draft.scene.rest(stack_of(switch.row.netns));
        let Some(middle) = home else { continue };
        for (link, other) in cables(draft.inventory, switch) {
            let port = (switch.row.netns, link.ifindex);
            // The cable of a collapsed node is not drawn.
            if !is_drawn(draft, other, near) {
                draft.scene.ways.share(port, stack_of(port.0));
                continue;
            }
            let outside = near.iter().find(|state| state.row.netns == other.0);
            let at = match outside {
                Some(_) if beside => None,
                Some(_) | None => draft.scene.rest(other),
            };
            let Some(rect) = switch_rect(draft, switch) else { continue };
            match (outside, at) {
                (None, Some(rest)) => port_on_edge(draft, port, other, Point::new(rest.x, rect.y), middle),
                (Some(_), Some(rest)) => {
                    host_end(draft, other, Point::new(rest.x, rest.y - height(draft) / 2));
                    port_on_edge(draft, port, other, Point::new(rest.x, rect.bottom()), middle);
                }
                (Some(state), None) => beside_switch(draft, port, other, state, rect),
                (None, None) => {}
            }
        }
    }
    for state in far {
        for (link, other) in cables(draft.inventory, state) {
            let Some(rest) = draft.scene.rest(stack_of(state.row.netns)) else { continue };
            let own = (state.row.netns, link.ifindex);
            host_end(draft, own, Point::new(rest.x, rest.y + height(draft) / 2));
            let Some(up) = draft.scene.rest(stack_of(other.0)) else { continue };
            host_end(draft, other, Point::new(up.x, up.y + height(draft) / 2));
            let y = rest.y + height(draft) / 2 + draft.px(if draft.options.compact { 7 } else { 10 });
            draft.wire(WireKind::Cable, own, other, &[Point::new(rest.x, y), Point::new(up.x, y)]);
        }
    }
}

fn is_drawn(draft: &Draft<'_>, spot: Spot, hosts: &[&NetnsState]) -> bool {
    draft.scene.ways.has(spot) || hosts.iter().any(|state| state.row.netns == spot.0)
}

fn switch_rect(draft: &Draft<'_>, switch: &NetnsState) -> Option<Rect> {
    draft.scene.shape(&format!("switch {}", switch.row.name)).map(|shape| shape.rect)
}

/// A switch port straight above or below what its cable leads to.
fn port_on_edge(draft: &mut Draft<'_>, port: Spot, other: Spot, edge: Point, middle: Point) {
    let Some(rest) = draft.scene.rest(other) else { return };
    let (w, h) = (draft.px(28), draft.px(10));
    let rect = Rect::new(edge.x - w / 2, edge.y - h / 2, w, h);
    draft.shape(format!("{}.{}", port.0.0, port.1.0), ShapeKind::Port, rect, Some(port));
    let outer = if rest.y < edge.y { rect.y } else { rect.bottom() };
    draft.rest(port, Point::new(edge.x, outer));
    draft.wire(WireKind::Cable, other, port, &[]);
    draft.scene.ways.connect(port, stack_of(port.0), &[Point::new(edge.x, middle.y)]);
}

/// The interface of a host, on its edge.
fn host_end(draft: &mut Draft<'_>, spot: Spot, at: Point) {
    draft.rest(spot, at);
    draft.scene.ways.connect(spot, stack_of(spot.0), &[]);
}

/// A host at the right of the switch, at the end of a short cable.
fn beside_switch(draft: &mut Draft<'_>, port: Spot, other: Spot, state: &NetnsState, switch: Rect) {
    let Some(host) = draft.scene.shape(&format!("host {}", state.row.name)).map(|shape| shape.rect) else {
        return;
    };
    // The second host's cable runs below the first.
    let first = host.x <= switch.right() + draft.px(28);
    let y = switch.center().y;
    host_end(
        draft,
        other,
        if first { Point::new(host.x, y) } else { Point::new(host.center().x, host.bottom()) },
    );
    let edge = if first {
        Point::new(switch.right(), y)
    } else {
        Point::new(switch.right() - draft.px(24), switch.bottom())
    };
    draft.rest(port, edge);
    let below = switch.bottom() + draft.px(16);
    let corners =
        if first { vec![] } else { vec![Point::new(edge.x, below), Point::new(host.center().x, below)] };
    draft.wire(WireKind::Cable, port, other, &corners);
    draft.scene.ways.connect(port, stack_of(port.0), &[Point::new(edge.x, y)]);
}
