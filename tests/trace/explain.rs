//! The sentences.

use crate::sample::sample;
use vethscope::base::words::{Lang, word};
use vethscope::base::{EventId, JourneyId, PacketId};
use vethscope::trace::explain::why;
use vethscope::trace::{DropReason, Event, EventKind, NeighRow, Nud, Table, TableChange, Trace};

fn sentences(lang: Lang) -> Vec<String> {
    let (trace, _) = sample();
    (0..trace.len()).map(|index| why(&trace, EventId(index as u32), lang)).collect()
}

fn find(trace: &Trace, matches: impl Fn(&EventKind) -> bool, nth: usize) -> EventId {
    let mut hits = (0..trace.len()).filter(|index| matches(&trace.events[*index].kind));
    EventId(hits.nth(nth).unwrap() as u32)
}

#[test]
fn every_event_has_a_whole_sentence_in_both_languages() {
    for lang in [Lang::En, Lang::Ko] {
        for text in sentences(lang) {
            assert!(!text.is_empty() && !text.contains(['[', '{']) && !text.contains("  "), "{text}");
            assert!(!text.contains("(를)") && !text.contains("(으)로"), "{text}");
        }
    }
}

#[test]
fn decisions_name_the_row_and_why_it_won() {
    let (trace, _) = sample();
    let decided = |table, nth, lang, expected: &str| {
        let id = find(&trace, |kind| matches!(kind, EventKind::Decided(at, _) if *at == table), nth);
        assert_eq!(why(&trace, id, lang), expected);
    };
    decided(
        Table::Fib,
        0,
        Lang::En,
        "2 routes in default/a fit 10.244.2.10; the longest prefix wins (/16): \
         \"10.244.0.0/16 via 10.244.1.1 dev eth0\". The next hop is 10.244.1.1, out of eth0.",
    );
    decided(
        Table::Fib,
        0,
        Lang::Ko,
        "default/a에서 10.244.2.10에 맞는 경로가 2개이고, 그중 프리픽스가 가장 긴 것(/16)이 이깁니다: \
         \"10.244.0.0/16 via 10.244.1.1 dev eth0\". 다음 홉은 10.244.1.1이고 eth0으로 나갑니다.",
    );
    decided(
        Table::Fib,
        1,
        Lang::En,
        "Of the routes in node1 only \"10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink\" fits 10.244.2.10. \
         The next hop is 10.244.2.0, out of flannel.1.",
    );
    decided(
        Table::Neighbor,
        0,
        Lang::En,
        "There is no usable neighbor entry for 10.244.1.1 on default/a/eth0, so its Ethernet address must be asked for by \
         ARP.",
    );
    decided(
        Table::Neighbor,
        2,
        Lang::En,
        "The neighbor entry for 10.244.2.0 on node1/flannel.1 is permanent: the agent that runs the overlay \
         (flannel) wrote it when the node joined, so the frame goes to 02:f1:0a:f4:02:00 and no ARP is needed.",
    );
    decided(
        Table::BridgeFdb,
        0,
        Lang::En,
        "ff:ff:ff:ff:ff:ff addresses more than one station, so cni0 floods the frame to its ports.",
    );
    decided(
        Table::VxlanFdb,
        0,
        Lang::En,
        "The forwarding database of node1/flannel.1 says that 02:f1:0a:f4:02:00 is behind the tunnel end \
         192.168.1.11; the entry is permanent, written by the overlay's agent (flannel).",
    );
}

#[test]
fn waiting_wrapping_and_dropping_are_explained() {
    let (trace, _) = sample();
    let check = |matches: &dyn Fn(&EventKind) -> bool, expected: &str| {
        assert_eq!(why(&trace, find(&trace, matches, 0), Lang::En), expected);
    };
    check(
        &|kind| *kind == EventKind::Queued,
        "default/a/eth0 keeps the packet until 10.244.1.1 answers the ARP request; without an answer it is given up \
         after about 3 s.",
    );
    check(
        &|kind| *kind == EventKind::Encapsulated,
        "node1/flannel.1 puts the frame into a UDP packet from 192.168.1.10 to 192.168.1.11, port 8472, with a VXLAN \
         header (VNI 1): it grows to 134 bytes.",
    );
    let dropped = find(&trace, |kind| matches!(kind, EventKind::Ended(_)), 1);
    assert_eq!(
        why(&trace, dropped, Lang::En),
        "node2/eth0 drops the packet (SKB_DROP_REASON_VXLAN_VNI_NOT_FOUND): no VXLAN device here has the VNI of the \
         packet. Set both tunnel ends to the same VNI."
    );
}

#[test]
fn every_drop_reason_has_a_word_a_text_and_a_remedy() {
    for reason in DropReason::ALL {
        assert!(
            reason.name().chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'),
            "{reason:?}"
        );
        for lang in [Lang::En, Lang::Ko] {
            for key in [reason.key().to_string(), format!("{}.remedy", reason.key())] {
                assert!(!word(lang, &key).starts_with('['), "{key}");
            }
        }
    }
}

#[test]
fn all_steps_of_a_pods_life_have_a_text() {
    for list in ["creation", "termination"] {
        for number in 1..=8 {
            let key = format!("step.{list}.{number}");
            assert!(!word(Lang::Ko, &key).starts_with('['), "{key}");
        }
    }
}

/// The kernel makes an entry before it asks the table, so that the decision finds it INCOMPLETE; a reader is told that
/// there was none. A later packet finds the same entry.
#[test]
fn a_neighbor_entry_made_for_this_packet_is_told_from_one_that_waits_already() {
    let (mut trace, _) = sample();
    let queued = find(&trace, |kind| *kind == EventKind::Queued, 0);
    let known = trace.changes.iter().find_map(|change| {
        let TableChange::Neigh(row) = change else { return None };
        Some(*row)
    });
    let asked = NeighRow { state: Nud::Incomplete, mac: None, ..known.unwrap() };
    let change = trace.record(TableChange::Neigh(asked));
    let packet = Event { packet: PacketId::NONE, ..*trace.event(queued) };
    let first = trace.push(Event { kind: EventKind::Originated, ..packet });
    trace.push(Event { kind: EventKind::Changed(change), journey: JourneyId::NONE, cause: first, ..packet });
    let decided = EventKind::Decided(Table::Neighbor, change);
    let fresh = trace.push(Event { kind: decided, cause: first, ..packet });
    let later = trace.push(Event { kind: decided, cause: fresh, ..packet });
    assert!(why(&trace, fresh, Lang::En).starts_with("There is no usable neighbor entry for 10.244.1.1"));
    assert!(why(&trace, later, Lang::En).starts_with("10.244.1.1 was already asked for by ARP"));
    assert_eq!(trace.frame_at(later), trace.frame_of(trace.event(queued)), "the packet of the step before");
}
