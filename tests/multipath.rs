//! Two routers in parallel: which of several next hops the flows take that are passed on. The real kernel draws its key at
//! random, so that no recording says it; that each flow keeps to one next hop, and that each next hop gets its share, holds
//! for both (`tests/sessions/multipath-choice.txt` asks `ip route get` of both for the same).
#![cfg(not(target_arch = "wasm32"))]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use vethscope::base::words::Lang;
use vethscope::base::{EventId, NetnsId};
use vethscope::lab::Lab;
use vethscope::scene::tables::{TableKind, sheets};
use vethscope::trace::explain::why;
use vethscope::trace::{EventKind, Table, TableChange};
use vethscope::wire::{Body, Icmp};

/// Far ends behind the routers `node1` and `node2`, towards which `gw` passes on what the host `web` sends.
fn lab(policy: u8) -> Lab {
    let mut lab = common::lab(common::RECORDED_LAB, 1);
    for line in [
        "host/gw ip route add 198.51.100.0/24 nexthop via 192.168.1.10 nexthop via 192.168.1.11 weight 3",
        "host/ext ip addr add 198.51.100.0/24 dev lo",
        "node/node1 ip route add 198.51.100.0/24 via 192.168.1.100",
        "node/node2 ip route add 198.51.100.0/24 via 192.168.1.100",
    ] {
        assert_eq!(run(&mut lab, line), 0, "{line}");
    }
    let sysctl = format!("host/gw sysctl -w net.ipv4.fib_multipath_hash_policy={policy}");
    assert_eq!(run(&mut lab, &sysctl), 0);
    lab
}

fn run(lab: &mut Lab, line: &str) -> u8 {
    common::run(lab, line).status
}

/// For each flow, by its destination and ports, the next hops that its packets took at `gw`, and how many there were.
fn taken(lab: &mut Lab, from: usize) -> BTreeMap<String, (BTreeSet<u16>, usize)> {
    let gw: NetnsId = lab.live().netns_named("gw").expect("the router is there").row.netns;
    let trace = lab.trace();
    let mut taken: BTreeMap<String, (BTreeSet<u16>, usize)> = BTreeMap::new();
    for event in trace.events.range(from..trace.len()).filter(|event| event.netns == gw) {
        let EventKind::Decided(Table::Fib, row) = event.kind else { continue };
        let change = row.is_some().then(|| &trace.changes[row.index()]);
        let Some(leg) = change.and_then(TableChange::as_route).and_then(|route| route.leg) else { continue };
        let packet = trace.frame_of(event).and_then(|frame| frame.ipv4()).expect("routes are for packets");
        let ports = match &*packet.body {
            Body::Tcp(tcp) => Some((tcp.src_port, tcp.dst_port)),
            Body::Icmp(_)
            | Body::Udp(_)
            | Body::Igmp(_)
            | Body::Ipip(_)
            | Body::Gre(_)
            | Body::Esp(_)
            | Body::Raw { .. } => None,
        };
        let flow = format!("{} {ports:?}", packet.dst);
        let (legs, packets) = taken.entry(flow).or_default();
        legs.insert(leg.at);
        *packets += 1;
    }
    taken
}

fn shares(taken: &BTreeMap<String, (BTreeSet<u16>, usize)>) -> [usize; 2] {
    let on = |at: u16| taken.values().filter(|(legs, _)| legs.contains(&at)).count();
    [on(0), on(1)]
}

/// What connections take that `web` opens to one far end, one after the other.
fn connections(lab: &mut Lab, count: usize) -> BTreeMap<String, (BTreeSet<u16>, usize)> {
    let from = lab.trace().len();
    for _ in 0..count {
        assert_eq!(run(lab, "host/web curl -s -o /dev/null http://198.51.100.0/"), 0);
    }
    let taken = taken(lab, from);
    assert_eq!(taken.len(), count);
    taken
}

#[test]
fn each_connection_keeps_to_one_next_hop_and_each_next_hop_gets_its_share() {
    let taken = connections(&mut lab(1), 40);
    assert!(taken.values().all(|(legs, packets)| legs.len() == 1 && *packets > 3), "{taken:?}");
    let [first, second] = shares(&taken);
    assert!((3..20).contains(&first) && second == 40 - first, "{first} and {second}");
}

#[test]
fn by_addresses_alone_all_connections_of_two_hosts_take_one_next_hop() {
    let mut shares = shares(&connections(&mut lab(0), 20));
    shares.sort_unstable();
    assert_eq!(shares, [0, 20]);
}

#[test]
fn packets_to_many_hosts_are_shared_out_by_their_addresses() {
    let mut lab = lab(0);
    let from = lab.trace().len();
    for number in 1..=40 {
        assert_eq!(run(&mut lab, &format!("host/web ping -c2 -i0.2 -W1 198.51.100.{number}")), 0, "{number}");
    }
    let taken = taken(&mut lab, from);
    assert_eq!(taken.len(), 40, "{taken:?}");
    assert!(taken.values().all(|(legs, packets)| legs.len() == 1 && *packets == 2), "{taken:?}");
    let [first, second] = shares(&taken);
    assert!((3..20).contains(&first) && second == 40 - first, "{first} and {second}");
}

