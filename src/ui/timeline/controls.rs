//! The buttons of time. They say in words what they do.

use crate::scene::{self, Pace, Playback, Protocol, StepKind};
use crate::ui::icon::{Icon, Sign};
use crate::ui::stage::{Filter, Legend, Show};
use leptos::prelude::*;

#[component]
pub(super) fn Controls(show: Show) -> impl IntoView {
    let play = show.ui.playback;
    let playing = Memo::new(move |_| play.with(|play| play.playing));
    let live = Memo::new(move |_| play.with(|play| play.live));
    let act = move |change: fn(&mut Playback)| {
        move |_| {
            show.ui.selection.update(|selection| {
                if matches!(selection, crate::ui::Selection::Event(_)) {
                    *selection = crate::ui::Selection::Playhead;
                }
            });
            play.update(change);
        }
    };
    let word = move |key: &'static str| move || show.ui.word(key);
    view! {
        <div class="time-controls">
            <div class="time-group" role="group" aria-label=word("timeline.controls")>
                <button class="button" data-testid="to-start" on:click=act(Playback::to_start)>
                    <Icon sign=Sign::Start/>{word("timeline.start")}
                </button>
                <button class="button" data-testid="back" on:click=act(Playback::back)>
                    <Icon sign=Sign::Back/>{word("timeline.back")}
                </button>
                <button class="button primary play" data-testid="play" on:click=act(Playback::toggle)>
                    {move || if playing.get() {
                        view! { <Icon sign=Sign::Pause/> }.into_any()
                    } else {
                        view! { <Icon sign=Sign::Forward/> }.into_any()
                    }}
                    {move || show.ui.word(if playing.get() { "timeline.pause" } else { "timeline.play" })}
                </button>
                <button class="button" data-testid="forward" on:click=act(Playback::forward)>
                    {word("timeline.forward")}<Icon sign=Sign::Forward/>
                </button>
                <button class="button" data-testid="next-drop" disabled=move || !has_drop(show) on:click=move |_| to_drop(show)>
                    {word("timeline.drop")}<Icon sign=Sign::Lost/>
                </button>
                <button class="button" data-testid="next-packet" on:click=move |_| to_next_packet(show)>
                    {word("timeline.packet")}<Icon sign=Sign::Next/>
                </button>
                <button class="button" data-testid="to-end" on:click=act(Playback::to_end)>
                    {word("timeline.end")}<Icon sign=Sign::End/>
                </button>
                <button
                    class="button"
                    data-testid="live-button"
                    aria-pressed=move || live.get().to_string()
                    on:click=act(Playback::go_live)
                >
                    <Icon sign=Sign::Live/>{word("timeline.live")}
                </button>
            </div>
            <Clock show/>
            <Choices show/>
            <Filters show/>
        </div>
    }
}

/// Simulated time and the number of the step.
#[component]
fn Clock(show: Show) -> impl IntoView {
    let text = move || {
        show.event.get().map_or_else(String::new, |event| {
            let at = show.with_trace(|trace| trace.events.get(event.index()).map(|event| event.at));
            at.map_or_else(String::new, |at| format!("{at} s"))
        })
    };
    let count = move || {
        let (at, count) = (show.at.get(), show.count.get());
        let args = [(at + usize::from(count > 0)).to_string(), count.to_string()];
        show.ui.sentence("timeline.count", &args)
    };
    view! {
        <p class="time-clock">
            <span class="mono" data-testid="clock" title=move || show.ui.word("timeline.clock")>{text}</span>
            " · "
            <span data-testid="count">{count}</span>
        </p>
    }
}

