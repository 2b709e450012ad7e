//! Breaking a place on purpose, and mending it: the faults of the lab's log, by clicking.

use crate::trace::{Fault, Inventory, LinkKind, LinkRow, Netem, NetnsRole, Place};
use crate::ui::lab_driver;
use crate::ui::stage::{Show, whole};
use crate::ui::state::Page;
use leptos::prelude::*;

/// Millionths in a percent.
const PERCENT: f64 = 10_000.0;

/// The faults at a place, and the buttons that bring others about. Outside the page there is nothing to break.
#[component]
pub(super) fn FaultsView(show: Show, netns: String, ifname: Option<String>) -> impl IntoView {
    let page = use_context::<Page>()?;
    let is_node = {
        let netns = netns.clone();
        show.tables.with_untracked(|tables| {
            tables.netns_named(&netns).is_some_and(|state| state.row.role == NetnsRole::Node)
        })
    };
    let tools = match ifname.clone() {
        Some(interface) => {
            let place = Place { namespace: netns.clone(), interface };
            view! { <Interface page show place/> }.into_any()
        }
        None if is_node => {
            let node = netns.clone();
            view! {
                <div class="fault-tools">
                    {act(page, "fault.do.dead_node", "break-node", move || Fault::DeadNode(node.clone()))}
                </div>
            }
            .into_any()
        }
        None => view! { <p class="view-about">{move || show.ui.word("fault.choose")}</p> }.into_any(),
    };
    Some(view! {
        <section class="faults" data-testid="faults">
            <h3>{move || show.ui.word("fault.title")}</h3>
            <Standing page show netns ifname/>
            {tools}
        </section>
    })
}

/// A button that brings about a fault.
fn act(
    page: Page,
    key: &'static str,
    id: &'static str,
    fault: impl Fn() -> Fault + 'static,
) -> impl IntoView {
    view! {
        <button type="button" class="button" data-testid=id on:click=move |_| lab_driver::inject(page, &fault())>
            {move || page.word(key)}
        </button>
    }
}

/// The faults that stand here.
#[component]
fn Standing(page: Page, show: Show, netns: String, ifname: Option<String>) -> impl IntoView {
    let here = Memo::new(move |_| {
        show.tables.with(|tables| {
            let own = |fault: &Fault| match fault.place() {
                Some(place) => {
                    place.namespace == netns
                        && ifname.as_ref().is_none_or(|ifname| *ifname == place.interface)
                }
                None => *fault == Fault::DeadNode(netns.clone()),
            };
            let faults = tables.faults.values().filter(|row| own(&row.fault));
            faults.map(|row| (row.number, row.fault.words())).collect::<Vec<_>>()
        })
    });
    let row = move |(number, (key, args)): (u32, (&'static str, Vec<String>))| {
        view! {
            <li class="fault">
                <span>{move || page.ui.sentence(key, &args)}</span>
                <button class="button" data-testid="mend" on:click=move |_| lab_driver::mend(page, number)>
                    {move || page.word("fault.mend")}
                </button>
            </li>
        }
    };
    view! { <ul class="faults-standing">{move || here.get().into_iter().map(row).collect_view()}</ul> }
}

/// What can be broken at an interface.
#[component]
fn Interface(page: Page, show: Show, place: Place) -> impl IntoView {
    let has_cable = show.tables.with_untracked(|tables| peer(tables, &place).is_some());
    let (cut, down, mtu, duplicate, stale) =
        (place.clone(), place.clone(), place.clone(), place.clone(), place.clone());
    let mtu_now = show.tables.with_untracked(|tables| link_of(tables, &place).map_or(1500, |link| link.mtu));
    let address = RwSignal::new(String::new());
    let neighbors = {
        let place = place.clone();
        Memo::new(move |_| show.tables.with(|tables| neighbors(tables, &place)))
    };
    view! {
        <div class="fault-tools">
            {has_cable.then(|| act(page, "fault.do.cut", "break-cable", move || Fault::CutCable(cut.clone())))}
            {act(page, "fault.do.down", "break-link", move || Fault::LinkDown(down.clone()))}
        </div>
        <Impairment page show place/>
        <form class="fault-form" on:submit=move |event| {
            event.prevent_default();
            if let Some(mtu_new) = number(&event, "mtu") {
                lab_driver::inject(page, &Fault::Mtu { at: mtu.clone(), mtu: whole(mtu_new) as u32 });
            }
        }>
            {field(page, "fault.mtu_field", "mtu", "68", "65535", mtu_now)}
            <button class="button">{move || page.word("fault.do.mtu")}</button>
        </form>
        <form class="fault-form" on:submit=move |event| {
            event.prevent_default();
            match address.get_untracked().trim().parse() {
                Ok(address) => lab_driver::inject(page, &Fault::DuplicateAddress { at: duplicate.clone(), address }),
                Err(_) => page.notify("fault.bad_address", vec![address.get_untracked()]),
            }
        }>
            <label>
                <span>{move || page.word("fault.address")}</span>
                <input class="mono" type="text" size="15" placeholder="10.244.2.10" data-testid="duplicate-address"
                    prop:value=move || address.get() on:input=move |event| address.set(event_target_value(&event))/>
            </label>
            <button class="button" data-testid="break-address">{move || page.word("fault.do.duplicate")}</button>
        </form>
        {move || neighbors.get().into_iter().map(|addr| {
            let at = stale.clone();
            view! {
                <button class="button" on:click=move |_| lab_driver::inject(page, &Fault::StaleNeighbor { at: at.clone(), address: addr, mac: None })>
                    {move || page.ui.sentence("fault.do.stale", &[addr.to_string()])}
                </button>
            }
        }).collect_view()}
    }
}

/// Loss, delay and the like, as netem does them, on one end of the cable or on both.
#[component]
fn Impairment(page: Page, show: Show, place: Place) -> impl IntoView {
    let submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let ppm = |name: &str| number(&event, name).map_or(0, |part| whole(part * PERCENT) as u32);
        let ns = |name: &str| number(&event, name).map_or(0, whole_ns);
        let netem = Netem {
            loss: ppm("loss"),
            duplicate: ppm("duplicate"),
            reorder: ppm("reorder"),
            delay: ns("delay"),
            jitter: ns("jitter"),
            rate: number(&event, "rate").map_or(0, |kbit| whole_ns(kbit) / 1_000),
            limit: number(&event, "limit").map_or(1_000, |limit| whole(limit) as u32),
            ..Netem::default()
        };
        let both = checked(&event, "both");
        let other = show.tables.with_untracked(|tables| peer(tables, &place)).filter(|_| both);
        for at in std::iter::once(place.clone()).chain(other) {
            lab_driver::inject(page, &Fault::Impair { at, netem });
        }
    };
    view! {
        <form class="fault-form" data-testid="impair" on:submit=submit>
            {field(page, "fault.loss", "loss", "0", "100", 0)}
            {field(page, "fault.delay", "delay", "0", "3600000", 0)}
            {field(page, "fault.jitter", "jitter", "0", "3600000", 0)}
            {field(page, "fault.duplicate", "duplicate", "0", "100", 0)}
            {field(page, "fault.reorder", "reorder", "0", "100", 0)}
            {field(page, "fault.rate", "rate", "0", "10000000", 0)}
            {field(page, "fault.limit", "limit", "1", "100000", 1_000)}
            <label class="check"><input type="checkbox" name="both" checked/>{move || page.word("fault.both")}</label>
            <button class="button" data-testid="break-impair">{move || page.word("fault.do.impair")}</button>
        </form>
    }
}

