//! What stands on the stage: shapes with their labels, wires, and the graph of ways between interfaces.

use super::geometry::{self, Point, Rect};
use crate::base::{IfIndex, NetnsId};
use crate::trace::Hook;
use petgraph::algo::astar;
use petgraph::graph::{NodeIndex, UnGraph};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An interface as a place of the network: its namespace and number. Without a number (`IfIndex::NONE`) it is the
/// namespace's own stack.
pub type Spot = (NetnsId, IfIndex);

/// The whole picture at rest.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// What it covers.
    pub bounds: Rect,
    /// Size of its text at 100 %.
    pub text: i32,
    /// Boxes in drawing order: what comes later lies on top.
    pub shapes: Vec<Shape>,
    /// Wires, drawn between the nodes' boxes and the devices'.
    pub wires: Vec<Wire>,
    /// Where the row that decided is shown, by namespace.
    pub notes: BTreeMap<NetnsId, Point>,
    pub(super) ways: Ways,
}

/// Two scenes are the same when they look the same.
impl PartialEq for Scene {
    fn eq(&self, other: &Self) -> bool {
        self.bounds == other.bounds && self.shapes == other.shapes && self.wires == other.wires
    }
}

/// What a shape stands for, which decides how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ShapeKind {
    /// A node.
    Node,
    /// A collapsed node: name and number of Pods only.
    NodeTile,
    /// Pods that no node was found for.
    Waiting,
    /// A Pod with its containers.
    Pod,
    /// A Pod as a small tile.
    PodTile,
    /// Many Pods as one box with their number.
    PodPile,
    /// A container inside a Pod.
    Container,
    /// A loopback interface.
    Loopback,
    /// One end of a veth pair: a Pod's `eth0` or a port on the node's side.
    Port,
    /// A bridge.
    Bridge,
    /// The kernel's network stack of a namespace.
    Stack,
    /// A netfilter hook, or the routing decision.
    Hook(HookSlot),
    /// A tunnel device.
    Tunnel,
    /// A network card.
    Card,
    /// The switch between the nodes.
    Switch,
    /// A router or host outside the cluster.
    Outside,
}

/// A lamp of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookSlot {
    /// A netfilter hook.
    Netfilter(Hook),
    /// The routing decision (`fib_lookup`).
    Route,
}

/// A box on the stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Its name: stays the same as long as the thing exists, so that the picture never jumps.
    pub key: String,
    /// What it is.
    pub kind: ShapeKind,
    /// Where it stands.
    pub rect: Rect,
    /// What is written on it.
    pub labels: Vec<Label>,
    /// Where it belongs: a namespace, and an interface in it.
    pub spot: Option<Spot>,
    /// The name of its namespace, for selecting it.
    pub netns: Arc<str>,
    /// The interface's name, for selecting it.
    pub ifname: Option<Arc<str>>,
    /// Whether it is there but not ready: drawn dashed.
    pub pending: bool,
}

/// A piece of text on a shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where its baseline begins, ends or has its middle.
    pub at: Point,
    /// The text, already cut to what fits.
    pub text: String,
    /// How it is written.
    pub style: LabelStyle,
    /// What `at` means.
    pub anchor: Anchor,
}

/// How a label is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LabelStyle {
    /// A node's name.
    Heading,
    /// A name.
    Name,
    /// A device's name.
    Device,
    /// An address or detail.
    Detail,
    /// A word of explanation.
    Word,
}

/// Which part of a label stands at its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Anchor {
    /// Its beginning.
    Start,
    /// Its middle.
    Middle,
    /// Its end.
    End,
}

/// A line that packets run along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    /// Its name.
    pub key: String,
    /// What it is.
    pub kind: WireKind,
    /// Its corners.
    pub path: Vec<Point>,
}

/// What a wire is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WireKind {
    /// A veth pair.
    Veth,
    /// A way inside a namespace.
    Inside,
    /// A cable.
    Cable,
}

/// The graph of ways: its nodes are places where a packet can rest, its edges the paths between them.
#[derive(Clone, Debug, Default)]
pub(super) struct Ways {
    graph: UnGraph<Point, Vec<Point>, u32>,
    spots: BTreeMap<Spot, NodeIndex<u32>>,
}

impl Ways {
    /// Makes `spot` a place where packets rest.
    pub(super) fn place(&mut self, spot: Spot, at: Point) {
        let node = self.graph.add_node(at);
        self.spots.insert(spot, node);
    }

    /// Lets `spot` share the place of `host`, as Pods in a pile do.
    pub(super) fn share(&mut self, spot: Spot, host: Spot) {
        if let Some(&node) = self.spots.get(&host) {
            self.spots.insert(spot, node);
        }
    }

    /// Adds a way between two places; `corners` lie between them.
    pub(super) fn connect(&mut self, from: Spot, to: Spot, corners: &[Point]) -> Option<Vec<Point>> {
        let (&a, &b) = (self.spots.get(&from)?, self.spots.get(&to)?);
        let mut path = vec![self.graph[a]];
        geometry::join(&mut path, corners.iter().copied().chain([self.graph[b]]));
        self.graph.update_edge(a, b, path.clone());
        Some(path)
    }

    /// Whether `spot` has a place of its own.
    pub(super) fn has(&self, spot: Spot) -> bool {
        self.spots.contains_key(&spot)
    }

    fn find(&self, spot: Spot) -> Option<NodeIndex<u32>> {
        self.spots.get(&spot).or_else(|| self.spots.get(&(spot.0, IfIndex::NONE))).copied()
    }
}

impl Scene {
    /// Where a packet rests at `spot`; at the namespace's stack when the interface is not drawn.
    pub fn rest(&self, spot: Spot) -> Option<Point> {
        Some(self.ways.graph[self.ways.find(spot)?])
    }

    /// The shortest way from one place to another along the wires.
    pub fn route(&self, from: Spot, to: Spot) -> Option<Vec<Point>> {
        let graph = &self.ways.graph;
        let (start, end) = (self.ways.find(from)?, self.ways.find(to)?);
        let goal = graph[end];
        let rest = |at: NodeIndex<u32>| geometry::length(&[graph[at], goal]);
        let (_, stops) =
            astar(graph, start, |at| at == end, |edge| geometry::length(edge.weight()).max(1), rest)?;
        let mut path = vec![graph[start]];
        for ends in stops.windows(2) {
            let edge = graph.edges_connecting(ends[0], ends[1]).next()?;
            let piece = edge.weight();
            if piece.first() == Some(&graph[ends[0]]) {
                geometry::join(&mut path, piece.iter().copied());
            } else {
                geometry::join(&mut path, piece.iter().rev().copied());
            }
        }
        Some(path)
    }

    /// The shape called `key`.
    pub fn shape(&self, key: &str) -> Option<&Shape> {
        self.shapes.iter().find(|shape| shape.key == key)
    }
}
