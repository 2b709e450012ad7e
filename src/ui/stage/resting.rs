//! What stands: nodes, Pods, devices and wires. A shape is drawn anew only when it changed.

use super::{Show, shape_id};
use crate::base::{IfIndex, NetnsId};
use crate::scene::{Anchor, HookSlot, LabelStyle, Point, Shape, ShapeKind, Wire, WireKind};
use crate::trace::Inventory;
use crate::ui::Selection;
use leptos::ev::KeyboardEvent;
use leptos::prelude::*;

#[component]
pub(super) fn Resting(show: Show, focus: RwSignal<String>) -> impl IntoView {
    let wires = move || show.scene.get().wires.clone();
    let shapes = move |ground: bool| {
        let scene = show.scene.get();
        let is_ground = |shape: &&Shape| matches!(shape.kind, ShapeKind::Node | ShapeKind::Waiting) == ground;
        scene.shapes.iter().filter(is_ground).cloned().collect::<Vec<_>>()
    };
    // A shape that looks different is another one; the rest keeps its elements.
    let key = |shape: &Shape| format!("{shape:?}");
    view! {
        <For each=move || shapes(true) key=key let:shape><ShapeView show focus shape/></For>
        <g class="wires" aria-hidden="true">
            <For each=wires key=|wire| format!("{wire:?}") let:wire>
                {wire_view(show, &wire)}
            </For>
        </g>
        <Trail show/>
        <For each=move || shapes(false) key=key let:shape><ShapeView show focus shape/></For>
        <WithinLines show/>
    }
}

/// A wire; a click on a cable or veth pair opens the interface at its end. By keyboard the interface itself is reached.
fn wire_view(show: Show, wire: &Wire) -> impl IntoView + use<> {
    let data = path_data(&wire.path);
    let hit = (wire.kind != WireKind::Inside).then(|| {
        let key = wire.key.clone();
        let open = move |event: web_sys::MouseEvent| {
            event.stop_propagation();
            if let Some(place) = show.tables.with_untracked(|tables| end_of(tables, &key)) {
                show.ui.selection.set(place);
            }
        };
        view! { <path class="wire-hit" d=data.clone() on:click=open></path> }
    });
    view! {
        <path class=format!("wire {}", wire_class(wire.kind)) d=data></path>
        {hit}
    }
}

/// The interface at an end of the wire of this name (`netns.ifindex-netns.ifindex`).
fn end_of(tables: &Inventory, key: &str) -> Option<Selection> {
    key.split('-').find_map(|end| {
        let (netns, ifindex) = end.split_once('.')?;
        let state = tables.netns.get(&NetnsId(netns.parse().ok()?))?;
        let link = state.links.get(&IfIndex(ifindex.parse().ok()?))?;
        Some(Selection::Place(state.row.name.to_string(), Some(link.name.to_string())))
    })
}

fn wire_class(kind: WireKind) -> &'static str {
    match kind {
        WireKind::Veth => "wire-veth",
        WireKind::Inside => "wire-inside",
        WireKind::Cable => "wire-cable",
    }
}

/// A path's corners as SVG path data.
pub(super) fn path_data(path: &[Point]) -> String {
    let mut data = String::new();
    for (at, point) in path.iter().enumerate() {
        data.push_str(if at == 0 { "M" } else { " L" });
        data.push_str(&point.x.to_string());
        data.push(',');
        data.push_str(&point.y.to_string());
    }
    data
}

/// The way between two containers of a Pod: dashed, for it is no packet's.
#[component]
fn WithinLines(show: Show) -> impl IntoView {
    let lines = move || {
        show.frame.with(|frame| {
            let Some(within) = &frame.within else { return Vec::new() };
            let class = format!("within-line is-{}", within.path.key());
            let line = |path: &Vec<Point>| {
                let end = path.last().copied().unwrap_or_default();
                let is_up = path.iter().rev().nth(1).is_some_and(|before| before.y > end.y);
                let head = format!("M{},{} l-6,{} h12 Z", end.x, end.y, if is_up { 10 } else { -10 });
                view! {
                    <path class=class.clone() d=path_data(path)></path>
                    <path class="within-head" d=head></path>
                }
            };
            within.lines.iter().map(line).collect::<Vec<_>>()
        })
    };
    view! { <g aria-hidden="true" data-testid="within-lines">{lines}</g> }
}

