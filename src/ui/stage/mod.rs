//! The stage: the network as an SVG, with everything that is on its way. What stands is drawn anew only where it
//! changed; sixty times a second only the packets' places change.

mod camera;
mod faults;
mod live;
mod resting;
mod shapes;
mod show;

pub(in crate::ui) use shapes::{Legend, PacketShape};
pub use show::Show;
pub(in crate::ui) use show::{Filter, Shared, TapChoice, TimeTab, use_show};

use crate::base::Duration;
use crate::scene::{Direction, Shape};
use crate::ui::Selection;
use crate::ui::icon::{Icon, Sign};
use camera::{Beyond, Camera};
use leptos::ev::KeyboardEvent;
use leptos::prelude::*;

/// The stage with its captions and buttons.
#[component]
pub fn Stage() -> impl IntoView {
    let show = use_show();
    let camera = Camera::new(show);
    let focus = RwSignal::new(String::new());
    play(show);
    announce(show);
    let label = move || show.ui.word("stage.label");
    view! {
        <div class="stage" data-testid="stage">
            <Caption show/>
            <svg
                class="stage-picture"
                class:reduced=move || show.ui.reduced_motion.get()
                id="stage-picture"
                node_ref=camera.node
                role="group"
                aria-label=label
                on:wheel=move |event| camera.wheel(&event)
                on:pointerdown=move |event| camera.down(&event)
                on:pointermove=move |event| camera.drag(&event)
                on:pointerup=move |_| camera.up()
                on:pointercancel=move |_| camera.up()
                on:keydown=move |event| key(&show, &camera, focus, &event)
            >
                <g class="stage-world" class:is-held=move || camera.is_held() style:transform=move || camera.transform()>
                    <resting::Resting show focus/>
                    <faults::Faults show/>
                    <live::Live show/>
                </g>
            </svg>
            <div class="stage-tools">
                <Edges camera/>
                <div class="stage-buttons" role="group" aria-label=move || show.ui.word("stage.view")>
                    <ViewButton sign=Sign::Minus key="stage.out" act=move || camera.zoom(0.8)/>
                    <ViewButton sign=Sign::Plus key="stage.in" act=move || camera.zoom(1.25)/>
                    <ViewButton sign=Sign::Fit key="stage.fit" act=move || camera.fit()/>
                    {move || (!camera.is_whole() || !camera.follows()).then(|| view! {
                        <button
                            class="button stage-button"
                            data-testid="follow"
                            title=move || show.ui.word("stage.follow")
                            aria-label=move || show.ui.word("stage.follow")
                            aria-pressed=move || camera.follows().to_string()
                            on:click=move |_| camera.follow()
                        >
                            <Icon sign=Sign::Follow/>
                        </button>
                    })}
                </div>
            </div>
        </div>
    }
}

/// Says at the edges of the view what lies beyond them, and goes there.
#[component]
fn Edges(camera: Camera) -> impl IntoView {
    let show = use_show();
    let beyond = Memo::new(move |_| camera.beyond());
    let chip = move |beyond: Beyond| {
        let Beyond { side, names } = beyond;
        let sign = match side {
            "left" => Sign::Left,
            "right" => Sign::Right,
            "top" => Sign::Up,
            _ => Sign::Down,
        };
        let label = names.clone();
        view! {
            <button
                class=format!("stage-beyond at-{side}")
                data-testid=format!("beyond-{side}")
                title=move || show.ui.sentence("stage.beyond", std::slice::from_ref(&label))
                on:click=move |_| camera.go(side)
            >
                <Icon sign/><span>{names}</span>
            </button>
        }
    };
    move || beyond.get().into_iter().map(chip).collect::<Vec<_>>()
}

#[component]
fn ViewButton(sign: Sign, key: &'static str, act: impl Fn() + 'static) -> impl IntoView {
    let show = use_show();
    view! {
        <button
            class="button stage-button"
            title=move || show.ui.word(key)
            aria-label=move || show.ui.word(key)
            data-testid=key
            on:click=move |_| act()
        >
            <Icon sign/>
        </button>
    }
}

