//! The box with the table rows that decided, and other words that come and go: where they stand without covering what
//! matters at that moment.

use super::frame::Decision;
use super::geometry::{Point, Rect, mono_width};
use super::model::{Anchor, Label, LabelStyle, Scene, Shape, ShapeKind, Spot};
use crate::base::NetnsId;
use crate::base::words::{self, Lang};
use crate::trace::Table;

/// Table rows that decided, shown beside the stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Where it stands.
    pub rect: Rect,
    /// From the stack that asked to the box, where the two are apart.
    pub leader: Option<(Point, Point)>,
    /// The rows, in the order in which they were asked for.
    pub rows: Vec<Decision>,
    /// What is written for each of them.
    pub lines: Vec<NoteLine>,
}

/// A row as it is written in the box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteLine {
    /// The table.
    pub title: String,
    /// What the row is about.
    pub head: String,
    /// What it says of that, or that there is none.
    pub tail: String,
}

/// Height of a row's two lines at 14 px.
const LINE: i32 = 40;
/// A candidate place every so many pixels.
const STEP: usize = 8;

/// The name of a table in the catalogues.
pub fn table_slug(table: Table) -> &'static str {
    match table {
        Table::Fib => "fib",
        Table::Neighbor => "neighbor",
        Table::BridgeFdb => "bridge-fdb",
        Table::VxlanFdb => "vxlan-fdb",
        Table::Netfilter => "netfilter",
        Table::Conntrack => "conntrack",
        Table::Ipvs => "ipvs",
        Table::Bpf => "bpf",
        Table::Qdisc => "qdisc",
        Table::Xfrm => "xfrm",
    }
}

/// What must stay in sight: the places that the packet is at and goes to next.
#[derive(Clone, Debug, Default)]
pub(super) struct Sight {
    pub(super) spots: Vec<Spot>,
    pub(super) path: Vec<Point>,
    pub(super) wide: bool,
}

/// The box for `rows`, which were asked in `netns`.
pub(super) fn note(
    scene: &Scene,
    lang: Lang,
    netns: NetnsId,
    rows: Vec<Decision>,
    sight: &Sight,
) -> Option<Note> {
    let home = *scene.notes.get(&netns)?;
    let lines: Vec<NoteLine> = rows.iter().map(|row| line(lang, row)).collect();
    let px = |length: i32| length * scene.text / 14;
    let text = |text: &str| mono_width(text, scene.text);
    let width = lines.iter().map(|line| {
        let first = text(&line.head) + text(&line.title) + px(40);
        first.max(text(&line.tail) + px(26))
    });
    let size = (width.max()?.max(px(170)), lines.len() as i32 * px(LINE) + px(8));
    let rect = settle(scene, size, home, &kept_free(scene, Some(netns), sight), 1);
    let leader = asker(scene, netns).and_then(|from| {
        let end = rect.nearest(from.center());
        let start = from.nearest(end);
        let far = (end.x - start.x).abs() + (end.y - start.y).abs() > px(14);
        (far && !from.overlaps(rect)).then_some((start, end))
    });
    Some(Note { rect, leader, rows, lines })
}

fn line(lang: Lang, (table, row, text): &Decision) -> NoteLine {
    let slug = table_slug(*table);
    let tail = match row {
        Some(_) => text.tail.clone(),
        None => words::word(lang, &format!("stage.none.{slug}")),
    };
    NoteLine { title: words::word(lang, &format!("stage.table.{slug}")), head: text.head.clone(), tail }
}

/// The shape of the stack that asked.
fn asker(scene: &Scene, netns: NetnsId) -> Option<Rect> {
    let of = |wanted: fn(ShapeKind) -> bool| {
        let own = |shape: &&Shape| shape.spot.is_some_and(|spot| spot.0 == netns) && wanted(shape.kind);
        scene.shapes.iter().find(own).map(|shape| shape.rect)
    };
    of(|kind| kind == ShapeKind::Stack)
        .or_else(|| of(|kind| matches!(kind, ShapeKind::Pod | ShapeKind::PodTile | ShapeKind::Outside)))
}

