//! Speed of one core in wasm, with the clock of the engine that runs it:
//! `cargo bench --target wasm32-unknown-unknown --bench wasm`.
#![allow(missing_docs, reason = "a bench has no readers but its own")]

#[cfg(not(target_arch = "wasm32"))]
fn main() {}

#[cfg(target_arch = "wasm32")]
mod common;

#[cfg(target_arch = "wasm32")]
mod measured {
    use super::common::{self, DATA, DATA_OF_64_BYTE_FRAME, PINGS};
    use js_sys::{Function, Reflect, global};
    use wasm_bindgen::{JsCast, JsValue};
    use wasm_bindgen_test::{console_log, wasm_bindgen_test};

    const ROUNDS: usize = 7;

    /// `performance.now()`, in milliseconds.
    fn now() -> f64 {
        let get =
            |object: &JsValue, name: &str| Reflect::get(object, &name.into()).expect("the engine has it");
        let performance = get(&global(), "performance");
        let function: Function = get(&performance, "now").unchecked_into();
        function.call0(&performance).ok().and_then(|value| value.as_f64()).expect("a clock tells the time")
    }

    /// Millions of items a second: the median of some rounds.
    fn report<T>(name: &str, prepare: impl Fn() -> T, work: impl Fn(&mut T) -> usize) {
        let mut speeds: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let mut input = prepare();
                let begun = now();
                let items = work(&mut input);
                items as f64 / (now() - begun) / 1e3
            })
            .collect();
        speeds.sort_by(f64::total_cmp);
        console_log!("{name}: {:.3} M/s", speeds[ROUNDS / 2]);
    }

    #[wasm_bindgen_test]
    fn speed() {
        for data in [DATA, DATA_OF_64_BYTE_FRAME] {
            let mut lab = common::warm();
            let from = lab.trace().len();
            common::ping(&mut lab, PINGS, data);
            let hops = common::hops(&lab, from);
            assert!(hops >= 8 * PINGS, "four wires there and four back");
            report(&format!("wire hops, warm ping over VXLAN, {data} bytes of data"), common::warm, |lab| {
                common::ping(lab, PINGS, data);
                hops
            });
        }
        let text = common::services(1_000, 10);
        let applied = || {
            let mut lab = vethscope::lab::Lab::new(1);
            lab.apply(&text);
            lab
        };
        report("kube-proxy rules, Services of 10 endpoints", applied, |lab| {
            lab.settle(vethscope::base::SimTime(u64::MAX));
            1_000
        });
        for pending in [16, 1_000, 100_000] {
            report(
                &format!("bare event heap, {pending} pending"),
                || (),
                |()| {
                    common::heap(pending, 1_000_000);
                    1_000_000
                },
            );
        }
    }
}

#[cfg(target_arch = "wasm32")]
fn main() {}
