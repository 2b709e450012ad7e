//! The hash of a trace.

use crate::sample::sample;
use std::sync::Arc;
use vethscope::base::SimTime;
use vethscope::trace::{EventKind, TableChange, Trace};
use vethscope::wire::Payload;

/// The number itself is held, so that the same test on wasm32 holds that both platforms agree.
const SAMPLE_HASH: u64 = 0x6bc4_36a1_9c6c_373d;

#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
#[cfg_attr(not(target_arch = "wasm32"), test)]
fn the_same_trace_has_the_same_hash_everywhere() {
    assert_eq!(sample().0.hash(), SAMPLE_HASH, "{:#018x}", sample().0.hash());
}

#[test]
fn any_difference_shows_in_the_hash() {
    let differs = |change: &dyn Fn(&mut Trace)| {
        let (mut trace, _) = sample();
        change(&mut trace);
        assert_ne!(trace.hash(), SAMPLE_HASH);
    };
    differs(&|trace| trace.events[5].at = SimTime(1));
    differs(&|trace| (trace.events[3], trace.events[4]) = (trace.events[4], trace.events[3]));
    differs(&|trace| {
        let last = trace.len() - 1;
        trace.events[last].kind = EventKind::Originated;
    });
    differs(&|trace| trace.outputs[0].text.push('x'));
    differs(&|trace| trace.journeys[1].parent = None);
    differs(&|trace| {
        let mut frame = (*trace.packets[0]).clone();
        let Payload::Ipv4(packet) = &mut frame.payload else { panic!("{frame}") };
        packet.ttl -= 1;
        trace.packets[0] = Arc::new(frame);
    });
    differs(&|trace| {
        let TableChange::Link(link) = &mut trace.changes[3] else { panic!("{:?}", trace.changes[3]) };
        link.mtu += 1;
    });
}
