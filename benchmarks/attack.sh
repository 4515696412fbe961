#!/usr/bin/env bash
# Attacks on the 0.5B model by compute. Each part goes on where it was stopped.
#
#     benchmarks/attack.sh [PART [PROBLEMS]]
#
# sums        many-shot, two goals, three strengths, four budgets of thinking; makes docs/evidence/attack.html
# products    many-shot on multiplication, one more than right
# think-less  the same examples as sums, and a request not to think
# page        instructions within a page
# policy      a policy that leaves open whom to believe
# rule        a rule with an exception that is claimed
# samples     sums, with compute as the number of samples that vote
# soft        vectors found with the gradients of a folder of weights, MODEL=path
# red-team    the model attacks itself, 8 attempts a problem
set -euo pipefail
cd "$(dirname "$0")/.."
part=${1:-sums}
think=(--think 8 --think 32 --think 96)
vote=self-consistency:max_tokens=96,shots=0 # worked examples before the question outweigh the attack
case $part in
sums) words=(addition --goal 42 --goal times-seven --strength 0 --strength 2 --strength 8 "${think[@]}" --think 192 --report docs/evidence/attack.html) ;;
products) words=(multiplication --goal plus-one --strength 0 --strength 2 --strength 8 "${think[@]}") ;;
think-less) words=(addition --attack think-less --goal 42 --strength 2 --strength 8 "${think[@]}") ;;
page | policy | rule) words=("$part" --strength 0 --strength 1 --strength 4 "${think[@]}") ;;
samples) words=(addition --goal 42 --strength 2 --strength 8 -s "$vote,n=1" -s "$vote,n=4" -s "$vote,n=16") ;;
soft)
    words=(addition --attack soft-tokens --goal 42 --strength 0 --strength 1 --strength 4 --steps 48 --think 8 --think 32
        -s budget-forcing:waits=0,max_thinking=96,max_answer=48)
    ;;
red-team) words=(addition --attack red-team --goal 42 --attempts 8 --think 8 --think 96) ;;
*) sed -n '2,/^set/p' "$0" | grep '^#' && exit 2 ;;
esac
problems=${2:-$([ "$part" = sums ] && echo 60 || echo 20)}
exec "${PONDER:-.venv/bin/ponder}" attack "${words[@]}" -m "${MODEL:-qwen2.5-coder-0.5b}" --limit "$problems" --yes