/// One sentence for the step shown, in a strip of its own above the picture, as high as ever so that nothing jumps; a
/// longer sentence hangs over the picture's upper edge.
#[component]
fn Caption(show: Show) -> impl IntoView {
    let text = move || show.event.get().map_or_else(String::new, |event| show.why(event));
    view! {
        <div class="stage-caption"><p class="stage-sentence" data-testid="caption">{text}</p></div>
    }
}

/// Has the page's live region say each step, once it rests there for a moment.
fn announce(show: Show) {
    Effect::new(move |before: Option<usize>| {
        let at = show.at.get();
        let playing = show.ui.playback.with_untracked(|play| play.playing);
        if let (Some(before), Some(event)) = (before, show.event.get_untracked())
            && before != at
            && !playing
        {
            let text = untrack(|| show.why(event));
            show.ui.announce(text);
        }
        at
    });
}

/// Lets time pass while it plays.
fn play(show: Show) {
    let playing = Memo::new(move |_| show.ui.playback.with(|play| play.playing));
    let last = StoredValue::new(None::<f64>);
    Effect::new(move || {
        if playing.get() {
            last.set_value(None);
            next_frame(show, last);
        }
    });
}

fn next_frame(show: Show, last: StoredValue<Option<f64>>) {
    request_animation_frame(move || {
        let Some(now) = window().performance().map(|clock| clock.now()) else { return };
        let Some(before) = last.try_get_value() else { return };
        last.set_value(Some(now));
        let ui = show.ui;
        if !ui.playback.with_untracked(|play| play.playing) {
            return;
        }
        if let Some(before) = before {
            // A tab that was hidden does not jump ahead.
            let passed = whole((now - before).clamp(0.0, 250.0) * 1e3) as u64 * 1_000;
            let waits = ui.playback.with_untracked(scene_end);
            if !waits {
                ui.playback.update(|play| {
                    ui.lab.with_value(|lab| {
                        let trace = lab.trace();
                        play.tick(Duration::from_ns(passed), |event| trace.event(event).at);
                    });
                });
            }
        }
        next_frame(show, last);
    });
}

/// Whether there is nothing to play: more may still come.
fn scene_end(play: &crate::scene::Playback) -> bool {
    play.at_end()
}

fn key(show: &Show, camera: &Camera, focus: RwSignal<String>, event: &KeyboardEvent) {
    if event.ctrl_key() || event.meta_key() || event.alt_key() {
        return;
    }
    let direction = match event.key().as_str() {
        "ArrowLeft" => Direction::Left,
        "ArrowRight" => Direction::Right,
        "ArrowUp" => Direction::Up,
        "ArrowDown" => Direction::Down,
        "+" | "=" => return camera.zoom(1.25),
        "-" => return camera.zoom(0.8),
        "0" => return camera.fit(),
        "f" => return camera.follow(),
        "Escape" => return show.ui.selection.set(Selection::Playhead),
        _ => return,
    };
    event.prevent_default();
    event.stop_propagation();
    let scene = show.scene.get_untracked();
    let from = focus.get_untracked();
    let next = scene.next_stop(&from, direction).or_else(|| {
        let missing = scene.shape(&from).is_none();
        scene.shapes.iter().find(|shape| missing && shape.is_stop())
    });
    if let Some(shape) = next {
        focus.set(shape.key.clone());
        focus_shape(shape);
    }
}

fn focus_shape(shape: &Shape) {
    use wasm_bindgen::JsCast;
    let element = document().get_element_by_id(&shape_id(&shape.key));
    if let Some(element) = element.and_then(|element| element.dyn_into::<web_sys::SvgElement>().ok()) {
        let _ = element.focus();
    }
}

/// A number of pixels or the like as a whole number; what is below nothing is nothing.
#[expect(clippy::cast_sign_loss, reason = "it is not negative here")]
pub(in crate::ui) fn whole(value: f64) -> usize {
    value.max(0.0) as usize
}

/// An id for the page from a shape's key.
fn shape_id(key: &str) -> String {
    let plain = |char: char| if char.is_ascii_alphanumeric() { char } else { '-' };
    format!("on-stage-{}", key.chars().map(plain).collect::<String>())
}
