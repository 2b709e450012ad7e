//! Tests of the core that run natively and on wasm32 alike: what the core computes must not depend on where it runs.
//!
//! Natively they are part of `cargo test`; for wasm32 the same file runs in Node. A fingerprint written down here is
//! therefore compared on both sides.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails where it unwraps; clippy does not know wasm tests as such"
)]

mod common;

use common::scenario;
use std::fmt::Write as _;
use vethscope::base::words::Lang;
use vethscope::base::{Duration, MacAddr, Rng, SimTime, words};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// FNV-1a, 64 bits: small, and the same everywhere.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn chance_is_the_same_on_every_machine() {
    let mut rng = Rng::with_seed(7);
    let drawn: Vec<u8> = (0..1_000).flat_map(|_| rng.u64(..).to_le_bytes()).collect();
    assert_eq!(fingerprint(&drawn), 0x6738_4861_4f61_b0e6);
}

#[test]
fn chance_within_bounds_is_the_same_on_every_machine() {
    let mut rng = Rng::with_seed(7);
    let drawn: Vec<u8> = (1..1_000).flat_map(|bound| rng.u32(..bound).to_le_bytes()).collect();
    assert_eq!(fingerprint(&drawn), 0xbbb5_30ea_ac7c_6411);
}

#[test]
fn a_pod_address_makes_the_plug_ins_mac() {
    let mac = MacAddr::from_ipv4([0x0a, 0x58], "10.244.1.10".parse().unwrap());
    assert_eq!(mac.to_string(), "0a:58:0a:f4:01:0a");
    assert_eq!(mac.to_string().parse(), Ok(mac));
}

#[test]
fn time_is_counted_in_64_bits() {
    // An hour in nanoseconds is past 32 bits, which is the width of usize on wasm32.
    let hour = SimTime::ZERO + Duration::from_secs(3_600);
    assert_eq!(hour.0, 3_600_000_000_000);
    assert_eq!(hour.since(SimTime(1)).as_ms(), 3_599_999);
}

#[test]
fn an_unknown_word_is_told_by_its_key() {
    for lang in [Lang::Ko, Lang::En] {
        assert!(words::word(lang, "no.such.word").contains("no.such.word"));
    }
}

/// Trace hashes of whole runs: what simulates, and that it simulates the same in the page. The file is written anew
/// with `UPDATE_GOLDEN=1 cargo test --test core_wasm`, natively, and then holds for wasm32 too.
const HASHES: &str = include_str!("golden/hashes.txt");

const SCENARIOS: [(&str, &str); 6] = [
    ("cross_node", include_str!("scenarios/cross_node.yaml")),
    ("fragmentation", include_str!("scenarios/fragmentation.yaml")),
    ("at_once", include_str!("scenarios/at_once.yaml")),
    ("edits", include_str!("scenarios/edits.yaml")),
    ("admin", include_str!("scenarios/admin.yaml")),
    ("pool_exhausted", include_str!("scenarios/pool_exhausted.yaml")),
];

#[test]
fn whole_runs_are_the_same_on_every_machine() {
    let mut now = String::new();
    for (name, text) in SCENARIOS {
        for seed in [1, 2] {
            let trace_hash = scenario::read(name, text.to_owned()).play(seed).trace().hash();
            writeln!(now, "{name} {seed} {trace_hash:016x}").unwrap();
        }
    }
    if cfg!(not(target_arch = "wasm32")) && std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write("tests/golden/hashes.txt", &now).unwrap();
        return;
    }
    assert_eq!(now, HASHES, "left: this machine's hashes; right: those written down");
}
