"""What the runtime adds to a call: 1,000 concurrent `run.extend` against 1,000 bare `engine.extend`.

    python benchmarks/runtime.py

Target: at most 100 microseconds a call.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import anyio

from ponder import Budget, Problem, Sampling
from ponder.engines.scripted import Scripted
from ponder.runtime.equality import Equality
from ponder.runtime.solve import solve
from ponder.thinking.prompts import ask

if TYPE_CHECKING:
    from ponder.core.events import Event
    from ponder.core.prefix import Prefix
    from ponder.core.protocols import Ability, Run

N, ROUNDS = 1000, 9
PROBLEM = Problem.of("What is 6 * 7?")


@dataclass(frozen=True)
class Wide:
    """One `each` of N calls: what a strategy does, with nothing else."""

    name: ClassVar[str] = "wide"
    paper: ClassVar[str] = ""
    needs: ClassVar[frozenset[Ability]] = frozenset()

    async def solve(self, problem: Problem, run: Run) -> Prefix:
        prompt = ask(problem)

        async def one(_: int) -> Prefix:
            return await run.extend(prompt)

        return (await run.each(one, range(N)))[0]


async def bare(engine: Scripted) -> float:
    prompt = ask(PROBLEM)
    started = time.perf_counter()
    async with anyio.create_task_group() as group:
        for i in range(N):
            group.start_soon(engine.extend, prompt, Sampling(seed=i))
    return time.perf_counter() - started


async def full(engine: Scripted, budget: Budget | None, *, traced: bool) -> float:
    events: list[Event] = []
    started = time.perf_counter()
    await solve(
        PROBLEM,
        Wide(),
        {"solver": engine},
        equality=Equality(),
        budget=budget,
        watchers=[events.append] if traced else (),
    )
    return time.perf_counter() - started


async def main() -> None:
    engine = Scripted({"42": 1.0})
    alone = statistics.median([await bare(engine) for _ in range(ROUNDS)])
    print(f"bare engine.extend                 {alone / N * 1e6:7.1f} us a call")
    for label, budget, traced in (
        ("run.extend", None, False),
        ("run.extend, traced", None, True),
        ("run.extend, traced, under a budget", Budget(tokens=10**6), True),
    ):
        times = [await full(engine, budget, traced=traced) for _ in range(ROUNDS)]
        median = statistics.median(times)
        print(f"{label:34} {median / N * 1e6:7.1f} us a call: {(median - alone) / N * 1e6:6.1f} us added")


if __name__ == "__main__":
    anyio.run(main)
