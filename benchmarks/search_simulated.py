"""Searches in the simulated world, where the noise of the scorer is known: one `ponder eval`, and tables from its run.

    python benchmarks/search_simulated.py [--limit 10000]

It prints the command, goes on where it was stopped, and then prints the tables of docs/evidence/search_simulated.md.
10,000 problems take about 25 minutes of one core; of fewer that are done already, the tables are of those.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections import defaultdict
from typing import TYPE_CHECKING

from ponder import config
from ponder.cli.past import opened
from ponder.evals.stats import accuracy, compare
from ponder.strategies import parse

if TYPE_CHECKING:
    from ponder.evals.stats import Attempts, Comparison
    from ponder.store import RunFile

N, WIDTH = 4, 2  # the paper's M = sqrt(N)
NOISE = (0.95, 0.75, 0.55)  # how often the scorer prefers a right path to a wrong one
MIDDLE = NOISE[1]
LEVELS = ((0.0, 0.5, "easy"), (0.5, 0.75, "middling"), (0.75, 1.0, "hard"))


def arms() -> dict[str, str]:
    """Label -> strategy. All of them write about as much; lookahead has half the beams for its roll-outs."""
    found = {"majority vote": f"self-consistency:n={N},temperature=0.8,top_k=0"}
    for auc in NOISE:
        by = f"scorer=simulated:auc={auc}"
        found[f"best-of-n {auc}"] = f"best-of-n:n={N},{by},selection=weighted,style=steps"
        found[f"beam search {auc}"] = f"beam-search:n={N},width={WIDTH},{by}"
    by = f"scorer=simulated:auc={MIDDLE}"
    found[f"lookahead {MIDDLE}"] = f"lookahead:k=1,n={N // 2},width={WIDTH},{by}"
    found[f"dvts {MIDDLE}"] = f"dvts:n={N},width={WIDTH},{by}"
    found[f"rebase {MIDDLE}"] = f"rebase:n={N},{by}"
    found[f"particles {MIDDLE}"] = f"particle-filtering:n={N},{by}"
    return found


def command(limit: int) -> list[str]:
    strategies = [word for strategy in arms().values() for word in ("-s", strategy)]
    return [
        "eval",
        "simulated",
        "-m",
        "simulated:skill=0.35",
        "--limit",
        str(limit),
        *strategies,
        "-b",
        "16k",
    ]


class Figures:
    """Right or not, and tokens, of each arm at each problem that every arm has tried."""

    def __init__(self, run: RunFile) -> None:
        labels = {str(parse(strategy)): label for label, strategy in arms().items()}
        grades = run.grades()
        self.right: dict[str, dict[str, list[float]]] = defaultdict(dict)
        self.tokens: dict[str, dict[str, list[float]]] = defaultdict(dict)
        for row in run.attempts():
            if row.usage is not None and "" in (graded := grades.get(row.id, {})):
                self.right[labels[row.strategy]][row.problem] = [float(bool(graded[""]))]
                self.tokens[labels[row.strategy]][row.problem] = [float(row.usage.completion)]
        self.levels = {name: float(body["level"]) for name, body in run.items().items()}
        self.items = set.intersection(*(set(tried) for tried in self.right.values()))

    def share(self, label: str, low: float, high: float) -> str:
        about = accuracy(self._within(self.right[label], low, high))
        return f"{about.value:.3f} ({about.interval.low:.3f} to {about.interval.high:.3f})"

    def mean_tokens(self, label: str) -> float:
        return sum(self.tokens[label][item][0] for item in self.items) / len(self.items)

    def gain(self, label: str, other: str, low: float, high: float) -> Comparison:
        one, two = (self._within(self.right[name], low, high) for name in (label, other))
        spent = self._within(self.tokens[label], low, high), self._within(self.tokens[other], low, high)
        return compare(one, two, spent)

    def _within(self, values: Attempts, low: float, high: float) -> Attempts:
        return {item: values[item] for item in sorted(self.items) if low <= self.levels[item] < high}


def row(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |")


def tables(figures: Figures) -> None:
    print(
        f"\n{len(figures.items):,} problems; a level has those from its first difficulty up to its second\n"
    )
    row("arm", *(f"{name}, {low:g} to {high:g}" for low, high, name in LEVELS), "all", "tokens")
    row(*["---"] * (len(LEVELS) + 3))
    for label in arms():
        shares = [figures.share(label, low, high) for low, high, _ in (*LEVELS, (0.0, 1.01, "all"))]
        row(label, *shares, f"{figures.mean_tokens(label):.0f}")
    print("\npaired differences in points\n")
    row("first less second", *(name for *_, name in LEVELS), "all", "tokens")
    row(*["---"] * (len(LEVELS) + 3))
    pairs = [(f"beam search {auc}", f"best-of-n {auc}") for auc in NOISE]
    pairs += [
        (f"{name} {MIDDLE}", f"beam search {MIDDLE}") for name in ("lookahead", "dvts", "rebase", "particles")
    ]
    for label, other in pairs:
        found = [figures.gain(label, other, low, high) for low, high, _ in (*LEVELS, (0.0, 1.01, "all"))]
        told = [
            f"{100 * c.difference.value:+.1f} ({100 * c.difference.interval.low:+.1f} "
            f"to {100 * c.difference.interval.high:+.1f})"
            for c in found
        ]
        row(f"{label}, {other}", *told, f"{found[-1].tokens[0]:.0f}, {found[-1].tokens[1]:.0f}")


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--limit", type=int, default=10_000)
    words = command(asked.parse_args().limit)
    print(shlex.join(["ponder", *words]))
    ended = subprocess.run([sys.executable, "-m", "ponder", *words], check=False)
    if ended.returncode not in (0, 130):
        sys.exit(ended.returncode)
    with opened(config.settings(), None) as file:  # events are not needed, and would take minutes to read
        tables(Figures(file))
