//! What the packets of the trace say about names up to the playhead: each question with its answer, what the servers' caches
//! hold, and the records of the cluster's zone. Stepping back takes all of it back.

use crate::base::EventId;
use crate::base::words;
use crate::scene;
use crate::scene::questions::{self, Cached, Exchange, Kept, Way};
use crate::trace::explain::drop_name;
use crate::ui::stage::{Show, use_show};
use leptos::prelude::*;

/// Most rows of a table; the newest of the questions, the first of the records.
const ROWS: usize = 80;

/// An exchange as far as it has got, with its number.
type Numbered = (usize, Exchange);

#[component]
pub(super) fn Exchanges() -> impl IntoView {
    let show = use_show();
    view! {
        <Packets show/>
        <Caches show/>
        <Zone show/>
    }
}

/// The last event that the playhead has passed.
fn last_event(show: Show) -> Option<EventId> {
    show.tables.with(|tables| tables.upto).checked_sub(1).map(|at| EventId(at as u32))
}

#[component]
fn Packets(show: Show) -> impl IntoView {
    let rows = Memo::new(move |_| {
        let Some(event) = last_event(show) else { return Vec::new() };
        show.with_questions(|all| {
            // They are in the order in which they were asked.
            let asked = all.list().partition_point(|one| one.asked.sent.event <= event);
            // What a CoreDNS asks itself stands apart.
            let own = all.list()[..asked].iter().filter(|one| !one.is_self_check());
            let count = own.clone().count();
            let list = own.enumerate().skip(count.saturating_sub(ROWS));
            list.filter_map(|(at, one)| Some((at, one.upto(event)?))).collect::<Vec<Numbered>>()
        })
    });
    // A row is made anew only when it got further, so that what was unfolded stays so.
    let key = |(at, one): &Numbered| {
        let (taken, lost) = (one.asked.taken.is_some(), one.asked.lost.is_some());
        let answer = one.answer.as_ref().map(|(_, way)| (way.taken.is_some(), way.lost.is_some()));
        (*at, one.asked.sent.event, taken, lost, one.steps.len(), answer)
    };
    let heads = ["time", "question", "rcode", "delay", "cache", "ttl", "id", "client", "server"];
    let heads = heads.map(|head| {
        view! { <th scope="col">{move || show.ui.word(&format!("names.packets.{head}"))}</th> }
    });
    let own_checks = move || {
        let Some(event) = last_event(show) else { return 0 };
        show.with_questions(|all| {
            let checks = all.list().iter().filter(|one| one.is_self_check());
            checks.filter(|one| one.asked.sent.event <= event).count()
        })
    };
    let earlier = move || rows.with(|rows| rows.first().map_or(0, |row| row.0));
    view! {
        <section class="names-section">
            <h3>{move || show.ui.word("names.packets")}</h3>
            {move || rows.with(Vec::is_empty).then(|| view! { <p class="view-about">{move || show.ui.word("names.packets.none")}</p> })}
            {move || (earlier() > 0).then(|| view! {
                <p class="view-about">{move || show.ui.sentence("names.packets.earlier", &[earlier().to_string()])}</p>
            })}
            {move || (own_checks() > 0).then(|| view! {
                <p class="view-about">{move || show.ui.sentence("names.packets.loop", &[own_checks().to_string()])}</p>
            })}
            <div class="compare-scroll" hidden=move || rows.with(Vec::is_empty)>
                <table class="compare-table" data-testid="names-packets">
                    <thead><tr>{heads.into_iter().collect_view()}</tr></thead>
                    <tbody>
                        <For each=move || rows.get() key=key children=move |row| exchange_view(show, &row.1)/>
                    </tbody>
                </table>
            </div>
        </section>
    }
}

