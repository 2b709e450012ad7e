//! Speed of one core in wasm, with the clock of the engine that runs it:
//! `cargo test --release --target wasm32-unknown-unknown --bench wasm`.
#![allow(missing_docs, reason = "a bench has no readers but its own")]

#[cfg(not(target_arch = "wasm32"))]
fn main() {}

#[cfg(target_arch = "wasm32")]
mod common;

#[cfg(target_arch = "wasm32")]
mod measured {
    use super::common::stream::{BYTES, CASES, DATAGRAMS, World};
    use super::common::{self, DATA, PINGS};
    use js_sys::{Function, Reflect, global};
    use vethscope::lab::matrix::{Port, Protocol, matrix};
    use vethscope::scene::{LayoutOptions, layout};
    use wasm_bindgen::{JsCast, JsValue};
    use wasm_bindgen_test::{console_log, wasm_bindgen_test};

    const ROUNDS: usize = 7;
    /// Runs before the first that counts.
    const WARM_UPS: usize = 4;
    /// Lookups of one measurement.
    const LOOKUPS: usize = 500;

    /// CPU time in milliseconds where the engine tells it (Node.js does), else the time on the wall.
    fn now() -> f64 {
        let get =
            |object: &JsValue, name: &str| Reflect::get(object, &name.into()).unwrap_or(JsValue::UNDEFINED);
        let number = |object: &JsValue, name: &str| get(object, name).as_f64().unwrap_or(0.0);
        let call = |object: &JsValue, name: &str| {
            get(object, name).dyn_ref::<Function>().and_then(|function| function.call0(object).ok())
        };
        let process = get(&global(), "process");
        if let Some(usage) = process.is_object().then(|| call(&process, "cpuUsage")).flatten() {
            return (number(&usage, "user") + number(&usage, "system")) / 1e3;
        }
        call(&get(&global(), "performance"), "now")
            .and_then(|value| value.as_f64())
            .expect("a clock tells the time")
    }

    /// One round: what the work gives, and its milliseconds.
    fn round<T, R>(prepare: &impl Fn() -> T, work: &impl Fn(&mut T) -> R) -> (R, f64) {
        let mut input = prepare();
        let begun = now();
        let given = work(&mut input);
        (given, now() - begun)
    }

    /// The least of some rounds, and their median.
    fn least_and_median(measure: impl Fn() -> f64) -> (f64, f64) {
        let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| measure()).collect();
        rounds.sort_by(f64::total_cmp);
        (rounds[0], rounds[ROUNDS / 2])
    }

    /// Millions of items a second.
    fn report<T>(name: &str, prepare: impl Fn() -> T, work: impl Fn(&mut T) -> usize) {
        let (_, speed) = least_and_median(|| {
            let (items, ms) = round(&prepare, &work);
            items as f64 / ms / 1e3
        });
        console_log!("{name}: {speed:.3} M/s");
    }

    /// Milliseconds, once the engine has compiled for good what is run. The least says most where other programs run
    /// beside it.
    fn time<T>(name: &str, prepare: impl Fn() -> T, work: impl Fn(&mut T)) {
        for _ in 0..WARM_UPS {
            round(&prepare, &work);
        }
        let (least, ms) = least_and_median(|| round(&prepare, &work).1);
        console_log!("{name}: {ms:.1} ms, at best {least:.1} ms");
    }

    /// What stands between a text and its picture.
    fn texts() {
        let pods = common::texts::pods(1_000);
        time(
            "1,000 Pods validated",
            || (),
            |()| {
                assert_eq!(vethscope::manifest::parse(&pods).objects.len(), 1_000);
            },
        );
        let (text, edited) = common::texts::edited(1_000);
        time(
            "a label of 1,000 Pods edited, until the first picture",
            || common::settled(&text),
            |lab| {
                lab.apply(&edited);
                lab.advance(16);
                assert!(!layout(lab.live(), &LayoutOptions::default()).shapes.is_empty());
            },
        );
        let guarded = common::texts::guarded(100);
        let port = Port { protocol: Protocol::Tcp, number: 80 };
        time(
            "who reaches whom among 100 Pods",
            || (),
            |()| {
                matrix(&guarded, &[port], 1).expect("every Pod comes up");
            },
        );
    }

    /// Has the engine compile for good what will be measured. It does so beside the running code, on threads whose
    /// time counts as the process's own, and would charge it to whatever is measured first.
    fn warm_up() {
        for _ in 0..WARM_UPS {
            for case in CASES {
                World::warm(case).stream(DATAGRAMS, BYTES);
            }
        }
    }

    #[wasm_bindgen_test]
    fn speed() {
        warm_up();
        for case in CASES {
            let hops = World::hops_of_stream(case);
            assert!(hops > 4 * DATAGRAMS.min(BYTES / 1_400), "four wires each");
            report(
                &format!("stream: {}", case.name),
                || World::warm(case),
                |world| {
                    world.stream(DATAGRAMS, BYTES);
                    hops
                },
            );
        }
        let mut lab = common::warm();
        let from = lab.trace().len();
        common::ping(&mut lab, PINGS, DATA);
        let hops = common::hops(&lab, from);
        assert!(hops >= 8 * PINGS, "four wires there and four back");
        report(&format!("wire hops, warm ping over VXLAN, {DATA} bytes of data"), common::warm, |lab| {
            common::ping(lab, PINGS, DATA);
            hops
        });
        for name in ["web", "www.example.com."] {
            let look_up = |lab: &mut vethscope::lab::Lab| {
                (0..LOOKUPS).for_each(|_| common::names::look_up(lab, name));
                LOOKUPS
            };
            report(&format!("lookups of {name}"), || common::names::asked(name), look_up);
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
        texts();
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
