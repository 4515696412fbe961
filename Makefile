# What newcomers and CI run. `make help` lists it.

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help run test check evidence bench peers clients native fidelity faults prove sandbox-attacks docs clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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

# A pool of 16 samples at temperature 0.8 that votes, stopping rules and best-of-n share; 4 each at 0.3 and 0.6; greedy.
SHARED := temperature=0.8,top_k=0
STRATEGIES := direct chain-of-thought zero-shot-cot chain-of-draft \
	self-consistency:n=2,$(SHARED) self-consistency:n=4,$(SHARED) self-consistency:n=8,$(SHARED) self-consistency:n=16,$(SHARED) \
	self-consistency:n=4,temperature=0.3,top_k=0 self-consistency:n=4,temperature=0.6,top_k=0 \
	adaptive-consistency:n=16,$(SHARED) early-stopping:n=16,w=4,$(SHARED) best-of-n:n=4 best-of-n:n=16
LIMITS := --limit 100 --limit 50

evidence: .venv/.dev ## what every strategy buys on the 0.5B model: about an hour; goes on where it was stopped. LIMITS="--limit 500" for more
	@mkdir -p docs/evidence
	$(BIN)/ponder eval chain_sum gsm_symbolic $(LIMITS) $(STRATEGIES:%=-s %) -b 16k -m qwen2.5-coder-0.5b --yes --report docs/evidence/parallel.html

bench: .venv/.dev ## what the runtime adds to a call; the engine beside its peers, after `make peers`
	@$(BIN)/python benchmarks/runtime.py
	@$(BIN)/python benchmarks/trees.py
	@if [ -d .peers ]; then $(BIN)/python benchmarks/engine.py; \
	else echo "benchmarks/engine.py left out: its peers are not here. Install them: make peers"; fi

fidelity: .venv/.dev ## how far the engine's distributions are from float32, after `make peers`
	@$(BIN)/python benchmarks/fidelity.py

CLIENTS := openai-2 langchain litellm llm inspect openai-node

peers: .peers/llama-cpp-python/.done .peers/openvino-genai/.done .peers/transformers/.done .peers/treequest/.done .peers/its-hub/.done .peers/optillm/.done native ## install what the engine is compared with; builds for minutes

clients: .venv/.dev $(CLIENTS:%=.peers/clients/%/.done) ## install the clients of other projects, and run each through its cases against the gateway (R19)
	@$(BIN)/python tests/prove.py --tier N R19

native: .peers/native/bin/libllama.so ## build llama.cpp for this very processor, for minutes; PONDER_LIBRARY names it

# The source release of the wheel that we pin carries its llama.cpp, so the structs are the same.
.peers/native/bin/libllama.so: RELEASE = $(shell sed -n 's/.*"xllamacpp==\(.*\)".*/\1/p' pyproject.toml)
.peers/native/bin/libllama.so:
	@echo "Building llama.cpp for this processor in .peers/native"
	@$(PYTHON) -m venv .peers/build
	@.peers/build/bin/python -m pip install -qq --disable-pip-version-check cmake ninja
	@.peers/build/bin/python -m pip download -qq --disable-pip-version-check --no-deps --no-binary xllamacpp --dest .peers/build xllamacpp==$(RELEASE)
	@tar -xzf .peers/build/xllamacpp-$(RELEASE).tar.gz -C .peers/build
	@PATH="$(CURDIR)/.peers/build/bin:$$PATH" cmake -S .peers/build/xllamacpp-$(RELEASE)/thirdparty/llama.cpp -B .peers/native -G Ninja \
		-DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DBUILD_SHARED_LIBS=ON -DLLAMA_CURL=OFF -DLLAMA_BUILD_COMMON=OFF \
		-DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_SERVER=OFF > .peers/build/cmake.log
	@PATH="$(CURDIR)/.peers/build/bin:$$PATH" cmake --build .peers/native --target llama >> .peers/build/cmake.log
	@echo "Use it: export PONDER_LIBRARY=$(CURDIR)/$@"

.peers/llama-cpp-python/.done: PEER = llama-cpp-python==0.3.36
.peers/openvino-genai/.done: PEER = openvino-genai==2026.4.1.0
.peers/transformers/.done: PEER = -e '.[transformers]' gguf
.peers/treequest/.done: PEER = treequest==0.3.3
# Without the libraries that only its plugins and its own inference load, torch among them: pip searches for minutes.
.peers/optillm/.done: PEER = aiohttp cerebras_cloud_sdk flask math-verify networkx numpy openai pyyaml sympy 'z3-solver<=4.15.4.0'
.peers/optillm/.done: ALONE = optillm==0.4.0
.peers/its-hub/.done: PEER = 'its_hub[iaas]==1.2.0'
.peers/clients/openai-2/.done: PEER = 'openai<3'
.peers/clients/langchain/.done: PEER = langchain-openai
.peers/clients/litellm/.done: PEER = litellm
.peers/clients/llm/.done: PEER = llm
.peers/clients/inspect/.done: PEER = inspect-ai openai
.peers/clients/openai-node/.done:
	@echo "Installing openai from npm into $(@D)"
	@mkdir -p $(@D)
	@npm install --silent --no-fund --no-audit --prefix $(@D) openai@7
	@touch $@
.peers/%/.done:
	@echo "Installing $(PEER) into $(@D)"
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install -qq --disable-pip-version-check $(PEER)
	@test -z "$(ALONE)" || $(@D)/bin/python -m pip install -qq --disable-pip-version-check --no-deps $(ALONE)
	@touch $@

faults: .venv/.dev ## plant faults in the runtime and see the tests fail
	@$(BIN)/python tests/plant_faults.py

sandbox-attacks: .venv/.dev ## what hostile programs try, and whether the sandbox holds
	@$(BIN)/python tests/sandbox_attacks.py

TIER := C
prove: .venv/.dev ## measure what is promised under bad conditions into docs/reliability.md; TIER=N at full size, ROWS="R1 R3" only those
	@$(BIN)/python tests/prove.py --tier $(TIER) $(ROWS)

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
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[evals]' \
		|| echo "reasoning-gym could not be installed (a part of it needs a C compiler); the tests of its tasks are skipped"
	@# The tests start hundreds of processes, which would compile sympy anew where Python may not write byte-code.
	@$(BIN)/python -m compileall -qq -j 0 .venv/lib src || true
	@touch $@
