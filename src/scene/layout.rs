//! Where everything stands. Nodes are columns; rows are layers and always in the same order: Pods, bridge with its
//! ports, the kernel's stack, the tunnel device, the network card, and below the nodes the switch and what is outside.
//! Things keep their order of coming, so that nothing moves because of something else.

use super::geometry::{Point, Rect};
use super::model::{Anchor, Label, LabelStyle, Scene, Shape, ShapeKind, Spot, WireKind};
use super::{node, outside};
use crate::base::words::Lang;
use crate::base::{IfIndex, NetnsId};
use crate::trace::{Inventory, LinkKind, LinkRow, NetnsRole, NetnsState, NodeRow, PodRow};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How the stage is to be laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutOptions {
    /// Language of the words on it.
    pub lang: Lang,
    /// Size of the text at 100 %: 14, or 20 for projectors. Everything grows with it.
    pub text: i32,
    /// Whether everything is drawn close together, for small windows and large type.
    pub compact: bool,
    /// Width there is for the picture, in its own pixels: nodes grow into it up to the width that they have on a large
    /// stage. 0 leaves them as narrow as they can be.
    pub room: i32,
    /// Namespaces of Pods that are drawn one by one even where the others are collapsed.
    pub focus: BTreeSet<NetnsId>,
}

impl Default for LayoutOptions {
    fn default() -> Self {
        Self { lang: Lang::En, text: 14, compact: false, room: 0, focus: BTreeSet::new() }
    }
}

/// With more nodes than this, those without traffic are drawn as small tiles.
const FULL_NODES: usize = 4;

/// Lays out everything that the tables name.
pub fn layout(inventory: &Inventory, options: &LayoutOptions) -> Scene {
    let mut draft = Draft::new(inventory, options);
    let columns = draft.columns();
    let has_tunnel = columns.full.iter().any(|column| node::has_tunnel(column.state));
    let has_bridge = columns.full.iter().any(|column| node::has_bridge(column.state));
    let gap = draft.px(if options.compact { 12 } else { 24 });
    let count = columns.full.len().max(1) as i32;
    let is_alone = columns.small.is_empty() && columns.waiting.is_empty();
    let room = if is_alone { (options.room - 2 * draft.margin() - (count - 1) * gap) / count } else { 0 };
    let rows = node::Rows::new(&draft, &columns.full, has_bridge, has_tunnel, room);
    let mut x = 0;
    for column in &columns.full {
        x = node::place(&mut draft, column, &rows, x) + gap;
    }
    x = node::place_tiles(&mut draft, &columns.small, &rows, x);
    node::place_waiting(&mut draft, &columns.waiting, &rows, x);
    let bottom = if columns.full.is_empty() && columns.small.is_empty() { 0 } else { rows.bottom };
    outside::place(&mut draft, bottom);
    draft.finish()
}

/// A node with its Pods.
pub(super) struct Column<'a> {
    pub(super) row: &'a NodeRow,
    pub(super) state: Option<&'a NetnsState>,
    pub(super) pods: Vec<&'a PodRow>,
}

struct Columns<'a> {
    full: Vec<Column<'a>>,
    small: Vec<Column<'a>>,
    waiting: Vec<&'a PodRow>,
}

/// A picture in the making.
pub(super) struct Draft<'a> {
    pub(super) inventory: &'a Inventory,
    pub(super) options: &'a LayoutOptions,
    pub(super) scene: Scene,
}

impl<'a> Draft<'a> {
    fn new(inventory: &'a Inventory, options: &'a LayoutOptions) -> Self {
        Self { inventory, options, scene: Scene { text: options.text, ..Scene::default() } }
    }

    /// A length given for text of 14 px, in the size asked for.
    pub(super) fn px(&self, length: i32) -> i32 {
        length * self.options.text / 14
    }

    /// Width of a text in the monospaced face, in pixels.
    pub(super) fn mono_width(&self, text: &str) -> i32 {
        super::geometry::mono_width(text, self.options.text)
    }

