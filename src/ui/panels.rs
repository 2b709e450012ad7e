//! Panels around the stage: they are resized by dragging or with the arrow keys at their edge, fold away, and remember
//! their size.

use super::icon::{Icon, Sign};
use super::state::{Page, use_page};
use super::storage::PanelSize;
use leptos::html;
use leptos::prelude::*;

/// A panel around the stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Text: the manifest and the terminal.
    Left,
    /// Why: the inspector.
    Right,
    /// When: the timeline.
    Bottom,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
            Self::Bottom => "bottom",
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Left => "frame.panel.text",
            Self::Right => "frame.panel.why",
            Self::Bottom => "frame.panel.time",
        }
    }

    /// Smallest and largest size in pixels, the largest for a window of this size.
    fn limits(self) -> (i32, i32) {
        let of = |value: Result<wasm_bindgen::JsValue, wasm_bindgen::JsValue>| {
            value.ok().and_then(|value| value.as_f64()).unwrap_or(1000.0) as i32
        };
        match self {
            Self::Left | Self::Right => (220, of(window().inner_width()) * 45 / 100),
            Self::Bottom => (120, of(window().inner_height()) * 60 / 100),
        }
    }

    fn size(self, page: Page) -> PanelSize {
        page.settings.with(|settings| match self {
            Self::Left => settings.left,
            Self::Right => settings.right,
            Self::Bottom => settings.bottom,
        })
    }

    fn update(self, page: Page, change: impl FnOnce(&mut PanelSize)) {
        page.set(|settings| {
            change(match self {
                Self::Left => &mut settings.left,
                Self::Right => &mut settings.right,
                Self::Bottom => &mut settings.bottom,
            });
        });
    }
}

/// The width or height that the style sheet takes for a panel, once it was resized.
pub(super) fn pixels(page: Page, side: Side) -> Option<String> {
    let size = side.size(page);
    size.pixels.map(|pixels| {
        let (least, most) = side.limits();
        format!("{}px", pixels.clamp(least, most.max(least)))
    })
}

/// Whether a panel is folded away.
pub(super) fn is_folded(page: Page, side: Side) -> bool {
    side.size(page).folded
}

/// The edge between a panel and the stage.
#[component]
pub(super) fn Edge(side: Side) -> impl IntoView {
    let page = use_page();
    let edge = NodeRef::<html::Div>::new();
    let dragged = RwSignal::new(None::<(i32, i32)>);
    let measure = move || panel_pixels(edge, side);
    let on_down = move |event: web_sys::PointerEvent| {
        if let Some(element) = edge.get_untracked() {
            let _ = element.set_pointer_capture(event.pointer_id());
        }
        dragged.set(Some((position(side, &event), measure())));
    };
    let on_move = move |event: web_sys::PointerEvent| {
        let Some((from, size)) = dragged.get_untracked() else { return };
        resize(page, side, size + (position(side, &event) - from) * direction(side));
    };
    let on_key = move |event: web_sys::KeyboardEvent| {
        let step = if event.shift_key() { 64 } else { 16 };
        let (grow, shrink) = match side {
            Side::Left => ("ArrowRight", "ArrowLeft"),
            Side::Right => ("ArrowLeft", "ArrowRight"),
            Side::Bottom => ("ArrowUp", "ArrowDown"),
        };
        let key = event.key();
        let (least, most) = side.limits();
        match key.as_str() {
            key if key == grow => resize(page, side, measure() + step),
            key if key == shrink => resize(page, side, measure() - step),
            "Home" => resize(page, side, least),
            "End" => resize(page, side, most),
            "Enter" => fold(page, side),
            _ => return,
        }
        event.prevent_default();
    };
    view! {
        <div class=format!("edge edge-{}", side.name()) node_ref=edge role="separator" tabindex="0"
            data-testid=format!("edge-{}", side.name())
            aria-orientation=if side == Side::Bottom { "horizontal" } else { "vertical" }
            aria-label=move || page.ui.sentence("frame.panel.edge", &[page.word(side.key())])
            aria-valuenow=move || { side.size(page); measure().to_string() }
            aria-valuemin=move || side.limits().0.to_string() aria-valuemax=move || side.limits().1.to_string()
            on:pointerdown=on_down on:pointermove=on_move on:pointerup=move |_| dragged.set(None)
            on:pointercancel=move |_| dragged.set(None) on:dblclick=move |_| fold(page, side) on:keydown=on_key></div>
    }
}

/// The button that folds a panel away or brings it back.
#[component]
pub(super) fn Fold(side: Side) -> impl IntoView {
    let page = use_page();
    let label = move || {
        let key = if is_folded(page, side) { "frame.panel.unfold" } else { "frame.panel.fold" };
        page.ui.sentence(key, &[page.word(side.key())])
    };
    let sign = move || match (side, is_folded(page, side)) {
        (Side::Left, false) | (Side::Right, true) => Sign::Left,
        (Side::Left, true) | (Side::Right, false) => Sign::Right,
        (Side::Bottom, false) => Sign::Down,
        (Side::Bottom, true) => Sign::Up,
    };
    view! {
        <button class="fold" data-testid=format!("fold-{}", side.name()) aria-label=label title=label
            aria-expanded=move || (!is_folded(page, side)).to_string()
            on:click=move |_| fold(page, side)>{move || view! { <Icon sign=sign()/> }}</button>
    }
}

fn fold(page: Page, side: Side) {
    side.update(page, |size| size.folded = !size.folded);
}

fn resize(page: Page, side: Side, pixels: i32) {
    let (least, most) = side.limits();
    // Dragged far below the least, the panel folds away.
    side.update(page, |size| {
        size.folded = pixels < least / 2;
        if !size.folded {
            size.pixels = Some(pixels.clamp(least, most.max(least)));
        }
    });
}

fn position(side: Side, event: &web_sys::PointerEvent) -> i32 {
    if side == Side::Bottom { event.client_y() } else { event.client_x() }
}

/// Whether moving right or down makes the panel larger.
fn direction(side: Side) -> i32 {
    if side == Side::Left { 1 } else { -1 }
}

/// Size on the screen of the panel that an edge belongs to.
fn panel_pixels(edge: NodeRef<html::Div>, side: Side) -> i32 {
    let Some(edge) = edge.get_untracked() else { return 0 };
    let panel = match side {
        Side::Left => edge.previous_element_sibling(),
        Side::Right | Side::Bottom => edge.next_element_sibling(),
    };
    panel.map_or(0, |panel| {
        let rect = panel.get_bounding_client_rect();
        if side == Side::Bottom { rect.height() as i32 } else { rect.width() as i32 }
    })
}
