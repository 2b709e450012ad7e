//! Tests of the room as a whole, over the sample trace.

use super::model::HookSlot;
use super::sample::*;
use super::*;
use crate::base::{EventId, IfIndex, NetnsId};
use crate::trace::{EventKind, Hook, Inventory, Table, Trace};

fn all(trace: &Trace) -> Inventory {
    Inventory::at(trace, trace.len())
}

fn picture(trace: &Trace, at: usize) -> (Scene, Frame) {
    picture_as(trace, at, &LayoutOptions::default())
}

fn picture_as(trace: &Trace, at: usize, options: &LayoutOptions) -> (Scene, Frame) {
    let mut index = Index::default();
    index.extend(trace);
    let inventory = all(trace);
    let scene = layout(&inventory, options);
    let steps = index.steps().to_vec();
    let lang = crate::base::words::Lang::En;
    let frame = frame_at(&scene, &inventory, Moment { trace, index: &index, steps: &steps, at, lang });
    (scene, frame)
}

fn step_where(trace: &Trace, wanted: impl Fn(&crate::trace::Event) -> bool) -> usize {
    steps(trace).iter().position(|id| wanted(trace.event(*id))).expect("the sample has such a step")
}

fn rect(scene: &Scene, key: &str) -> Rect {
    scene.shape(key).unwrap_or_else(|| panic!("no {key}")).rect
}

fn check(scene: &Scene) {
    let tops = |kind: ShapeKind| {
        matches!(
            kind,
            ShapeKind::Node
                | ShapeKind::NodeTile
                | ShapeKind::Waiting
                | ShapeKind::Switch
                | ShapeKind::Outside
        )
    };
    let boxes: Vec<_> = scene.shapes.iter().filter(|shape| tops(shape.kind)).collect();
    for (at, shape) in boxes.iter().enumerate() {
        for other in &boxes[at + 1..] {
            assert!(!shape.rect.overlaps(other.rect), "{} lies on {}", shape.key, other.key);
        }
    }
    let pods = |kind| matches!(kind, ShapeKind::Pod | ShapeKind::PodTile | ShapeKind::PodPile);
    let pods: Vec<_> = scene.shapes.iter().filter(|shape| pods(shape.kind)).collect();
    for (at, shape) in pods.iter().enumerate() {
        for other in &pods[at + 1..] {
            assert!(!shape.rect.overlaps(other.rect), "{} lies on {}", shape.key, other.key);
        }
    }
    for shape in &scene.shapes {
        assert!(scene.bounds.contains(shape.rect), "{} is outside the picture", shape.key);
        for label in &shape.labels {
            let width = label.text.chars().count() as i32 * 85 / 10;
            let left = match label.anchor {
                Anchor::Start => label.at.x,
                Anchor::Middle => label.at.x - width / 2,
                Anchor::End => label.at.x - width,
            };
            let narrow = label.style == LabelStyle::Word || label.style == LabelStyle::Heading;
            let slack = if narrow { width } else { 8 };
            assert!(
                left + slack >= shape.rect.x && left + width <= shape.rect.right() + slack,
                "{:?} does not fit {}",
                label.text,
                shape.key
            );
        }
    }
    for wire in &scene.wires {
        for ends in wire.path.windows(2) {
            let straight = ends[0].x == ends[1].x || ends[0].y == ends[1].y;
            assert!(straight, "{} runs askew: {:?}", wire.key, wire.path);
        }
    }
}

