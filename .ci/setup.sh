#!/usr/bin/env bash
# Installs what the build and the tests need, skipping what is there.
#
#   .ci/setup.sh native | page | all
#
# Two kinds of machine are served: one where rustup can add the wasm target,
# and one where it cannot, on which the wasm standard library is built once
# from the distribution's source package. Tools that cargo has to compile go
# to .tools/ in this checkout unless VETHSCOPE_TOOLS names another folder.
set -euo pipefail
cd "$(dirname "$0")/.."
tools="${VETHSCOPE_TOOLS:-$HOME/.cache/vethscope-tools}"
mkdir -p "$tools"
export PATH="$tools/bin:$tools/node_modules/.bin:$PATH"
readonly linked=vethscope-wasm
readonly trunk_version=0.21.14
readonly binaryen_version=132.0.0

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

apt_get() {
  command -v apt-get >/dev/null || fail "install '$*' with this system's package manager, then run again"
  local sudo=""
  if [ "$(id -u)" != 0 ]; then sudo=sudo; fi
  if [ ! -e "$tools/.apt-updated" ]; then
    $sudo apt-get update -qq >&2 || fail "apt-get update failed: check the package sources, then run again"
    touch "$tools/.apt-updated"
  fi
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "$@" >/dev/null \
    || fail "apt-get install $* failed: install these packages by hand, then run again"
}

need_rust() {
  command -v cargo >/dev/null || fail "cargo is missing: install Rust with rustup (https://rustup.rs), then run again"
  cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt clippy >&2 || fail "rustfmt is missing: rustup component add rustfmt clippy"
}

# The toolchain whose sysroot holds the wasm32 standard library; prints its
# name, or nothing when the default toolchain has it.
wasm_toolchain() {
  if has_wasm_std "$(rustc --print sysroot)"; then return; fi
  printf '%s' "$linked"
}

has_wasm_std() {
  compgen -G "$1/lib/rustlib/wasm32-unknown-unknown/lib/libstd-*.rlib" >/dev/null
}

need_wasm_std() {
  if has_wasm_std "$(rustc --print sysroot)"; then return; fi
  if [ -x /usr/bin/rustc ] && has_wasm_std "$(/usr/bin/rustc --print sysroot)" \
    && rustup toolchain list 2>/dev/null | grep -q "^$linked"; then return; fi
  say "adding the wasm32 target with rustup (some seconds)"
  if timeout 120 rustup target add wasm32-unknown-unknown >/dev/null 2>&1; then return; fi
  say "rustup cannot fetch it here: building the wasm32 standard library from the distribution's source (2 minutes)"
  apt_get rustc-web cargo-web rust-web-src rust-web-clippy lld-22 rust-web-llvm
  build_wasm_std
  rustup toolchain link "$linked" /usr >&2 || fail "rustup toolchain link failed: run 'rustup toolchain link $linked /usr'"
}

build_wasm_std() {
  local sysroot dir
  sysroot="$(/usr/bin/rustc --print sysroot)"
  dir="$(mktemp -d)"
  mkdir -p "$dir/src"
  : >"$dir/src/lib.rs"
  printf '[package]\nname = "wasm-std"\nversion = "0.1.0"\nedition = "2021"\n' >"$dir/Cargo.toml"
  (cd "$dir" && RUSTFLAGS="-C embed-bitcode=yes" RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$dir/target" \
    /usr/bin/cargo build -q --release -Z build-std=std,panic_abort,test --target wasm32-unknown-unknown >&2) \
    || fail "building the wasm32 standard library failed: see the lines above, or use a machine where rustup can add the target"
  rm -f "$dir"/target/wasm32-unknown-unknown/release/deps/libwasm_std*
  mkdir -p "$sysroot/lib/rustlib/wasm32-unknown-unknown/lib"
  cp "$dir"/target/wasm32-unknown-unknown/release/deps/lib*.rlib "$sysroot/lib/rustlib/wasm32-unknown-unknown/lib/"
  rm -rf "$dir"
}

need_cargo_tool() { # name, crate, version, extra flags
  local name="$1" crate="$2" version="$3"; shift 3
  if "$name" --version 2>/dev/null | grep -qF "$version"; then return; fi
  say "compiling $crate $version (5 to 8 minutes, once)"
  cargo install -q "$@" --root "$tools" "$crate" --version "$version" >&2 \
    || fail "cargo install $crate --version $version failed: install it by hand and put it on the PATH"
}

wasm_bindgen_version() {
  awk '/^name = "wasm-bindgen"$/ { getline; gsub(/[",]/, ""); print $3 }' Cargo.lock
}

need_node_tools() {
  command -v npm >/dev/null || apt_get nodejs npm
  if ! "$tools/node_modules/.bin/wasm-opt" --version >/dev/null 2>&1; then
    say "installing wasm-opt (some seconds)"
    npm install --silent --no-fund --no-audit --prefix "$tools" "binaryen@$binaryen_version" >&2 \
      || fail "npm install binaryen@$binaryen_version failed: check the npm registry, then run again"
  fi
}

need_browser() {
  if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then return; fi
  say "installing Chromium for the browser tests (1 minute)"
  apt_get chromium chromium-driver
}

need_tshark() {
  if command -v tshark >/dev/null; then return; fi
  say "installing tshark for the capture tests (1 minute)"
  apt_get tshark
}

need_native() { need_rust; }
need_page() {
  need_rust
  need_wasm_std
  need_node_tools
  need_cargo_tool wasm-bindgen wasm-bindgen-cli "$(wasm_bindgen_version)"
  need_cargo_tool trunk trunk "$trunk_version" --locked
}

case "${1:-}" in
  native) need_native ;;
  page) need_page ;;
  all) need_page; need_browser; need_tshark ;;
  env) printf 'export PATH="%s:$PATH"\n' "$tools/bin:$tools/node_modules/.bin"
       printf 'export VETHSCOPE_WASM_TOOLCHAIN="%s"\n' "$(wasm_toolchain)" ;;
  *) fail "usage: .ci/setup.sh native|page|all|env" ;;
esac