/// What nothing may be laid over: the devices that the packet is at and goes to, the way between them, and the stack
/// that is deciding.
pub(super) fn kept_free(scene: &Scene, netns: Option<NetnsId>, sight: &Sight) -> Vec<Rect> {
    let px = |length: i32| length * scene.text / 14;
    let mut free: Vec<Rect> = Vec::new();
    for shape in &scene.shapes {
        let Some(spot) = shape.spot else { continue };
        let here = |at: &Spot| {
            *at == spot
                || (at.0 == spot.0
                    && matches!(
                        shape.kind,
                        ShapeKind::Pod | ShapeKind::PodTile | ShapeKind::Outside | ShapeKind::Switch
                    ))
        };
        let deciding = shape.kind == ShapeKind::Stack && netns == Some(spot.0);
        let ground = matches!(shape.kind, ShapeKind::Node | ShapeKind::Hook(_) | ShapeKind::Container);
        if deciding || (!ground && sight.spots.iter().any(here)) {
            free.push(shape.rect.grown(px(3)));
        }
    }
    let reach = if sight.wide { (px(82), px(24)) } else { (px(18), px(18)) };
    let ends =
        sight.path.windows(2).map(|ends| (ends[0], ends[1])).chain(sight.path.first().map(|at| (*at, *at)));
    for (from, to) in ends {
        let (x, y) = (from.x.min(to.x), from.y.min(to.y));
        let (w, h) = ((from.x - to.x).abs(), (from.y - to.y).abs());
        free.push(Rect::new(x - reach.0, y - reach.1, w + 2 * reach.0, h + 2 * reach.1));
    }
    free
}

/// Room that a label takes, as near as can be told without measuring it.
fn label_rect(scene: &Scene, label: &Label) -> Rect {
    let (w, h) = (mono_width(&label.text, scene.text), scene.text);
    let x = match label.anchor {
        Anchor::Start => label.at.x,
        Anchor::Middle => label.at.x - w / 2,
        Anchor::End => label.at.x - w,
    };
    Rect::new(x, label.at.y - h, w, h + h / 4)
}

fn label_rects(scene: &Scene) -> Vec<Rect> {
    scene.shapes.iter().flat_map(|shape| &shape.labels).map(|label| label_rect(scene, label)).collect()
}

/// The names of Pods, nodes and hosts, and where they are written.
pub(super) fn names(scene: &Scene) -> impl Iterator<Item = (&str, Rect)> {
    let labels = scene.shapes.iter().flat_map(|shape| &shape.labels);
    labels
        .filter(|label| matches!(label.style, LabelStyle::Heading | LabelStyle::Name))
        .map(|label| (&*label.text, label_rect(scene, label)))
}

/// The place for a box of `size` near `home` that covers nothing of `free` and little else: a pixel of
/// text weighs as much as `weight` steps of a 24th pixel away.
pub(super) fn settle(scene: &Scene, size: (i32, i32), home: Point, free: &[Rect], weight: i64) -> Rect {
    let bounds = scene.bounds.grown(-2);
    let (w, h) = size;
    let labels = label_rects(scene);
    let (right, bottom) = ((bounds.right() - w).max(bounds.x), (bounds.bottom() - h).max(bounds.y));
    let cost = |at: Point| {
        let rect = Rect::new(at.x, at.y, w, h);
        let hidden: i64 = free.iter().map(|kept| i64::from(rect.shared(*kept))).sum();
        let written: i64 = labels.iter().map(|label| i64::from(rect.shared(*label))).sum();
        let away = i64::from((at.x - home.x).abs() + (at.y - home.y).abs());
        hidden * 1_000 + written * weight + away * 24
    };
    let reach = 30 * scene.text;
    let columns = (bounds.x..=right).step_by(STEP).filter(|x| (x - home.x).abs() < reach);
    let rows: Vec<i32> = (bounds.y..=bottom).step_by(STEP).filter(|y| (y - home.y).abs() < reach).collect();
    let first = Point::new(home.x.clamp(bounds.x, right), home.y.clamp(bounds.y, bottom));
    let grid = columns.flat_map(|x| rows.iter().map(move |y| Point::new(x, *y)));
    let best = std::iter::once(first).chain(grid).min_by_key(|at| cost(*at)).unwrap_or(first);
    Rect::new(best.x, best.y, w, h)
}
