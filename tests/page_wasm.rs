//! Components of the page, each mounted alone in a browser over a lab that has run the lesson.
#![cfg(target_arch = "wasm32")]

use leptos::mount::mount_to;
use leptos::prelude::*;
use std::cell::Cell;
use std::rc::Rc;
use vethscope::base::SimTime;
use vethscope::base::words::Lang;
use vethscope::lab::{Lab, Progress, check, lessons};
use vethscope::scene::{self, Playback};
use vethscope::trace::{EventKind, Table};
use vethscope::ui::inspector::Inspector;
use vethscope::ui::timeline::Timeline;
use vethscope::ui::{Selection, Theme, Ui, stage};
use wasm_bindgen::JsCast;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

/// The lesson's cluster with its first ping, run to the end.
fn lab() -> Lab {
    let run = |lab: &mut Lab| {
        for _ in 0..2_000 {
            if !matches!(lab.advance(1_000), Progress::Busy(now) if now < SimTime(20_000_000_000)) {
                return;
            }
        }
        panic!("the lesson does not come to rest");
    };
    let mut lab = Lab::open(&lessons::opening(Lang::En));
    run(&mut lab);
    let (target, argv) = lessons::first_command();
    lab.start(&target, &argv).expect("Pod a is there");
    run(&mut lab);
    lab
}

/// A component on the page, with the state it shows.
struct Mounted {
    ui: Ui,
    element: web_sys::HtmlElement,
}

impl Mounted {
    fn text(&self, selector: &str) -> String {
        let found = self.element.query_selector(selector).expect("a valid selector");
        found
            .unwrap_or_else(|| panic!("no {selector} in {}", self.element.inner_html()))
            .text_content()
            .unwrap_or_default()
    }

    fn click(&self, selector: &str) {
        let found =
            self.element.query_selector(selector).expect("a valid selector").expect("something to click");
        found.unchecked_into::<web_sys::HtmlElement>().click();
    }
}

fn mount<V: IntoView + 'static>(lang: Lang, component: impl FnOnce() -> V + 'static) -> Mounted {
    let element: web_sys::HtmlElement =
        document().create_element("div").expect("an element can be made").unchecked_into();
    document().body().expect("the page has a body").append_child(&element).expect("it can be filled");
    let made = Rc::new(Cell::new(None));
    let out = made.clone();
    mount_to(element.clone(), move || {
        let lab = lab();
        let steps = scene::steps(lab.trace());
        let ui = Ui {
            lab: StoredValue::new_local(lab),
            version: RwSignal::new(1),
            playback: RwSignal::new(Playback { steps, ..Playback::default() }),
            selection: RwSignal::new(Selection::Playhead),
            lang: RwSignal::new(lang),
            theme: RwSignal::new(Theme::Light),
            reduced_motion: RwSignal::new(true),
            text: RwSignal::new(String::new()),
            terminal: RwSignal::new(lessons::first_command().0),
            highlight: RwSignal::new(None),
            announcement: RwSignal::new(String::new()),
        };
        provide_context(ui);
        provide_context(stage::Show::new(ui));
        out.set(Some(ui));
        component()
    })
    .forget();
    let ui = made.take().expect("the component was built");
    Mounted { ui, element }
}

/// Lets effects run.
async fn settle() {
    leptos::task::tick().await;
    leptos::task::tick().await;
}

#[wasm_bindgen_test]
async fn the_timeline_steps_forward_and_back() {
    let timeline = mount(Lang::En, || view! { <Timeline/> });
    settle().await;
    let count = timeline.text("[data-testid=count]");
    assert!(count.starts_with("event 1 / "), "{count}");
    timeline.click("[data-testid=forward]");
    timeline.click("[data-testid=forward]");
    settle().await;
    assert!(timeline.text("[data-testid=count]").starts_with("event 3 / "));
    assert!(!timeline.ui.playback.with_untracked(|playback| playback.playing));
    timeline.click("[data-testid=back]");
    settle().await;
    assert!(timeline.text("[data-testid=count]").starts_with("event 2 / "));
    timeline.click("[data-testid=play]");
    settle().await;
    assert!(timeline.ui.playback.with_untracked(|playback| playback.playing));
}

#[wasm_bindgen_test]
async fn the_inspector_lights_the_row_that_decided() {
    let inspector = mount(Lang::En, || view! { <Inspector/> });
    let found = inspector.ui.lab.with_value(|lab| {
        let trace = lab.trace();
        // A step whose packet was routed just before, by a row of the main table.
        let is_routed = |event: &vethscope::trace::Event| {
            let cause = event.cause;
            cause.is_some()
                && matches!(trace.event(cause).kind, EventKind::Decided(Table::Fib | Table::Neighbor, row) if row.is_some())
                && trace.event(cause).netns == event.netns
        };
        scene::steps(trace).into_iter().find(|id| is_routed(trace.event(*id)))
    });
    let event = found.expect("the lesson routes a packet");
    inspector.ui.selection.set(Selection::Event(event));
    inspector.ui.playback.update(|playback| playback.seek_event(event));
    settle().await;
    assert!(!inspector.text(".row.is-decided").trim().is_empty());
    assert!(!inspector.text("[data-testid=why]").trim().is_empty());
    assert!(inspector.text("[data-testid=layers]").contains("Ethernet"));
}

#[wasm_bindgen_test]
async fn the_inspector_follows_the_language() {
    let inspector = mount(Lang::Ko, || view! { <Inspector/> });
    inspector.ui.playback.update(Playback::to_end);
    settle().await;
    assert!(inspector.text("section.why h3").contains("왜"));
    inspector.ui.lang.set(Lang::En);
    settle().await;
    assert_eq!(inspector.text("section.why h3"), "Why");
}

#[wasm_bindgen_test]
fn a_diagnostic_speaks_both_languages() {
    let found = check(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec:\n  containers:\n  - {name: a, imagee: b}\n",
    );
    let diagnostic =
        found.iter().find(|found| found.path.ends_with("imagee")).expect("the unknown field is found");
    let (ko, en) = (diagnostic.message_in(Lang::Ko), diagnostic.message_in(Lang::En));
    assert!(ko.chars().any(|char| ('가'..='힣').contains(&char)), "{ko}");
    assert!(en.is_ascii(), "{en}");
    let hint = diagnostic.hint_in(Lang::Ko).expect("the nearest right name is offered");
    assert!(hint.contains("image") && !hint.contains("(를)"), "{hint}");
}
