#!/usr/bin/env bash
# Searches guided by a scorer, beside majority vote and greedy at equal tokens, on the 0.5B model: some 800 tokens a
# problem, 0.5 million in all. Two commands, each of which goes on where it was stopped.
#
#     benchmarks/search.sh             writes docs/evidence/search_sums.html and docs/evidence/search_words.html
#     SUMS=3 WORDS=3 benchmarks/search.sh    a trial
#     PONDER_ENGINE=openvino           two to three times as fast on x86
#
# On sums the scorer calculates each step again, which is nearly a calculator: benchmarks/calculator.py says how often
# the question alone can be executed.
# MCTS and CoAT end at a solution that the calculator has passed, at a quarter of the tokens; a vote of 7 costs as much.
# On word problems it is P(True), the model's own judgement.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${SUMS:=100}" "${WORDS:=30}" "${TO:=docs/evidence}"
common=(-b 2k -m qwen2.5-coder-0.5b --yes)

by=scorer=arithmetic,aggregation=min
.venv/bin/ponder eval chain_sum --limit "$SUMS" "${common[@]}" --report "$TO/search_sums.html" \
  -s chain-of-thought -s self-consistency:n=7,temperature=0.8,top_k=0 -s self-consistency:n=24,temperature=0.8,top_k=0 \
  -s "best-of-n:n=20,style=steps,$by" -s "best-of-n:n=20,style=steps,scorer=self-certainty" \
  -s "beam-search:n=20,$by" -s "dvts:n=20,$by" -s "mcts:iterations=10,$by" -s "coat:K=12,$by"

by=scorer=p-true
.venv/bin/ponder eval gsm_symbolic --limit "$WORDS" "${common[@]}" --report "$TO/search_words.html" \
  -s chain-of-thought -s self-consistency:n=10,temperature=0.8,top_k=0 \
  -s "best-of-n:n=8,style=steps,$by" -s "best-of-n:n=8,style=steps,scorer=self-certainty" \
  -s "beam-search:n=6,width=3,$by" -s "dvts:n=6,width=3,$by" -s "mcts:iterations=7,$by" -s "coat:K=8,$by"
