#!/usr/bin/env bash
# Installs what the build and the tests need, skipping what is there.
#
#   .ci/setup.sh native | page | test | oracle | bench | audit     installs what that needs
#   .ci/setup.sh env                                       prints the shell lines that put it on the PATH
#
# Two kinds of machine are served: one where rustup can add the wasm32 target, and one where it cannot, on which the
# wasm32 standard library is built once from the distribution's source package. Tools go to ~/.cache/vethscope-tools, or to
# the folder that VETHSCOPE_TOOLS names; every checkout shares them.
set -euo pipefail
cd "$(dirname "$0")/.."
tools="${VETHSCOPE_TOOLS:-$HOME/.cache/vethscope-tools}"
export PATH="$tools/bin:$tools/node_modules/.bin:$PATH"
readonly linked=vethscope-wasm
readonly trunk_version=0.21.14
readonly binaryen_version=132.0.0
readonly cargo_deny_version=0.19.0
readonly oldest_rust=1.95
readonly oldest_node=20

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

apt_get() {
  command -v apt-get >/dev/null || fail "install '$*' with this system's package manager, then run again"
  as_root apt-get update -qq >&2 || fail "apt-get update failed: check the package sources, then run again"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null \
    || fail "apt-get install $* failed: install these packages by hand, then run again"
}

