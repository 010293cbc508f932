# One help line a target; each target installs what it needs.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

PY := .venv/bin/python
PYTHON ?= python3
FORGE := $(CURDIR)/contracts/tools/foundry forge
BENCH ?= messages
SEED ?= 1
MUTANTS ?= 400

.PHONY: help setup setup-system demo dev test test-python test-contracts deep coverage check fix abi gas vectors verifier prove mutants slither bench faults faults-deep soak clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: .setup/python .setup/node ## Install the Python and Node parts (Python 3.11+, Node 20+)

.setup/python: pyproject.toml constraints.txt
	@mkdir -p .setup
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[server,provider,dev]'
	@touch $@

.setup/node: contracts/package.json contracts/package-lock.json contracts/tools/fetch_forge_std.sh
	@mkdir -p .setup
	cd contracts && npm install --no-save --no-audit --no-fund --loglevel=error
	bash contracts/tools/fetch_forge_std.sh
	@touch $@

setup-system: ## Install Debian's parts for the tests: a browser and RabbitMQ (root)
	apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium rabbitmq-server

demo: setup ## Buy, run, pay and prove two real jobs; then stop everything
	@$(PY) -m gridlease.cli demo

dev: setup ## Keep the whole system running until Ctrl-C
	@$(PY) -m gridlease.cli dev

test: test-contracts test-python ## Run every test

# A seed, so that one commit has one verdict; other seeds run in `make deep`.
test-contracts: setup
	cd contracts && $(FORGE) test --fuzz-seed 0x1 | ../$(PY) tools/count_calls.py

deep: setup ## Go on with the recorded long run of the invariants (hours)
	cd contracts && ../$(PY) tools/deep_invariants.py

# Unit tests side by side; what starts nodes, servers and browsers has the machine for itself.
test-python: setup
	$(PY) -m pytest -q -n 2 --durations=8 tests/unit
	$(PY) -m pytest -q --durations=8 --ignore=tests/unit

check: setup ## Format, lint, types, import rules, generated files
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	cd contracts && $(FORGE) fmt --check && $(FORGE) build
	cd contracts && $(FORGE) test --match-path 'test/gas/*' --gas-snapshot-check=true
	$(PY) contracts/tools/gas_floors.py --check
	$(PY) contracts/tools/export_abi.py --check
	$(PY) tools/join_verifier.py --check
	$(PY) tests/vectors/generate.py --check
	$(PY) tests/vectors/generate_proofs.py --check
	$(PY) tests/vectors/generate_court.py --check
	$(PY) jobs/digits/build.py --check

fix: setup ## Format and mend what can be mended by machine
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .
	cd contracts && $(FORGE) fmt

abi: setup ## Rebuild the committed ABIs and bytecode
	cd contracts && $(FORGE) build
	$(PY) contracts/tools/export_abi.py

vectors: setup ## Rebuild the golden vectors that Solidity and Python share
	$(PY) tests/vectors/generate.py
	$(PY) tests/vectors/generate_court.py
	$(PY) tests/vectors/generate_proofs.py

verifier: setup ## Join the one-file verifier anew: protocol/verifier.py
	$(PY) tools/join_verifier.py

gas: setup ## Measure gas and write contracts/snapshots
	cd contracts && $(FORGE) test --match-path 'test/gas/*'
	$(PY) contracts/tools/gas_floors.py

coverage: setup ## Measure what the contracts' tests execute: contracts/test/COVERAGE.md (3 minutes)
	$(PY) contracts/tools/coverage.py

prove: .setup/node .setup/prove ## Prove arithmetic and money steps symbolically (≈ 7 minutes)
	.venv-prove/bin/python contracts/tools/prove.py

.setup/prove: contracts/tools/prove.txt
	@mkdir -p .setup
	$(PYTHON) -m venv .venv-prove
	.venv-prove/bin/python -m pip install --quiet --disable-pip-version-check -r contracts/tools/prove.txt
	@touch $@

bench: setup ## Run a measurement: make bench BENCH=messages
	$(PY) -m bench.$(BENCH)

# 60 cycles, as the tests run them: each crash point and each fault comes.
faults: setup ## Kill the market, its broker and its database, behind nodes that fail: what CI runs (SEED=1)
	$(PY) -m tests.faults.submission --cycles 42 --seed $(SEED)
	$(PY) -m tests.faults.market --stack embedded --from 0 --cycles 6 --seed $(SEED)
	$(PY) -m tests.faults.market --stack postgres-redis --from 6 --cycles 6 --seed $(SEED)
	$(PY) -m tests.faults.market --stack postgres-rabbitmq --from 12 --cycles 6 --seed $(SEED)

faults-deep: setup ## Go on with the recorded campaigns until 500 cycles of each have held (hours)
	$(PY) -m tests.faults.market --stack embedded --until 500
	$(PY) -m tests.faults.market --stack postgres-redis --until 500
	$(PY) -m tests.faults.market --stack postgres-rabbitmq --until 500
	$(PY) -m tests.faults.submission --until 500

soak: setup ## Settle 10,000 jobs over 200 simulated agents (JOBS, AGENTS)
	$(PY) -m bench.load soak

mutants: setup ## Break ledger and court in 400 places (SEED=1); every break must be seen
	cd contracts && $(FORGE) build
	$(PY) -m tests.mutation.run --seed $(SEED) --mutants $(MUTANTS)

slither: .setup/slither ## Let slither look at the contracts; each finding must be explained
	.venv-slither/bin/python contracts/tools/slither.py --write

.setup/slither: contracts/tools/slither.txt .setup/node
	$(PYTHON) -m venv .venv-slither
	.venv-slither/bin/pip install --quiet --disable-pip-version-check -r contracts/tools/slither.txt
	@touch $@

clean: ## Remove what setup, tests and runs made
	rm -rf .setup .venv .venv-prove .venv-slither .gridlease contracts/out contracts/cache contracts/.prove contracts/lib contracts/node_modules
