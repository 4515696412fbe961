"""Direct answers against reasoning on simple questions: `benchmarks/auto.sh facts`, graded in two ways.

    python benchmarks/facts.py RUN

"exact" is the evaluation's own grade, for which "The capital of France is Paris" is not "Paris". "held" also counts an
answer that holds the right one, or an alias, as whole words; every strategy is graded alike. No model is needed.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from ponder import config
from ponder.cli.past import measured
from ponder.evals.stats import accuracy, compare

if TYPE_CHECKING:
    from ponder.evals.values import Item

BASE = "direct:shots=0"


def holds(item: Item, answer: str | None) -> bool:
    """Whether the answer holds what is right; symbols of one or two letters as they are written."""
    golds = [item.gold or "", *item.meta.get("aliases", ())]
    return any(
        re.search(rf"(?<!\w){re.escape(gold)}(?!\w)", answer or "", 0 if len(gold) < 3 else re.IGNORECASE)
        for gold in golds
    )


def main(run: str) -> None:
    study = measured(config.settings(), run)
    exact: dict[str, dict[str, list[float]]] = {}
    held: dict[str, dict[str, list[float]]] = {}
    tokens: dict[str, dict[str, list[float]]] = {}
    for o in study.outcomes:
        exact.setdefault(o.arm.strategy, {})[o.item] = [float(bool(o.correct))]
        held.setdefault(o.arm.strategy, {})[o.item] = [
            float(bool(o.correct) or holds(study.items[o.item], o.answer))
        ]
        tokens.setdefault(o.arm.strategy, {})[o.item] = [float(o.usage.completion)]
    print(f"| strategy | held, 95 % | exact | tokens | held, less {BASE}, points |\n|---|---|---|---|---|")
    for name, found in held.items():
        about = accuracy(found)
        less = compare(found, held[BASE], (tokens[name], tokens[BASE])).difference
        print(
            f"| {name} | {100 * about.value:.0f} %, {100 * about.interval.low:.0f} to {100 * about.interval.high:.0f} | "
            f"{100 * accuracy(exact[name]).value:.0f} % | {sum(v[0] for v in tokens[name].values()) / len(found):.0f} | "
            f"{100 * less.value:+.0f} ({100 * less.interval.low:+.0f} to {100 * less.interval.high:+.0f}) |"
        )


if __name__ == "__main__":
    main(sys.argv[1])
