//! The manifest: a plain text field at first, an editor once its bundle has been read. Nothing typed in between is
//! lost. What is wrong stands at its field and, in words, below; the last good network stays on the stage.

use super::bundles::{self, Editor};
use super::state::{Page, Theme, use_page};
use super::{export, lab_driver, theme};
use crate::base::{Demo, Diagnostic, Severity, byte_offset, utf16_offset};
use crate::lab::{prompt, share};
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::prelude::*;

/// Largest file that is opened, in bytes.
const FILE_LIMIT: f64 = 16.0 * 1024.0 * 1024.0;

/// The manifest's panel.
#[component]
pub(super) fn EditorPanel() -> impl IntoView {
    let page = use_page();
    let plain = NodeRef::<html::Textarea>::new();
    let place = NodeRef::<html::Div>::new();
    let editor = StoredValue::new_local(None::<Editor>);
    let is_ready = RwSignal::new(false);
    let reported = StoredValue::new(String::new());
    request_idle_load(move || {
        leptos::task::spawn_local(load(page, (plain, place), editor, (is_ready, reported)));
    });
    follow(page, plain, editor, (is_ready, reported));
    let on_key = move |event: web_sys::KeyboardEvent| {
        if event.key() == "Enter" && (event.ctrl_key() || event.meta_key()) && !event.is_composing() {
            event.prevent_default();
            lab_driver::apply_typed(page);
        }
    };
    view! {
        <div class="editor" data-testid="editor" on:keydown:capture=on_key
            on:dragover=move |event| event.prevent_default()
            on:drop=move |event| dropped(page, &event)>
            <textarea class="editor-plain" node_ref=plain spellcheck="false" autocomplete="off" autocapitalize="off"
                data-testid="editor-plain" aria-label=move || page.word("frame.editor.label")
                hidden=move || is_ready.get()
                on:input=move |event| {
                    if !event.unchecked_ref::<web_sys::InputEvent>().is_composing() {
                        lab_driver::typed(page, event_target_value(&event));
                    }
                }
                on:compositionend=move |event| lab_driver::typed(page, event_target_value(&event))></textarea>
            <div class="editor-place" node_ref=place hidden=move || !is_ready.get()></div>
        </div>
        <Problems editor plain/>
        <Tools/>
    }
}

/// Calls `load` when the page has been painted and rests.
pub(super) fn request_idle_load(load: impl Fn() + 'static) {
    // Two frames: the first paint is then certainly over.
    request_animation_frame(move || {
        request_animation_frame(move || set_timeout(load, std::time::Duration::ZERO));
    });
}

type Fields = (NodeRef<html::Textarea>, NodeRef<html::Div>);
type Progress = (RwSignal<bool>, StoredValue<String>);

/// Puts the editor in the plain field's place, unless its bundle cannot be read: then the plain field stays.
async fn load(
    page: Page,
    fields: Fields,
    editor: StoredValue<Option<Editor>, LocalStorage>,
    progress: Progress,
) {
    let (plain, place) = fields;
    let (is_ready, reported) = progress;
    let Some(parent) = place.get_untracked() else { return };
    let on_change = Closure::<dyn Fn(String)>::new(move |text: String| {
        reported.set_value(text.clone());
        lab_driver::typed(page, text);
    });
    let text = page.ui.text.get_untracked();
    reported.set_value(text.clone());
    let options = bundles::object(&[
        ("parent", parent.into()),
        ("text", text.into()),
        ("dark", is_dark(page.ui.theme.get_untracked()).into()),
        ("projector", (page.ui.theme.get_untracked() == Theme::Projector).into()),
        ("lang", theme::code(page.ui.lang.get_untracked()).into()),
        ("onChange", on_change.into_js_value()),
        ("onComplete", on_complete(page)),
        ("onHover", on_hover(page)),
    ]);
    let Ok(made) = bundles::make("editor", "createEditor", &options).await else {
        page.ui.announce(
            page.ui.lang.with_untracked(|lang| crate::base::words::word(*lang, "frame.editor.plain")),
        );
        return;
    };
    let made: Editor = made.unchecked_into();
    let Some(field) = plain.get_untracked() else { return };
    // What was typed while the bundle was being read.
    let now = page.ui.text.get_untracked();
    reported.set_value(now.clone());
    made.set_text(&now);
    let had_focus = document().active_element().is_some_and(|active| active.is_same_node(Some(&field)));
    let cursor = field.selection_start().ok().flatten();
    editor.set_value(Some(made.clone()));
    is_ready.set(true);
    if had_focus {
        made.focus();
        if let Some(cursor) = cursor {
            made.reveal(cursor);
        }
    }
}

