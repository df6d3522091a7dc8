# The commands of the workspace. Each does its own set-up, says what it does, and does nothing twice: the work is in
# scripts/, cargo and cabal, which know best what is up to date.
.DEFAULT_GOAL := help
.PHONY: help setup setup-lints setup-clients build verify-workspace demo test test-rust test-haskell test-python test-e2e test-clients test-templates test-mistralrs test-finetune test-nix setup-deploy test-deploy train-default check-gpu lint check-macos fmt docs-check docs-build docs-serve docs-reference test-docs check-flake eval soak bench bench-engine bench-constraint bench-levers bench-start bench-sandbox bench-http chaos deny verify-functiongemma \
        install uninstall clean clean-room

# What `make build` compiles with: dev (optimised, shared with `cargo run` and the tests) or release.
PROFILE ?= dev
# How long `make soak` takes.
MINUTES ?= 30
PREFIX ?= /usr/local
DESTDIR ?=

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F '\t' '{ printf "  make %-17s %s\n", $$1, $$2 }'

setup: ## install what is missing: Debian packages (as root or with sudo) and .venv
	@scripts/setup

setup-lints:
	@WITH_LINTS=1 scripts/setup

setup-clients: setup
	@scripts/setup-clients

build: setup ## build rust-inference, python-executor, ipc and callspan into bin/
	@scripts/build $(PROFILE) bin

verify-workspace: ## what this shell should provide, and what of it is there (SHELL_NAME=gpu: what another would lack)
	@scripts/verify-workspace $(if $(SHELL_NAME),--shell '$(SHELL_NAME)')

demo: build ## four questions through all three processes, with the frames on the wire
	@scripts/demo

test: build setup-clients ## the tests of every language, and the counts; besides these there are test-nix, test-deploy, test-finetune, test-mistralrs
	@scripts/test rust haskell python e2e templates docs clients

test-rust: setup ## the Rust tests
	@scripts/test rust

test-haskell: setup ## the Haskell tests
	@scripts/test haskell

test-python: setup ## the tests of the Python package and the tools
	@scripts/test python

test-e2e: build ## the tests with real processes and sockets
	@scripts/test e2e

test-templates: build setup-clients ## each template, made by callspan init, passes its own tests
	@scripts/test templates

test-clients: build setup-clients ## the tests with other people's clients
	@scripts/test clients

test-nix: setup ## the flake: what it promises, and planted mistakes that must be found; takes Debian or a Nix, and no root
	@scripts/test nix

setup-deploy: setup
	@scripts/setup-deploy

test-deploy: build setup-deploy ## the tests of deploy/: images, units, compose; some take root, and a few minutes
	@scripts/test deploy

test-mistralrs: setup ## the optional mistral.rs backend, built (500 crates, 15 to 30 minutes the first time) and tested on the CPU
	@cargo test --locked -p rust-inference --no-default-features --features mistralrs --test mistralrs -- --test-threads 1

# OMP_NUM_THREADS: what is trained is so small that threads only get in each other's way.
test-finetune: ## fine-tuning on the CPU, and what comes of it in our engine; makes an environment of 6 GB the first time
	@scripts/setup-finetune
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} scripts/test finetune

train-default: ## train a model like the built-in one: OUT=DIR, and DATA=DIR with the data sets (none: without them); MINUTES (85)
	@$(if $(OUT),,scripts/train-default -)
	@CALLSPAN_BIN=$${CALLSPAN_BIN:-none} scripts/setup-finetune
	@scripts/train-default '$(or $(DATA),-)' '$(OUT)' --minutes $(if $(filter file,$(origin MINUTES)),85,$(MINUTES))

check-gpu: setup ## type-check mistralrs-cuda and mistralrs-metal with stand-ins for their compilers; minutes
	@scripts/check-gpu

lint: setup-lints ## formatting and lints of every language, changing nothing
	@scripts/lint

check-macos: setup ## type-check the workspace for macOS, where nobody has run it
	@scripts/check-macos

fmt: setup ## format the Rust and Python code
	@cargo fmt --all
	@cargo fmt --manifest-path bench/llguidance/Cargo.toml
	@.venv/bin/ruff format --quiet python-executor tests scripts bench nix templates

