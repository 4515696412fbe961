#!/usr/bin/env bash
# Budget forcing and its baselines, and adaptive stopping against a fixed number of samples, on the 0.5B model.
# Two commands, each of which goes on where it was stopped; some 0.6 million tokens, of which the pool generates each once.
#
#     benchmarks/forcing.sh                     writes docs/evidence/forcing.html and docs/evidence/adaptive.html
#     LIMIT=3 ADAPTIVE=3 benchmarks/forcing.sh  a trial
#     PONDER_ENGINE=openvino                    two to three times as fast on x86
set -euo pipefail
cd "$(dirname "$0")/.."
: "${LIMIT:=100}" "${ADAPTIVE:=50}" "${TO:=docs/evidence}"
common=(-m qwen2.5-coder-0.5b --yes)

forcing=(-s budget-forcing:waits=0)
for waits in 1 2 4; do
  for nudge in Wait Hmm none; do forcing+=(-s "budget-forcing:waits=$waits,nudge=$nudge"); done
done
.venv/bin/ponder eval chain_sum --limit "$LIMIT" -b 16k "${common[@]}" --report "$TO/forcing.html" \
  "${forcing[@]}" \
  -s budget-forcing:waits=0,max_thinking=32 -s budget-forcing:waits=0,max_thinking=64 \
  -s conditional-control:condition=short -s conditional-control:condition=long \
  -s conditional-control:condition=tokens,n=64 -s conditional-control:condition=tokens,n=256 \
  -s rejection-sampling:limit=64,n=16 -s rejection-sampling:limit=128,n=16 \
  -s zero-shot-cot -s self-consistency:n=4,temperature=0.8,top_k=0 -s self-consistency:n=16,temperature=0.8,top_k=0

.venv/bin/ponder eval chain_sum:min_terms=3,max_terms=3,min_digits=1,max_digits=1 chain_sum \
  --limit "$ADAPTIVE" -b 32k "${common[@]}" --report "$TO/adaptive.html" \
  -s self-consistency:n=40 -s self-consistency:n=5 -s adaptive-consistency:n=40 \
  -s adaptive-consistency:n=40,rule=dirichlet -s early-stopping:n=40,w=5