#[test]
fn rows_are_layers_in_the_same_order_on_every_node() {
    let scene = layout(&all(&cluster().trace), &LayoutOptions::default());
    check(&scene);
    for (node, pod) in [(NODE1, "pod default/a"), (NODE2, "pod default/b")] {
        let device = |ifindex: IfIndex| rect(&scene, &format!("{}.{}", node.0, ifindex.0));
        let order = [
            rect(&scene, pod).y,
            device(VETH).y,
            device(CNI0).y,
            rect(&scene, &format!("stack {}", node.0)).y,
            device(FLANNEL).y,
            device(ETH0).y,
            rect(&scene, "switch switch").y,
        ];
        assert!(order.is_sorted_by(|a, b| a < b), "{order:?}");
    }
    let cables = scene.wires.iter().filter(|wire| wire.kind == WireKind::Cable).count();
    assert_eq!(cables, 3, "both nodes and the router hang on the switch");
    assert_eq!(rect(&scene, "node node1").y, rect(&scene, "node node2").y);
    assert!(rect(&scene, "node node1").right() < rect(&scene, "node node2").x);
}

#[test]
fn every_size_and_language_fits() {
    use crate::base::words::Lang;
    let inventory = all(&cluster().trace);
    for lang in [Lang::En, Lang::Ko] {
        for compact in [false, true] {
            let options = LayoutOptions { lang, compact, ..LayoutOptions::default() };
            check(&layout(&inventory, &options));
        }
        let large = layout(&inventory, &LayoutOptions { lang, text: 20, ..LayoutOptions::default() });
        let small = layout(&inventory, &LayoutOptions { lang, ..LayoutOptions::default() });
        assert!(large.bounds.w > small.bounds.w * 4 / 3);
    }
}

#[test]
fn nodes_grow_into_the_room_there_is() {
    let inventory = all(&cluster().trace);
    let drawn = |room, compact| {
        let scene = layout(&inventory, &LayoutOptions { compact, room, ..LayoutOptions::default() });
        check(&scene);
        scene.bounds
    };
    let (narrow, large) = (drawn(0, true), drawn(0, false));
    assert_eq!(drawn(narrow.w - 100, true), narrow, "nothing gets narrower than it can be");
    let wider = drawn(narrow.w + 160, true);
    assert!((narrow.w + 158..=narrow.w + 160).contains(&wider.w), "{wider:?} after {narrow:?}");
    assert_eq!(wider.h, narrow.h);
    assert!(drawn(5_000, true).w <= large.w, "nor wider than on a large stage");
}

#[test]
fn nothing_moves_when_another_pod_comes() {
    let mut s = cluster();
    let before = layout(&all(&s.trace), &LayoutOptions::default());
    s.at(100);
    pod(&mut s, NetnsId(9), "aa", (NODE2, 2), "10.244.2.11", IfIndex(6));
    let after = layout(&all(&s.trace), &LayoutOptions::default());
    check(&after);
    for shape in &before.shapes {
        assert_eq!(after.shape(&shape.key).map(|shape| shape.rect), Some(shape.rect), "{}", shape.key);
    }
}

#[test]
fn an_empty_lab_is_an_empty_picture() {
    let scene = layout(&Inventory::default(), &LayoutOptions::default());
    assert!(scene.shapes.is_empty());
    let index = Index::default();
    let trace = Trace::default();
    let lang = crate::base::words::Lang::En;
    let moment = Moment { trace: &trace, index: &index, steps: &[], at: 0, lang };
    assert_eq!(frame_at(&scene, &Inventory::default(), moment), Frame::default());
}

#[test]
fn many_pods_become_tiles_and_then_one_box() {
    for (count, kind) in [(9, ShapeKind::PodTile), (1_000, ShapeKind::PodPile)] {
        let mut s = cluster();
        for at in 0..count {
            let ip = format!("10.244.{}.{}", 1 + at / 250 % 2, at % 250 + 2);
            pod(&mut s, NetnsId(100 + at), &format!("web-{at}"), (NODE1, 1), &ip, IfIndex(100 + at));
        }
        let inventory = all(&s.trace);
        let focus: std::collections::BTreeSet<NetnsId> = [POD_A].into();
        let scene = layout(&inventory, &LayoutOptions { focus: focus.clone(), ..LayoutOptions::default() });
        check(&scene);
        // An address is never cut, however narrow the nodes are.
        let narrow = layout(&inventory, &LayoutOptions { focus, compact: true, ..LayoutOptions::default() });
        check(&narrow);
        let tiles = narrow.shapes.iter().filter(|shape| shape.kind == ShapeKind::PodTile);
        assert!(
            tiles
                .flat_map(|tile| &tile.labels)
                .all(|label| !(label.text.starts_with("10.") && label.text.ends_with('…')))
        );
        assert!(scene.shapes.iter().any(|shape| shape.kind == kind), "{count} Pods");
        assert!(scene.shapes.len() < 120, "{} shapes", scene.shapes.len());
        assert!(scene.shape("pod default/a").is_some(), "a Pod in focus stays a tile");
        let last = NetnsId(100 + count - 1);
        let way = scene.route((last, ETH0), (NODE1, CNI0)).expect("its wire is in the graph");
        assert!(length(&way) > 0);
    }
}

