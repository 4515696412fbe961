"""`auto` in the simulated world: how near to the best choice for each difficulty, and what it saves against best-of-n.

    python benchmarks/auto_simulated.py [--limit 10000]

`ponder calibrate` tries single strategies by themselves and after the probe; each half of the problems is judged by what
the other half taught. It goes on where it was stopped, and prints what was claimed: within a point of the best single
strategy for each fifth of true difficulty, which is an oracle; and the share of best-of-n's tokens.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from ponder import config
from ponder.cli.calibrating import Calibration
from ponder.cli.evaluating import load, opened
from ponder.evals.calibration import Bins, figures, levels
from ponder.evals.stats import accuracy, compare
from ponder.strategies import parse

MODEL, BUDGET = "simulated:skill=0.35", "8k"
SCORER = str(config.scorers()["simulated:auc=0.75"])
BEST_OF = f"best-of-n:n=64,scorer=({SCORER}),selection=weighted"
TRIED = (f"beam-search:n=8,scorer=({SCORER})", BEST_OF, "chain-of-thought")


def main(limit: int) -> None:
    command = [
        "calibrate",
        "simulated",
        "-m",
        MODEL,
        "-b",
        BUDGET,
        "--scorer",
        SCORER,
        "-o",
        "auto-simulated",
    ]
    command += ["--limit", str(limit), *(word for text in TRIED for word in ("-s", text))]
    ended = subprocess.run([sys.executable, "-m", "ponder", *command], check=False)
    if ended.returncode:
        sys.exit(ended.returncode)
    items = [item for task in load(["simulated"], [str(limit)], [], 0) for item in task.items]
    asked = Calibration(items, [BUDGET], TRIED, 4, SCORER)
    with opened(config.settings(), None) as run:
        measured = levels(run, asked.budgets, asked.follow(0), asked.alone)
    [level] = measured
    best_of = level.alone(str(parse(BEST_OF)))
    print(f"\n{len(level.items):,} problems (simulated)\n\n| strategy | right | tokens |\n|---|---|---|")
    for j, name in enumerate(level.arms[level.follow :], level.follow):
        told(name, level.right[:, j].tolist(), level.tokens[:, j].mean())
    for bins in (1, 3):
        [judged] = figures(measured, Bins(bins), asked.vote)
        told(f"auto, bins of difficulty: {bins}", judged.auto.by_item.tolist(), judged.auto.tokens)
        rows = [
            dict(zip(level.items, ([float(v)] for v in values), strict=True))
            for values in (
                judged.auto.by_item,
                level.right[:, best_of],
                judged.auto.spent,
                level.tokens[:, best_of],
            )
        ]
        found = compare(rows[0], rows[1], (rows[2], rows[3]))
        less, low, high = (
            found.difference.value,
            found.difference.interval.low,
            found.difference.interval.high,
        )
        print(
            f"auto less best-of-64: {100 * less:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}) at "
            f"{found.tokens[0] / found.tokens[1]:.2f} of its tokens; oracle {judged.oracle.right.value:.3f}, at "
            f"{judged.oracle.tokens:.0f}"
        )


def told(name: str, right: list[float], tokens: float) -> None:
    about = accuracy({str(i): [value] for i, value in enumerate(right)})
    print(
        f"| {name} | {about.value:.3f} ({about.interval.low:.3f} to {about.interval.high:.3f}) | {tokens:.0f} |"
    )


if __name__ == "__main__":
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--limit", type=int, default=10_000)
    main(words.parse_args().limit)
