//! The part of the stage that is seen: all of it until the user zooms or drags.

use super::Show;
use crate::scene::{Rect, ShapeKind};
use leptos::ev::{PointerEvent, WheelEvent};
use leptos::prelude::*;
use leptos::svg::Svg;
use std::time::Duration;

/// Labels are never smaller than they are meant to be: where that leaves no room for everything, the view follows the
/// packet.
const LEAST_FIT: f64 = 1.0;
/// Nothing is drawn larger than this by itself.
const MOST_FIT: f64 = 1.6;
/// The packet keeps this far from the edge, in pixels, before the view moves.
const CLEAR: f64 = 48.0;
/// What the wide picture of two nodes takes at 14 px: below it everything is drawn close together.
const WIDE: (f64, f64) = (975.0, 655.0);
const LIMITS: (f64, f64) = (0.15, 4.0);

#[derive(Clone, Copy, Debug, PartialEq)]
struct View {
    scale: f64,
    x: f64,
    y: f64,
}

/// What the view keeps to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    /// Everything where it can be read, and else what happens.
    Follow,
    /// Everything, however small.
    Everything,
    /// What the user zoomed or dragged to.
    Chosen(View),
}

/// What lies beyond an edge of the view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Beyond {
    /// The edge: `left`, `right`, `top` or `bottom`.
    pub(super) side: &'static str,
    /// Names of what is there.
    pub(super) names: String,
}

/// Zoom and place of the picture.
#[derive(Clone, Copy)]
pub(super) struct Camera {
    show: Show,
    /// The picture's element.
    pub(super) node: NodeRef<Svg>,
    size: RwSignal<(f64, f64)>,
    mode: RwSignal<Mode>,
    followed: Memo<View>,
    hold: RwSignal<Option<(f64, f64, bool)>>,
}

impl Camera {
    pub(super) fn new(show: Show) -> Self {
        let size = RwSignal::new((0.0, 0.0));
        let camera = Self {
            show,
            node: NodeRef::new(),
            size,
            mode: RwSignal::new(Mode::Follow),
            followed: Memo::new(move |before: Option<&View>| follow(show, size.get(), before.copied())),
            hold: RwSignal::new(None),
        };
        Effect::new(move || {
            camera.node.track();
            camera.measure();
        });
        Effect::new(move || {
            let (width, height) = camera.size.get();
            let part = if camera.is_large() { 14.0 / 20.0 } else { 1.0 };
            let small = width * part < WIDE.0 || height * part < WIDE.1;
            if width > 0.0 && show.compact.get_untracked() != small {
                show.compact.set(small);
            }
        });
        Effect::new(move || {
            let room = camera.room();
            if show.room().get_untracked() != room {
                show.room().set(room);
            }
        });
        // Panels are dragged and folded as well as windows resized.
        if let Ok(handle) = set_interval_with_handle(move || camera.measure(), Duration::from_millis(400)) {
            on_cleanup(move || handle.clear());
        }
        let resized = window_event_listener(leptos::ev::resize, move |_| camera.measure());
        on_cleanup(move || resized.remove());
        camera
    }

    fn measure(self) {
        let Some(Some(node)) = self.node.try_get_untracked() else { return };
        let rect = node.get_bounding_client_rect();
        let size = (rect.width(), rect.height());
        if size.0 > 0.0 && self.size.get_untracked() != size {
            self.size.set(size);
        }
    }

    /// Width for the picture at the size that its height allows, in steps, so that nothing trembles while a panel is
    /// dragged. Nodes grow in width alone, so the height does not depend on it.
    fn room(self) -> i32 {
        let (width, height) = self.size.get();
        let bounds = self.show.scene.get().bounds;
        let scale = (height / f64::from(bounds.h.max(1))).clamp(LEAST_FIT, MOST_FIT);
        (width / scale) as i32 / 16 * 16
    }

    fn is_large(self) -> bool {
        self.show.ui.theme.get() == crate::ui::Theme::Projector
    }

    fn view(self) -> View {
        match self.mode.get() {
            Mode::Follow => self.followed.get(),
            Mode::Everything => everything(self.show.scene.get().bounds, self.size.get(), 0.05),
            Mode::Chosen(view) => view,
        }
    }

