#!/usr/bin/env bash
# Fuzzes: fuzz/run.sh SECONDS [TARGET...]. What is found lies in fuzz/artifacts, the growing corpus in target/fuzz.
# Coverage comes from LLVM's own pass, which stable Rust has; no sanitizer is needed, for the crate has no unsafe code.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly seconds="${1:?usage: fuzz/run.sh SECONDS [TARGET...]}"
shift
targets=("$@")
if [ "${#targets[@]}" = 0 ]; then
  for source in fuzz/src/bin/*.rs; do targets+=("$(basename "$source" .rs)"); done
fi
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
  -Cllvm-args=-sanitizer-coverage-trace-compares"
triple=$(rustc -vV | sed -n 's/^host: //p')
cargo build --manifest-path fuzz/Cargo.toml --release --locked --target "$triple" --target-dir target/fuzz-build
for target in "${targets[@]}"; do
  mkdir -p "target/fuzz/$target" "fuzz/artifacts/$target"
  echo "=== $target, $seconds s"
  "target/fuzz-build/$triple/release/$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=3000 -max_len=4096 \
    -artifact_prefix="fuzz/artifacts/$target/" -print_final_stats=1 "target/fuzz/$target" "fuzz/corpus/$target"
done