fn is_dark(theme: Theme) -> bool {
    theme == Theme::Dark
}

/// Keeps the field in step with the page: text set from elsewhere, diagnostics, light, theme and language.
fn follow(
    page: Page,
    plain: NodeRef<html::Textarea>,
    editor: StoredValue<Option<Editor>, LocalStorage>,
    progress: Progress,
) {
    let (is_ready, reported) = progress;
    let with = move |act: &dyn Fn(&Editor)| {
        is_ready.track();
        editor.with_value(|editor| {
            if let Some(editor) = editor {
                act(editor);
            }
        });
    };
    Effect::new(move || {
        let text = page.ui.text.get();
        // The plain field is of no use once the editor stands in its place.
        let plain = plain.get().filter(|_| !is_ready.get());
        if let Some(field) = plain.filter(|field| field.value() != text) {
            field.set_value(&text);
        }
        with(&|editor| {
            if reported.with_value(|known| *known != text) {
                reported.set_value(text.clone());
                editor.set_text(&text);
            }
        });
    });
    Effect::new(move || {
        let marks = page.diagnostics.with(|list| marks(page, list));
        with(&|editor| editor.set_diagnostics(&marks));
    });
    Effect::new(move || {
        let text = page.ui.text.get_untracked();
        let range = page.ui.highlight.get().map(|span| range(&text, span.start, span.end));
        let ranges = range.into_iter().collect::<js_sys::Array>();
        with(&|editor| editor.highlight(&ranges));
    });
    Effect::new(move || {
        let theme = page.ui.theme.get();
        let look = [("dark", is_dark(theme).into()), ("projector", (theme == Theme::Projector).into())];
        with(&|editor| editor.set_theme(&bundles::object(&look)));
    });
    Effect::new(move || {
        let code = theme::code(page.ui.lang.get());
        with(&|editor| editor.set_lang(code));
    });
}

/// Diagnostics as the editor takes them, in the page's language.
fn marks(page: Page, diagnostics: &[Diagnostic]) -> JsValue {
    let text = page.ui.text.get_untracked();
    let lang = page.ui.lang.get();
    let list = diagnostics.iter().map(|diagnostic| {
        let span = diagnostic.span.unwrap_or_default();
        let mark = range(&text, span.start, span.end);
        let severity = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
        };
        let message = match diagnostic.hint_in(lang) {
            Some(hint) => format!("{}\n{hint}", diagnostic.message_in(lang)),
            None => diagnostic.message_in(lang),
        };
        let _ = js_sys::Reflect::set(&mark, &"severity".into(), &severity.into());
        let _ = js_sys::Reflect::set(&mark, &"message".into(), &message.into());
        if let Some(fix) = &diagnostic.fix {
            let edit = range(&text, fix.span.start, fix.span.end);
            let _ = js_sys::Reflect::set(&edit, &"title".into(), &fix.title_in(lang).into());
            let _ = js_sys::Reflect::set(&edit, &"text".into(), &fix.text.as_str().into());
            let _ = js_sys::Reflect::set(&mark, &"fix".into(), &edit);
        }
        mark
    });
    list.collect::<js_sys::Array>().into()
}

/// An offset that the editor gave.
#[expect(clippy::cast_sign_loss, reason = "it is not below 0 here")]
fn to_offset(at: f64) -> usize {
    at.max(0.0) as usize
}

