//! The terminal in any Pod, node or host. What it shows is a function of the trace and the playhead, so stepping back
//! takes its output back too; only the line being typed is its own.

use super::bundles::{self, Terminal};
use super::editor::request_idle_load;
use super::lab_driver::{self, Asking};
use super::state::{Page, Tab, Theme, use_page};
use crate::lab::Target;
use crate::lab::prompt::{Completion, Input, Prompt, argv};
use crate::trace::NetnsRole;
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::prelude::*;

/// Commands that Tab completes.
const COMMANDS: [&str; 8] = ["arp", "bridge", "cat", "clear", "hostname", "ip", "kubectl", "ping"];

/// Words that Tab completes after the command, besides addresses and names.
const WORDS: [&str; 16] = [
    "addr",
    "fdb",
    "get",
    "link",
    "neigh",
    "nodes",
    "pods",
    "route",
    "show",
    "-c",
    "-s",
    "-t",
    "-M",
    "-W",
    "/etc/hosts",
    "/etc/resolv.conf",
];

/// What the terminal keeps beside the trace.
#[derive(Default)]
struct Screen {
    terminal: Option<Terminal>,
    prompt: Prompt,
    /// What was written to the terminal so far, of the transcript.
    written: String,
    /// Bytes of the transcript that Ctrl-L cleared.
    cleared: usize,
    /// Who takes what is typed.
    asking: Asking,
}

impl Screen {
    /// What stands in front of the line: nothing where a program takes it, which has written its own.
    fn front<'a>(&self, prompt: &'a str) -> &'a str {
        if self.asking == Asking::Program { "" } else { prompt }
    }
}

type Shared = StoredValue<Screen, LocalStorage>;

/// The terminal's panel.
#[component]
pub(super) fn TerminalPanel() -> impl IntoView {
    let page = use_page();
    let screen: Shared = StoredValue::new_local(Screen::default());
    let place = NodeRef::<html::Div>::new();
    let is_ready = RwSignal::new(false);
    let is_loading = StoredValue::new(false);
    Effect::new(move || {
        // Read when the tab is first shown: who never opens a terminal never loads it.
        if page.tab.get() == Tab::Terminal && !is_loading.get_value() {
            is_loading.set_value(true);
            request_idle_load(move || leptos::task::spawn_local(load(page, place, screen, is_ready)));
        }
    });
    follow(page, screen, is_ready);
    view! {
        <div class="terminal-bar">
            <label>
                <span class="visually-hidden">{move || page.word("frame.terminal.where")}</span>
                <Where/>
            </label>
        </div>
        <div class="terminal" data-testid="terminal">
            <div class="terminal-place" node_ref=place hidden=move || !is_ready.get()></div>
            <Plain screen is_ready/>
        </div>
    }
}

/// Where commands run.
#[component]
fn Where() -> impl IntoView {
    let page = use_page();
    let there = Memo::new(move |_| {
        page.ui.version.track();
        targets(page)
    });
    let is_there = move |own: &Target| there.with(|there| there.iter().any(|(target, _)| target == own));
    let choices = Memo::new(move |_| {
        let own = page.ui.terminal.get();
        let mut all = there.get();
        if !is_there(&own) {
            let label = page.ui.sentence("frame.terminal.gone", &[short_name(&own).to_owned()]);
            all.insert(0, (own, label));
        }
        all
    });
    // Where the place is gone for good, for another text has taken its place, commands run at the first one that is there.
    Effect::new(move || {
        page.ui.version.track();
        if page.ui.terminal.with(is_there) || !page.ui.lab.with_value(crate::lab::Lab::is_idle) {
            return;
        }
        if let Some((first, _)) = there.with(|there| there.first().cloned()) {
            page.ui.terminal.set(first);
        }
    });
    let choose = move |event| {
        let value = event_target_value(&event);
        if let Some((target, _)) =
            choices.get_untracked().into_iter().find(|(target, _)| name_of(target) == value)
        {
            page.ui.terminal.set(target);
        }
    };
    view! {
        <select class="button" data-testid="terminal-target" on:change=choose
            prop:value=move || { choices.track(); name_of(&page.ui.terminal.get()) }>
            {move || choices.get().into_iter().map(|(target, label)| {
                let is_chosen = page.ui.terminal.with_untracked(|chosen| *chosen == target);
                view! { <option value=name_of(&target) selected=is_chosen>{label}</option> }
            }).collect_view()}
        </select>
    }
}