/// The ways behind the packets: under the devices, so that it runs into them and comes out again.
#[component]
fn Trail(show: Show) -> impl IntoView {
    let pieces = move || {
        let frame = show.frame.get();
        let mut pieces = frame.trail.clone();
        pieces.dedup();
        pieces.into_iter().enumerate().collect::<Vec<_>>()
    };
    view! {
        <g class="trail" aria-hidden="true">
            <For each=pieces key=|piece| format!("{piece:?}") let:piece>
                {
                    let piece = piece.1;
                    let data = path_data(&piece.path);
                    let faint = if piece.main { "" } else { " is-faint" };
                    view! {
                        {piece.look.tunnel.is_some().then(|| {
                            view! { <path class=format!("trail-tunnel{faint}") d=data.clone()></path> }
                        })}
                        <path class=format!("trail-line stroke-{}{faint}", piece.look.protocol.slug()) d=data.clone()></path>
                    }
                }
            </For>
        </g>
    }
}

#[component]
fn ShapeView(show: Show, focus: RwSignal<String>, shape: Shape) -> impl IntoView {
    let kind = kind_class(shape.kind);
    let class = if shape.pending { format!("shape {kind} is-pending") } else { format!("shape {kind}") };
    let rect = shape.rect;
    let radius = radius(&shape, show);
    let labels: Vec<_> = shape
        .labels
        .iter()
        .map(|label| {
            let (anchor, style) = (anchor(label.anchor), style_class(label.style));
            let (at, text) = (label.at, label.text.clone());
            view! { <text class=style x=at.x y=at.y text-anchor=anchor>{text}</text> }
        })
        .collect();
    let stop = shape.is_stop();
    let lit = lit(show, &shape);
    let name = spoken(&shape);
    let selected = {
        let shape = shape.clone();
        move || is_selected(&show.ui.selection.get(), &shape)
    };
    let (first, own) = (shape.key.clone(), shape.key.clone());
    let tab = move || {
        if !stop {
            return None;
        }
        let focus = focus.get();
        let scene = show.scene.get_untracked();
        let is_first = scene.shape(&focus).is_none()
            && scene.shapes.iter().find(|shape| shape.is_stop()).map(|shape| &shape.key) == Some(&first);
        Some(if focus == own || is_first { "0" } else { "-1" })
    };
    let select = {
        let shape = shape.clone();
        move || {
            focus.set(shape.key.clone());
            let ifname = shape.ifname.as_ref().map(ToString::to_string);
            show.ui.selection.set(Selection::Place(shape.netns.to_string(), ifname));
        }
    };
    let by_key = select.clone();
    let number = lamp_number(show, &shape);
    view! {
        <g
            class=class
            class:is-lit=lit
            class:is-selected=selected
            id=shape_id(&shape.key)
            role=stop.then_some("button")
            aria-label=stop.then_some(name)
            tabindex=tab
            on:click=move |event| {
                if stop {
                    event.stop_propagation();
                    select();
                }
            }
            on:keydown=move |event: KeyboardEvent| {
                if stop && (event.key() == "Enter" || event.key() == " ") {
                    event.prevent_default();
                    event.stop_propagation();
                    by_key();
                }
            }
        >
            {full_name(&shape).map(|name| view! { <title>{name}</title> })}
            <rect x=rect.x y=rect.y width=rect.w height=rect.h rx=radius></rect>
            {labels}
            {number}
        </g>
    }
}

/// Corners: 18 for nodes, 12 for Pods, 8 for devices.
fn radius(shape: &Shape, show: Show) -> i32 {
    let px = |length: i32| {
        length * if show.ui.theme.get_untracked() == crate::ui::Theme::Projector { 20 } else { 14 } / 14
    };
    let full = match shape.kind {
        ShapeKind::Node | ShapeKind::Waiting => 18,
        ShapeKind::Pod | ShapeKind::PodTile | ShapeKind::PodPile | ShapeKind::NodeTile => 12,
        ShapeKind::Hook(_) => 6,
        ShapeKind::Container
        | ShapeKind::Loopback
        | ShapeKind::Port
        | ShapeKind::Bridge
        | ShapeKind::Stack
        | ShapeKind::Tunnel
        | ShapeKind::Card
        | ShapeKind::Switch
        | ShapeKind::Outside => 8,
    };
    px(full).min(shape.rect.h / 2)
}

fn kind_class(kind: ShapeKind) -> &'static str {
    match kind {
        ShapeKind::Node => "shape-node",
        ShapeKind::Waiting => "shape-waiting",
        ShapeKind::Pod => "shape-pod",
        ShapeKind::PodTile => "shape-pod shape-tile",
        ShapeKind::PodPile => "shape-pod shape-pile",
        ShapeKind::Container => "shape-container",
        ShapeKind::Loopback => "shape-lo",
        ShapeKind::Port => "shape-port",
        ShapeKind::NodeTile
        | ShapeKind::Bridge
        | ShapeKind::Card
        | ShapeKind::Switch
        | ShapeKind::Outside => "shape-device",
        ShapeKind::Stack => "shape-stack",
        ShapeKind::Hook(_) => "shape-hook",
        ShapeKind::Tunnel => "shape-tunnel",
    }
}

