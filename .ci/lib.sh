# Shared by the scripts here; read with `.` from the project's root.

say() { printf '%s\n' "$*" >&2; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# One hash over the names and contents of all files under the given paths, installed packages left out.
content_of() {
  find "$@" -name node_modules -prune -o -type f -print0 | LC_ALL=C sort -z \
    | xargs -0 sha256sum | sha256sum | cut -d ' ' -f 1
}

# Stamps: what a result was made from when it was last made.
is_current() { [ "$(cat "target/stamps/$1" 2>/dev/null)" = "$2" ]; }
now_current() { mkdir -p target/stamps; printf '%s\n' "$2" >"target/stamps/$1"; }

# Installs the packages of a folder with package-lock.json, once for each state of the lock file.
npm_packages() {
  local lock
  lock=$(sha256sum <"$1/package-lock.json" | cut -d ' ' -f 1)
  if [ "$(cat "$1/node_modules/.installed" 2>/dev/null)" = "$lock" ]; then return; fi
  say "installing the npm packages of $1 (10 seconds)"
  # No package runs a script of its own: the platform packages bring their programs with them.
  (cd "$1" && npm ci --silent --ignore-scripts --no-fund --no-audit >&2) \
    || fail "npm ci in $1 failed: check that the npm registry can be reached, then run again"
  printf '%s\n' "$lock" >"$1/node_modules/.installed"
}

# Runs cargo for wasm32 with the toolchain that set-up found.
wasm_cargo() {
  if [ -n "${VETHSCOPE_WASM_TOOLCHAIN:-}" ]; then RUSTUP_TOOLCHAIN=$VETHSCOPE_WASM_TOOLCHAIN "$@"; else "$@"; fi
}
