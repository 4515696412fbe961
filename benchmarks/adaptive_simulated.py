"""Adaptive stopping against 40 samples on problems of the simulated world: what it saves, and what it costs.

    python benchmarks/adaptive_simulated.py [--limit 10000]

It prints the table of docs/evidence/adaptive_simulated.md, in a minute or two. The answers are drawn from each problem's exact
distribution (`evals.simulated.theory`) and not token by token, and stopped by the rule that the strategy asks
(`thinking.votes.beta`). Both arms see the same draws, as they do in `ponder eval`. Tokens are samples times the mean
length of the problem's samples, which is exact in the mean: when to stop is decided by what was drawn
before (Wald's identity).
"""

from __future__ import annotations

import argparse
import random

from ponder.core.calls import Sampling
from ponder.core.prefix import Prefix, Prompt
from ponder.core.protocols import Candidate
from ponder.evals.simulated import Simulated, theory
from ponder.evals.stats import accuracy, compare
from ponder.strategies import AdaptiveConsistency
from ponder.strategies.adaptive_consistency import THRESHOLDS
from ponder.thinking.votes import beta, majority

RULE = AdaptiveConsistency()
HOW = Sampling(temperature=RULE.temperature, top_k=RULE.top_k)
SKILLS = (0.034, 0.569)  # one sample is right on 44.4 % and 85 % of the problems
WRONG = (1, 2, 3, 5, 6, 8, 10, 24)
SURE = (0.95, 0.97)  # the paper's threshold, and one that five equal answers in a row reach, and four do not
PATH = Prefix(Prompt(raw=""))


def attempt(
    shares: dict[str, float], chance: random.Random, sure: float = THRESHOLDS[RULE.rule]
) -> tuple[str | None, str | None, int]:
    """The answer of the rule, that of all samples, and how many the rule drew."""
    drawn = [Candidate(PATH, a, a) for a in chance.choices([*shares], [*shares.values()], k=RULE.n)]
    k = next((k for k in range(4, RULE.n) if beta(drawn[:k]) >= sure), RULE.n)
    return majority(drawn[:k]).answer, majority(drawn).answer, k


def measure(skill: float, limit: int) -> str:
    """A row of the table."""
    model = Simulated.named(f"simulated:skill={skill}")
    chance = random.Random(0)
    single, few, all_, spent, whole = 0.0, {}, {}, {}, {}
    for index in range(limit):
        puzzle = model.world.puzzle(index)
        chain = model.chain(puzzle)
        name = puzzle.problem.id
        shares = theory.answers(chain, HOW)
        length = theory.length(chain, HOW)
        single += shares.get(puzzle.gold, 0.0) / limit
        early, late, k = attempt(shares, chance)
        few[name], all_[name] = [float(early == puzzle.gold)], [float(late == puzzle.gold)]
        spent[name], whole[name] = [k * length], [RULE.n * length]
    between = compare(few, all_, (spent, whole)).difference
    tokens, most = sum(v[0] for v in spent.values()), sum(v[0] for v in whole.values())
    cells = [
        f"{skill:g}",
        f"{single:.3f}",
        f"{accuracy(all_).value:.4f}",
        f"{accuracy(few).value:.4f}",
        f"{100 * between.value:+.2f} ({100 * between.interval.low:+.2f} to {100 * between.interval.high:+.2f})",
        f"{most / limit:,.0f}",
        f"{tokens / limit:,.0f}",
        f"{1 - tokens / most:.1%}",
    ]
    return f"| {' | '.join(cells)} |"


def alike(p: float, wrong: int, sure: float, times: int) -> str:
    """What is saved where every problem is the same: one sample right with `p`, and so many wrong answers alike.

    Where samples come singly; and where they are paid for in whole blocks, as if none were cancelled in flight.
    """
    shares = {"right": p} | {str(i): (1 - p) / wrong for i in range(wrong)}
    chance = random.Random(0)
    drawn = [attempt(shares, chance, sure)[2] for _ in range(times)]
    whole = [min(RULE.n, -(-k // RULE.block) * RULE.block) for k in drawn]
    return " / ".join(f"{1 - sum(k) / times / RULE.n:.1%}" for k in (drawn, whole))


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--limit", type=int, default=10_000)
    limit = asked.parse_args().limit
    heads = ["skill", "one sample", f"{RULE.n} samples", "adaptive", "difference, points (95 %)"]
    heads += [f"tokens, {RULE.n} samples", "tokens, adaptive", "saved"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for skill in SKILLS:
        print(measure(skill, limit), flush=True)
    heads = ["one sample", "sure", *(f"{n} wrong answer{'s' if n > 1 else ''}" for n in WRONG)]
    print(f"\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for p in (0.444, 0.85):
        for sure in SURE:
            cells = (alike(p, n, sure, limit) for n in WRONG)
            print(f"| {p} | {sure} | {' | '.join(cells)} |", flush=True)