fn short_name(target: &Target) -> &str {
    match target {
        Target::Pod { name, .. } | Target::Node(name) | Target::Host(name) => name,
    }
}

fn name_of(target: &Target) -> String {
    match target {
        Target::Pod { namespace, name, container } => {
            format!("pod/{namespace}/{name}/{}", container.as_deref().unwrap_or_default())
        }
        Target::Node(name) => format!("node/{name}"),
        Target::Host(name) => format!("host/{name}"),
    }
}

/// Every place that has a shell, with its label.
fn targets(page: Page) -> Vec<(Target, String)> {
    let all = page.ui.lab.try_update_value(|lab| {
        let live = lab.live();
        let pods = live.pods.values().flat_map(|pod| {
            let containers: Vec<_> = pod.containers.iter().filter(|container| !container.init).collect();
            let is_single = containers.len() < 2;
            let names: Vec<Option<String>> =
                containers.iter().map(|container| (!is_single).then(|| container.name.to_string())).collect();
            let full = if &*pod.namespace == "default" {
                pod.name.to_string()
            } else {
                format!("{}/{}", pod.namespace, pod.name)
            };
            let (namespace, name) = (pod.namespace.to_string(), pod.name.to_string());
            names.into_iter().map(move |container| {
                let label =
                    container.as_ref().map_or(full.clone(), |container| format!("{full} · {container}"));
                (
                    Target::Pod { namespace: namespace.clone(), name: name.clone(), container },
                    format!("Pod {label}"),
                )
            })
        });
        let nodes = live.nodes.keys().map(|name| (Target::Node(name.to_string()), name.to_string()));
        let hosts =
            live.netns.values().filter(|netns| matches!(netns.row.role, NetnsRole::Router | NetnsRole::Host));
        let hosts = hosts.map(|netns| (Target::Host(netns.row.name.to_string()), netns.row.name.to_string()));
        pods.chain(nodes).chain(hosts).collect()
    });
    all.unwrap_or_default()
}

async fn load(page: Page, place: NodeRef<html::Div>, screen: Shared, is_ready: RwSignal<bool>) {
    let Some(parent) = place.get_untracked() else { return };
    is_ready.set(true);
    let on_data = Closure::<dyn Fn(String)>::new(move |data: String| typed(page, screen, &data));
    let options = bundles::object(&[
        ("parent", parent.into()),
        ("dark", (page.ui.theme.get_untracked() == Theme::Dark).into()),
        ("fontSize", font_size(page.ui.theme.get_untracked()).into()),
        ("onData", on_data.into_js_value()),
    ]);
    match bundles::make("terminal", "createTerminal", &options).await {
        Ok(made) => {
            let terminal: Terminal = made.unchecked_into();
            screen.update_value(|screen| {
                screen.terminal = Some(terminal);
                screen.written.clear();
            });
            page.ui.version.update(|version| *version += 1);
            focus_terminal(screen);
        }
        Err(_) => is_ready.set(false),
    }
}

fn font_size(theme: Theme) -> u32 {
    if theme == Theme::Projector { 20 } else { 14 }
}

fn focus_terminal(screen: Shared) {
    screen.with_value(|screen| {
        if let Some(terminal) = &screen.terminal {
            terminal.fit();
            terminal.focus();
        }
    });
}

/// Keeps the terminal in step with the playhead, the target and the theme.
fn follow(page: Page, screen: Shared, is_ready: RwSignal<bool>) {
    Effect::new(move || {
        is_ready.track();
        let target = page.ui.terminal.get();
        let (text, asking) = lab_driver::screen(page, &target);
        show(screen, &text, asking, &crate::lab::prompt::prompt_of(&target));
    });
    Effect::new(move || {
        let theme = page.ui.theme.get();
        let look = [("dark", (theme == Theme::Dark).into()), ("fontSize", font_size(theme).into())];
        screen.with_value(|screen| {
            if let Some(terminal) = &screen.terminal {
                terminal.set_theme(&bundles::object(&look));
            }
        });
    });
}