#[test]
fn many_nodes_are_tiles_beside_those_in_use() {
    let mut s = cluster();
    for at in 0..100 {
        node(&mut s, NetnsId(100 + at), 3 + (at % 200) as u8, IfIndex(100 + at));
    }
    let scene = layout(&all(&s.trace), &LayoutOptions::default());
    check(&scene);
    assert!(scene.shapes.iter().filter(|shape| shape.kind == ShapeKind::Node).count() <= 4);
}

#[test]
fn copies_of_one_flood_are_one_step_and_fly_together() {
    let trace = cold_ping(false);
    let flood = step_where(&trace, |event| {
        event.kind == EventKind::Transmitted && event.netns == NODE1 && event.ifindex == IfIndex(6)
    });
    let (_, before) = picture(&trace, flood - 1);
    assert_eq!(before.tokens.iter().filter(|token| token.emerges).count(), 2, "both copies leave the bridge");
    let (_, frame) = picture(&trace, flood);
    let moving = frame.tokens.iter().filter(|token| token.moves.1 > token.moves.0);
    assert_eq!(moving.count(), 2, "both copies are on their wires");
    assert!(frame.tokens.iter().any(|token| token.waits), "the ping waits for the answer");
}

#[test]
fn the_packet_runs_down_the_rows_and_carries_its_tunnel() {
    let trace = cold_ping(false);
    let out = step_where(&trace, |event| {
        event.kind == EventKind::Transmitted && event.netns == NODE1 && event.ifindex == ETH0
    });
    let (scene, frame) = picture(&trace, out);
    let token = frame.tokens.iter().find(|token| token.main).expect("the packet is shown");
    assert_eq!(token.look.tunnel, Some(50));
    assert_eq!(token.look.protocol, Protocol::Icmp);
    let node = rect(&scene, "node node1");
    let (_, y) = token.at(out as f64);
    assert_eq!(y as i32, node.bottom());
    assert!(token.at(out as f64 + 0.5).1 > y, "it goes down to the switch");
    let lamps: Vec<_> = [Hook::Prerouting, Hook::Forward, Hook::Output]
        .map(|hook| frame.lamps.contains_key(&(NODE1, HookSlot::Netfilter(hook))))
        .into();
    assert_eq!(lamps, [true, true, true]);
    let note = frame.note.expect("the rows that decided are shown");
    let tables: Vec<Table> = note.rows.iter().map(|row| row.0).collect();
    assert_eq!(tables, [Table::Fib, Table::VxlanFdb]);
    assert_eq!(note.rows[0].2.head, "10.244.2.0/24");
    assert_eq!(note.rows[0].2.tail, "via 10.244.2.0 dev flannel.1 onlink");
    let tunnel = frame.trail.iter().filter(|piece| piece.look.tunnel.is_some()).count();
    assert!(tunnel >= 1 && frame.trail.len() > 4, "{:?}", frame.trail);
}

