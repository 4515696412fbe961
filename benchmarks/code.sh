#!/usr/bin/env bash
# S* beside its baselines on programming problems, on the 0.5B coder: one pool of 8 programs a problem that all arms share.
# Needs bubblewrap (apt install bubblewrap) and a file with rows as HumanEval has them. Goes on where it was stopped.
#
#     benchmarks/code.sh humaneval.jsonl            writes docs/evidence/code.html
#     LIMIT=1-40 benchmarks/code.sh humaneval.jsonl     a part; two of them may run side by side, and benchmarks/joined.py
#                                                   makes one report of both
#     DEBUG=1 benchmarks/code.sh humaneval.jsonl    the arms with one and two rounds of debugging, too: twice as long; the
#                                                   report is code_debugging.html
#     PONDER_ENGINE=openvino                        two to three times as fast on x86
set -euo pipefail
file=$(realpath "${1:?Name a file with rows as HumanEval has them.}")
cd "$(dirname "$0")/.."
: "${LIMIT:=80}" "${TO:=docs/evidence}" "${DEBUG:=}"
how=temperature=0.7,max_tokens=400
arms=(-s "self-consistency:n=1,top_k=0,$how" -s "self-consistency:n=8,top_k=0,$how" -s "best-of-n:n=8,$how"
  -s "s-star:n=8,rounds=1,selection=public,$how" -s "s-star:n=8,rounds=1,selection=majority,$how"
  -s "s-star:n=8,rounds=1,selection=judge,$how" -s "s-star:n=8,rounds=1,$how")
report=code.html
if [ -n "$DEBUG" ]; then
  report=code_debugging.html
  for rounds in 2 3; do
    arms+=(-s "s-star:n=1,rounds=$rounds,selection=public,$how" -s "s-star:n=8,rounds=$rounds,selection=public,$how"
      -s "s-star:n=8,rounds=$rounds,selection=majority,$how" -s "s-star:n=8,rounds=$rounds,$how")
  done
fi
.venv/bin/ponder eval "$file" --limit "$LIMIT" -b 64k -m qwen2.5-coder-0.5b --yes --report "$TO/$report" "${arms[@]}"