fn exchange_view(show: Show, one: &Exchange) -> impl IntoView + use<> {
    let event = one.asked.sent.event;
    let place = show.tables.with_untracked(|tables| scene::place_name(tables, one.asked.sent.netns));
    let taken_by = one
        .asked
        .taken
        .map(|taken| show.tables.with_untracked(|tables| scene::place_name(tables, taken.netns)).to_string());
    let question = one.question().map_or_else(String::new, |at| format!("{} {}", at.name, at.kind));
    let cached = one.cached().map(|cached| match cached {
        Cached::Hit => "names.cache.hit",
        Cached::Stale => "names.cache.stale",
        Cached::Miss => "names.cache.miss",
    });
    let ttl = one.answer.as_ref().and_then(|(message, _)| {
        message.answer.iter().chain(&message.authority).map(|record| record.ttl).min()
    });
    let lost = one.asked.lost.is_some() || one.answer.as_ref().is_some_and(|(_, way)| way.lost.is_some());
    let (again, tcp) = (one.again, one.tcp);
    let state = state_of(one);
    let delay = one.delay().map(|delay| delay.to_string());
    let ((_, port), (server, _)) = one.ends;
    view! {
        <tr class:is-now=move || show.event.get() == Some(show.step_of(event))>
            <td class="mono">
                <button class="names-go" aria-label=move || show.ui.word("names.packets.go")
                    on:click=move |_| show.go_to(event)>{format!("{}", one.asked.sent.at)}</button>
            </td>
            <td class="names-question">{details_of(show, one, question)}</td>
            <td class="mono" class:is-lost=lost>
                {move || state(show)}
                {again.then(|| view! { <p>{move || show.ui.word("names.packets.again")}</p> })}
            </td>
            <td class="number mono">{delay}</td>
            <td>{move || cached.map(|key| show.ui.word(key))}</td>
            <td class="number mono">{ttl.map(|ttl| format!("{ttl} s"))}</td>
            <td class="mono">{format!("0x{:04x}", one.query.id)}</td>
            <td class="names-place">{place.to_string()}<span class="mono">{format!(":{port}")}</span></td>
            <td class="names-place"><span class="mono">{server.to_string()}</span>{taken_by.map(|name| format!(" → {name}"))}
                {tcp.then_some(" TCP")}</td>
        </tr>
    }
}

/// The response code, or where the message is.
fn state_of(one: &Exchange) -> impl Fn(Show) -> String + Send + 'static + use<> {
    let lost = |way: &Way| way.lost.map(|(_, reason)| drop_name(reason).to_string());
    let rcode = one.answer.as_ref().map(|(message, _)| match message.rcode.to_string().as_str() {
        "NOERROR" if message.answer.is_empty() => "NODATA".to_owned(),
        rcode => rcode.to_owned(),
    });
    let dropped = lost(&one.asked).or_else(|| one.answer.as_ref().and_then(|(_, way)| lost(way)));
    let got = one.answer.as_ref().is_some_and(|(_, way)| way.taken.is_some());
    let taken = one.asked.taken.is_some();
    move |show| match (&rcode, &dropped) {
        (_, Some(reason)) => show.ui.sentence("names.packets.lost", std::slice::from_ref(reason)),
        (Some(rcode), None) if got => rcode.clone(),
        (Some(rcode), None) => format!("{rcode} ({})", show.ui.word("names.packets.back")),
        (None, None) if taken => show.ui.word("names.packets.waits"),
        (None, None) => show.ui.word("names.packets.there"),
    }
}

/// The question; unfolded, the records of the answer and what the plugins did.
fn details_of(show: Show, one: &Exchange, question: String) -> AnyView {
    let records: Vec<String> = one
        .answer
        .iter()
        .flat_map(|(message, _)| message.answer.iter().chain(&message.authority).map(ToString::to_string))
        .collect();
    let steps: Vec<_> = one.steps.iter().map(|(_, row)| (row.plugin, row.did, row.args.clone())).collect();
    if records.is_empty() && steps.is_empty() {
        return view! { <span class="mono">{question}</span> }.into_any();
    }
    view! {
        <details class="names-answer">
            <summary class="mono">{question}</summary>
            {records.into_iter().map(|record| view! { <p class="mono">{record}</p> }).collect_view()}
            <ol class="names-plugins" aria-label=move || show.ui.word("names.plugins")>
                {steps.into_iter().map(|(plugin, did, args)| view! {
                    <li><b class="mono">{plugin}</b>" "{move || words::text(show.lang(), did, &args)}</li>
                }).collect_view()}
            </ol>
        </details>
    }
    .into_any()
}

