# Each target does all of its own set-up and skips what is there.
.PHONY: serve watch build test oracle install bench audit
PORT ?= 8080

serve: build ## builds the page and serves it on http://localhost:8080
	@node .ci/serve.mjs dist $(PORT)

watch: ## for work on the page: an unoptimised build at each saved change
	@.ci/setup.sh page
	@eval "$$(.ci/setup.sh env)" && . .ci/lib.sh && export TRUNK_SKIP_VERSION_CHECK=true && unset NO_COLOR && wasm_cargo trunk serve --port $(PORT) --dist target/watch

build: ## leaves the static page in dist/, to be served from anywhere
	@.ci/setup.sh page
	@.ci/page.sh

test: ## every check
	@.ci/setup.sh test
	@.ci/test.sh

oracle: ## holds the simulator against this machine's kernel, as root; FILES="a.yaml b.txt" for scenarios of your own
	@.ci/setup.sh oracle
	@VETHSCOPE_ORACLE=1 cargo test --locked --test live -- $(FILES)

install: ## puts vethscope on the PATH
	@.ci/setup.sh native
	cargo install --path . --locked

bench: ## speed of the core, natively and in wasm, beside the real kernel's
	@.ci/setup.sh bench
	@.ci/bench.sh

audit: ## licences, advisories and sources of the dependencies
	@.ci/setup.sh audit
	@eval "$$(.ci/setup.sh env)" && cargo deny --locked check licenses bans sources
	@eval "$$(.ci/setup.sh env)" && cargo deny --locked check advisories || { echo "advisories: see above; they are read from the RustSec database on GitHub, which has to be reachable" >&2; exit 1; }