#[test]
fn the_rows_that_decided_never_cover_where_the_packet_is_or_goes() {
    let trace = cold_ping(false);
    let mut index = Index::default();
    index.extend(&trace);
    let steps = index.steps().to_vec();
    let mut seen = 0;
    let sizes = [(14, false), (14, true), (20, true)];
    for (at, (text, compact)) in (0..steps.len()).flat_map(|at| sizes.map(|size| (at, size))) {
        let options = LayoutOptions { text, compact, ..LayoutOptions::default() };
        let (scene, frame) = picture_as(&trace, at, &options);
        let Some(note) = frame.note else { continue };
        assert!(scene.bounds.contains(note.rect), "step {at}: {:?}", note.rect);
        let here = trace.event(steps[at]);
        let next =
            steps[at + 1..].iter().map(|id| trace.event(*id)).find(|event| event.journey == here.journey);
        for event in std::iter::once(here).chain(next) {
            let key = format!("{}.{}", event.netns.0, event.ifindex.0);
            let Some(shape) = scene.shape(&key) else { continue };
            assert!(!shape.rect.overlaps(note.rect), "step {at}: {key} is under {:?}", note.rect);
            seen += 1;
        }
    }
    assert!(seen >= 36, "{seen} devices were looked at");
}

#[test]
fn what_a_packet_waits_for_is_written_beside_the_names() {
    let trace = cold_ping(false);
    let mut seen = 0;
    let sizes = [(14, false), (14, true), (20, false), (20, true)];
    for (at, (text, compact)) in (0..steps(&trace).len()).flat_map(|at| sizes.map(|size| (at, size))) {
        let options = LayoutOptions { text, compact, ..LayoutOptions::default() };
        let (scene, frame) = picture_as(&trace, at, &options);
        for sign in frame.tokens.iter().filter_map(|token| token.sign) {
            for (name, rect) in note::names(&scene) {
                assert!(!sign.overlaps(rect), "step {at}, text {text}, {compact}: {name} is under {sign:?}");
            }
            for shape in &scene.shapes {
                let is_end = matches!(shape.kind, ShapeKind::Loopback | ShapeKind::Port);
                let key = &shape.key;
                assert!(!is_end || !sign.overlaps(shape.rect), "step {at}, text {text}, {compact}: {key}");
            }
            seen += 1;
        }
    }
    assert!(seen >= 8, "{seen} signs were looked at");
}

#[test]
fn a_packet_that_is_only_just_made_is_seen_where_it_leaves() {
    let trace = cold_ping(false);
    let mut index = Index::default();
    index.extend(&trace);
    let made = (0..trace.len() as u32).map(EventId).find(|id| trace.event(*id).kind == EventKind::Originated);
    let made = made.expect("the sample has such an event");
    let shown = index.step_of(&trace, made);
    assert!(shown > made && index.steps().contains(&shown));
    assert_eq!(trace.event(shown).journey, trace.event(made).journey);
    assert!(trace.frame_of(trace.event(shown)).is_some(), "its bytes are there");
    assert_eq!(index.step_of(&trace, shown), shown);
}

#[test]
fn every_token_of_every_step_starts_where_the_last_one_ended() {
    let trace = cold_ping(false);
    let count = steps(&trace).len();
    for at in 0..count - 1 {
        let ((_, now), (_, next)) = (picture(&trace, at), picture(&trace, at + 1));
        for token in &now.tokens {
            let Some(then) = next.tokens.iter().find(|other| other.journey == token.journey) else {
                continue;
            };
            let end = token.at(at as f64 + 1.0);
            let start = then.at(at as f64 + 1.0);
            assert_eq!(end, start, "step {at}: {token:?} then {then:?}");
        }
    }
}

#[test]
fn a_lost_packet_bursts_where_it_died_and_stays_on_the_picture() {
    let trace = cold_ping(true);
    let last = steps(&trace).len() - 1;
    let (scene, frame) = picture(&trace, last);
    let burst = frame.bursts.last().expect("it was lost");
    assert!(burst.now);
    assert_eq!(Some(burst.at), scene.rest((NODE2, FLANNEL)));
    assert!(!frame.tokens.iter().any(|token| token.main && token.look.protocol == Protocol::Icmp));
    let note = frame.note.expect("the table that had no row is named");
    assert_eq!(note.rows.last().map(|row| (row.0, row.1)), Some((Table::Fib, None)));
}

