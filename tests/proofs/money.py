"""Budgets and seeds, under whatever timing and faults."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING

from laws import test_strategies as laws
from support import Flaky, attempt, nodes, virtual

from ponder import AllFailed, EngineError
from ponder.strategies import CATALOGUE, parse
from proofs import Figure, row

if TYPE_CHECKING:
    from pathlib import Path

    from proofs import Tier

KINDS = ("{}", "calls={}", "total={}", "{},1s", "{}s")


@row(
    "R14",
    "A budget of tokens, calls or all tokens is never overrun, not by one, under random strategies, delays, faults and engines "
    "that cannot be stopped; and the receipt is what the engine counted",
    "0 overruns, 0 receipts that differ, 0 other errors than named ones",
)
def budgets(folder: Path, tier: Tier) -> Figure:
    del folder
    cases, chance = 10_000 if tier == "N" else 2_000, random.Random(4)
    found = [_case(chance) for _ in range(cases)]
    wrong = [complaint for complaints, _ in found for complaint in complaints]
    return Figure(
        f"{cases:,} runs of {len(CATALOGUE)} strategies ({sum(error for _, error in found):,} ended in a named error): "
        f"{len(wrong)} wrong" + "".join(f"; {complaint}" for complaint in wrong[:3]),
        held=not wrong,
    )


def _case(chance: random.Random) -> tuple[list[str], bool]:
    """One run by chance: what was wrong, and whether it ended in a named error."""
    name = chance.choice(sorted(CATALOGUE))
    limit = chance.choice((0, 1, 2, 7, 13, 40, 64, 65, 100, 300, 1000))
    budget = chance.choice(KINDS).format(limit)
    without = chance.choice((set(), set(), {"streams", "stoppable"}))
    if without & parse(name).needs:
        without = set()
    engine = laws.solver(delay=chance.choice(list(laws.DELAYS.values())), without=without)
    share = chance.choice((0.0, 0.0, 0.2, 1.0))
    asked = Flaky(engine, share, chance.randrange(10**6)) if share else engine
    run = partial(attempt, name, asked, budget, seed=chance.randrange(10**6))
    try:
        result, _ = virtual(run)
    except (EngineError, AllFailed):
        return [], True
    except Exception as error:  # noqa: BLE001 - it is what is looked for
        return [f"{name} @ {budget}: {type(error).__name__}"], False
    usage, wrong = result.usage, []
    used = {"calls": usage.calls, "total": usage.total}.get(budget.partition("=")[0], usage.completion)
    if not budget.endswith("s") or "," in budget:
        wrong += [f"used {used}"] * (used > limit)
    counted = engine.completion_tokens
    if without:  # what a call that was cut off wrote unseen is not known: all it might have is charged
        counted = max(counted, usage.completion)
    wrong += ["receipt"] * (not share and usage.completion != counted)
    wrong += ["still running"] * (engine.in_flight != 0)
    return [f"{name} @ {budget}: {what}" for what in wrong], False


@row(
    "R28",
    "The same seed gives the same tree, votes and answer, whatever the timing, on an engine that is deterministic",
    "0 trees that differ, over 50 random timings of every strategy (10 in tier C)",
)
def timings(folder: Path, tier: Tier) -> Figure:
    del folder
    clocks = 50 if tier == "N" else 10
    differ = []
    for name in sorted(CATALOGUE):
        trees = set()
        for clock in range(clocks):
            chance = random.Random(clock)
            engine = laws.solver(
                delay=lambda prefix, rng, chance=chance: chance.choice([0, 0, 0.01, 1.0]),
                latency=lambda prefix, rng, chance=chance: chance.random(),
            )
            result, events = virtual(attempt, name, engine, None)
            used = {c.path.place for c in result.choice.candidates} | {result.choice.path.place}
            trees.add((tuple(n for n in nodes(events) if n[0] in used), result.answer, result.choice.votes))
        differ += [name] * (len(trees) > 1)
    return Figure(
        f"{len(CATALOGUE)} strategies x {clocks} timings: {len(differ)} differ"
        + "".join(f"; {name}" for name in differ),
        held=not differ,
    )