fn style_class(style: LabelStyle) -> &'static str {
    match style {
        LabelStyle::Heading => "label-heading",
        LabelStyle::Name => "label-name",
        LabelStyle::Device => "label-device",
        LabelStyle::Detail => "label-detail",
        LabelStyle::Word => "label-word",
    }
}

fn anchor(anchor: Anchor) -> &'static str {
    match anchor {
        Anchor::Start => "start",
        Anchor::Middle => "middle",
        Anchor::End => "end",
    }
}

/// Whether a shape is lit at the step shown.
fn lit(show: Show, shape: &Shape) -> impl Fn() -> bool + Send + use<> {
    let (kind, spot) = (shape.kind, shape.spot);
    let pod = shape.key.strip_prefix("pod ").map(ToString::to_string);
    move || {
        let Some(spot) = spot else { return false };
        show.frame.with(|frame| match kind {
            ShapeKind::Hook(slot) => frame.lamps.contains_key(&(spot.0, slot)),
            ShapeKind::Pod | ShapeKind::PodTile => {
                let steps = frame
                    .pod
                    .as_ref()
                    .is_some_and(|row| pod == Some(format!("{}/{}", row.namespace, row.pod)));
                steps || frame.lit.iter().any(|lit| lit.0 == spot.0)
            }
            ShapeKind::Switch | ShapeKind::Outside | ShapeKind::NodeTile => {
                frame.lit.iter().any(|lit| lit.0 == spot.0)
            }
            ShapeKind::Stack => frame.lamps.keys().any(|(netns, _)| *netns == spot.0),
            ShapeKind::Node
            | ShapeKind::Waiting
            | ShapeKind::PodPile
            | ShapeKind::Container
            | ShapeKind::Loopback
            | ShapeKind::Port
            | ShapeKind::Bridge
            | ShapeKind::Tunnel
            | ShapeKind::Card => spot.1 != IfIndex::NONE && frame.lit.contains(&spot),
        })
    }
}

/// The number of a lamp in the order passed.
fn lamp_number(show: Show, shape: &Shape) -> Option<impl IntoView + use<>> {
    let ShapeKind::Hook(slot) = shape.kind else { return None };
    let netns = shape.spot?.0;
    let text = show.scene.with_untracked(|scene| scene.text);
    let (x, y) = (shape.rect.right() - 2, shape.rect.y + 2);
    let number = move || order(show, (netns, slot));
    Some(view! {
        <g class="lamp-number" class:is-on=move || number().is_some() aria-hidden="true">
            <circle cx=x cy=y r=text * 10 / 14></circle>
            <text x=x y=y + text / 3 text-anchor="middle">{move || number().map(|number| number.to_string())}</text>
        </g>
    })
}

fn order(show: Show, lamp: (NetnsId, HookSlot)) -> Option<usize> {
    show.frame.with(|frame| frame.lamps.get(&lamp).copied())
}

fn is_selected(selection: &Selection, shape: &Shape) -> bool {
    match selection {
        Selection::Place(netns, ifname) => {
            shape.is_stop()
                && **netns == *shape.netns
                && ifname.as_deref() == shape.ifname.as_deref()
                && !matches!(shape.kind, ShapeKind::Stack)
        }
        Selection::Playhead | Selection::Event(_) => false,
    }
}

/// The whole name of a thing whose label may have been cut.
fn full_name(shape: &Shape) -> Option<String> {
    match shape.kind {
        ShapeKind::Container => shape.key.strip_prefix("pod ").map(ToString::to_string),
        ShapeKind::Pod | ShapeKind::PodTile => {
            Some(shape.key.strip_prefix("pod ").unwrap_or_default().to_string())
        }
        ShapeKind::Hook(_) | ShapeKind::Waiting | ShapeKind::PodPile => None,
        ShapeKind::Node
        | ShapeKind::NodeTile
        | ShapeKind::Loopback
        | ShapeKind::Port
        | ShapeKind::Bridge
        | ShapeKind::Stack
        | ShapeKind::Tunnel
        | ShapeKind::Card
        | ShapeKind::Switch
        | ShapeKind::Outside => match &shape.ifname {
            Some(ifname) => Some(format!("{}/{ifname}", shape.netns)),
            None => Some(shape.netns.to_string()),
        },
    }
}

/// What a screen reader says of a shape.
fn spoken(shape: &Shape) -> String {
    let labels: Vec<&str> = shape.labels.iter().map(|label| label.text.as_str()).collect();
    format!("{} {}", shape.netns, labels.join(" "))
}
