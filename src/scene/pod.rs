//! A Pod on the stage: a namespace with its containers inside and its `eth0` on the edge, as small as it has to be.

use super::geometry::{Point, Rect};
use super::layout::{Draft, stack_of};
use super::model::{Anchor, LabelStyle, ShapeKind, Spot};
use super::score::shortened;
use crate::base::NetnsId;
use crate::base::words;
use crate::trace::{ContainerRow, ContainerState, LinkKind, NetnsState, PodPhase, PodRow, pod_status};

/// Name as shown: with its namespace unless that is `default`.
pub(super) fn short_name(pod: &PodRow) -> String {
    if &*pod.namespace == "default" {
        pod.name.to_string()
    } else {
        format!("{}/{}", pod.namespace, pod.name)
    }
}

/// The name as far as it fits into `room`: without its namespace before it is cut.
fn fitted_name(draft: &Draft<'_>, pod: &PodRow, room: i32) -> String {
    let full = short_name(pod);
    let letters = usize::try_from(room * 10 / draft.mono_width("0123456789")).unwrap_or(0);
    if draft.mono_width(&full) <= room { full } else { shortened(&pod.name, letters.saturating_sub(1)) }
}

/// The namespace of its own that a Pod has; with `hostNetwork` it has none.
pub(super) fn sandbox<'a>(draft: &Draft<'a>, pod: &PodRow, node: NetnsId) -> Option<&'a NetnsState> {
    pod.netns.filter(|netns| *netns != node).and_then(|netns| draft.inventory.state(netns))
}

/// The interfaces that lead out of a Pod.
pub(super) fn ports(state: &NetnsState) -> Vec<Spot> {
    let leads_out = |kind: &LinkKind| match kind {
        LinkKind::Veth { .. }
        | LinkKind::Physical { .. }
        | LinkKind::Macvlan { .. }
        | LinkKind::Ipvlan { .. }
        | LinkKind::Vlan { .. } => true,
        LinkKind::Loopback
        | LinkKind::Bridge { .. }
        | LinkKind::Vxlan { .. }
        | LinkKind::Dummy
        | LinkKind::Ipip(_)
        | LinkKind::Gre(_)
        | LinkKind::Gretap(_) => false,
    };
    state.links.values().filter(|link| leads_out(&link.kind)).map(|link| (link.netns, link.ifindex)).collect()
}

fn key(pod: &PodRow) -> String {
    format!("pod {}/{}", pod.namespace, pod.name)
}

/// Draws a Pod with its containers in `rect`.
pub(super) fn place(draft: &mut Draft<'_>, pod: &PodRow, node: NetnsId, rect: Rect) {
    let state = sandbox(draft, pod, node);
    let spot = pod.netns.map(stack_of);
    let shape = draft.shape(key(pod), ShapeKind::Pod, rect, spot);
    let compact = draft.options.compact;
    let pad = draft.px(if compact { 10 } else { 14 });
    let running = !pod.deleting && pod.phase == PodPhase::Running;
    draft.scene.shapes[shape].pending = !running;
    let ip = pod.ip.map_or_else(String::new, |ip| ip.to_string());
    let name_room = rect.w - 2 * pad - if compact { 0 } else { draft.mono_width(&ip) + draft.px(8) };
    let name = fitted_name(draft, pod, name_room);
    let first = rect.y + draft.px(if compact { 21 } else { 26 });
    draft.label(shape, Point::new(rect.x + pad, first), &name, LabelStyle::Name, Anchor::Start);
    let end = Point::new(rect.right() - pad, first);
    let word = pod_status::word(pod);
    if compact {
        let second = if running { ip } else { draft.fitted(&word, rect.w - 2 * pad) };
        let at = Point::new(rect.x + pad, rect.y + draft.px(40));
        draft.label(shape, at, &second, LabelStyle::Detail, Anchor::Start);
    } else {
        draft.label(shape, end, &ip, LabelStyle::Detail, Anchor::End);
    }
    place_containers(draft, pod, rect, spot);
    if !compact {
        place_loopback(draft, state, rect, pad);
        let at = Point::new(rect.right() - pad, rect.bottom() - draft.px(17));
        let word = draft.fitted(&word, draft.px(if running { 76 } else { 124 }));
        draft.label(shape, at, &word, LabelStyle::Word, Anchor::End);
    }
    if let Some(state) = state {
        place_ports(draft, state, rect, true);
    }
}

