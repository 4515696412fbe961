#!/usr/bin/env bash
# `auto` on the 0.5B model: policies learnt and judged by cross-fitting on three tasks, and what the survey asks, which
# strategy is best at equal tokens. Each part is a command that goes on where it was stopped; some 0.7 million tokens.
#
#     benchmarks/auto.sh                 all parts; benchmarks/auto.sh sums basic facts: some of them
#     LIMIT=40 benchmarks/auto.sh        the smallest that teaches a policy
#     PONDER_ENGINE=openvino             two to three times as fast on x86
set -euo pipefail
cd "$(dirname "$0")/.."
: "${LIMIT:=60}" "${PONDER:=.venv/bin/ponder}" "${TO:=docs/evidence}"
common=(--limit "$LIMIT" -m qwen2.5-coder-0.5b --yes)
once=(-s chain-of-thought -s zero-shot-cot -s chain-of-draft -s budget-forcing:waits=0,max_thinking=200,max_answer=16)
by=scorer=arithmetic,aggregation=min

sums() { # with searches; their scorer is nearly a calculator
  "$PONDER" calibrate chain_sum "${common[@]}" -b 250 -b 500 -b 1k --wide 16 --scorer arithmetic -o sums --report "$TO/auto.html" \
    -s self-consistency:n=16 -s self-consistency:n=16,temperature=0.3 -s adaptive-consistency:n=16 "${once[@]}" -s "best-of-n:n=16,$by" -s "best-of-n:n=16,style=steps,$by" \
    -s "beam-search:n=16,$by" -s "dvts:n=16,$by" -s "lookahead:n=8,$by" -s "mcts:iterations=10,$by"
}
basic() {
  "$PONDER" calibrate basic_arithmetic "${common[@]}" -b 250 -b 500 -b 1k --wide 16 -o basic --report "$TO/auto_basic.html" \
    -s self-consistency:n=16 -s adaptive-consistency:n=16 "${once[@]}" -s best-of-n:n=8,scorer=self-certainty
}
words() { # the longest texts, so fewer of them
  "$PONDER" calibrate gsm_symbolic "${common[@]}" -b 250 -b 500 -b 1k -b 2k --wide 16 -o words --report "$TO/auto_words.html" \
    -s self-consistency:n=16 -s adaptive-consistency:n=16 "${once[@]}" -s best-of-n:n=8,scorer=self-certainty
}
facts() { # simple questions, where reasoning may not be needed
  "$PONDER" eval benchmarks/facts.jsonl "${common[@]}" -b 2k --report "$TO/auto_facts.html" \
    -s direct -s direct:shots=0 -s chain-of-thought -s chain-of-thought:shots=0 -s zero-shot-cot -s chain-of-draft \
    -s auto:policy=default,direct=3
}

for part in "${@:-sums basic words facts}"; do for one in $part; do "$one"; done; done
