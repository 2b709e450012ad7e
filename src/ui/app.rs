//! The page's shell: text at the left, the network in the middle, why at the right, time at the bottom.

use super::dialogs::Dialogs;
use super::editor::EditorPanel;
use super::header::Header;
use super::lesson::LessonPanel;
use super::panels::{self, Edge, Fold, Side};
use super::state::{Checking, Page, Tab, Work, use_page};
use super::terminal::TerminalPanel;
use super::{keys, lab_driver, present, share, theme};
use leptos::ev;
use leptos::prelude::*;

/// The whole page.
#[component]
pub(super) fn App() -> impl IntoView {
    let page = Page::new();
    provide_context(page);
    provide_context(page.ui);
    let show = super::stage::Show::new(page.ui);
    provide_context(show);
    lab_driver::on_much(page, move || show.keep_up());
    super::light::follow(page, show);
    theme::dress_root(page);
    keys::listen(page);
    present::listen(page);
    begin(page);
    view! {
        <SkipLinks/>
        <div class="page" data-testid="page" class:left-folded=move || panels::is_folded(page, Side::Left)
            class:right-folded=move || panels::is_folded(page, Side::Right)
            class:bottom-folded=move || panels::is_folded(page, Side::Bottom)
            class:presenting=move || page.presenting.with(Option::is_some)
            class:wide-left=move || page.tab.get() == Tab::Terminal
            class:tall-time=move || show.time_tab().get() != super::stage::TimeTab::Score
            style:--left=move || panels::pixels(page, Side::Left) style:--right=move || panels::pixels(page, Side::Right)
            style:--bottom=move || panels::pixels(page, Side::Bottom)>
            <Header/>
            <NoticeBar/>
            <LeftPanel/>
            <Edge side=Side::Left/>
            <main class="middle" id="stage" tabindex="-1" aria-label=move || page.word("frame.panel.stage")>
                <div class="middle-ground" inert=move || page.view.get().is_some()><super::stage::Stage/></div>
                <super::views::ViewPanel/>
                <WorkSign/>
            </main>
            <Edge side=Side::Right/>
            <aside class="panel right" id="inspector" tabindex="-1" aria-label=move || page.word("frame.panel.why")>
                <Fold side=Side::Right/>
                <div class="panel-body"><super::inspector::Inspector/></div>
            </aside>
            <Edge side=Side::Bottom/>
            <section class="panel bottom" id="timeline" tabindex="-1" aria-label=move || page.word("frame.panel.time")>
                <Fold side=Side::Bottom/>
                <div class="panel-body"><super::timeline::Timeline/></div>
            </section>
        </div>
        <Dialogs/>
        <p class="visually-hidden" role="status" aria-live="polite" data-testid="live">
            {move || page.ui.announcement.get()}
        </p>
    }
}

/// Starts what runs beside the view.
fn begin(page: Page) {
    // After the first paint, so that the page stands before the simulation begins.
    request_animation_frame(move || {
        lab_driver::open_first(page);
    });
    let at = Memo::new(move |_| page.ui.playback.with(|playback| playback.at));
    Effect::new(move || {
        at.track();
        lab_driver::wake(page);
    });
    let _ = window_event_listener(ev::visibilitychange, move |_| lab_driver::follow_visibility(page));
    let _ = window_event_listener(ev::hashchange, move |_| share::open_location(page));
    let _ = window_event_listener(ev::pagehide, move |_| lab_driver::save(page));
}

#[component]
fn SkipLinks() -> impl IntoView {
    let page = use_page();
    let link = move |target: &'static str, key: &'static str| {
        // A fragment would look like a shared link and stay in the address, so the click moves the focus itself.
        view! {
            <a class="skip" href=target on:click=move |event| {
                event.prevent_default();
                focus(&target[1..]);
            }>{move || page.word(key)}</a>
        }
    };
    view! {
        <nav class="skips" aria-label=move || page.word("frame.skip")>
            {link("#stage", "frame.skip.stage")}
            {link("#text", "frame.skip.text")}
            {link("#inspector", "frame.skip.why")}
            {link("#timeline", "frame.skip.time")}
        </nav>
    }
}

/// Moves the focus to the element of this id.
pub(super) fn focus(id: &str) {
    use wasm_bindgen::JsCast;
    let element =
        document().get_element_by_id(id).and_then(|element| element.dyn_into::<web_sys::HtmlElement>().ok());
    if let Some(element) = element {
        let _ = element.focus();
    }
}

