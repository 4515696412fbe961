"""`auto` in the simulated world: how near to the best choice for each difficulty, and what it saves against best-of-n.

    python benchmarks/auto_simulated.py [--limit 10000]

`ponder calibrate` tries single strategies within several budgets, by themselves and after the probe; each half of the
problems is judged by what the other half taught, and the probe is counted. `ponder eval` draws 64 samples of each
problem, in which best-of-n for every n is found again. Both go on where they were stopped. Printed are accuracy over
tokens of both, the tokens that auto needs for the accuracy of best-of-n as a share of best-of-n's, and the best
strategy for each fifth of true difficulty in hindsight, which is an oracle. All of that again without greedy chains:
best-of-n has none, and in this world they are good and cheap.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ponder import config
from ponder.cli.calibrating import Calibration
from ponder.cli.evaluating import load
from ponder.core import events as e
from ponder.core.prefix import Prefix, Prompt
from ponder.core.protocols import Candidate
from ponder.evals.calibration import Bins, direct_answers, figures, levels
from ponder.evals.stats import accuracy, compare, equal_accuracy
from ponder.store import RunFile
from ponder.strategies import parse
from ponder.thinking.votes import select

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ponder.evals.calibration import Level
    from ponder.evals.values import Item

    Array = NDArray[np.float64]

MODEL, BUDGETS, WIDE = "simulated:skill=0.35", ("250", "500", "2k"), 16
SCORER = str(config.scorers()["simulated:auc=0.75"])
BEST_OF = str(parse(f"best-of-n:n=64,scorer=({SCORER}),selection=weighted"))
TRIED = (f"beam-search:n=8,scorer=({SCORER})", "chain-of-thought")
NS = (1, 2, 4, 8, 16, 32, 64)
PORTION = 1000
"""Problems in one run file: what a laptop holds in memory, and what can be told of before all is done."""
PLAIN = Prefix(Prompt(()))


def main(limit: int) -> None:
    portions = [portion(start, min(limit, start + PORTION)) for start in range(0, limit, PORTION)]
    asked = portions[0].asked
    measured = [joined(levels) for levels in zip(*(one.measured for one in portions), strict=True)]
    wide = {
        n: (
            np.concatenate([one.wide[n][0] for one in portions]),
            np.concatenate([one.wide[n][1] for one in portions]),
        )
        for n in NS
    }
    print(
        f"\n{len(measured[0].items):,} problems (simulated)\n\n| best-of-n, n | right | tokens |\n|---|---|---|"
    )
    for n, (right, tokens) in wide.items():
        print(f"| {n} | {share(right)} | {tokens.mean():,.0f} |")
    greedy = str(parse("chain-of-thought"))
    told("all strategies", measured, asked, wide)
    told("without greedy chains", [m.among({*m.arms} - {greedy}) for m in measured], asked, wide)


class Portion(NamedTuple):
    """Some of the problems: what was asked of them, what was measured within each budget, and best-of-n by n."""

    asked: Calibration
    measured: list[Level]
    wide: dict[int, tuple[Array, Array]]


def portion(start: int, stop: int) -> Portion:
    """Measured now, or before."""
    limit = f"{start + 1}-{stop}"
    shared = ["simulated", "-m", MODEL, "--limit", limit]
    words = ["--scorer", SCORER, "--wide", str(WIDE), "-o", "auto-simulated"]
    for name, texts in (("-b", BUDGETS), ("-s", TRIED)):
        words += [word for text in texts for word in (name, text)]
    ponder("calibrate", *shared, *words)
    ponder("eval", *shared, "-b", "8k", "-s", BEST_OF)
    items = [item for task in load(["simulated"], [limit], [], 0) for item in task.items]
    asked = Calibration(items, BUDGETS, TRIED, 4, SCORER, WIDE)
    with made_of(items, asked.quick) as run:
        quick = direct_answers(run, asked.quick)
        measured = levels(run, asked.budgets, asked.follow(0), asked.alone, quick=quick)
    with made_of(items, BEST_OF) as run:
        return Portion(asked, measured, narrower(run, measured[0].items))


def joined(parts: Sequence[Level]) -> Level:
    """The same strategies within the same budget at more problems."""
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("right", "tokens", "contested", "signs", "easy", "quick", "values")
    }
    return replace(parts[0], items=tuple(item for part in parts for item in part.items), **arrays)


def ponder(*words: str) -> None:
    ended = subprocess.run([sys.executable, "-m", "ponder", *words], check=False, stdout=subprocess.DEVNULL)
    if ended.returncode:
        sys.exit(ended.returncode)


def made_of(items: Sequence[Item], arm: str) -> RunFile:
    """The newest evaluation of these items with this arm."""
    found: list[tuple[float, Path]] = []
    wanted = {item.problem.id for item in items}
    for path in config.settings().runs.glob("*.sqlite"):
        with RunFile.open(path) as run:
            about = run.meta()
            arms = {strategy for strategy, _ in about.get("evaluation", {}).get("arms", ())}
            if arm in arms and run.items().keys() == wanted:
                found.append((about["created"], path))
    return RunFile.open(max(found)[1])


def narrower(run: RunFile, items: Sequence[str]) -> dict[int, tuple[Array, Array]]:
    """By n, right and tokens of each item, were there no more samples than n: the first n are the same."""
    graded, rows = run.grades(), {row.problem: row for row in run.attempts(strategy=BEST_OF)}
    found: dict[int, list[tuple[float, float]]] = {n: [] for n in NS}
    for item in items:
        row = rows[item]
        events = run.events(row.id, (e.Extended, e.Answered, e.Scored))
        spent = {event.place: event.usage.completion for event in events if isinstance(event, e.Extended)}
        read = next(event.answers for event in events if isinstance(event, e.Answered))
        values = next(event.values for event in events if isinstance(event, e.Scored))
        correct = {answer: graded[row.id].get(place) for place, answer, _ in read}
        candidates = [Candidate(PLAIN, answer, key) for _, answer, key in read]
        tokens = np.cumsum([spent[place] for place, _, _ in read])
        for n in NS:
            of = min(n, len(read))  # in a few problems 8,000 tokens pay for fewer than 64
            answer = select(candidates[:of], values[:of], "weighted").answer
            found[n].append((float(bool(correct.get(answer))), float(tokens[of - 1])))
        if found[NS[-1]][-1][0] != float(bool(graded[row.id][""])):
            raise SystemExit(f"The choice among all samples of {item} is not what the attempt chose.")
    return {
        n: (np.array([r for r, _ in pairs]), np.array([t for _, t in pairs])) for n, pairs in found.items()
    }


def told(
    what: str, measured: Sequence[Level], asked: Calibration, wide: dict[int, tuple[Array, Array]]
) -> None:
    for bins in (1, 3):
        judged = figures(measured, Bins(bins), asked.vote)
        print(
            f"\n{what}, bins of difficulty: {bins}\n\n| budget | auto | tokens | best single | tokens | auto less it, points | oracle | tokens |"
        )
        print("|---|---|---|---|---|---|---|---|")
        for one in judged:
            print(
                f"| {one.budget:,} | {share(one.auto.by_item)} | {one.auto.tokens:,.0f} | {share(one.single.by_item)}: "
                f"{one.single.name} | {one.single.tokens:,.0f} | {points(one.auto.by_item, one.single.by_item)} | "
                f"{100 * one.oracle.right.value:.1f} % | {one.oracle.tokens:,.0f} |"
            )
        last = judged[-1]
        print(
            f"\nauto less the oracle at {last.budget:,}: {points(last.auto.by_item, last.oracle.by_item)} points"
        )
        line = (
            np.column_stack([j.auto.by_item for j in judged]),
            np.column_stack([j.auto.spent for j in judged]),
        )
        print(
            "\n| as right as best-of-n, n | tokens auto needs | of best-of-n's | share, 95 % |\n|---|---|---|---|"
        )
        for n, point in wide.items():
            ratio = equal_accuracy(line, point)
            most = "at most " if ratio.at_most else ""
            print(
                f"| {n} | {most}{ratio.tokens:,.0f} | {ratio.of:,.0f} | {most}{ratio.value:.3f}, {ratio.interval.low:.3f} to "
                f"{ratio.interval.high:.3f} |"
            )


def share(right: Array) -> str:
    about = accuracy({str(i): [value] for i, value in enumerate(right.tolist())})
    return f"{100 * about.value:.1f} %, {100 * about.interval.low:.1f} to {100 * about.interval.high:.1f}"


def points(one: Array, other: Array) -> str:
    rows = [{str(i): [value] for i, value in enumerate(values.tolist())} for values in (one, other)]
    found = compare(rows[0], rows[1], (rows[0], rows[1]), draws=2000).difference
    return f"{100 * found.value:+.1f} ({100 * found.interval.low:+.1f} to {100 * found.interval.high:+.1f})"


if __name__ == "__main__":
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--limit", type=int, default=10_000)
    main(words.parse_args().limit)
