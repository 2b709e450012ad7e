#!/usr/bin/env bash
# Every check, stage by stage, each with how long it took. All stages run even when one fails; the last line counts the
# tests that passed and failed, where a stage that holds no tests counts as one.
set -uo pipefail
cd "$(dirname "$0")/.."
. .ci/lib.sh
eval "$(.ci/setup.sh env)"
export CARGO_TERM_COLOR=never
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER=wasm-bindgen-test-runner
CHROMEDRIVER=$(command -v chromedriver) && export CHROMEDRIVER
readonly logs=target/test-logs
mkdir -p "$logs"
passed=0
failed=0
summary=()
failures=()

stage() { # name, command and arguments
  local name="$1" begun=$SECONDS status ok bad result; shift
  printf '\n=== %s\n' "$name"
  "$@" 2>&1 | tee "$logs/${name// /-}.log"
  status=${PIPESTATUS[0]}
  read -r ok bad < <(counts "$logs/${name// /-}.log")
  if [ "$status" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
  if [ "$status" = 0 ] && [ $((ok + bad)) = 0 ]; then ok=1; fi
  if [ "$status" != 0 ]; then failures+=("$logs/${name// /-}.log"); fi
  passed=$((passed + ok))
  failed=$((failed + bad))
  result=$([ "$status" = 0 ] && echo ok || echo FAILED)
  summary+=("$(printf '%-6s %4d s  %s (%d passed, %d failed)' "$result" $((SECONDS - begun)) "$name" "$ok" "$bad")")
  # A stage that cannot run on this machine says so itself.
  summary[-1]+=$(sed -n 's/^skipped: /, skipped: /p' "$logs/${name// /-}.log" | head -n 1)
  printf '%s\n' "--- ${summary[-1]}"
}

# Sums the closing lines of cargo test and of node's test runner.
counts() {
  awk '/^test result: / { for (i = 1; i < NF; i++) { if ($(i+1) == "passed;") ok += $i; if ($(i+1) == "failed;") bad += $i } }
       /^ℹ pass / { ok += $3 } /^ℹ (fail|cancelled) / { bad += $3 }
       END { print ok + 0, bad + 0 }' "$1"
}

# The names of the tests that failed, as the three harnesses say them, each once.
failed_names() {
  sed -n -E 's/^(test|oracle) (.*) \.\.\. FAILED$/failed: \2/p; s/^✖ (.*) \([0-9.]+ms\)$/failed: \1/p' "$1" | sort -u
}

# The test targets for wasm32, by their names: tests/NAME_wasm.rs.
wasm_tests() {
  local file
  for file in tests/*_wasm.rs; do
    if [ -e "$file" ]; then printf -- '--test\n%s\n' "$(basename "$file" .rs)"; fi
  done
}
mapfile -t wasm_targets < <(wasm_tests)

# Two minutes in a browser tell nothing new about the same page: where neither it nor its tests have changed since all
# of them passed, they are not run again, unless FRESH=1 asks for it.
browser_tests() {
  local tested
  tested=$(content_of dist tests/browser .ci/serve.mjs)
  if [ -z "${FRESH:-}" ] && is_current browser "$tested"; then
    echo "not run again: neither the page nor its tests have changed since they passed (FRESH=1 runs them)"
    return
  fi
  npm_packages tests/browser || return
  node --test --test-reporter=spec --test-concurrency=2 tests/browser/*.test.mjs || return
  now_current browser "$tested"
}
# The live oracle takes two minutes, and tells nothing new of the same program on the same kernel either.
live_tests() {
  local tested
  tested="$(content_of Cargo.toml Cargo.lock src tests) $(uname -r)"
  if [ -z "${FRESH:-}" ] && is_current oracle "$tested"; then
    echo "not run again: neither the program, its tests nor the kernel have changed since they passed (FRESH=1 runs them)"
    return
  fi
  VETHSCOPE_ORACLE=1 cargo test --locked --test live | tee "$logs/live.log" || return
  # Where it could not run, it says so each time.
  if ! grep -q '^skipped: ' "$logs/live.log"; then now_current oracle "$tested"; fi
}
docs() { RUSTDOCFLAGS="-D warnings" "$@"; }

stage "rustfmt" cargo fmt --check
stage "clippy native" cargo clippy --locked --all-targets -- -D warnings
stage "tests native" cargo test --locked --no-fail-fast
stage "oracle" live_tests
stage "docs native" docs cargo doc --locked --no-deps
stage "page build" .ci/page.sh
stage "clippy wasm32" wasm_cargo cargo clippy --locked --target wasm32-unknown-unknown --lib --bins "${wasm_targets[@]}" -- -D warnings
stage "docs wasm32" docs wasm_cargo cargo doc --locked --no-deps --target wasm32-unknown-unknown
stage "tests wasm32" wasm_cargo cargo test --locked --no-fail-fast --target wasm32-unknown-unknown "${wasm_targets[@]}"
stage "tests browser" browser_tests

printf '\n=== all stages, %d s\n' "$SECONDS"
printf '%s\n' "${summary[@]}"
for stage_log in "${failures[@]}"; do failed_names "$stage_log"; done
printf '\n%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
