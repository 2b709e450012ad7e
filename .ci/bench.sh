#!/usr/bin/env bash
# Measures the core: speed and set-up natively, then wire hops a CPU-second natively and in wasm beside the real kernel's,
# in one run. Where the kernel cannot be asked the bench says why.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/lib.sh
eval "$(.ci/setup.sh env)"
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER=wasm-bindgen-test-runner
# As a test: with cargo bench's own flag wasm-bindgen's runner looks for benches of its kind alone, and finds none.
readonly wasm="cargo test --locked --release --target wasm32-unknown-unknown --bench wasm"

cargo bench --locked --bench speed
cargo bench --locked --bench scale
cargo bench --locked --bench names
# Built beforehand, so that nothing is compiled between the sides of the comparison.
wasm_cargo $wasm --no-run
VETHSCOPE_BENCH_WASM="bash -c '. .ci/lib.sh; wasm_cargo $wasm -- --nocapture'" cargo bench --locked --bench kernel
