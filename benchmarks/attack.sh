#!/usr/bin/env bash
# Attacks on the 0.5B model by compute: many-shot on sums, two goals, three strengths, four budgets of thinking,
# 60 problems a cell. Goes on where it was stopped; the report is docs/evidence/attack.html.
#
#     benchmarks/attack.sh [PROBLEMS]
set -euo pipefail
cd "$(dirname "$0")/.."
exec "${PONDER:-.venv/bin/ponder}" attack addition -m qwen2.5-coder-0.5b --goal 42 --goal times-seven \
	--strength 0 --strength 2 --strength 8 --think 8 --think 32 --think 96 --think 192 \
	--limit "${1:-60}" --yes --report docs/evidence/attack.html
