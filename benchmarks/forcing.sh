#!/bin/sh
# Sequential against parallel on the 0.5B model: budget forcing with 0, 1, 2 and 4 nudges, rejection sampling, votes, and
# adaptive stopping. About 0.6 million tokens, which the arms share; the same command goes on where it was stopped.
#
#     benchmarks/forcing.sh                # 100 sums of three two-digit terms, 50 of three one-digit terms
#     benchmarks/forcing.sh --limit 3      # a trial
set -eu
cd "$(dirname "$0")/.."
[ "$#" -gt 0 ] || set -- --limit 100 --limit 50
REPORT=docs/evidence/forcing.html
case "$*" in "--limit 100 --limit 50") ;; *) REPORT=forcing-trial.html ;; esac

set -- "$@" -s budget-forcing:waits=0,max_thinking=1024
for nudge in Wait Hmm none; do
    for waits in 1 2 4; do
        set -- "$@" -s "budget-forcing:waits=$waits,nudge=$nudge,max_thinking=1024"
    done
done
for limit in 64 96 128; do
    set -- "$@" -s "rejection-sampling:limit=$limit,n=16,max_thinking=1024"
done
for n in 1 4 16 40; do
    set -- "$@" -s "self-consistency:n=$n"
done
exec "${PONDER:-.venv/bin/ponder}" eval \
    chain_sum:min_terms=3,max_terms=3,min_digits=2,max_digits=2 \
    chain_sum:min_terms=3,max_terms=3,min_digits=1,max_digits=1 \
    "$@" -s adaptive-consistency:n=40 -b 16k -m "${MODEL:-qwen2.5-coder-0.5b}" --yes --report "$REPORT"