/// Brings the terminal from what it shows to `text`: by adding to it where that is enough, else from the beginning.
fn show(screen: Shared, text: &str, asking: Asking, prompt: &str) {
    screen.update_value(|screen| {
        let Some(terminal) = screen.terminal.clone() else { return };
        let is_same = screen.written == text && screen.asking == asking;
        if is_same && !text.is_empty() {
            return;
        }
        if screen.asking != Asking::Nobody {
            // Takes the line being typed away; it is drawn again below what comes.
            terminal.write(&screen.prompt.erased());
        }
        if let Some(added) = text.strip_prefix(screen.written.as_str()).filter(|_| !screen.written.is_empty())
        {
            terminal.write(added);
        } else {
            terminal.clear();
            screen.cleared =
                if text.starts_with(&screen.written) { screen.cleared.min(text.len()) } else { 0 };
            terminal.write(text.get(screen.cleared..).unwrap_or(text));
        }
        text.clone_into(&mut screen.written);
        screen.asking = asking;
        screen.prompt.behind(text.rsplit('\n').next().unwrap_or_default(), terminal.cols() as usize);
        if asking != Asking::Nobody {
            let front = screen.front(prompt);
            let drawn = screen.prompt.draw(front, terminal.cols() as usize);
            terminal.write(&drawn);
        }
    });
}

/// Takes in what the user typed at xterm.
fn typed(page: Page, screen: Shared, data: &str) {
    let inputs = screen.try_update_value(|screen| screen.prompt.feed(data)).unwrap_or_default();
    let target = page.ui.terminal.get_untracked();
    let prompt = crate::lab::prompt::prompt_of(&target);
    for input in inputs {
        match input {
            Input::Changed => redraw(screen, &prompt),
            Input::Interrupt => {
                if screen.with_value(|screen| screen.asking) == Asking::Shell {
                    screen.with_value(|screen| write(screen, "^C\r\n"));
                    screen.update_value(|screen| screen.prompt.undrawn());
                    redraw(screen, &prompt);
                } else {
                    lab_driver::interrupt(page);
                }
            }
            Input::End => {
                if screen.with_value(|screen| screen.asking) == Asking::Program {
                    lab_driver::type_line(page, None);
                }
            }
            Input::Clear => clear(screen, &prompt),
            Input::Complete => complete(page, screen, &prompt),
            Input::Run(line) => enter(page, screen, &target, &line),
        }
    }
}

fn write(screen: &Screen, text: &str) {
    if let Some(terminal) = &screen.terminal {
        terminal.write(text);
    }
}

fn redraw(screen: Shared, prompt: &str) {
    screen.update_value(|screen| {
        if let (Some(terminal), true) = (screen.terminal.clone(), screen.asking != Asking::Nobody) {
            let front = screen.front(prompt);
            let drawn = screen.prompt.draw(front, terminal.cols() as usize);
            terminal.write(&drawn);
        }
    });
}

fn clear(screen: Shared, prompt: &str) {
    screen.update_value(|screen| {
        screen.cleared = screen.written.len();
        if let Some(terminal) = &screen.terminal {
            terminal.clear();
        }
        screen.prompt.undrawn();
    });
    redraw(screen, prompt);
}

fn complete(page: Page, screen: Shared, prompt: &str) {
    let names = names(page);
    let commands = COMMANDS.map(str::to_owned);
    let outcome = screen.try_update_value(|screen| screen.prompt.complete(&commands, &names));
    if let Some(Completion::Several(several)) = outcome {
        screen.update_value(|screen| {
            write(screen, &format!("\r\n{}\r\n", several.join("  ")));
            screen.prompt.undrawn();
        });
    }
    redraw(screen, prompt);
}