fn place_loopback(draft: &mut Draft<'_>, state: Option<&NetnsState>, rect: Rect, pad: i32) {
    let Some(lo) = state.and_then(|state| state.links.values().find(|link| link.kind == LinkKind::Loopback))
    else {
        return;
    };
    let size = Rect::new(rect.x + pad, rect.bottom() - draft.px(38), draft.px(50), draft.px(26));
    let spot = (lo.netns, lo.ifindex);
    let key = format!("{}.{}", lo.netns.0, lo.ifindex.0);
    let shape = draft.shape(key, ShapeKind::Loopback, size, Some(spot));
    let at = Point::new(size.center().x, size.center().y + draft.px(5));
    draft.label(shape, at, &lo.name, LabelStyle::Detail, Anchor::Middle);
}

/// The containers worth showing: not the init containers that are done.
fn shown(pod: &PodRow) -> Vec<&ContainerRow> {
    let done = |container: &&ContainerRow| {
        !(container.init && matches!(container.state, ContainerState::Terminated(0, _)))
    };
    pod.containers.iter().filter(done).collect()
}

/// How many containers have room side by side in a Pod of this width.
fn most_containers(draft: &Draft<'_>, width: i32) -> usize {
    let (least, own) = if draft.options.compact { (2, draft.px(72)) } else { (3, draft.px(100)) };
    usize::try_from(width / own).unwrap_or(0).max(least)
}

/// Whether a Pod has more containers than are shown at this width.
pub(super) fn is_crowded(draft: &Draft<'_>, pod: &PodRow, width: i32) -> bool {
    shown(pod).len() > most_containers(draft, width)
}

fn place_containers(draft: &mut Draft<'_>, pod: &PodRow, rect: Rect, spot: Option<Spot>) {
    let compact = draft.options.compact;
    let (pad, gap) = (draft.px(if compact { 10 } else { 14 }), draft.px(if compact { 4 } else { 8 }));
    let (top, height) = if compact { (47, 26) } else { (38, 46) };
    let all = shown(pod);
    let most = most_containers(draft, rect.w);
    let slots = all.len().min(most) as i32;
    if slots == 0 {
        return;
    }
    let width = (rect.w - 2 * pad - gap * (slots - 1)) / slots;
    for (at, container) in all.iter().take(most).enumerate() {
        let x = rect.x + pad + at as i32 * (width + gap);
        let size = Rect::new(x, rect.y + draft.px(top), width, draft.px(height));
        let key = format!("{} {}", key(pod), container.name);
        let shape = draft.shape(key, ShapeKind::Container, size, spot);
        draft.scene.shapes[shape].pending = !matches!(container.state, ContainerState::Running(_));
        let more = all.len() > most && at + 1 == most;
        let name = if more {
            format!("+{}", all.len() - most + 1)
        } else {
            draft.fitted(&container.name, width - 8)
        };
        let middle = size.center();
        let line = if compact || more { middle.y + draft.px(5) } else { middle.y - draft.px(4) };
        draft.label(shape, Point::new(middle.x, line), &name, LabelStyle::Word, Anchor::Middle);
        if !compact && !more {
            let detail = draft.fitted(&container_detail(container), width - 8);
            let at = Point::new(middle.x, middle.y + draft.px(15));
            draft.label(shape, at, &detail, LabelStyle::Detail, Anchor::Middle);
        }
    }
}

fn container_detail(container: &ContainerRow) -> String {
    let image = container.image.rsplit('/').next().unwrap_or_default();
    let image = image.split(['@', ':']).next().unwrap_or_default();
    match container.ports.first() {
        Some(port) => {
            format!("{image} {}", port.strip_suffix("/TCP").unwrap_or(port))
        }
        None => image.to_string(),
    }
}

