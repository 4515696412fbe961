"""`auto` in the simulated world: how near to the best choice for each difficulty, and what it saves against best-of-n.

    python benchmarks/auto_simulated.py [--limit 10000]

One half of the problems teaches a policy (`ponder calibrate`); on the other half `auto` follows it, beside single
strategies and best-of-n at 1, 4, 16 and 64 samples. It goes on where it was stopped, and prints what was claimed:
within a point of the best single strategy for each fifth of true difficulty, which is an oracle; and the tokens that
best-of-n needs to be as good.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import TYPE_CHECKING

from ponder import config
from ponder.cli.evaluating import measured
from ponder.evals.stats import accuracy, compare, compute_optimal, quantile_bins
from ponder.strategies import parse

if TYPE_CHECKING:
    from ponder.evals.stats import Attempts

MODEL, BUDGET = "simulated:skill=0.35", "8k"
SCORER = "simulated:auc=0.75"
POLICY = "auto-simulated"
TRIED = (f"beam-search:n=8,scorer=({SCORER})", f"best-of-n:n=64,scorer=({SCORER}),selection=weighted")
BEST_OF = {n: str(parse(f"best-of-n:n={n},scorer=({SCORER}),selection=weighted")) for n in (1, 4, 16, 64)}
SINGLE = [str(parse(text)) for text in (*TRIED, "self-consistency:n=64", "chain-of-thought", "direct")]
AUTO = str(parse(f"auto:policy={POLICY},scorer=({SCORER})"))


def commands(limit: int) -> list[list[str]]:
    learn = ["calibrate", "simulated", "-m", MODEL, "-b", BUDGET, "--scorer", SCORER, "-o", POLICY]
    learn += ["--limit", str(limit // 2), *(word for text in TRIED for word in ("-s", text))]
    judge = ["eval", "simulated", "-m", MODEL, "-b", BUDGET, "--limit", f"{limit // 2 + 1}-{limit}"]
    arms = dict.fromkeys([AUTO, *SINGLE, *BEST_OF.values()])
    return [learn, judge + [word for text in arms for word in ("-s", text)]]


def figures() -> None:
    study = measured(config.settings(), None)
    right: dict[str, dict[str, list[float]]] = {}
    tokens: dict[str, dict[str, list[float]]] = {}
    for o in study.outcomes:
        if o.correct is not None:
            right.setdefault(o.arm.strategy, {})[o.item] = [float(o.correct)]
            tokens.setdefault(o.arm.strategy, {})[o.item] = [float(o.usage.completion)]
    items = sorted(set.intersection(*(set(tried) for tried in right.values())))
    levels = [study.items[item].level or 0.0 for item in items]
    print(f"\n{len(items):,} problems (simulated)\n\n| strategy | right | tokens |\n|---|---|---|")
    for name, by_item in right.items():
        about = accuracy({item: by_item[item] for item in items})
        spent = mean(tokens[name], items)
        print(
            f"| {name} | {about.value:.3f} ({about.interval.low:.3f} to {about.interval.high:.3f}) | {spent:.0f} |"
        )
    table = [[right[name][item][0] for name in SINGLE] for item in items]
    oracle = compute_optimal(table, quantile_bins(levels, 5))
    mine = mean(right[AUTO], items)
    print(
        f"\noracle, the best single strategy of each fifth in hindsight: {oracle.hindsight:.3f}; auto {mine:.3f}"
    )
    for n, name in BEST_OF.items():
        found = compare(right[AUTO], right[name], (tokens[AUTO], tokens[name]))
        print(
            f"auto less best-of-{n}: {100 * found.difference.value:+.1f} points "
            f"({100 * found.difference.interval.low:+.1f} to {100 * found.difference.interval.high:+.1f}) "
            f"at {found.tokens[0] / found.tokens[1]:.2f} of its tokens"
        )


def mean(values: Attempts, items: list[str]) -> float:
    return sum(values[item][0] for item in items) / len(items)


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--limit", type=int, default=10_000)
    for words in commands(asked.parse_args().limit):
        ended = subprocess.run([sys.executable, "-m", "ponder", *words], check=False)
        if ended.returncode:
            sys.exit(ended.returncode)
    figures()