/// An error has the addresses of its router and of the one who hears of it, whatever it complains of; it is shared out by the
/// packet that it is about.
#[test]
fn errors_take_the_next_hop_of_the_packet_that_they_are_about() {
    let mut lab = lab(0);
    let from = lab.trace().len();
    for number in 1..=40 {
        let ping = format!("host/ext ping -c1 -t1 -I 198.51.100.0 203.0.113.{}", number % 20 + 100);
        assert_eq!(run(&mut lab, &ping), 1, "{number}");
        assert_eq!(run(&mut lab, "host/ext sleep 1"), 0);
    }
    let trace = lab.trace();
    let mut taken: BTreeMap<Vec<u8>, (BTreeSet<u16>, usize)> = BTreeMap::new();
    for event in trace.events.range(from..trace.len()) {
        let EventKind::Decided(Table::Fib, row) = event.kind else { continue };
        let change = row.is_some().then(|| &trace.changes[row.index()]);
        let Some(leg) = change.and_then(TableChange::as_route).and_then(|route| route.leg) else { continue };
        let packet = trace.frame_of(event).and_then(|frame| frame.ipv4()).expect("routes are for packets");
        let Body::Icmp(Icmp::TimeExceeded { quote, .. }) = &*packet.body else { continue };
        let (legs, errors) = taken.entry(quote[16..20].to_vec()).or_default();
        legs.insert(leg.at);
        *errors += 1;
    }
    assert_eq!(taken.len(), 20, "{taken:?}");
    assert!(taken.values().all(|(legs, errors)| legs.len() == 1 && *errors == 2), "{taken:?}");
    let first = taken.values().filter(|(legs, _)| legs.contains(&0)).count();
    assert!((1..15).contains(&first), "{first}");
}

#[test]
fn what_is_left_of_the_next_hops_takes_all() {
    let mut lab = lab(1);
    assert_eq!(run(&mut lab, "host/gw sysctl -w net.ipv4.fib_multipath_use_neigh=1"), 0);
    assert_eq!(run(&mut lab, "host/gw ip neigh replace 192.168.1.10 dev eth0 nud failed"), 0);
    let from = lab.trace().len();
    for _ in 0..10 {
        assert_eq!(run(&mut lab, "host/web curl -s -o /dev/null http://198.51.100.0/"), 0);
    }
    assert_eq!(shares(&taken(&mut lab, from)), [0, 10]);
}

#[test]
fn it_is_said_that_the_hash_of_the_flow_chose() {
    let mut lab = lab(1);
    let from = lab.trace().len();
    assert_eq!(run(&mut lab, "host/web ping -c1 -W1 198.51.100.1"), 0);
    let trace = lab.trace();
    let chose = |id: &u32| {
        let event = trace.event(EventId(*id));
        let EventKind::Decided(Table::Fib, row) = event.kind else { return false };
        row.is_some() && trace.changes[row.index()].as_route().is_some_and(|route| route.leg.is_some())
    };
    let id = (from as u32..trace.len() as u32).find(chose).map(EventId).expect("gw chose");
    for (lang, words) in [(Lang::En, "The route has 2 next hops"), (Lang::Ko, "다음 홉이 2개")] {
        let said = why(trace, id, lang);
        assert!(said.contains(words) && said.contains("nexthop via 192.168.1.1"), "{said}");
    }
}

#[test]
fn each_next_hop_stands_among_the_routes_with_its_share() {
    let mut lab = lab(1);
    let before = lab.live().clone();
    assert_eq!(run(&mut lab, "host/web ping -c1 -W1 198.51.100.1"), 0);
    let now = lab.live().clone();
    let sheets = sheets(lab.trace(), &before, &now, "gw", None);
    let sheet = sheets.iter().find(|sheet| sheet.kind == TableKind::Routes).expect("there are routes");
    let legs = sheet.rows.iter().filter(|row| &*row.cells[0].text == "198.51.100.0/24");
    let (texts, used): (Vec<&str>, Vec<bool>) = legs.map(|row| (&*row.cells[1].text, row.used)).unzip();
    assert_eq!(texts, ["192.168.1.10 weight 1 (1/2)", "192.168.1.11 weight 3 (2/2)"]);
    assert_eq!(used.iter().filter(|used| **used).count(), 1, "{used:?}");
}

#[test]
fn a_path_mtu_counts_for_all_next_hops_of_a_route() {
    let mut lab = lab(0);
    for node in ["node1", "node2"] {
        let narrow = format!("node/{node} ip route replace 198.51.100.0/24 via 192.168.1.100 mtu 1400");
        assert_eq!(run(&mut lab, &narrow), 0);
    }
    for number in 1..=10 {
        let line = format!("host/gw ping -c1 -W1 -M do -s 1450 198.51.100.{number}");
        common::run(&mut lab, &line);
        let again = common::run(&mut lab, &line).output;
        assert!(again.contains("message too long, mtu=1400"), "{number}: {again}");
    }
}