at_least() { # have, needed
  [ "$(printf '%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

need_rust() {
  command -v cargo >/dev/null || fail "cargo is missing: install Rust with rustup (https://rustup.rs), then run again"
  at_least "$(rustc --version | cut -d ' ' -f 2)" "$oldest_rust" \
    || fail "Rust is older than $oldest_rust: run 'rustup update stable', then run again"
}

need_lints() {
  if cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1; then return; fi
  say "adding rustfmt and clippy (some seconds)"
  rustup component add rustfmt clippy >&2 || fail "rustfmt or clippy is missing: run 'rustup component add rustfmt clippy'"
}

has_wasm_std() { # sysroot
  compgen -G "$1/lib/rustlib/wasm32-unknown-unknown/lib/libstd-*.rlib" >/dev/null
}

default_has_wasm_std() { has_wasm_std "$(rustc --print sysroot 2>/dev/null)"; }

linked_has_wasm_std() {
  local sysroot
  sysroot=$(RUSTUP_TOOLCHAIN=$linked rustc --print sysroot 2>/dev/null) && has_wasm_std "$sysroot"
}

# The toolchain that builds for wasm32: its name, or nothing where the default one can.
wasm_toolchain() {
  if ! default_has_wasm_std && linked_has_wasm_std; then printf '%s' "$linked"; fi
}

need_wasm_std() {
  if default_has_wasm_std || linked_has_wasm_std; then return; fi
  if command -v rustup >/dev/null; then
    say "adding the wasm32 target with rustup (some seconds)"
    if timeout 120 rustup target add wasm32-unknown-unknown >/dev/null 2>&1; then return; fi
    say "rustup cannot fetch it here: building the wasm32 standard library from the distribution's source (2 minutes)"
  else
    say "building the wasm32 standard library from the distribution's source (2 minutes)"
  fi
  if ! [ -x /usr/bin/rust-lld ] || ! [ -d /usr/lib/rustlib/src/rust/library ] || ! /usr/bin/cargo-clippy --version >/dev/null 2>&1; then
    apt_get rustc-web cargo-web rust-web-src rust-web-clippy lld-22 rust-web-llvm
  fi
  if ! has_wasm_std "$(/usr/bin/rustc --print sysroot)"; then build_wasm_std; fi
  if command -v rustup >/dev/null; then
    rustup toolchain link "$linked" /usr >&2 || fail "the toolchain could not be linked: run 'rustup toolchain link $linked /usr'"
  fi
  default_has_wasm_std || linked_has_wasm_std \
    || fail "the wasm32 standard library was built but is not found: run 'rustup target add wasm32-unknown-unknown' where that works"
}

# Bitcode is embedded because the page is linked with fat LTO, which reads it from every library.
build_wasm_std() {
  local dir target
  target="$(/usr/bin/rustc --print sysroot)/lib/rustlib/wasm32-unknown-unknown/lib"
  dir="$(mktemp -d)"
  mkdir -p "$dir/src"
  : >"$dir/src/lib.rs"
  printf '[package]\nname = "wasm-std"\nversion = "0.1.0"\nedition = "2021"\n' >"$dir/Cargo.toml"
  (cd "$dir" && RUSTFLAGS="-C embed-bitcode=yes" RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$dir/target" \
    /usr/bin/cargo build -q --release -Z build-std=std,panic_abort,test --target wasm32-unknown-unknown >&2) \
    || fail "building the wasm32 standard library failed: see the lines above, or use a machine where rustup can add the target"
  rm -f "$dir"/target/wasm32-unknown-unknown/release/deps/libwasm_std*
  # libstd last: whoever looks whether the library is complete looks for that file.
  as_root mkdir -p "$target"
  as_root cp $(ls "$dir"/target/wasm32-unknown-unknown/release/deps/lib*.rlib | grep -v /libstd-) "$target/"
  as_root cp "$dir"/target/wasm32-unknown-unknown/release/deps/libstd-*.rlib "$target/"
  rm -rf "$dir"
}

need_cargo_tool() { # program, crate, version, time, further flags
  local program="$1" crate="$2" version="$3" time="$4"; shift 4
  if "$program" --version 2>/dev/null | grep -qF "$version"; then return; fi
  say "compiling $crate $version ($time, once)"
  # Not the checkout's target folder: the tools share nothing with the build.
  env -u CARGO_TARGET_DIR -u RUSTFLAGS cargo install -q --force "$@" --root "$tools" "$crate" --version "=$version" >&2 \
    || fail "cargo install $crate --version $version failed: install it by hand and put it on the PATH"
}

wasm_bindgen_version() {
  awk '/^name = "wasm-bindgen"$/ { getline; gsub(/"/, ""); print $3 }' Cargo.lock
}

need_node() {
  if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    say "installing Node.js (1 minute)"
    apt_get nodejs npm
  fi
  at_least "$(node --version | tr -d v)" "$oldest_node" \
    || fail "Node.js is older than $oldest_node: install a newer one (https://nodejs.org), then run again"
}

# Not the distribution's binaryen: what an older wasm-opt writes builds, but dies in the browser at start.
need_wasm_opt() {
  if "$tools/node_modules/.bin/wasm-opt" --version 2>/dev/null | grep -q "version ${binaryen_version%%.*}"; then return; fi
  say "installing wasm-opt (some seconds)"
  npm install --silent --no-fund --no-audit --ignore-scripts --prefix "$tools" "binaryen@$binaryen_version" >&2 \
    || fail "npm install binaryen@$binaryen_version failed: check that the npm registry can be reached, then run again"
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

# What the live oracle builds and runs on the real kernel. Only root can use it, so nobody else is asked to install it,
# and where it cannot be installed the oracle says what is missing and is left out.
need_oracle() {
  local tool missing=""
  for tool in ip ethtool iptables conntrack ping arping tracepath traceroute nc curl socat busybox tcpdump cc musl-gcc; do
    command -v "$tool" >/dev/null || missing="$missing $tool"
  done
  if [ -z "$missing" ] || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then return; fi
  say "installing the tools of the live oracle:$missing (some seconds)"
  (apt_get iproute2 procps ethtool iptables conntrack iputils-ping iputils-arping iputils-tracepath traceroute netcat-openbsd curl \
    socat busybox tcpdump util-linux gcc libc6-dev musl-tools) || say "the oracle's tools could not be installed"
}

need_page() {
  need_rust
  need_node
  need_wasm_std
  need_wasm_opt
  # The very version in Cargo.lock; another one refuses to work.
  need_cargo_tool wasm-bindgen wasm-bindgen-cli "$(wasm_bindgen_version)" "5 minutes"
  need_cargo_tool trunk trunk "$trunk_version" "8 minutes" --locked
}

need_bench() {
  need_rust
  need_oracle
  need_node
  need_wasm_std
  need_cargo_tool wasm-bindgen wasm-bindgen-cli "$(wasm_bindgen_version)" "5 minutes"
}

main() {
  case "${1:-}" in
    native) need_rust ;;
    page) need_page ;;
    test) need_rust; need_lints; need_browser; need_tshark; need_oracle; need_page ;;
    oracle) need_rust; need_oracle ;;
    bench) need_bench ;;
    audit) need_rust; need_cargo_tool cargo-deny cargo-deny "$cargo_deny_version" "8 minutes" --locked ;;
    *) fail "usage: .ci/setup.sh native | page | test | oracle | bench | audit | env" ;;
  esac
}

if [ "${1:-}" = env ]; then
  printf 'export PATH="%s:$PATH"\n' "$tools/bin:$tools/node_modules/.bin"
  printf 'export VETHSCOPE_WASM_TOOLCHAIN="%s"\n' "$(wasm_toolchain)"
  exit 0
fi

mkdir -p "$tools"
# One at a time: a second run waits, then finds everything there.
if command -v flock >/dev/null; then
  exec 9>"$tools/.lock"
  flock -n 9 || { say "waiting for another set-up to end"; flock 9; }
fi
main "$@"