docs-check: setup ## links, commands and test names that the documents mention exist
	@.venv/bin/python scripts/check_docs.py

check-flake: ## evaluate the flake for every system, offline, and lint its files; on Debian a nix is got the first time
	@scripts/check-flake

docs-build: setup ## build the site of the documents into target/docs/book, and check its links and diagrams; mdbook is built the first time
	@scripts/docs-build

docs-serve: PORT = 3000
docs-serve: setup ## the site on http://localhost:PORT (3000), built anew as its pages change
	@scripts/docs-serve --port '$(PORT)'

docs-reference: build ## make the reference pages, manual pages and completions anew from the programs
	@cargo run --locked --quiet -p docs-generate -- --callspan bin/callspan

test-docs: build ## the documents: what they show on a console comes, and what is made of the programs is up to date
	@scripts/test docs

# Where its report goes, and further flags: make eval FLAGS='--png --min one=0.5'.
eval: OUT = target/eval
eval: build ## how well the built-in model calls tools, constrained and not, on the sets that were held out; reports go to OUT (target/eval)
	@scripts/eval --out '$(OUT)' $(FLAGS)

soak: setup ## 32 clients that come, go, cancel and hang up, for MINUTES (30); every answer is compared with the one given alone
	@.venv/bin/python -B bench/soak.py --minutes $(MINUTES)

# Half as long before and after as between, and half a minute for the last hangs.
chaos: MINUTES = 1
# How many times slower the good clients' p99 may be.
chaos: TIMES = 3
chaos: setup ## bombs and a thousand hangs beside four well-behaved clients for MINUTES (1): nobody else notices, nothing is left
	@.venv/bin/python -B bench/chaos.py --minutes $(MINUTES) --times $(TIMES)

bench: setup ## every measured promise: dev against release build, the constraint, the levers, fidelity, the engine in short
	@.venv/bin/python -B bench/dev_vs_release.py
	@.venv/bin/python -B bench/constraint.py
	@.venv/bin/python -B bench/levers.py 1
	@.venv/bin/python -B bench/fidelity.py
	@.venv/bin/python -B bench/engine.py --quick

bench-engine: setup ## the engine against llama.cpp, which is built first, and against the memory; about ten minutes
	@.venv/bin/python -B bench/engine.py

bench-constraint: setup ## what the constraint costs a token, beside llguidance
	@.venv/bin/python -B bench/constraint.py

bench-start: setup ## a model's first start and later ones: time to the first answers, memory
	@.venv/bin/python -B bench/start.py

bench-sandbox: setup ## a confined call's latency, and calls a second, beside other sandboxes, which are fetched first
	@.venv/bin/python -B bench/sandbox.py

bench-levers: setup ## what forced tokens, candidate rows, speculation and the prefix cache are worth, one by one
	@.venv/bin/python -B bench/levers.py

bench-http: setup ## what HTTP costs over the protocol: a request, a token of a stream, a hundred streams
	@.venv/bin/python -B bench/over_http.py

verify-functiongemma: setup ## compare a checkpoint with transformers: MODEL=DIR (needs torch and transformers in .venv)
	@.venv/bin/python -B scripts/verify_functiongemma.py $(if $(MODEL),'$(MODEL)')

deny: ## licences and advisories of the Rust dependencies (needs cargo-deny)
	@command -v cargo-deny >/dev/null || { echo 'cargo-deny is missing; fix: cargo install cargo-deny --locked' >&2; exit 1; }
	@cargo deny check

install: setup ## install into PREFIX (default /usr/local; DESTDIR is honoured): programs, Python package, tools, templates, model, manual pages, completions, units
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' PROFILE='$(if $(filter file,$(origin PROFILE)),release,$(PROFILE))' scripts/install

uninstall: ## remove what `make install` put into PREFIX
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' scripts/uninstall

clean: ## remove everything that was built, .venv included
	@rm -rf bin .venv bench/.venv bench/llguidance/target python-executor/.venv-finetune tests/clients/.venv tests/clients/node_modules tests/deploy/.venv dist-newstyle haskell-orchestrator/dist-newstyle
	@cargo clean --quiet

clean-room: ## the whole from a clone in a bare Debian tree, timed (root; needs debootstrap)
	@scripts/clean-room