fn field(
    page: Page,
    key: &'static str,
    name: &'static str,
    least: &'static str,
    most: &'static str,
    value: u32,
) -> impl IntoView {
    view! {
        <label>
            <span>{move || page.word(key)}</span>
            <input type="number" name=name min=least max=most step="any" value=value.to_string() data-testid=format!("fault-{name}")/>
        </label>
    }
}

/// Millionths of what is given, as a whole number: milliseconds become nanoseconds.
fn whole_ns(value: f64) -> u64 {
    whole(value * 1_000_000.0) as u64
}

fn input(event: &web_sys::SubmitEvent, name: &str) -> Option<web_sys::HtmlInputElement> {
    use wasm_bindgen::JsCast;
    let form = event.target()?.dyn_into::<web_sys::Element>().ok()?;
    form.query_selector(&format!("input[name={name}]")).ok()??.dyn_into().ok()
}

fn number(event: &web_sys::SubmitEvent, name: &str) -> Option<f64> {
    input(event, name)?.value().trim().parse::<f64>().ok().filter(|value| value.is_finite() && *value >= 0.0)
}

fn checked(event: &web_sys::SubmitEvent, name: &str) -> bool {
    input(event, name).is_some_and(|input| input.checked())
}

fn link_of<'a>(tables: &'a Inventory, place: &Place) -> Option<&'a LinkRow> {
    tables.netns_named(&place.namespace)?.link_named(&place.interface)
}

/// The other end of the cable or veth pair.
fn peer(tables: &Inventory, place: &Place) -> Option<Place> {
    let (netns, ifindex) = match link_of(tables, place)?.kind {
        LinkKind::Veth { peer_netns, peer, .. } | LinkKind::Physical { peer_netns, peer } => {
            (peer_netns, peer)
        }
        LinkKind::Loopback
        | LinkKind::Bridge { .. }
        | LinkKind::Vxlan { .. }
        | LinkKind::Dummy
        | LinkKind::Vlan { .. }
        | LinkKind::Macvlan { .. }
        | LinkKind::Ipvlan { .. }
        | LinkKind::Ipip(_)
        | LinkKind::Gre(_)
        | LinkKind::Gretap(_) => return None,
    };
    let state = tables.netns.get(&netns)?;
    let interface = state.links.get(&ifindex)?.name.to_string();
    Some(Place { namespace: state.row.name.to_string(), interface })
}

fn neighbors(tables: &Inventory, place: &Place) -> Vec<std::net::Ipv4Addr> {
    let Some(link) = link_of(tables, place) else { return Vec::new() };
    let Some(state) = tables.netns.get(&link.netns) else { return Vec::new() };
    state.neighbors.keys().filter(|key| key.0 == link.ifindex).map(|key| key.1).take(6).collect()
}
