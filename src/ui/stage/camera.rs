//! The part of the stage that is seen: all of it until the user zooms or drags.

use super::Show;
use leptos::ev::{PointerEvent, WheelEvent};
use leptos::prelude::*;
use leptos::svg::Svg;
use std::time::Duration;

/// Below this scale nothing could be read: the view follows the packet instead.
const LEAST_FIT: f64 = 0.5;
/// What the wide picture of two nodes takes at 14 px: below it everything is drawn close together.
const WIDE: (f64, f64) = (990.0, 655.0);
const LIMITS: (f64, f64) = (0.15, 4.0);

#[derive(Clone, Copy, Debug, PartialEq)]
struct View {
    scale: f64,
    x: f64,
    y: f64,
}

/// Zoom and place of the picture.
#[derive(Clone, Copy)]
pub(super) struct Camera {
    show: Show,
    /// The picture's element.
    pub(super) node: NodeRef<Svg>,
    size: RwSignal<(f64, f64)>,
    chosen: RwSignal<Option<View>>,
    hold: RwSignal<Option<(f64, f64, bool)>>,
}

impl Camera {
    pub(super) fn new(show: Show) -> Self {
        let camera = Self {
            show,
            node: NodeRef::new(),
            size: RwSignal::new((0.0, 0.0)),
            chosen: RwSignal::new(None),
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

    fn is_large(self) -> bool {
        self.show.ui.theme.get() == crate::ui::Theme::Projector
    }

    fn fitted(self) -> View {
        let (width, height) = self.size.get();
        let scene = self.show.scene.get();
        let bounds = scene.bounds;
        let (x, y, w, h) = (
            f64::from(bounds.x),
            f64::from(bounds.y),
            f64::from(bounds.w.max(1)),
            f64::from(bounds.h.max(1)),
        );
        let fit = (width / w).min(height / h).min(1.6);
        let centered = |scale: f64| View {
            scale,
            x: (width - w * scale) / 2.0 - x * scale,
            y: (height - h * scale) / 2.0 - y * scale,
        };
        // Whoever sits at the back reads labels of 20 px.
        let least = if self.is_large() && width > 1_000.0 { 0.98 } else { LEAST_FIT };
        if fit >= least || width == 0.0 {
            return centered(fit.max(0.05));
        }
        let scale = least;
        let main = self.show.frame.with(|frame| {
            let token = frame.tokens.iter().find(|token| token.main && !token.waits)?;
            Some(token.at(self.show.at.get() as f64 + 1.0))
        });
        let View { x: cx, y: cy, .. } = centered(scale);
        let Some((px, py)) = main else {
            return View { scale, x: cx.max(-x * scale), y: cy.max(-y * scale) };
        };
        // Follow the packet, and never show more than one margin of nothing.
        let follow = |target: f64, size: f64, start: f64, length: f64, middle: f64| {
            if length * scale <= size {
                return middle;
            }
            (size / 2.0 - target * scale).clamp(size - (start + length) * scale, -start * scale)
        };
        View { scale, x: follow(px, width, x, w, cx), y: follow(py, height, y, h, cy) }
    }

    fn view(self) -> View {
        self.chosen.get().unwrap_or_else(|| self.fitted())
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
        self.chosen.set(Some(View { scale, x: px - (px - view.x) * ratio, y: py - (py - view.y) * ratio }));
    }

    /// Zooms around the middle.
    pub(super) fn zoom(self, factor: f64) {
        let (width, height) = self.size.get_untracked();
        self.zoom_at(factor, width / 2.0, height / 2.0);
    }

    /// Shows everything.
    pub(super) fn fit(self) {
        self.chosen.set(None);
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
        self.chosen.set(Some(View { x: view.x + dx, y: view.y + dy, ..view }));
        self.hold.set(Some((now_x, now_y, true)));
    }

    pub(super) fn up(self) {
        if self.hold.get_untracked().is_some() {
            self.hold.set(None);
        }
    }
}