/// Answers the editor's question what may stand at an offset.
fn on_complete(page: Page) -> JsValue {
    let answer = Closure::<dyn Fn(String, f64) -> JsValue>::new(move |text: String, at: f64| {
        let lang = page.ui.lang.get_untracked();
        let at = byte_offset(&text, to_offset(at));
        let offers = crate::manifest::offers(&text, at, lang);
        let options = offers.items.iter().map(|offer| {
            bundles::object(&[
                ("label", offer.text.as_str().into()),
                ("detail", offer.type_name.as_str().into()),
                ("info", offer.help.as_deref().unwrap_or("").into()),
                ("required", offer.required.into()),
            ])
        });
        let options: js_sys::Array = options.collect();
        let found = range(&text, offers.span.start, offers.span.end);
        let _ = js_sys::Reflect::set(&found, &"options".into(), &options);
        // A colon follows a field, unless one stands there.
        let line_end = text[at..].find('\n').map_or(text.len(), |end| at + end);
        let colon = text[at..line_end].trim().is_empty();
        let _ = js_sys::Reflect::set(&found, &"colon".into(), &colon.into());
        found
    });
    answer.into_js_value()
}

/// Answers the editor's question what stands at an offset.
fn on_hover(page: Page) -> JsValue {
    let answer = Closure::<dyn Fn(String, f64) -> JsValue>::new(move |text: String, at: f64| {
        let lang = page.ui.lang.get_untracked();
        let Some(help) = crate::manifest::help(&text, byte_offset(&text, to_offset(at)), lang) else {
            return JsValue::NULL;
        };
        let found = range(&text, help.span.start, help.span.end);
        let title = format!("{} <{}>", help.path, help.type_name);
        let _ = js_sys::Reflect::set(&found, &"title".into(), &title.into());
        let _ = js_sys::Reflect::set(&found, &"text".into(), &help.text.into());
        found
    });
    answer.into_js_value()
}

/// `{from, to}` in UTF-16 units, of byte offsets.
fn range(text: &str, start: usize, end: usize) -> JsValue {
    let number = |at: usize| JsValue::from_f64(utf16_offset(text, at) as f64);
    bundles::object(&[("from", number(start)), ("to", number(end))])
}

/// What is wrong, in words, below the field.
#[component]
fn Problems(
    editor: StoredValue<Option<Editor>, LocalStorage>,
    plain: NodeRef<html::Textarea>,
) -> impl IntoView {
    let page = use_page();
    let go = move |offset: u32| {
        editor.with_value(|editor| match (editor, plain.get_untracked()) {
            (Some(editor), _) => {
                editor.reveal(offset);
                editor.focus();
            }
            (None, Some(field)) => {
                let _ = field.focus();
                let _ = field.set_selection_range(offset, offset);
            }
            (None, None) => {}
        });
    };
    let shown = Memo::new(move |_| {
        let mut list = page.diagnostics.get();
        list.sort_by_key(|diagnostic| diagnostic.severity);
        list
    });
    Effect::new(move || {
        // Said only when the text is broken anew, not at every key stroke.
        if shown.with(|list| lab_driver::has_errors(list)) {
            page.ui.announce(page.word("frame.editor.kept"));
        }
    });
    move || {
        let list = shown.get();
        let is_broken = lab_driver::has_errors(&list);
        (!list.is_empty()).then(|| {
            view! {
                <div class="problems" data-testid="problems" class:broken=is_broken>
                    <ul>{list.into_iter().map(|diagnostic| problem(page, &diagnostic, go)).collect_view()}</ul>
                    {is_broken.then(|| view! { <p class="kept">{page.word("frame.editor.kept")}</p> })}
                </div>
            }
        })
    }
}