/// What the caches hold; the TTLs run down as the playhead moves.
#[component]
fn Caches(show: Show) -> impl IntoView {
    let rows = Memo::new(move |_| {
        show.ui.version.track();
        show.tables.with(|tables| show.with_trace(|trace| questions::kept(trace, tables)))
    });
    view! {
        <section class="names-section" hidden=move || rows.with(Vec::is_empty)>
            <h3>{move || show.ui.word("names.kept")}</h3>
            <p class="view-about">{move || show.ui.word("names.kept.about")}</p>
            <div class="compare-scroll">
                <table class="compare-table" data-testid="names-kept">
                    <thead><tr>
                        {["server", "question", "records", "left"].map(|head| view! {
                            <th scope="col">{move || show.ui.word(&format!("names.kept.{head}"))}</th>
                        }).into_iter().collect_view()}
                    </tr></thead>
                    <tbody>
                        {move || rows.get().into_iter().take(ROWS).map(|kept| kept_view(show, kept)).collect_view()}
                    </tbody>
                </table>
            </div>
        </section>
    }
}

fn kept_view(show: Show, kept: Kept) -> impl IntoView {
    let Kept { netns, question, rcode, records, ttl, left } = kept;
    let server = show.tables.with_untracked(|tables| scene::place_name(tables, netns)).to_string();
    let share = (left * 100).checked_div(ttl).unwrap_or(0);
    view! {
        <tr>
            <td>{server}</td>
            <td class="mono">{question}</td>
            <td class="mono">{rcode}{records.into_iter().map(|record| view! { <p>{record}</p> }).collect_view()}</td>
            <td class="mono">
                {format!("{left} / {ttl} s")}
                <span class="names-left"><span style:width=format!("{share}%")></span></span>
            </td>
        </tr>
    }
}

/// The records of the cluster's zone. It is worked out when it is unfolded.
#[component]
fn Zone(show: Show) -> impl IntoView {
    let open = RwSignal::new(false);
    let records = Memo::new(move |_| {
        if !open.get() {
            return Ok(Vec::new());
        }
        show.ui.version.track();
        show.tables.with(|tables| {
            let lab = show.ui.lab.try_update_value(|lab| lab.zone_at(tables));
            let records = lab.unwrap_or_else(|| Ok(Vec::new()))?;
            let cells = records.into_iter().map(|record| {
                [
                    record.owner.clone(),
                    record.ttl.to_string(),
                    record.kind().to_string(),
                    record.data.to_string(),
                ]
            });
            Ok::<_, String>(cells.collect::<Vec<[String; 4]>>())
        })
    });
    // What the step before did not have is lit.
    let known = StoredValue::new(Vec::<[String; 4]>::new());
    let body = move || {
        let rows = match records.get() {
            Ok(rows) => rows,
            Err(problem) => return view! { <p class="names-problem">{problem}</p> }.into_any(),
        };
        let before = known.get_value();
        known.set_value(rows.clone());
        let left_out = rows.len().saturating_sub(ROWS * 3);
        let rows = rows.into_iter().take(ROWS * 3).map(|row| {
            let fresh = !before.is_empty() && !before.contains(&row);
            view! {
                <tr class="mono" class:is-now=fresh>{row.map(|cell| view! { <td>{cell}</td> }).into_iter().collect_view()}</tr>
            }
        });
        view! {
            <table class="compare-table names-zone" data-testid="names-zone-table"><tbody>{rows.collect_view()}</tbody></table>
            {(left_out > 0).then(|| view! { <p>{show.ui.sentence("names.zone.more", &[left_out.to_string()])}</p> })}
        }
        .into_any()
    };
    view! {
        <details class="names-section" data-testid="names-zone"
            on:toggle=move |event| open.set(event_target::<web_sys::Element>(&event).has_attribute("open"))>
            <summary><h3>{move || show.ui.word("names.zone")}</h3></summary>
            <p class="view-about">{move || show.ui.word("names.zone.about")}</p>
            <div class="compare-scroll">{body}</div>
        </details>
    }
}