    /// Whether everything fits at a size that can be read, so that there is nothing to follow.
    pub(super) fn is_whole(self) -> bool {
        fit(self.show.scene.get().bounds, self.size.get()) >= LEAST_FIT
    }

    /// Whether the view follows the packet.
    pub(super) fn follows(self) -> bool {
        self.mode.get() == Mode::Follow
    }

    /// What lies beyond the edges, by the names of what is hardly seen or not at all.
    pub(super) fn beyond(self) -> Vec<Beyond> {
        let (View { scale, x, y }, (width, height)) = (self.view(), self.size.get());
        if width == 0.0 {
            return Vec::new();
        }
        let mut found: [Vec<String>; 4] = Default::default();
        for shape in &self.show.scene.get().shapes {
            let rect = shape.rect;
            let (left, right) = (f64::from(rect.x) * scale + x, f64::from(rect.right()) * scale + x);
            let (top, bottom) = (f64::from(rect.y) * scale + y, f64::from(rect.bottom()) * scale + y);
            let column = matches!(shape.kind, ShapeKind::Node | ShapeKind::NodeTile | ShapeKind::Waiting);
            let row = matches!(
                shape.kind,
                ShapeKind::Pod
                    | ShapeKind::PodTile
                    | ShapeKind::PodPile
                    | ShapeKind::Switch
                    | ShapeKind::Outside
            );
            let seen = (right.min(width) - left.max(0.0)) / (right - left);
            let side = if column && seen < 0.45 {
                usize::from(left + right > width)
            } else if row && seen > 0.3 && bottom < 18.0 {
                2
            } else if row && seen > 0.3 && top > height - 18.0 {
                3
            } else {
                continue;
            };
            found[side].extend(shape.labels.first().map(|label| label.text.clone()));
        }
        let sides = ["left", "right", "top", "bottom"];
        let shown = |names: Vec<String>| match names.len() {
            0..=3 => names.join(" · "),
            more => format!("{} +{}", names[..2].join(" · "), more - 2),
        };
        let beyond = sides.into_iter().zip(found).filter(|(_, names)| !names.is_empty());
        beyond.map(|(side, names)| Beyond { side, names: shown(names) }).collect()
    }

    /// Goes on by most of a view towards an edge.
    pub(super) fn go(self, side: &str) {
        let (view, (width, height)) = (untrack(|| self.view()), self.size.get_untracked());
        let bounds = self.show.scene.get_untracked().bounds;
        let (dx, dy) = match side {
            "left" => (0.8 * width, 0.0),
            "right" => (-0.8 * width, 0.0),
            "top" => (0.0, 0.7 * height),
            _ => (0.0, -0.7 * height),
        };
        let x = kept(view.x + dx, width, f64::from(bounds.x), f64::from(bounds.w), view.scale);
        let y = kept(view.y + dy, height, f64::from(bounds.y), f64::from(bounds.h), view.scale);
        self.mode.set(Mode::Chosen(View { x, y, ..view }));
    }

    /// Follows the packet again.
    pub(super) fn follow(self) {
        self.mode.set(Mode::Follow);
    }

    /// The world's transform on the screen.
    pub(super) fn transform(self) -> String {
        let View { scale, x, y } = self.view();
        format!("translate({x:.1}px, {y:.1}px) scale({scale:.4})")
    }

    /// Whether the user holds the picture, so that it must follow at once.
    pub(super) fn is_held(self) -> bool {
        self.hold.get().is_some()
    }

    fn zoom_at(self, factor: f64, px: f64, py: f64) {
        let view = untrack(|| self.view());
        let scale = (view.scale * factor).clamp(LIMITS.0, LIMITS.1);
        let ratio = scale / view.scale;
        self.mode.set(Mode::Chosen(View {
            scale,
            x: px - (px - view.x) * ratio,
            y: py - (py - view.y) * ratio,
        }));
    }

    /// Zooms around the middle.
    pub(super) fn zoom(self, factor: f64) {
        let (width, height) = self.size.get_untracked();
        self.zoom_at(factor, width / 2.0, height / 2.0);
    }

    /// Shows everything.
    pub(super) fn fit(self) {
        self.mode.set(if untrack(|| self.is_whole()) { Mode::Follow } else { Mode::Everything });
    }