#[component]
fn Choices(show: Show) -> impl IntoView {
    let play = show.ui.playback;
    let speed = Memo::new(move |_| play.with(|play| play.speed));
    let steady = Memo::new(move |_| play.with(|play| matches!(play.pace, Pace::PerStep(_))));
    let set_speed = move |event| {
        if let Ok(speed) = event_target_value(&event).parse::<u32>() {
            play.update(|play| play.speed = speed);
        }
    };
    let set_pace = move |event| {
        let pace = match event_target_value(&event).as_str() {
            "time" => Pace::Proportional(Playback::FACTOR),
            _ => Pace::PerStep(Playback::PAUSE),
        };
        play.update(|play| play.pace = pace);
    };
    let percent = |speed: u32| match speed {
        25 => "¼×".to_string(),
        50 => "½×".to_string(),
        speed => format!("{}×", speed / 100),
    };
    view! {
        <div class="time-group">
            <select class="choice" aria-label=move || show.ui.word("timeline.speed") data-testid="speed" on:change=set_speed>
                {Playback::SPEEDS.map(|own| view! {
                    <option value=own.to_string() selected=move || speed.get() == own>{percent(own)}</option>
                })}
            </select>
            <select class="choice" aria-label=move || show.ui.word("timeline.pace") data-testid="pace" on:change=set_pace>
                <option value="step" selected=move || steady.get()>{move || show.ui.word("timeline.pace.step")}</option>
                <option value="time" selected=move || !steady.get()>{move || show.ui.word("timeline.pace.time")}</option>
            </select>
        </div>
    }
}

/// The legend of the shapes, each a switch for what is shown.
#[component]
fn Filters(show: Show) -> impl IntoView {
    let switch = move |protocol: Option<Protocol>, name: &'static str| {
        let shown = move || show.filter().with(|filter| is_shown(filter, protocol));
        let flip = move |_| {
            show.filter().update(|filter| match protocol {
                None => filter.tunnel_hidden = !filter.tunnel_hidden,
                Some(protocol) => {
                    if !filter.hidden.remove(&protocol) {
                        filter.hidden.insert(protocol);
                    }
                }
            });
        };
        let label = move || match name {
            "" => show.ui.word("timeline.tunnel"),
            name => name.to_string(),
        };
        view! {
            <button
                class="button filter"
                class:is-off=move || !shown()
                role="switch"
                aria-checked=move || shown().to_string()
                aria-label=label
                title=move || format!("{}: {}", label(), show.ui.word("timeline.filter"))
                on:click=flip
            >
                <Legend protocol/><span>{label}</span>
            </button>
        }
    };
    view! {
        <div class="time-group time-filters" role="group" aria-label=move || show.ui.word("timeline.filters")>
            {switch(Some(Protocol::Arp), "ARP")} {switch(Some(Protocol::Icmp), "ICMP")}
            {switch(Some(Protocol::Tcp), "TCP")} {switch(Some(Protocol::Udp), "UDP·DNS")} {switch(None, "")}
        </div>
    }
}

fn is_shown(filter: &Filter, protocol: Option<Protocol>) -> bool {
    protocol.map_or(!filter.tunnel_hidden, |protocol| !filter.hidden.contains(&protocol))
}

fn is_drop(show: Show, event: crate::base::EventId) -> bool {
    show.with_trace(|trace| {
        let seen = trace.events.get(event.index());
        seen.is_some_and(|event| matches!(scene::step_kind(trace, event), Some(StepKind::Drop(..))))
    })
}

fn has_drop(show: Show) -> bool {
    show.count.track();
    let at = show.at.get();
    show.ui.playback.with_untracked(|play| play.steps.iter().skip(at + 1).any(|event| is_drop(show, *event)))
}

fn to_drop(show: Show) {
    show.ui.playback.update(|play| {
        play.to_next(|event| is_drop(show, event));
    });
}

/// Goes on to the next packet of the same conversation: the next journey that began with the same one.
fn to_next_packet(show: Show) {
    let Some(event) = show.event.get_untracked() else { return };
    show.ui.playback.update(|play| {
        show.with_trace(|trace| {
            let seen = trace.event(event);
            if !seen.journey.is_some() {
                play.to_next(|event| trace.event(event).journey.is_some());
                return;
            }
            let root = trace.root_of(seen.journey);
            play.to_next(|event| {
                let other = trace.event(event).journey;
                other.is_some() && other != seen.journey && trace.root_of(other) == root
            });
        });
    });
}