/// The Pod's interfaces on its lower edge, where their wires begin.
fn place_ports(draft: &mut Draft<'_>, state: &NetnsState, rect: Rect, named: bool) {
    let spots = ports(state);
    let count = spots.len() as i32;
    for (at, spot) in spots.into_iter().enumerate() {
        let x = rect.x + rect.w * (2 * at as i32 + 1) / (2 * count);
        let (w, h) = if named { (draft.px(64), draft.px(28)) } else { (draft.px(14), draft.px(8)) };
        let w = w.min(rect.w / count - draft.px(4));
        let size = Rect::new(x - w / 2, rect.bottom() - h / 2, w, h);
        let shape = draft.shape(format!("{}.{}", spot.0.0, spot.1.0), ShapeKind::Port, size, Some(spot));
        if named {
            let middle = Point::new(x, size.center().y + draft.px(5));
            let name = draft.fitted(&state.ifname(spot.1), w - draft.px(4));
            draft.label(shape, middle, &name, LabelStyle::Detail, Anchor::Middle);
        }
        draft.rest(spot, Point::new(x, size.bottom()));
        if at == 0 {
            draft.scene.ways.share(stack_of(spot.0), spot);
            draft.scene.notes.insert(spot.0, Point::new(rect.x, size.bottom() + draft.px(6)));
        }
    }
}

/// Draws a Pod as a small tile.
pub(super) fn place_tile(draft: &mut Draft<'_>, pod: &PodRow, node: NetnsId, rect: Rect) {
    let shape = draft.shape(key(pod), ShapeKind::PodTile, rect, pod.netns.map(stack_of));
    let running = !pod.deleting && pod.phase == PodPhase::Running;
    draft.scene.shapes[shape].pending = !running;
    let (pad, room) = (draft.px(10), rect.w - draft.px(20));
    let name = fitted_name(draft, pod, room);
    draft.label(
        shape,
        Point::new(rect.x + pad, rect.y + draft.px(22)),
        &name,
        LabelStyle::Name,
        Anchor::Start,
    );
    let detail = match pod.ip {
        Some(ip) if running => ip.to_string(),
        _ => pod_status::word(pod),
    };
    let detail = draft.fitted(&detail, room);
    let at = Point::new(rect.x + pad, rect.y + draft.px(42));
    draft.label(shape, at, &detail, LabelStyle::Detail, Anchor::Start);
    if let Some(state) = sandbox(draft, pod, node) {
        place_ports(draft, state, rect, false);
    }
}

/// Draws the Pods that are too many to be drawn one by one as one box with their number.
pub(super) fn place_pile(draft: &mut Draft<'_>, pods: &[&PodRow], node: NetnsId, rect: Rect) -> Spot {
    let shape = draft.shape(format!("pile {}", node.0), ShapeKind::PodPile, rect, Some(stack_of(node)));
    let running = pods.iter().filter(|pod| pod.phase == PodPhase::Running && !pod.deleting).count();
    let text = words::text(draft.options.lang, "stage.pods", &[pods.len().to_string()]);
    let (x, y) = (rect.x + draft.px(14), rect.center().y + draft.px(5));
    draft.label(shape, Point::new(x, y), &text, LabelStyle::Name, Anchor::Start);
    let detail = words::text(draft.options.lang, "stage.running", &[running.to_string()]);
    let end = Point::new(rect.right() - draft.px(14), y);
    draft.label(shape, end, &detail, LabelStyle::Detail, Anchor::End);
    // The pile has a place of its own in the graph, which all its Pods share.
    let place: Spot = (node, crate::base::IfIndex(u32::MAX - 1));
    draft.rest(place, Point::new(rect.center().x, rect.bottom()));
    for state in pods.iter().filter_map(|pod| sandbox(draft, pod, node)).collect::<Vec<_>>() {
        for spot in ports(state) {
            draft.scene.ways.share(spot, place);
        }
        draft.scene.ways.share(stack_of(state.row.netns), place);
    }
    place
}