fn problem(page: Page, diagnostic: &Diagnostic, go: impl Fn(u32) + Copy + Send + Sync + 'static) -> AnyView {
    let lang = page.ui.lang.get();
    let text = page.ui.text.get_untracked();
    let name = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    };
    let place = diagnostic.span.map(|span| {
        let place = span.place(&text);
        let offset = utf16_offset(&text, span.start) as u32;
        let label = format!("{}:{}", place.line, place.column);
        view! { <button class="place mono" on:click=move |_| go(offset)>{label}</button> }
    });
    let demo = diagnostic.demo.clone().map(|demo| {
        let command = demo.command.clone();
        let show = move |_| demonstrate(page, &demo);
        view! {
            <button class="button demo" data-testid="problem-demo" title=command on:click=show>
                {page.word("frame.editor.demo")}
            </button>
        }
    });
    view! {
        <li class=format!("problem {name}")>
            <span class="visually-hidden">{page.word(&format!("frame.editor.{name}"))}</span>
            {place}
            <code>{diagnostic.path.clone()}</code>
            <span class="message">{diagnostic.message_in(lang)}</span>
            {diagnostic.hint_in(lang).map(|hint| view! { <span class="hint">{hint}</span> })}
            {demo}
        </li>
    }
    .into_any()
}

/// Runs the command that shows what a finding is about, in a terminal of the place where it shows.
pub(super) fn demonstrate(page: Page, demo: &Demo) {
    let found = page.ui.lab.try_update_value(|lab| lab.demonstration(demo)).flatten();
    let command = found.and_then(|(target, line)| Some((target, prompt::argv(&line).ok()?)));
    match command {
        Some((target, argv)) => {
            page.ui.terminal.set(target.clone());
            lab_driver::run(page, target, argv);
        }
        None => page.notify("frame.editor.demo.none", Vec::new()),
    }
}

#[component]
fn Tools() -> impl IntoView {
    let page = use_page();
    let picker = NodeRef::<html::Input>::new();
    let pick = move |_| {
        if let Some(picker) = picker.get_untracked() {
            picker.click();
        }
    };
    let picked = move |_| {
        let Some(picker) = picker.get_untracked() else { return };
        if let Some(file) = picker.files().and_then(|files| files.get(0)) {
            open_file(page, file);
        }
        picker.set_value("");
    };
    view! {
        <div class="tools">
            <button class="button" data-testid="reset" on:click=move |_| lab_driver::reset_to_lesson(page)>
                {move || page.word("frame.editor.reset")}
            </button>
            <button class="button" data-testid="open" on:click=pick>{move || page.word("frame.editor.open")}</button>
            <input type="file" node_ref=picker hidden accept=".yaml,.yml,.json,.txt" on:change=picked
                data-testid="open-file"/>
            <button class="button" data-testid="save" on:click=move |_| export::yaml(page)>
                {move || page.word("frame.editor.save")}
            </button>
        </div>
    }
}

fn dropped(page: Page, event: &web_sys::DragEvent) {
    let file = event.data_transfer().and_then(|data| data.files()).and_then(|files| files.get(0));
    if let Some(file) = file {
        event.prevent_default();
        event.stop_propagation();
        open_file(page, file);
    }
}

/// Opens a manifest, or a log that was exported.
fn open_file(page: Page, file: web_sys::File) {
    if file.size() > FILE_LIMIT {
        page.notify("frame.file.too_large", vec![file.name()]);
        return;
    }
    leptos::task::spawn_local(async move {
        let content =
            js_sys::futures::JsFuture::from(file.text()).await.ok().and_then(|text| text.as_string());
        match content {
            None => page.notify("frame.file.unreadable", vec![file.name()]),
            Some(text) if text.trim_start().starts_with('{') && text.contains("\"actions\"") => {
                match share::from_file(&text) {
                    Ok(log) => lab_driver::open_log(page, &log),
                    Err(error) => {
                        let (key, args) = error.words();
                        page.notify(key, args);
                    }
                }
            }
            Some(text) => {
                lab_driver::typed(page, text);
                lab_driver::apply_typed(page);
            }
        }
    });
}