#[test]
fn the_index_grows_as_if_read_at_once() {
    let trace = cold_ping(false);
    let mut index = Index::default();
    for upto in (0..trace.len()).step_by(7).chain([trace.len()]) {
        let mut part = trace.clone();
        part.events = trace.events.range(0..upto).copied().collect();
        index.extend(&part);
    }
    let mut whole = Index::default();
    whole.extend(&trace);
    assert_eq!(index, whole);
    let mut other = cluster().trace;
    other.events = other.events.range(0..3).copied().collect();
    index.extend(&other);
    assert_eq!(index.steps(), steps(&other));
}

#[test]
fn tables_at_any_step_are_those_folded_from_the_start() {
    let mut trace = cold_ping(false);
    let whole = trace.events.clone();
    while trace.events.len() < 9_000 {
        trace.events.extend(whole.iter().filter(|event| event.kind == EventKind::Transmitted).copied());
    }
    let mut history = History::<Inventory>::default();
    for upto in [9_000, 100, 4_100, 4_000, 8_999, 0, 2_048] {
        let quick = history.at(&trace, upto);
        assert_eq!(format!("{:?}", *quick), format!("{:?}", Inventory::at(&trace, upto)));
    }
}

#[test]
fn the_score_has_a_line_a_place_and_a_mark_a_step() {
    let trace = cold_ping(false);
    let steps = steps(&trace);
    let inventory = all(&trace);
    let score = score(&trace, &inventory, &steps, 0..steps.len());
    let names: Vec<&str> = score.lines.iter().map(|line| &*line.name).collect();
    assert_eq!(names, ["a", "c", "node1", "switch", "node2", "b"]);
    assert_eq!(score.marks.len(), steps.len());
    assert!(score.marks.iter().enumerate().all(|(at, mark)| mark.step == at));
    let part = super::score(&trace, &inventory, &steps, 3..usize::MAX);
    assert_eq!(part.marks.len(), steps.len() - 3);
    assert_eq!(part.marks[0].event, steps[3]);
    assert_ne!(part.marks[0].event, EventId::NONE);
}

#[test]
fn tables_say_what_a_step_used_and_changed_and_go_back_with_it() {
    use super::tables::{RowMark, TableKind, sheets};
    let trace = cold_ping(false);
    let mut index = Index::default();
    index.extend(&trace);
    let steps = index.steps().to_vec();
    let mut marks = Vec::new();
    for at in 1..steps.len() {
        let upto = |at| index.horizon(&trace, &steps, at).map_or(0, |event| event.index() + 1);
        let (before, now) = (Inventory::at(&trace, upto(at - 1)), Inventory::at(&trace, upto(at)));
        let places: Vec<_> = now.netns.values().map(|state| state.row.name.clone()).collect();
        for sheet in places.iter().flat_map(|name| sheets(&trace, &before, &now, name, None)) {
            for row in sheet.rows {
                assert_eq!(row.cells.len(), sheet.kind.columns().len(), "{:?}", sheet.kind);
                marks.push((sheet.kind, row.mark, row.used));
            }
        }
        let none = sheets(&trace, &now, &now, "node1", None);
        assert!(none.iter().flat_map(|sheet| &sheet.rows).all(|row| row.mark == RowMark::None));
    }
    let has =
        |kind: TableKind, wanted: RowMark| marks.iter().any(|(at, mark, _)| *at == kind && *mark == wanted);
    assert!(has(TableKind::Routes, RowMark::Used), "a route decided");
    assert!(has(TableKind::Rules, RowMark::Used), "so did the rule that leads to its table");
    assert!(has(TableKind::Neighbors, RowMark::Came), "ARP asked");
    assert!(has(TableKind::Links, RowMark::Changed), "interfaces count");
}
