# What newcomers and CI run. `make help` lists it.

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help run test check bench faults docs clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/.base ## install ponder and answer a question with a real model, by majority vote
	@$(BIN)/ponder solve "What is 17 + 48 - 29?" -s "self-consistency:n=16" -b 4k --yes

test: .venv/.dev ## install what the tests need, then every check and every test
	@$(MAKE) --no-print-directory check
	@$(BIN)/pytest

check: .venv/.dev ## style, types, import contracts, generated docs
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports > .venv/lint-imports.log || { cat .venv/lint-imports.log; exit 1; }
	@$(BIN)/python docs/generate.py --check

bench: .venv/.dev ## what the runtime adds to a call; the engine beside its peers, where they are installed
	@$(BIN)/python benchmarks/runtime.py
	@if $(BIN)/python -c "import llama_cpp, openvino_genai" 2>/dev/null; \
	then $(BIN)/python benchmarks/engine.py; \
	else echo "benchmarks/engine.py left out: llama-cpp-python and openvino-genai are not installed in .venv."; fi

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
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/.dev: .venv/.base
	@echo "Installing what the tests need into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
