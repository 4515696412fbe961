"""What `benchmarks/auto.sh` found, as tables: auto against the best single strategy, and policies on other tasks.

    python benchmarks/auto_figures.py RUN...

RUN are the evaluations of `ponder calibrate`, one for each task, whose ids stand in their reports. No model is needed.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ponder import config
from ponder.cli.past import opened
from ponder.evals.calibration import Bins, figures, learn, levels
from ponder.evals.stats import compare
from ponder.strategies import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from ponder.evals.calibration import Figures, Level
    from ponder.evals.stats import Estimate

SIGNS = ("agreement", "confidence", "length")
"""Those that mean the same on every task: the scorer is another one."""


def measured(run: str) -> tuple[str, list[Level], str]:
    """The task, what was measured within each budget, and the vote."""
    with opened(config.settings(), run) as file:
        about = file.meta()["evaluation"]
        budgets = list(dict.fromkeys(budget for _, budget in about["arms"]))
        names = list(dict.fromkeys(strategy for strategy, _ in about["arms"]))
        tried: dict[str, Any] = {name: parse(name) for name in names}
        follow = {str(tried[name].then): name for name in names if name.startswith("auto")}
        alone = [name for name in names if not name.startswith("auto")]
        return about["tasks"][0], levels(file, budgets, follow, alone), list(follow)[1]


def share(about: Estimate) -> str:
    return f"{100 * about.value:.1f} %, {100 * about.interval.low:.0f} to {100 * about.interval.high:.0f}"


def points(about: Estimate) -> str:
    return f"{100 * about.value:+.1f} ({100 * about.interval.low:+.1f} to {100 * about.interval.high:+.1f})"


def budgets(task: str, judged: Sequence[Figures]) -> None:
    print(
        f"\n{task}\n\n| budget | auto | tokens | best single | tokens | auto less single, points | vote | oracle |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for one in judged:
        print(
            f"| {one.budget} | {share(one.auto.right)} | {one.auto.tokens:.0f} | {share(one.single.right)}: {one.single.name} | "
            f"{one.single.tokens:.0f} | {points(one.over_single.difference)} | {100 * one.majority.right.value:.1f} % at "
            f"{one.majority.tokens:.0f} | {100 * one.oracle.right.value:.1f} % |"
        )


def transfer(tasks: dict[str, list[Level]], vote: str) -> None:
    """Each policy on every task; its own by cross-fitting. Strategies and budgets are those that all have."""
    common = set.intersection(*(set(level.arms) for found in tasks.values() for level in found))
    within = set.intersection(*({level.budget for level in found} for found in tasks.values()))
    same = {
        task: [level.among(common) for level in found if level.budget in within]
        for task, found in tasks.items()
    }
    print(
        f"\nPolicies of {len(common)} strategies on other tasks\n\n| task | budget | its own | learnt on | is right | tokens | loses, points |"
    )
    print("|---|---|---|---|---|---|---|")
    for task, found in same.items():
        own = figures(found, Bins(), vote, signs=SIGNS)
        for other, taught in same.items():
            if other == task:
                continue
            policy = learn(taught, Bins(), SIGNS)
            for level, mine in zip(found, own, strict=True):
                right, spent = policy.outcome(level)
                lost = compare(
                    by_item(level, mine.auto.by_item), by_item(level, right),
                    (by_item(level, mine.auto.spent), by_item(level, spent)),
                )  # fmt: skip
                print(
                    f"| {task} | {level.budget} | {100 * mine.auto.right.value:.1f} % at {mine.auto.tokens:.0f} | {other} | "
                    f"{100 * right.mean():.1f} % | {spent.mean():.0f} | {points(lost.difference)} |"
                )


def by_item(level: Level, values: np.ndarray[Any, Any]) -> dict[str, list[float]]:
    return {item: [float(value)] for item, value in zip(level.items, values, strict=True)}


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("runs", nargs="+", metavar="RUN")
    tasks: dict[str, list[Level]] = {}
    for run in asked.parse_args().runs:
        task, found, vote = measured(run)
        tasks[task] = found
        budgets(task, figures(found, Bins(), vote))
    if len(tasks) > 1:
        transfer(tasks, vote)
