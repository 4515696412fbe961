"""What taking back wrong lines buys, beside parallel sampling at the same tokens: self-backtracking on Countdown.

    pip install -e '.[training]'
    python benchmarks/backtracking.py FOLDER

Trains two models of half a million parameters into FOLDER, where they are not there yet: one on solutions and on
mistakes that are taken back, one on solutions alone, with as many examples. Then every arm attempts the same problems,
and arms that draw the same samples share them. Prints the tables of docs/evidence/backtracking.md.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from ponder import config
from ponder.engines.transformers import Transformers
from ponder.evals.countdown import Puzzle, Verifier, check
from ponder.evals.harness import Evaluation
from ponder.evals.plan import Plan
from ponder.evals.stats import accuracy, compare, measured, right
from ponder.evals.study import item_body, study
from ponder.evals.values import Arm
from ponder.runtime.equality import Equality
from ponder.store import RunFile, RunWriter
from ponder.strategies import parse
from ponder.training.recipe import SMALL, Recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.evals.countdown import Split
    from ponder.evals.values import Item, Outcome

SHORT = "max_tokens=24"
"""A solution of three numbers has 14 tokens."""

PARALLEL = (8, 12, 16, 20, 24, 32, 40, 48)
"""Samples of the control: with one round nothing is taken back, and it is best-of-n by log-probability."""

BACKTRACKING = [f"self-backtracking:b={b},k={k},{SHORT}" for b in (2, 3) for k in (8, 16)]
CONTROL = [f"self-backtracking:b=1,k={k},{SHORT}" for k in PARALLEL]
OTHERS = [
    f"direct:{SHORT}",
    f"self-consistency:n=16,top_k=0,{SHORT}",
    f"self-backtracking:b=1,k=16,agg=sum,{SHORT}",
    f"self-backtracking:b=1,k=16,agg=logsumexp,{SHORT}",
    f"self-backtracking:b=2,k=16,agg=logsumexp,{SHORT}",
]
BUDGET = "16k"
RECIPES = {"backtracking": Recipe(), "solutions": Recipe(share=0.0)}
ARMS = {"backtracking": [*OTHERS, *CONTROL, *BACKTRACKING], "solutions": [*OTHERS[:2], OTHERS[3], *CONTROL]}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where the two models are, or go")
    parser.add_argument("--problems", type=int, default=200, help="of each kind of target")
    given = parser.parse_args()
    for name, recipe in RECIPES.items():
        folder = given.folder / name
        if not (folder / "config.json").exists():
            print(f"Training {folder}", flush=True)
            recipe.save(folder)
        for split in ("seen", "new"):
            measure(name, folder, split, given.problems)


def measure(name: str, folder: Path, split: Split, problems: int) -> None:
    """One table."""
    items = SMALL.items(split, problems)
    arms = [Arm(strategy, BUDGET) for strategy in ARMS[name]]
    engine = Transformers.load(folder, device="cpu", sequences=64)
    with tempfile.TemporaryDirectory() as runs:
        outcomes, generated = anyio.run(attempted, Plan(tuple(items), tuple(arms)), engine, Path(runs))
    engine.close()
    print(f"\n### Trained on {name}, {split} targets, {problems} problems\n")
    print(
        "| strategy | right | 95 % interval | tokens | not reached | wrong arithmetic | number not there | other |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for strategy in ARMS[name]:
        print(row(strategy, outcomes[strategy], items))
    print(f"\n{generated:,} tokens were generated.")
    for strategy in BACKTRACKING if name == "backtracking" else ():
        print(beside(strategy, outcomes))


async def attempted(plan: Plan, engine: Transformers, runs: Path) -> tuple[dict[str, list[Outcome]], int]:
    """Outcomes by strategy, and the tokens that were really generated."""
    writer = RunWriter.create(runs, meta={"evaluation": {"seeds": list(plan.seeds)}})
    for item in plan.items:
        writer.item(item.problem.id, item_body(item))
    evaluation = Evaluation(
        plan,
        {"solver": engine},
        writer=writer,
        grader=Verifier(),
        equality=Equality(),
        scorers=config.scorers(),
    )
    await evaluation.run()
    writer.close()
    with RunFile.open(writer.path) as file:
        outcomes = study(file).outcomes
    spelt = {
        str(parse(arm.strategy)): arm.strategy for arm in plan.arms
    }  # files leave out what is the default
    found: dict[str, list[Outcome]] = {arm.strategy: [] for arm in plan.arms}
    for outcome in outcomes:
        found[spelt[outcome.arm.strategy]].append(outcome)
    return found, evaluation.tally.generated


def row(strategy: str, outcomes: Sequence[Outcome], items: Sequence[Item]) -> str:
    """How one arm did, and what was wrong first with what it chose."""
    puzzles = {item.problem.id: Puzzle.read(item.problem.question) for item in items}
    faults = Counter(check(puzzles[o.item], o.answer or "") for o in outcomes)
    found = accuracy(right(outcomes))
    shares = [faults[f] / len(outcomes) for f in ("not reached", "computation", "rule")]
    shares.append(max(0.0, 1 - found.value - sum(shares)))
    return (
        " | ".join(
            [
                f"| {strategy.removesuffix(',' + SHORT).removesuffix(':' + SHORT)}",
                f"{found.value:.1%}",
                f"{found.interval.low:.0%} to {found.interval.high:.0%}",
                f"{tokens(outcomes):.0f}",
                *(f"{share:.1%}" for share in shares),
            ]
        ).replace("%", " %")
        + " |"
    )


def tokens(outcomes: Sequence[Outcome]) -> float:
    """Mean completion tokens of an attempt."""
    return sum(o.usage.completion for o in outcomes) / len(outcomes)


def beside(strategy: str, outcomes: dict[str, list[Outcome]]) -> str:
    """The arm beside the control of the nearest cost, on the same problems."""
    spent = tokens(outcomes[strategy])
    control = min(CONTROL, key=lambda other: abs(tokens(outcomes[other]) - spent))
    both = outcomes[strategy], outcomes[control]
    costs = [measured(found, lambda o: o.usage.completion) for found in both]
    found = compare(right(both[0]), right(both[1]), (costs[0], costs[1]))
    low, high = found.difference.interval.low, found.difference.interval.high
    names = [
        text.removeprefix("self-backtracking:").removesuffix("," + SHORT) for text in (strategy, control)
    ]
    return (
        f"* {names[0]} at {spent:.0f} tokens less {names[1]} at {tokens(both[1]):.0f}: "
        f"{100 * found.difference.value:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}), "
        f"{found.wins} problems won, {found.losses} lost, p = {found.p:.2f}"
    )


if __name__ == "__main__":
    main()
