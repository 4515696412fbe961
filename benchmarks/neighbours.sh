#!/usr/bin/env bash
# What no other study has: methods of critique, trees, particles and control, each with its defaults or near them, beside
# greedy and a vote, on the 0.5B model; some 8,000 tokens a problem for all. Goes on where it was stopped.
#
#     benchmarks/neighbours.sh         writes docs/evidence/neighbours.html
#     LIMIT=3 benchmarks/neighbours.sh     a trial
#     PONDER_ENGINE=openvino           two to three times as fast on x86
set -euo pipefail
cd "$(dirname "$0")/.."
: "${LIMIT:=30}" "${TO:=docs/evidence}"
by=scorer=arithmetic,aggregation=min
.venv/bin/ponder eval chain_sum --limit "$LIMIT" -b 4k -m qwen2.5-coder-0.5b --yes --report "$TO/neighbours.html" \
  -s chain-of-thought -s zero-shot-cot -s self-consistency:n=16,temperature=0.8,top_k=0 \
  -s "tpo:n=3,d=2,scorer=arithmetic" -s tpo:n=3,d=2,revision=true,scorer=arithmetic -s "feedback-edit:scorer=arithmetic" \
  -s self-refine -s mixture-of-agents -s revisions:n=8 \
  -s deepconf -s early-exit:k=24 -s tip -s "tree-of-thoughts:depth=6" -s "ab-mcts:scorer=arithmetic" -s rstar \
  -s "lookahead:n=8,$by" -s "rebase:n=8,$by" -s "particle-filtering:n=8,$by" -s "particle-gibbs:n=8,$by"
