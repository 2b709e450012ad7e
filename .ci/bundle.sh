#!/usr/bin/env bash
# Builds the script bundles, the style sheet and the fonts of the page, unless nothing they are made of has changed.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/lib.sh
npm_packages src/ui/bundle
made_from=$(content_of src/ui/bundle style)
if is_current bundle "$made_from" && [ -e target/bundled/bundle/editor.js ]; then exit 0; fi
say "bundling the editor, the terminal and the fonts (some seconds)"
node src/ui/bundle/build.mjs || fail "bundling failed: see the lines above"
now_current bundle "$made_from"
