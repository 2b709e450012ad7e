#!/usr/bin/env bash
# Builds the page into dist/, unless nothing it is made of has changed.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/lib.sh
eval "$(.ci/setup.sh env)"
made_from=$(content_of index.html Trunk.toml Cargo.toml Cargo.lock src style public .ci/bundle.sh .ci/finish-page.mjs .ci/page.sh)
if is_current page "$made_from" && [ -e dist/index.html ]; then
  say "the page in dist/ is current"
  exit 0
fi
say "building the page (4 minutes the first time, then 1)"
# Trunk wants NO_COLOR to be a truth value, and asks the registry for newer versions unless told not to.
env -u NO_COLOR TRUNK_SKIP_VERSION_CHECK=true bash -c '. .ci/lib.sh; wasm_cargo trunk build --release' \
  || fail "the page could not be built: see the lines above"
now_current page "$made_from"