    /// The text, cut to `width` with an ellipsis.
    pub(super) fn fitted(&self, text: &str, width: i32) -> String {
        if self.mono_width(text) <= width {
            return text.to_string();
        }
        let mut out = String::new();
        for char in text.chars() {
            out.push(char);
            if self.mono_width(&out) + self.px(9) > width {
                out.pop();
                break;
            }
        }
        out + "…"
    }

    /// Adds a box and returns its place in the list, for its labels.
    pub(super) fn shape(&mut self, key: String, kind: ShapeKind, rect: Rect, spot: Option<Spot>) -> usize {
        let state = spot.and_then(|(netns, _)| self.inventory.netns.get(&netns));
        let netns: Arc<str> = state.map_or_else(|| Arc::from(""), |state| state.row.name.clone());
        let ifname = spot
            .filter(|(_, ifindex)| ifindex.is_some())
            .and_then(|(_, ifindex)| state?.links.get(&ifindex))
            .map(|link| link.name.clone());
        let labels = Vec::new();
        self.scene.shapes.push(Shape { key, kind, rect, labels, spot, netns, ifname, pending: false });
        self.scene.shapes.len() - 1
    }

    /// Writes `text` on a box.
    pub(super) fn label(&mut self, shape: usize, at: Point, text: &str, style: LabelStyle, anchor: Anchor) {
        if !text.is_empty() {
            let text = text.to_string();
            self.scene.shapes[shape].labels.push(Label { at, text, style, anchor });
        }
    }

    /// A device's box with its name at the left and a detail at the right, as far as both fit.
    pub(super) fn device(&mut self, shape: usize, name: &str, detail: &str) {
        let rect = self.scene.shapes[shape].rect;
        let (pad, base) = (self.px(12), rect.center().y + self.px(5));
        let name = self.fitted(name, rect.w - 2 * pad);
        let room = rect.w - 2 * pad - self.mono_width(&name) - self.px(8);
        // Where not all of it fits, the address at its end says more than the kind before it.
        let last = detail.rsplit(" · ").next().unwrap_or(detail);
        let detail = if self.mono_width(detail) <= room { detail } else { last };
        self.label(shape, Point::new(rect.x + pad, base), &name, LabelStyle::Device, Anchor::Start);
        if self.mono_width(detail) <= room {
            self.label(shape, Point::new(rect.right() - pad, base), detail, LabelStyle::Detail, Anchor::End);
        }
    }

    /// Makes a place for packets.
    pub(super) fn rest(&mut self, spot: Spot, at: Point) {
        self.scene.ways.place(spot, at);
    }

    /// A way between two places, drawn as a wire.
    pub(super) fn wire(&mut self, kind: WireKind, from: Spot, to: Spot, corners: &[Point]) {
        if let Some(path) = self.scene.ways.connect(from, to, corners) {
            let key = format!("{}.{}-{}.{}", from.0.0, from.1.0, to.0.0, to.1.0);
            self.scene.wires.push(super::model::Wire { key, kind, path });
        }
    }

