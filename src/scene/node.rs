//! A node as a column: its Pods, and under them the rows of its root namespace.

use super::geometry::{Point, Rect};
use super::layout::{Column, Draft, address_of, cable_end, stack_of};
use super::model::{Anchor, HookSlot, LabelStyle, ShapeKind, Spot, WireKind};
use super::{pod, ports};
use crate::base::{IfIndex, NetnsId, words};
use crate::trace::{Hook, LinkKind, LinkRow, NetnsState, PodRow};

/// Up to this many Pods a node are drawn with their containers.
const FULL_PODS: usize = 2;
/// Up to this many Pods a node are drawn as tiles; beyond, as one box with their number.
const TILES: usize = 12;
/// Most tiles beside each other.
const TILE_COLUMNS: usize = 3;
/// A tile in which an address fits.
const TILE_WIDTH: i32 = 118;

/// How a node's Pods are drawn: the same for all nodes, so that rows stay level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detail {
    Full,
    Tiles,
    Pile,
}

/// Where each layer stands, the same in all nodes.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    detail: Detail,
    /// Tiles beside each other.
    tile_columns: usize,
    /// Width of a node.
    pub(super) width: i32,
    pods: i32,
    pods_bottom: i32,
    bridge: Option<i32>,
    stack: i32,
    tunnel: Option<i32>,
    card: i32,
    /// Lower edge of the nodes.
    pub(super) bottom: i32,
}

const TILE_HEIGHT: i32 = 54;

/// Lengths at 14 px: one set for a large stage, one for a small one.
#[derive(Clone, Copy, Debug)]
struct Measures {
    /// Between a node's edge and what is in it.
    pad: i32,
    pod_gap: i32,
    pod_width: i32,
    pod_height: i32,
    /// Height of a node's own line of text.
    head: i32,
    /// From the Pods to the ports under them.
    veth: i32,
    /// Height of a bridge, a tunnel device and a network card.
    device: i32,
    stack: i32,
    /// Between two rows.
    gap: i32,
}

const WIDE: Measures = Measures {
    pad: 20,
    pod_gap: 16,
    pod_width: 208,
    pod_height: 132,
    head: 42,
    veth: 40,
    device: 36,
    stack: 78,
    gap: 24,
};
const CLOSE: Measures = Measures {
    pad: 12,
    pod_gap: 8,
    pod_width: 124,
    pod_height: 88,
    head: 32,
    veth: 28,
    device: 30,
    stack: 66,
    gap: 14,
};

impl Measures {
    fn node_width(&self) -> i32 {
        2 * self.pad + FULL_PODS as i32 * self.pod_width + self.pod_gap
    }
}

fn measures(draft: &Draft<'_>) -> Measures {
    if draft.options.compact { CLOSE } else { WIDE }
}

pub(super) fn has_bridge(state: Option<&NetnsState>) -> bool {
    state.is_some_and(|state| state.links.values().any(|link| matches!(link.kind, LinkKind::Bridge { .. })))
}

pub(super) fn has_tunnel(state: Option<&NetnsState>) -> bool {
    state.is_some_and(|state| state.links.values().any(|link| is_on_card(&link.kind)))
}