/// Addresses and names that a command may be given.
fn names(page: Page) -> Vec<String> {
    let all = page.ui.lab.try_update_value(|lab| {
        let live = lab.live();
        let addresses =
            live.netns.values().flat_map(|netns| netns.addrs.iter().map(|row| row.addr.addr().to_string()));
        let links =
            live.netns.values().flat_map(|netns| netns.links.values().map(|link| link.name.to_string()));
        let pods = live.pods.values().map(|pod| pod.name.to_string());
        let nodes = live.nodes.keys().map(ToString::to_string);
        addresses.chain(links).chain(pods).chain(nodes).chain(WORDS.map(str::to_owned)).collect()
    });
    all.unwrap_or_default()
}

/// Runs a line, or gives it to the program that reads it.
fn enter(page: Page, screen: Shared, target: &Target, line: &str) {
    let prompt = crate::lab::prompt::prompt_of(target);
    screen.update_value(|screen| screen.prompt.remember(line));
    if screen.with_value(|screen| screen.asking) == Asking::Program {
        return lab_driver::type_line(page, Some(line.to_owned()));
    }
    match argv(line) {
        Ok(words) if words.is_empty() => {
            screen.update_value(|screen| {
                write(screen, "\r\n");
                screen.prompt.undrawn();
            });
            redraw(screen, &prompt);
        }
        Ok(words) if words == ["clear"] => clear(screen, &prompt),
        Ok(words) => lab_driver::run(page, target.clone(), words),
        Err(quote) => {
            screen.update_value(|screen| {
                write(screen, &format!("\r\nsh: syntax error: unterminated quoted string ({quote})\r\n"));
                screen.prompt.undrawn();
            });
            redraw(screen, &prompt);
        }
    }
}

/// The terminal before its bundle has been read, and where it cannot be: the output as text and a line to type in.
#[component]
fn Plain(screen: Shared, is_ready: RwSignal<bool>) -> impl IntoView {
    let page = use_page();
    let field = NodeRef::<html::Input>::new();
    let shown = Memo::new(move |_| lab_driver::screen(page, &page.ui.terminal.get()));
    let front = move || match shown.with(|(_, asking)| *asking) {
        Asking::Program => String::new(),
        Asking::Shell | Asking::Nobody => crate::lab::prompt::prompt_of(&page.ui.terminal.get()),
    };
    let recall = move |act: fn(&mut Prompt) -> Input| {
        screen.update_value(|screen| {
            act(&mut screen.prompt);
            if let Some(field) = field.get_untracked() {
                field.set_value(&screen.prompt.line());
            }
        });
    };
    let on_key = move |event: web_sys::KeyboardEvent| {
        match event.key().as_str() {
            "ArrowUp" => recall(Prompt::older),
            "ArrowDown" => recall(Prompt::newer),
            "c" if event.ctrl_key() && !has_selection() => lab_driver::interrupt(page),
            "d" if event.ctrl_key() && is_read(field, shown) => lab_driver::type_line(page, None),
            _ => return,
        }
        event.prevent_default();
    };
    let submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let Some(field) = field.get_untracked() else { return };
        let line = field.value();
        field.set_value("");
        screen.update_value(|screen| {
            screen.prompt.set("");
            screen.asking = shown.with_untracked(|(_, asking)| *asking);
        });
        enter(page, screen, &page.ui.terminal.get_untracked(), &line);
    };
    view! {
        <div class="terminal-plain" hidden=move || is_ready.get()>
            <pre data-testid="terminal-text" tabindex="0">{move || shown.with(|(text, _)| text.clone())}</pre>
            <form on:submit=submit>
                <label class="mono" for="terminal-line">{front}</label>
                <input id="terminal-line" class="mono" node_ref=field data-testid="terminal-line" autocomplete="off"
                    autocapitalize="off" spellcheck="false" on:keydown=on_key/>
            </form>
        </div>
    }
}

/// Whether Ctrl-D is the end of input of a program: the line is empty, and a program reads it.
fn is_read(field: NodeRef<html::Input>, shown: Memo<(String, Asking)>) -> bool {
    let is_empty = field.get_untracked().is_some_and(|field| field.value().is_empty());
    is_empty && shown.with_untracked(|(_, asking)| *asking == Asking::Program)
}

/// Whether text is selected, which Ctrl-C then copies.
fn has_selection() -> bool {
    let selection = window().get_selection().ok().flatten();
    selection.is_some_and(|selection| !selection.is_collapsed())
}