    fn columns(&self) -> Columns<'a> {
        let mut pods: BTreeMap<Option<&str>, Vec<&PodRow>> = BTreeMap::new();
        for pod in self.inventory.pods.values() {
            let node = pod.node.as_deref().filter(|name| self.inventory.nodes.contains_key(*name));
            pods.entry(node).or_default().push(pod);
        }
        for list in pods.values_mut() {
            list.sort_by_key(|pod| (pod.created, pod.namespace.clone(), pod.name.clone()));
        }
        let mut nodes: Vec<Column<'a>> = self
            .inventory
            .nodes
            .values()
            .map(|row| Column {
                row,
                state: self.inventory.state(row.netns),
                pods: pods.remove(&Some(&*row.name)).unwrap_or_default(),
            })
            .collect();
        nodes.sort_by_cached_key(|column| natural(&column.row.name));
        let waiting = pods.remove(&None).unwrap_or_default();
        if nodes.len() <= FULL_NODES {
            return Columns { full: nodes, small: Vec::new(), waiting };
        }
        let busy = |column: &Column<'_>| {
            self.options.focus.contains(&column.row.netns)
                || column
                    .pods
                    .iter()
                    .any(|pod| pod.netns.is_some_and(|netns| self.options.focus.contains(&netns)))
        };
        let (mut full, mut small): (Vec<_>, Vec<_>) = nodes.into_iter().partition(|column| busy(column));
        while full.len() < 2 && !small.is_empty() {
            full.push(small.remove(0));
        }
        small.extend(full.split_off(full.len().min(FULL_NODES)));
        full.sort_by_cached_key(|column| natural(&column.row.name));
        Columns { full, small, waiting }
    }

    /// What is left free around everything.
    pub(super) fn margin(&self) -> i32 {
        self.px(if self.options.compact { 8 } else { 12 })
    }

    fn finish(mut self) -> Scene {
        // A wire to what lies behind a router runs below the last row.
        let corners = self.scene.wires.iter().flat_map(|wire| &wire.path);
        let corners = corners.map(|at| Rect::new(at.x, at.y, 0, 0));
        let bounds = self.scene.shapes.iter().map(|shape| shape.rect).chain(corners).reduce(Rect::union);
        self.scene.bounds = bounds.unwrap_or_default().grown(self.margin());
        self.scene
    }
}

/// Whether a namespace is the root namespace of something outside the nodes.
pub(super) fn is_outside(state: &NetnsState) -> bool {
    match state.row.role {
        NetnsRole::Switch | NetnsRole::Router | NetnsRole::Host => true,
        NetnsRole::Node | NetnsRole::Pod { .. } => false,
    }
}

/// The far end of a link that is a cable between machines: a network card's, or a veth's that leads to no Pod, as in a
/// lab where each machine is a namespace, or leads out of the nodes altogether, as a node's card does that a Pod was given.
pub(super) fn cable_end(inventory: &Inventory, link: &LinkRow) -> Option<Spot> {
    let state = |netns: NetnsId| inventory.netns.get(&netns);
    let is_pod =
        |netns: NetnsId| state(netns).is_none_or(|state| matches!(state.row.role, NetnsRole::Pod { .. }));
    let leads_out = |netns: NetnsId| state(netns).is_some_and(|state| is_outside(state));
    match link.kind {
        LinkKind::Physical { peer_netns, peer } => Some((peer_netns, peer)),
        LinkKind::Veth { peer_netns, peer, .. } => {
            let ends = [link.netns, peer_netns];
            (!ends.into_iter().any(is_pod) || ends.into_iter().any(leads_out)).then_some((peer_netns, peer))
        }
        LinkKind::Loopback
        | LinkKind::Bridge { .. }
        | LinkKind::Vxlan { .. }
        | LinkKind::Dummy
        | LinkKind::Vlan { .. }
        | LinkKind::Macvlan { .. }
        | LinkKind::Ipvlan { .. }
        | LinkKind::Ipip(_)
        | LinkKind::Gre(_)
        | LinkKind::Gretap(_) => None,
    }
}

/// The namespace itself as a spot.
pub(super) fn stack_of(netns: NetnsId) -> Spot {
    (netns, IfIndex::NONE)
}

/// A sort key that puts `node2` before `node10`.
pub(super) fn natural(name: &str) -> (String, u64, String) {
    let head: String = name.trim_end_matches(|char: char| char.is_ascii_digit()).to_string();
    let number = name[head.len()..].parse().unwrap_or(0);
    (head, number, name.to_string())
}

/// The address that a namespace has on an interface, or its first one.
pub(super) fn address_of(state: &NetnsState, ifindex: IfIndex, with_prefix: bool) -> String {
    state.addrs.iter().find(|row| row.ifindex == ifindex).map_or_else(String::new, |row| {
        if with_prefix { row.addr.to_string() } else { row.addr.addr().to_string() }
    })
}