#[component]
fn LeftPanel() -> impl IntoView {
    let page = use_page();
    let tab = move |tab: Tab, key: &'static str, id: &'static str| {
        let is_shown = move || page.tab.get() == tab;
        view! {
            <button class="tab" role="tab" id=format!("tab-{id}") data-testid=format!("tab-{id}")
                aria-selected=move || is_shown().to_string() aria-controls=format!("panel-{id}")
                tabindex=move || if is_shown() { "0" } else { "-1" }
                on:click=move |_| choose_tab(page, tab) on:keydown=move |event| tab_key(page, &event)>
                {move || page.word(key)}
            </button>
        }
    };
    view! {
        <section class="panel left" id="text" tabindex="-1" aria-label=move || page.word("frame.panel.text")>
            <div class="tabs">
                <div role="tablist" aria-label=move || page.word("frame.panel.text")>
                    {tab(Tab::Yaml, "frame.tab.yaml", "yaml")}
                    {tab(Tab::Terminal, "frame.tab.terminal", "terminal")}
                    {tab(Tab::Lesson, "lesson.title", "lesson")}
                </div>
                <Fold side=Side::Left/>
            </div>
            <div class="tab-panel" role="tabpanel" id="panel-yaml" aria-labelledby="tab-yaml"
                hidden=move || page.tab.get() != Tab::Yaml><EditorPanel/></div>
            <div class="tab-panel" role="tabpanel" id="panel-terminal" aria-labelledby="tab-terminal"
                hidden=move || page.tab.get() != Tab::Terminal><TerminalPanel/></div>
            <div class="tab-panel" role="tabpanel" id="panel-lesson" aria-labelledby="tab-lesson"
                hidden=move || page.tab.get() != Tab::Lesson><LessonPanel/></div>
        </section>
    }
}

pub(super) fn choose_tab(page: Page, tab: Tab) {
    page.tab.set(tab);
    page.set(|settings| settings.terminal_tab = tab == Tab::Terminal);
}

/// Arrow keys go from tab to tab (ARIA Authoring Practices, tabs).
fn tab_key(page: Page, event: &web_sys::KeyboardEvent) {
    let at = Tab::ALL.iter().position(|tab| *tab == page.tab.get_untracked()).unwrap_or(0);
    let count = Tab::ALL.len();
    let tab = Tab::ALL[match event.key().as_str() {
        "ArrowLeft" => (at + count - 1) % count,
        "ArrowRight" => (at + 1) % count,
        "Home" => 0,
        "End" => count - 1,
        _ => return,
    }];
    event.prevent_default();
    choose_tab(page, tab);
    focus(match tab {
        Tab::Yaml => "tab-yaml",
        Tab::Terminal => "tab-terminal",
        Tab::Lesson => "tab-lesson",
    });
}

#[component]
fn NoticeBar() -> impl IntoView {
    let page = use_page();
    move || {
        page.notice.get().map(|notice| {
            view! {
                <div class="notice" data-testid="notice">
                    <p>{move || page.ui.sentence(notice.key, &notice.args)}</p>
                    <button class="button" on:click=move |_| page.notice.set(None)>
                        {move || page.word("frame.dismiss")}
                    </button>
                </div>
            }
        })
    }
}

/// Key of a button's word, its name for tests, and what it does.
type Button = (&'static str, &'static str, fn(Page));

/// What the simulation is doing, shown once it takes longer than a moment, with a way to stop it.
#[component]
fn WorkSign() -> impl IntoView {
    let page = use_page();
    let n_frames = RwSignal::new(0_u32);
    Effect::new(move || match page.work.get() {
        Work::Busy(_) => n_frames.update(|n| *n += 1),
        Work::Applying(_) | Work::Idle | Work::Ahead | Work::Stopped(_) => n_frames.set(0),
    });
    // 20 frames are a third of a second: a shorter run needs no sign.
    let is_long = Memo::new(move |_| n_frames.get() > 20);
    let sign = move || -> Option<(&'static str, Vec<String>, Button)> {
        if let Some(Checking { n_objects, percent }) = lab_driver::progress_of_check(page) {
            let args = vec![n_objects.to_string(), percent.to_string()];
            return Some(("frame.checking", args, ("frame.work.stop", "stop", lab_driver::stop_check)));
        }
        match page.work.get() {
            Work::Applying(n_left) => {
                let stop: Button = ("frame.work.stop", "stop", lab_driver::stop_applying);
                Some(("frame.work.applying", vec![n_left.to_string()], stop))
            }
            Work::Busy(now) if is_long.get() => {
                let stop: Button = ("frame.work.stop", "stop", lab_driver::halt);
                Some(("frame.work.busy", vec![now.to_string()], stop))
            }
            Work::Stopped(now) => {
                let resume: Button = ("frame.work.resume", "resume", lab_driver::resume);
                Some(("frame.work.stopped", vec![now.to_string()], resume))
            }
            Work::Idle | Work::Ahead | Work::Busy(_) => None,
        }
    };
    move || {
        sign().map(|(key, args, (label, id, act))| {
            view! {
                <div class="work" data-testid="work">
                    <span>{page.ui.sentence(key, &args)}</span>
                    <button class="button" data-testid=id on:click=move |_| act(page)>{page.word(label)}</button>
                </div>
            }
        })
    }
}
