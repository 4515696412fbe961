"""One report of several evaluations: the same arms on different problems, or other arms on the same, measured one by one.

    python benchmarks/joined.py RUN RUN ... --report FILE [--command "what would measure all of it"] [--whole]

Of a run that was stopped, `--whole` takes the problems that every arm attempted. Prints, for each arm, how often it was right and what it cost, and the differences from the second arm, paired by problem.
"""

from __future__ import annotations

import argparse
import shlex
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ponder import config
from ponder.cli.past import measured, table
from ponder.cli.terminal import out
from ponder.evals.report import render
from ponder.evals.stats import compare

if TYPE_CHECKING:
    from ponder.evals.values import Study


def joined(studies: list[Study]) -> Study:
    """The studies as one; what each generated is summed."""
    first, *others = studies
    for other in others:
        twice = _tried(first) & _tried(other)
        if twice or other.model != first.model:
            raise SystemExit("Join evaluations of one model on different problems, or of different arms.")
        first = replace(
            first,
            name=f"{first.name}+{other.name}",
            items={**first.items, **other.items},
            outcomes=[*first.outcomes, *other.outcomes],
            generated=first.generated + other.generated,
            samples={**first.samples, **other.samples},
        )
    return first


def whole(study: Study) -> Study:
    """The problems that every arm attempted to the end."""
    arms = {outcome.arm for outcome in study.outcomes}
    study = replace(study, outcomes=[outcome for outcome in study.outcomes if outcome.stop != "cancelled"])
    tried = Counter(item for item, _, _ in _tried(study))
    items = {name: item for name, item in study.items.items() if tried[name] == len(arms)}
    return replace(
        study,
        items=items,
        outcomes=[outcome for outcome in study.outcomes if outcome.item in items],
        samples={name: of_item for name, of_item in study.samples.items() if name in items},
    )


def _tried(study: Study) -> set[tuple[str, str, str]]:
    return {(outcome.item, outcome.arm.strategy, outcome.arm.budget) for outcome in study.outcomes}


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("runs", nargs="+")
    asked.add_argument("--report")
    asked.add_argument("--command")
    asked.add_argument(
        "--base", action="append", help="the arm that others are compared with; else the second"
    )
    asked.add_argument("--whole", action="store_true", help="the problems that every arm attempted")
    given = asked.parse_args()
    study = joined([measured(config.settings(), run) for run in given.runs])
    if given.whole:
        study = whole(study)
    if given.command:
        study = replace(study, command=shlex.split(given.command))
    out().print(table(study))
    right: dict[str, dict[str, list[bool]]] = {}
    tokens: dict[str, dict[str, list[float]]] = {}
    for outcome in study.outcomes:
        if outcome.correct is not None:
            right.setdefault(outcome.arm.strategy, {}).setdefault(outcome.item, []).append(outcome.correct)
            tokens.setdefault(outcome.arm.strategy, {}).setdefault(outcome.item, []).append(
                float(outcome.usage.completion)
            )
    for base in given.base or list(right)[1:2]:
        for arm, of_arm in right.items():
            if arm != base:
                found = compare(of_arm, right[base], (tokens[arm], tokens[base]))
                low, high = found.difference.interval.low, found.difference.interval.high
                print(
                    f"{arm} over {base}: {100 * found.difference.value:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}), "
                    f"{found.wins} won, {found.losses} lost, p = {found.p:.3f}"
                )
    if given.report:
        Path(given.report).write_text(render(study), "utf-8", "replace")


if __name__ == "__main__":
    main()
