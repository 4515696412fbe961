"""Successive allocation: a budget for many problems together, spent where the vote gains most.

Every problem gets a few samples. Then, round by round, a part of what is left goes to those whose vote is expected to
gain most by it (`thinking.batches`): the easy ones, which agree, and the hopeless ones, in which no answer has a share worth
speaking of, get no more. A round's attempt is the strategy with a larger n: the samples of the rounds before come from
the pool, so that the last attempt at a problem is charged for all that was spent on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ponder.core.calls import Budget
from ponder.core.errors import UsageError
from ponder.evals.plan import Job, Plan
from ponder.evals.values import Arm
from ponder.strategies import parse
from ponder.thinking.batches import Tally, allocate, gain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ponder.evals.plan import Shown
    from ponder.evals.values import Item

PARALLEL: Final = ("self-consistency", "best-of-n", "adaptive-consistency", "early-stopping")
"""Strategies whose n samples are drawn side by side, so that a larger n only adds some."""
START: Final = 2
"""Samples of each problem in the first round."""
PART: Final = 0.25
"""Of what is left, that a round may spend; all of it once it is less than `LAST` of the whole."""
LAST: Final = 0.05
AHEAD: Final = 16
"""Samples that are looked ahead, and the most that a round adds to a problem."""
ASIDE: Final = 1.25
"""Times the longest sample so far: what is set aside for a new one. What is not spent comes back."""

NOTHING: Final = Tally(0, 0, 0)


def successive(
    items: Sequence[Item], strategies: Sequence[str], total: str, seeds: Sequence[int]
) -> Successive:
    """The plan of it.

    Args:
        items: problems.
        strategies: each of which has the total for itself, for each seed.
        total: completion tokens for all problems together.
        seeds: of the attempts.

    Raises:
        UsageError: the total does not limit completion tokens and nothing else, or pays for none, or a strategy cannot
            be added to.

    """
    budget = Budget.parse(total)
    if budget.tokens is None or budget != Budget(tokens=budget.tokens):
        raise UsageError(f"A total budget is one of completion tokens, for example 60k, and not {total!r}.")
    if not budget.tokens:
        raise UsageError(
            "A total budget of 0 completion tokens pays for nothing; give as many as all problems are to cost together."
        )
    for text in strategies:
        if (name := parse(text).name) not in PARALLEL:
            raise UsageError(
                f"{name} draws no samples that others can be added to, so it cannot share a total budget. "
                f"These can: {', '.join(PARALLEL)}."
            )
    return Successive(tuple(items), tuple(Arm(text, str(budget)) for text in strategies), tuple(seeds))


@dataclass(frozen=True, slots=True)
class Successive(Plan):
    """What is to be attempted where each arm's budget is one for all items together."""

    asks: ClassVar[bool] = True

    def jobs(self) -> Iterator[Job]:
        """Nothing is known beforehand."""
        return iter(())

    def over(self, finished: frozenset[tuple[str, str, str, int]]) -> bool:  # noqa: ARG002
        """Only going through the rounds shows it."""
        return False

    def rounds(self, shown: Callable[[Job], Shown | None]) -> Iterator[Sequence[Job]]:
        """Each round's jobs; `shown` is asked about them afterwards, and has None for those that broke."""
        batches = [_Batch(self.items, arm, seed) for arm in self.arms for seed in self.seeds]
        while begun := [(batch, job) for batch in batches for job in batch.round()]:
            yield [job for _, job in begun]
            for batch, job in begun:
                batch.settle(job, shown(job))


@dataclass(slots=True)
class _State:
    """Of one problem in a batch: samples asked for, what they showed, and whether more may be asked for."""

    n: int = 0
    seen: Tally = NOTHING
    longest: int = 0
    spent: int = 0
    open: bool = True


class _Batch:
    """One arm and seed on all items: what was spent, and the next round."""

    def __init__(self, items: Sequence[Item], arm: Arm, seed: int) -> None:
        self._items = {item.problem.id: item for item in items}
        self._strategy: Any = parse(arm.strategy)
        self._seed = seed
        self._total = Budget.parse(arm.budget).tokens or 0
        self._arm = Arm(arm.strategy, f"{arm.budget} in all", arm.oracle)
        self._states = {name: _State() for name in self._items}
        self._began = False

    @property
    def left(self) -> int:
        return self._total - sum(state.spent for state in self._states.values())

    def round(self) -> list[Job]:
        """What is attempted next; nothing once no more can be gained or paid for.

        Each attempt's budget is what was spent on the problem and what is set aside for it now, and no more is set aside
        than there is: so the total is never overrun.
        """
        if not self._began:
            self._began = True
            share = self._total // len(self._items)
            return [self._job(name, min(START, self._strategy.n), share) for name in self._items if share]
        left = self.left
        part = left * PART if left > self._total * LAST else left
        found = self._most_worth(part) or self._most_worth(left)
        jobs = []
        for name, more in found.items():
            state = self._states[name]
            aside = min(left, math.ceil(more * state.longest * ASIDE))
            if aside < state.longest:  # would not pay for one
                break
            left -= aside
            jobs.append(self._job(name, state.n + more, state.spent + aside))
        return jobs

    def _most_worth(self, tokens: float) -> dict[str, int]:
        """Whose vote gains most by so many tokens, and how many more samples each gets."""
        able = [
            (name, state) for name, state in self._states.items() if state.open and state.n < self._strategy.n
        ]
        values = [
            [gain(state.seen, more) for more in range(min(AHEAD, self._strategy.n - state.n) + 1)]
            for _, state in able
        ]
        costs = [max(1, state.spent) / max(1, state.n) for _, state in able]
        units = allocate(values, costs, tokens)
        return {name: more for (name, _), more in zip(able, units, strict=True) if more}

    def _job(self, name: str, n: int, budget: int) -> Job:
        arm = Arm(str(replace(self._strategy, n=n)), str(Budget(tokens=budget)))
        return Job(arm, self._items[name], self._seed, self._arm)

    def settle(self, job: Job, shown: Shown | None) -> None:
        """Take in what an attempt has shown. Where it broke, or stopped by itself, nothing more is asked."""
        state = self._states[job.item.problem.id]
        if shown is None:
            state.open = False
            return
        tried: Any = parse(job.arm.strategy)
        n = tried.n
        stopped = len(shown.keys) < n and shown.tokens < (Budget.parse(job.arm.budget).tokens or 0)
        self._states[job.item.problem.id] = _State(
            n, Tally.of(shown.keys), shown.longest, shown.tokens, not stopped
        )
