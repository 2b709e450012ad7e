//! What is broken, on the picture: a cut through the cable, a word at the interface, a node that stands still.

use super::Show;
use crate::base::{IfIndex, NetnsId};
use crate::scene::{Point, Rect, Scene, ShapeKind};
use crate::trace::{Fault, FaultRow, Inventory, LinkKind};
use leptos::prelude::*;

/// A mark on the picture.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Mark {
    /// A cut through a cable.
    Cut(Point),
    /// A word beside an interface.
    Word(Point, &'static str, String),
    /// A whole node.
    Dead(Rect),
}

#[component]
pub(super) fn Faults(show: Show) -> impl IntoView {
    let marks = Memo::new(move |_| {
        let scene = show.scene.get();
        show.tables.with(|tables| {
            let marks =
                tables.faults.values().filter_map(|row| Some((row.clone(), mark(tables, &scene, row)?)));
            marks.collect::<Vec<_>>()
        })
    });
    view! {
        <g class="faults-drawn">
            {move || marks.get().into_iter().map(|(row, mark)| mark_view(show, &row, mark)).collect::<Vec<_>>()}
        </g>
    }
}

fn mark(tables: &Inventory, scene: &Scene, row: &FaultRow) -> Option<Mark> {
    let Some(place) = row.fault.place() else {
        let Fault::DeadNode(node) = &*row.fault else { return None };
        let netns = tables.netns_named(node)?.row.netns;
        let is_it = |kind| matches!(kind, ShapeKind::Node | ShapeKind::NodeTile);
        let own = |shape: &&crate::scene::Shape| {
            is_it(shape.kind) && shape.spot.is_some_and(|spot| spot.0 == netns)
        };
        return scene.shapes.iter().find(own).map(|shape| Mark::Dead(shape.rect));
    };
    let state = tables.netns_named(&place.namespace)?;
    let link = state.link_named(&place.interface)?;
    let spot = (link.netns, link.ifindex);
    let at = scene.rest(spot)?;
    let word = |key, detail: String| Some(Mark::Word(at, key, detail));
    match &*row.fault {
        Fault::CutCable(_) => {
            let path = peer(&link.kind).and_then(|peer| scene.route(spot, peer));
            Some(Mark::Cut(path.map_or(at, |path| middle(&path))))
        }
        Fault::LinkDown(_) => word("fault.sign.down", String::new()),
        Fault::Impair { netem, .. } => {
            let text = netem.to_string();
            let text = text.strip_prefix("limit 1000 ").unwrap_or(&text).to_string();
            word("", text)
        }
        Fault::Mtu { mtu, .. } => word("", format!("mtu {mtu}")),
        Fault::DuplicateAddress { address, .. } => word("fault.sign.duplicate", address.to_string()),
        Fault::StaleNeighbor { address, .. } => word("fault.sign.stale", address.to_string()),
        Fault::DeadNode(_) => None,
    }
}

fn peer(kind: &LinkKind) -> Option<(NetnsId, IfIndex)> {
    if let LinkKind::Veth { peer_netns, peer, .. } | LinkKind::Physical { peer_netns, peer } = kind {
        Some((*peer_netns, *peer))
    } else {
        None
    }
}

/// The middle of a way along its pieces.
fn middle(path: &[Point]) -> Point {
    let (x, y) = crate::scene::along(path, 0.5);
    Point::new(x as i32, y as i32)
}

fn mark_view(show: Show, row: &FaultRow, mark: Mark) -> impl IntoView + use<> {
    let (key, args) = row.fault.words();
    let title = move || show.ui.sentence(key, &args);
    let scale = if show.ui.theme.get_untracked() == crate::ui::Theme::Projector { 20.0 / 14.0 } else { 1.0 };
    let body = match mark {
        Mark::Cut(at) => view! {
            <g transform=format!("translate({} {}) scale({scale})", at.x, at.y)>
                <circle class="fault-ground" r="13"></circle>
                <path class="fault-cross" d="M-7,-7 L7,7 M7,-7 L-7,7"></path>
            </g>
        }
        .into_any(),
        Mark::Word(at, key, detail) => {
            let word = if key.is_empty() { String::new() } else { show.ui.word(key) };
            let text = [word, detail].join(" ").trim().to_string();
            let letters: usize = text.chars().map(|char| if char.is_ascii() { 1 } else { 2 }).sum();
            let width = letters as f64 * 8.6 + 34.0;
            view! {
                <g transform=format!("translate({} {}) scale({scale})", at.x, at.y)>
                    <rect class="fault-ground" x="20" y="-13" width=width height="26" rx="13"></rect>
                    <path class="fault-cross" d="M29,-4 L37,4 M37,-4 L29,4"></path>
                    <text class="fault-word" x="44" y="5">{text}</text>
                </g>
            }
            .into_any()
        }
        Mark::Dead(rect) => {
            let (x, y) = (rect.x + rect.w / 2, rect.y + rect.h / 2);
            view! {
                <rect class="fault-dead" x=rect.x y=rect.y width=rect.w height=rect.h rx="18"></rect>
                <g transform=format!("translate({x} {y}) scale({scale})")>
                    <rect class="fault-ground" x="-70" y="-18" width="140" height="36" rx="18"></rect>
                    <text class="fault-word" y="5" text-anchor="middle">{show.ui.word("fault.sign.dead")}</text>
                </g>
            }
            .into_any()
        }
    };
    view! { <g class="fault-mark"><title>{title}</title>{body}</g> }
}