    pub(super) fn wheel(self, event: &WheelEvent) {
        event.prevent_default();
        let Some(node) = self.node.get_untracked() else { return };
        let rect = node.get_bounding_client_rect();
        let factor = (-event.delta_y() / 400.0).clamp(-0.5, 0.5).exp();
        self.zoom_at(factor, f64::from(event.client_x()) - rect.x(), f64::from(event.client_y()) - rect.y());
    }

    pub(super) fn down(self, event: &PointerEvent) {
        if event.button() == 0 {
            self.hold.set(Some((f64::from(event.client_x()), f64::from(event.client_y()), false)));
        }
    }

    pub(super) fn drag(self, event: &PointerEvent) {
        let Some((x, y, moved)) = self.hold.get_untracked() else { return };
        if event.buttons() == 0 {
            return self.up();
        }
        let (now_x, now_y) = (f64::from(event.client_x()), f64::from(event.client_y()));
        let (dx, dy) = (now_x - x, now_y - y);
        // A click is not a drag.
        if !moved && dx.abs() + dy.abs() < 5.0 {
            return;
        }
        let view = untrack(|| self.view());
        self.mode.set(Mode::Chosen(View { x: view.x + dx, y: view.y + dy, ..view }));
        self.hold.set(Some((now_x, now_y, true)));
    }

    pub(super) fn up(self) {
        if self.hold.get_untracked().is_some() {
            self.hold.set(None);
        }
    }
}

/// The scale at which everything fits.
fn fit(bounds: Rect, size: (f64, f64)) -> f64 {
    let (w, h) = (f64::from(bounds.w.max(1)), f64::from(bounds.h.max(1)));
    (size.0 / w).min(size.1 / h).min(MOST_FIT)
}

/// Everything, in the middle, no smaller than `least`.
fn everything(bounds: Rect, size: (f64, f64), least: f64) -> View {
    let scale = fit(bounds, size).max(least);
    let middle = |size: f64, start: i32, length: i32| {
        (size - f64::from(length) * scale) / 2.0 - f64::from(start) * scale
    };
    View { scale, x: middle(size.0, bounds.x, bounds.w), y: middle(size.1, bounds.y, bounds.h) }
}

/// A shift at which no more than the picture is seen; a picture smaller than the view stands in its middle.
fn kept(shift: f64, size: f64, start: f64, length: f64, scale: f64) -> f64 {
    if length * scale <= size {
        return (size - length * scale) / 2.0 - start * scale;
    }
    shift.clamp(size - (start + length) * scale, -start * scale)
}

/// Everything where it fits; else the part where something happens, which moves only once that would leave it.
fn follow(show: Show, size: (f64, f64), before: Option<View>) -> View {
    let scene = show.scene.get();
    let bounds = scene.bounds;
    if size.0 == 0.0 || fit(bounds, size) >= LEAST_FIT {
        return everything(bounds, size, 0.05);
    }
    let scale = LEAST_FIT;
    let wanted = show.frame.with(|frame| frame.focus(&scene));
    let before = before.filter(|view| (view.scale - scale).abs() < 1e-9);
    let axis = |size: f64, start: i32, length: i32, before: Option<f64>, wanted: &[(i32, i32)]| {
        let (start, length) = (f64::from(start), f64::from(length));
        let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
        // The first comes into sight in any case, the others where there is room for them as well.
        for (from, to) in wanted {
            let (least, most) = (CLEAR - f64::from(*from) * scale, size - CLEAR - f64::from(*to) * scale);
            if low.max(least) <= high.min(most) {
                (low, high) = (low.max(least), high.min(most));
            } else if low.is_infinite() {
                (low, high) = (f64::midpoint(least, most), f64::midpoint(least, most));
            }
        }
        let shift = match before {
            Some(before) if (low..=high).contains(&before) => before,
            _ if low.is_finite() && high.is_finite() => f64::midpoint(low, high),
            Some(before) => before,
            None => size / 2.0 - (start + length / 2.0) * scale,
        };
        kept(shift, size, start, length, scale)
    };
    let xs: Vec<_> = wanted.iter().map(|rect| (rect.x, rect.right())).collect();
    let ys: Vec<_> = wanted.iter().map(|rect| (rect.y, rect.bottom())).collect();
    View {
        scale,
        x: axis(size.0, bounds.x, bounds.w, before.map(|view| view.x), &xs),
        y: axis(size.1, bounds.y, bounds.h, before.map(|view| view.y), &ys),
    }
}