impl Rows {
    /// `room` is the width there is for each node.
    pub(super) fn new(
        draft: &Draft<'_>,
        nodes: &[Column<'_>],
        bridge: bool,
        tunnel: bool,
        room: i32,
    ) -> Self {
        let most = nodes.iter().map(|column| column.pods.len()).max().unwrap_or(0);
        let detail = if most <= FULL_PODS {
            Detail::Full
        } else if most <= TILES {
            Detail::Tiles
        } else {
            Detail::Pile
        };
        let own = measures(draft);
        let least = draft.px(own.node_width());
        let width = room.clamp(least, draft.px(WIDE.node_width()).max(least));
        let inner = width - draft.px(2 * own.pad);
        let tile_columns = usize::try_from((inner + draft.px(12)) / draft.px(TILE_WIDTH + 12)).unwrap_or(1);
        let tile_columns = tile_columns.clamp(1, TILE_COLUMNS);
        let tile_rows = |count: usize| count.div_ceil(tile_columns) as i32 * (TILE_HEIGHT + 12) - 12;
        let pods_height = match detail {
            Detail::Full => own.pod_height,
            Detail::Tiles => tile_rows(most),
            Detail::Pile => {
                let focused = nodes.iter().map(|column| focused(draft, &column.pods).len()).max();
                own.device + 16 + tile_rows(focused.unwrap_or(0).max(1))
            }
        };
        let pods = own.head;
        let pods_bottom = pods + pods_height;
        let ports = pods_bottom + if detail == Detail::Full { own.veth } else { 32 };
        let bridge_row = bridge.then_some(ports + 18);
        let stack = if bridge { ports + 18 + own.device + own.gap } else { ports + 18 };
        let below = stack + own.stack + own.gap;
        let tunnel_row = tunnel.then_some(below);
        // Without a tunnel the row stays: the deciding table row is shown there.
        let card = below + own.device + own.gap;
        Self {
            detail,
            tile_columns,
            width,
            pods: draft.px(pods),
            pods_bottom: draft.px(pods_bottom),
            bridge: bridge_row.map(|y| draft.px(y)),
            stack: draft.px(stack),
            tunnel: tunnel_row.map(|y| draft.px(y)),
            card: draft.px(card),
            bottom: draft.px(card + own.device),
        }
    }

    /// Upper edge of what the veth ports sit on.
    fn port_base(&self) -> i32 {
        self.bridge.unwrap_or(self.stack)
    }
}

fn focused<'a>(draft: &Draft<'_>, pods: &[&'a PodRow]) -> Vec<&'a PodRow> {
    let in_focus = |pod: &&&PodRow| pod.netns.is_some_and(|netns| draft.options.focus.contains(&netns));
    pods.iter().filter(in_focus).take(TILE_COLUMNS * 2).copied().collect()
}

/// Draws a node with its left edge at `x` and returns its right edge.
pub(super) fn place(draft: &mut Draft<'_>, column: &Column<'_>, rows: &Rows, x: i32) -> i32 {
    let netns = column.row.netns;
    let rect = Rect::new(x, 0, rows.width, rows.bottom);
    let pad = draft.px(measures(draft).pad);
    let shape =
        draft.shape(format!("node {}", column.row.name), ShapeKind::Node, rect, Some(stack_of(netns)));
    draft.scene.shapes[shape].pending = !column.row.ready;
    let base = draft.px(measures(draft).head - 13);
    let name = draft.fitted(&column.row.name, rows.width / 2);
    draft.label(shape, Point::new(x + pad, base), &name, LabelStyle::Heading, Anchor::Start);
    let end = Point::new(rect.right() - pad, base);
    draft.label(shape, end, &column.row.address.to_string(), LabelStyle::Detail, Anchor::End);
    let inner = Rect::new(x + pad, 0, rows.width - 2 * pad, rows.bottom);
    if let Some(state) = column.state {
        place_namespace(draft, state, rows, inner);
    }
    place_pods(draft, column, rows, inner);
    if let Some(state) = column.state {
        ports::place(draft, state, rows.port_base(), rows.pods_bottom, inner);
    }
    rect.right()
}

fn place_pods(draft: &mut Draft<'_>, column: &Column<'_>, rows: &Rows, inner: Rect) {
    let netns = column.row.netns;
    match rows.detail {
        Detail::Full => {
            let gap = draft.px(measures(draft).pod_gap);
            let half = (inner.w - gap) / FULL_PODS as i32;
            // A Pod alone with more containers than fit into half of the node gets the whole of it.
            let is_wide = column.pods.len() == 1 && pod::is_crowded(draft, column.pods[0], half);
            let w = if is_wide { inner.w } else { half };
            for (at, row) in column.pods.iter().enumerate() {
                let x = inner.x + at as i32 * (w + gap);
                pod::place(draft, row, netns, Rect::new(x, rows.pods, w, rows.pods_bottom - rows.pods));
            }
        }
        Detail::Tiles => place_grid(draft, &column.pods, netns, rows, inner),
        Detail::Pile => {
            let close = focused(draft, &column.pods);
            let far: Vec<&PodRow> = column
                .pods
                .iter()
                .filter(|row| {
                    !close.iter().any(|other| other.name == row.name && other.namespace == row.namespace)
                })
                .copied()
                .collect();
            place_grid(draft, &close, netns, rows, inner);
            if !far.is_empty() {
                let h = draft.px(measures(draft).device);
                let rect = Rect::new(inner.x, rows.pods_bottom - h, inner.w, h);
                let place = pod::place_pile(draft, &far, netns, rect);
                ports::connect_pile(draft, place, netns, &far, rows.port_base());
            }
        }
    }
}

fn place_grid(draft: &mut Draft<'_>, pods: &[&PodRow], netns: NetnsId, rows: &Rows, inner: Rect) {
    let (gap, h) = (draft.px(12), draft.px(TILE_HEIGHT));
    let (top, columns) = (rows.pods, rows.tile_columns);
    let w = (inner.w - gap * (columns as i32 - 1)) / columns as i32;
    for (at, row) in pods.iter().enumerate() {
        let (line, slot) = ((at / columns) as i32, (at % columns) as i32);
        let rect = Rect::new(inner.x + slot * (w + gap), top + line * (h + gap), w, h);
        pod::place_tile(draft, row, netns, rect);
    }
}

fn place_namespace(draft: &mut Draft<'_>, state: &NetnsState, rows: &Rows, inner: Rect) {
    let netns = state.row.netns;
    let own = measures(draft);
    let h = draft.px(own.device);
    let stack = Rect::new(inner.x, rows.stack, inner.w, draft.px(own.stack));
    let middle = stack.center().x;
    let home = stack_of(netns);
    draft.rest(home, Point::new(middle, stack.y));
    let of_kind = |test: fn(&LinkKind) -> bool| {
        state.links.values().filter(|link| test(&link.kind)).cloned().collect::<Vec<LinkRow>>()
    };
    let bridges = of_kind(|kind| matches!(kind, LinkKind::Bridge { .. }));
    if let Some(y) = rows.bridge {
        for (link, rect) in split(&bridges, Rect::new(inner.x, y, inner.w, h), draft.px(own.pod_gap)) {
            let shape = device(draft, link, ShapeKind::Bridge, rect);
            let detail = format!("bridge · {}", address_of(state, link.ifindex, true));
            draft.device(shape, &link.name, detail.trim_end_matches(" · "));
            let spot = (netns, link.ifindex);
            draft.rest(spot, rect.center());
            draft.wire(WireKind::Inside, spot, home, &[Point::new(rect.center().x, stack.y)]);
        }
    }
    let tunnels = of_kind(is_on_card);
    let is_card = |link: &&LinkRow| cable_end(draft.inventory, link).is_some();
    let cards: Vec<LinkRow> = state.links.values().filter(is_card).cloned().collect();
    place_cards(draft, state, &cards, Rect::new(inner.x, rows.card, inner.w, h), stack);
    if let Some(y) = rows.tunnel {
        let half = Rect::new(inner.x, y, (inner.w - draft.px(12)) * 45 / 100, h);
        place_tunnels(draft, state, &tunnels, half, stack);
    }
    let note = if rows.tunnel.is_some() {
        inner.x + (inner.w - draft.px(12)) * 45 / 100 + draft.px(12)
    } else {
        inner.x
    };
    draft.scene.notes.insert(netns, Point::new(note, stack.bottom() + draft.px(8)));
    place_stack(draft, netns, stack);
}

fn device(draft: &mut Draft<'_>, link: &LinkRow, kind: ShapeKind, rect: Rect) -> usize {
    let spot: Spot = (link.netns, link.ifindex);
    let shape = draft.shape(format!("{}.{}", spot.0.0, spot.1.0), kind, rect, Some(spot));
    draft.scene.shapes[shape].pending = !link.up;
    shape
}

/// Devices beside each other in one row.
fn split(links: &[LinkRow], rect: Rect, gap: i32) -> impl Iterator<Item = (&LinkRow, Rect)> {
    let count = links.len().max(1) as i32;
    let w = (rect.w - gap * (count - 1)) / count;
    links
        .iter()
        .enumerate()
        .map(move |(at, link)| (link, Rect::new(rect.x + at as i32 * (w + gap), rect.y, w, rect.h)))
}

fn place_cards(draft: &mut Draft<'_>, state: &NetnsState, cards: &[LinkRow], row: Rect, stack: Rect) {
    for (link, rect) in split(cards, row, draft.px(measures(draft).pod_gap)) {
        let shape = device(draft, link, ShapeKind::Card, rect);
        draft.device(shape, &link.name, &address_of(state, link.ifindex, true));
        let spot = (link.netns, link.ifindex);
        let rest = Point::new(rect.center().x, rect.bottom());
        draft.rest(spot, rest);
        // Straight down at three quarters, clear of the tunnel device at the left.
        let x = rect.x + rect.w * 3 / 4;
        let lamps = stack.y + draft.px(22);
        let corners = [
            Point::new(stack.center().x, lamps),
            Point::new(x, lamps),
            Point::new(x, rect.center().y),
            Point::new(rest.x, rect.center().y),
        ];
        draft.wire(WireKind::Inside, stack_of(link.netns), spot, &corners);
    }
}

/// Whether a device stands on a network card: tunnels and devices that share the card.
fn is_on_card(kind: &LinkKind) -> bool {
    matches!(kind, LinkKind::Vxlan { .. }) || kind.tunnel().is_some() || kind.lower().is_some()
}

/// What is written under such a device, and the device it leads to.
fn below(state: &NetnsState, kind: &LinkKind) -> (String, IfIndex) {
    let name = kind.name().unwrap_or_default();
    let first_card = || state.links.values().find(|link| link.kind.wire().is_some()).map(|link| link.ifindex);
    match kind {
        LinkKind::Vxlan { vni, dev, .. } => (format!("{name} {vni}"), *dev),
        LinkKind::Vlan { lower, id, .. } => (format!("{name} {id}"), *lower),
        LinkKind::Macvlan { lower, mode } => (format!("{name} {}", mode.name()), *lower),
        LinkKind::Ipvlan { lower, mode } => (format!("{name} {}", mode.name()), *lower),
        LinkKind::Ipip(row) | LinkKind::Gre(row) | LinkKind::Gretap(row) => {
            (name.to_owned(), row.dev.or_else(first_card).unwrap_or(IfIndex::NONE))
        }
        LinkKind::Loopback
        | LinkKind::Veth { .. }
        | LinkKind::Physical { .. }
        | LinkKind::Bridge { .. }
        | LinkKind::Dummy => (name.to_owned(), IfIndex::NONE),
    }
}

fn place_tunnels(draft: &mut Draft<'_>, state: &NetnsState, tunnels: &[LinkRow], row: Rect, stack: Rect) {
    for (link, rect) in split(tunnels, row, draft.px(8)) {
        let shape = device(draft, link, ShapeKind::Tunnel, rect);
        let (detail, dev) = below(state, &link.kind);
        draft.device(shape, &link.name, &detail);
        let spot = (link.netns, link.ifindex);
        let rest = Point::new(rect.center().x, rect.bottom());
        draft.rest(spot, rest);
        let lamps = stack.y + draft.px(22);
        let into = [Point::new(stack.center().x, lamps), Point::new(rest.x, lamps)];
        draft.wire(WireKind::Inside, stack_of(link.netns), spot, &into);
        let card = (link.netns, dev);
        if let Some(end) = state.links.get(&dev).and_then(|_| draft.scene.rest(card)) {
            let y = end.y - draft.px(measures(draft).device / 2);
            draft.wire(WireKind::Inside, spot, card, &[Point::new(rest.x, y), Point::new(end.x, y)]);
        }
    }
}

/// The stack's lamps: the way of forwarded packets on top, the ways in and out of the node itself below.
fn place_stack(draft: &mut Draft<'_>, netns: NetnsId, stack: Rect) {
    let shape = draft.shape(format!("stack {}", netns.0), ShapeKind::Stack, stack, Some(stack_of(netns)));
    let title = words::word(draft.options.lang, "stage.stack");
    let (pad, h) =
        if draft.options.compact { (draft.px(6), draft.px(24)) } else { (draft.px(8), draft.px(28)) };
    let gap = draft.px(8);
    let full = draft.px(450) <= stack.w + draft.px(22);
    let names = if full {
        ["PREROUTING", "route", "FORWARD", "POSTROUTING", "INPUT", "OUTPUT"]
    } else {
        ["PRE", "route", "FWD", "POST", "IN", "OUT"]
    };
    let hook = HookSlot::Netfilter;
    let slots = [
        hook(Hook::Prerouting),
        HookSlot::Route,
        hook(Hook::Forward),
        hook(Hook::Postrouting),
        hook(Hook::Input),
        hook(Hook::Output),
    ];
    let text: i32 = names[..4].iter().map(|name| draft.mono_width(name)).sum();
    let room = stack.w - 2 * pad - 3 * gap - text;
    let mut x = stack.x + pad;
    let mut boxes: Vec<Rect> = Vec::new();
    for name in &names[..4] {
        let w = draft.mono_width(name) + room / 4;
        boxes.push(Rect::new(x, stack.y + pad, w, h));
        x += w + gap;
    }
    let (below, half) = (stack.y + pad + h + draft.px(6), boxes[3]);
    boxes.push(Rect::new(boxes[2].x, below, boxes[2].w, h));
    boxes.push(Rect::new(half.x, below, half.w, h));
    let base = Point::new(stack.x + pad + draft.px(4), below + h / 2 + draft.px(5));
    let title = draft.fitted(&title, boxes[4].x - base.x + draft.px(24));
    draft.label(shape, base, &title, LabelStyle::Word, Anchor::Start);
    for ((slot, name), rect) in slots.into_iter().zip(names).zip(boxes) {
        let lamp = draft.shape(
            format!("hook {} {name}", netns.0),
            ShapeKind::Hook(slot),
            rect,
            Some(stack_of(netns)),
        );
        let at = Point::new(rect.center().x, rect.center().y + draft.px(5));
        draft.label(lamp, at, name, LabelStyle::Device, Anchor::Middle);
    }
}

/// Draws nodes that are collapsed as tiles, in columns to the right, and returns the right edge.
pub(super) fn place_tiles(draft: &mut Draft<'_>, nodes: &[Column<'_>], rows: &Rows, x: i32) -> i32 {
    let (w, h, gap) = (draft.px(176), draft.px(TILE_HEIGHT), draft.px(12));
    let lines = usize::try_from((rows.bottom + gap) / (h + gap)).unwrap_or(1).max(1);
    let mut right = x;
    for (at, column) in nodes.iter().enumerate() {
        let (slot, line) = ((at / lines) as i32, (at % lines) as i32);
        let rect = Rect::new(x + slot * (w + gap), line * (h + gap), w, h);
        right = rect.right() + gap;
        let home = stack_of(column.row.netns);
        let shape = draft.shape(format!("node {}", column.row.name), ShapeKind::NodeTile, rect, Some(home));
        draft.scene.shapes[shape].pending = !column.row.ready;
        let left = rect.x + draft.px(12);
        let name = draft.fitted(&column.row.name, rect.w - draft.px(24));
        draft.label(shape, Point::new(left, rect.y + draft.px(22)), &name, LabelStyle::Name, Anchor::Start);
        let count = words::text(draft.options.lang, "stage.pods", &[column.pods.len().to_string()]);
        let at = Point::new(left, rect.y + draft.px(42));
        draft.label(shape, at, &count, LabelStyle::Word, Anchor::Start);
        draft.rest(home, rect.center());
        for netns in column.pods.iter().filter_map(|pod| pod::sandbox(draft, pod, home.0)).collect::<Vec<_>>()
        {
            draft.scene.ways.share(stack_of(netns.row.netns), home);
        }
    }
    right
}

/// Draws the Pods that no node was found for.
pub(super) fn place_waiting(draft: &mut Draft<'_>, pods: &[&PodRow], rows: &Rows, x: i32) {
    if pods.is_empty() {
        return;
    }
    let (pad, tile, gap) = (draft.px(WIDE.pad), draft.px(TILE_HEIGHT), draft.px(12));
    let shown = pods.len().min(6);
    let height = draft.px(46) + shown as i32 * (tile + gap) + pad;
    let rect = Rect::new(x, 0, draft.px(208) + 2 * pad, height.min(rows.bottom.max(height)));
    let shape = draft.shape("waiting".to_string(), ShapeKind::Waiting, rect, None);
    let mut title = words::word(draft.options.lang, "stage.unscheduled");
    if pods.len() > shown {
        title = format!("{title} ({})", pods.len());
    }
    let base = Point::new(rect.x + pad, draft.px(31));
    draft.label(shape, base, &title, LabelStyle::Name, Anchor::Start);
    for (at, row) in pods.iter().take(shown).enumerate() {
        let y = draft.px(46) + at as i32 * (tile + gap);
        let rect = Rect::new(rect.x + pad, y, draft.px(208), tile);
        pod::place_tile(draft, row, NetnsId::NONE, rect);
    }
}
