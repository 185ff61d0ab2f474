# The commands of the project. `make help` lists them.

# One build cache outside the tree serves every clone and survives it.
CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tollgate
export CARGO_TARGET_DIR ?= $(CACHE)/target
export PATH := $(CACHE)/tools/bin:$(CACHE)/python/bin:$(PATH)
export UV_SYSTEM_CERTS := 1
export UV_PYTHON_DOWNLOADS := never

DENY := 0.20.2
MACHETE := 0.9.2
NEXTEST := 0.9.143
UV := 0.13.9
PHOENIX := 20.26.1

DEBUG := $(CARGO_TARGET_DIR)/debug/tollgate
RELEASE := $(CARGO_TARGET_DIR)/release/tollgate

.PHONY: help demo build test lint unit clients test-identity docs fuzz torture bench advisories catalog tools

help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

demo: ## Build it, start it, send calls through it and show what became of them
	cargo build --release -p tollgate
	@$(RELEASE) demo

build: ## Build the binary for use: target/release/tollgate in the cache
	cargo build --release -p tollgate
	@echo $(RELEASE)

test: lint unit clients docs ## Everything that must pass before a change lands

lint: tools ## Formatter, clippy, licences and sources, unused dependencies, the tree's own rules
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	cargo deny --log-level error check licenses bans sources
	cargo machete --skip-target-dir
	cargo xtask tidy
	cd clients && npx --no-install biome check .

unit: tools ## Unit, golden and in-process tests
	cargo nextest run --workspace --no-fail-fast --status-level fail

clients: tools $(CACHE)/phoenix/.phoenix-$(PHOENIX) ## Real SDKs and raw sockets against the running binary
	cargo build --quiet -p tollgate
	cargo build --quiet -p tollgate-sdk --examples
	cd clients && TOLLGATE_BIN=$(DEBUG) uv run --frozen pytest

test-identity: tools ## Sign-in only: applications, browsers, attacks, instances (a part of `make test`)
	cargo build --quiet -p tollgate
	cd clients && TOLLGATE_BIN=$(DEBUG) uv run --frozen pytest test_sign_in*.py test_web*.py test_accounts*.py test_tokens.py test_mcp_oauth.py

docs: tools ## Every command in README.md and docs/
	cargo build --quiet -p tollgate
	cd clients && TOLLGATE_BIN=$(DEBUG) uv run --frozen python run_docs.py

fuzz: tools ## The property tests, with a hundred times as many cases
	PROPTEST_CASES=50000 cargo nextest run --release -p tollgate-llm -p tollgate-core

torture: tools ## Kill the gate hundreds of times under load, fill its disk, take its database away; nothing may be lost
	cargo build --quiet -p tollgate
	cd clients && TOLLGATE_BIN=$(DEBUG) uv run --frozen python torture.py

bench: ## Measure against a bare proxy; writes bench/RESULTS.md
	@command -v wrk >/dev/null || { echo "wrk is missing: apt-get install wrk"; exit 1; }
	cargo build --release --quiet -p tollgate -p bench
	$(CARGO_TARGET_DIR)/release/bench run $(RELEASE) 4

advisories: tools ## Known vulnerabilities of what is built in; needs the network
	cargo deny check advisories

catalog: ## Convert price facts: make catalog FACTS=model_prices.json
	cargo xtask catalog $(FACTS)

tools: $(CACHE)/tools/.deny-$(DENY) $(CACHE)/tools/.machete-$(MACHETE) $(CACHE)/tools/.nextest-$(NEXTEST) $(CACHE)/python/.uv-$(UV) clients/node_modules/.done
	@rustfmt --version >/dev/null && cargo clippy --version >/dev/null || { echo "missing: rustup component add rustfmt clippy"; exit 1; }

# Installed once into the cache, by their ordinary clients, at pinned versions.
$(CACHE)/tools/.deny-$(DENY):
	cargo install --locked --quiet --root $(CACHE)/tools cargo-deny@$(DENY)
	@touch $@

$(CACHE)/tools/.machete-$(MACHETE):
	cargo install --locked --quiet --root $(CACHE)/tools cargo-machete@$(MACHETE)
	@touch $@

$(CACHE)/tools/.nextest-$(NEXTEST):
	@mkdir -p $(CACHE)/tools
	cargo nextest --version >/dev/null 2>&1 || cargo install --locked --quiet --root $(CACHE)/tools cargo-nextest@$(NEXTEST)
	@touch $@

$(CACHE)/python/.uv-$(UV):
	python3 -m venv $(CACHE)/python
	$(CACHE)/python/bin/pip install --quiet --disable-pip-version-check uv==$(UV)
	@touch $@

# A receiver of OpenTelemetry traces, with many dependencies of its own.
$(CACHE)/phoenix/.phoenix-$(PHOENIX): $(CACHE)/python/.uv-$(UV)
	uv venv --quiet --clear $(CACHE)/phoenix
	uv pip install --quiet --python $(CACHE)/phoenix/bin/python arize-phoenix==$(PHOENIX)
	@touch $@

# Not `npm ci`: it refuses lock files without the optional packages of other platforms, which npm itself leaves out.
clients/node_modules/.done: clients/package-lock.json
	cd clients && npm install --no-save --no-audit --no-fund --silent
	@touch $@
