# What newcomers and CI run. `make help` lists it.

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help run test check bench peers faults docs clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/.base ## install ponder and answer a question with a real model, by majority vote
	@$(BIN)/ponder solve "What is 17 + 48 - 29?" -s "self-consistency:n=16" -b 4k --yes

test: .venv/.dev ## install what the tests need, then every check and every test
	@$(MAKE) --no-print-directory check
	@$(BIN)/pytest

check: .venv/.dev ## style, types, import contracts, generated docs
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy --no-error-summary src tests/typing benchmarks docs
	@$(BIN)/lint-imports > .venv/lint-imports.log || { cat .venv/lint-imports.log; exit 1; }
	@$(BIN)/python docs/generate.py --check

bench: .venv/.dev ## what the runtime adds to a call; the engine beside its peers, after `make peers`
	@$(BIN)/python benchmarks/runtime.py
	@if [ -d .peers ]; then $(BIN)/python benchmarks/engine.py; \
	else echo "benchmarks/engine.py left out: its peers are not here. Install them: make peers"; fi

peers: .peers/llama-cpp-python/.done .peers/openvino-genai/.done ## install what the engine is compared with; builds for minutes

.peers/llama-cpp-python/.done: PEER = llama-cpp-python==0.3.36
.peers/openvino-genai/.done: PEER = openvino-genai==2026.4.1.0
.peers/%/.done:
	@echo "Installing $(PEER) into $(@D)"
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install -qq --disable-pip-version-check $(PEER)
	@touch $@

faults: .venv/.dev ## plant faults in the runtime and see the tests fail
	@$(BIN)/python tests/plant_faults.py

docs: .venv/.dev ## write docs/cli.md and the README's table of strategies
	@$(BIN)/python docs/generate.py

clean: ## remove the environment and the caches; models and runs stay
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist

.venv/.base: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ponder needs Python 3.11 or newer. Name one: make $(MAKECMDGOALS) PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing ponder into .venv"
	@$(BIN)/python -m pip install -qq --no-compile --disable-pip-version-check --editable .
	@touch $@

.venv/.dev: .venv/.base
	@echo "Installing what the tests need into .venv"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[dev]'
	@touch $@
