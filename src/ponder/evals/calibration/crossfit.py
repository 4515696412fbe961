"""What a policy is worth on problems that it was not learnt on: two halves, each judged by what the other taught."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ponder.core.errors import UsageError
from ponder.evals.calibration.learning import LEAST, best, learn
from ponder.evals.stats.clusters import share
from ponder.evals.stats.optimal import quantile_bins
from ponder.evals.stats.paired import compare
from ponder.thinking.difficulty import Signs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ponder.evals.calibration.learning import Bins
    from ponder.evals.calibration.measured import Level
    from ponder.evals.stats.clusters import Estimate
    from ponder.evals.stats.paired import Comparison

    Array = NDArray[np.float64]

OF_ORACLE: Final = 5
"""Bins of true difficulty, as in 2408.03314."""


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """What a way to choose gave within one budget, on problems that did not choose.

    Args:
        name: of the strategy, or of the two that either half chose.
        right: share of right answers.
        tokens: completion tokens a question.
        by_item: 1 for right, shape (items,).
        spent: tokens, likewise.

    """

    name: str
    right: Estimate
    tokens: float
    by_item: Array
    spent: Array


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """One budget.

    Args:
        budget: completion tokens a question.
        items: problem ids behind the figures.
        auto: the policy.
        single: the one strategy that was best.
        majority: a vote, whatever the difficulty.
        oracle: the best strategy for each true difficulty, in hindsight: no method, for it knows the answers. Of those
            that are equally good, the cheapest.
        gain: of the policy over the vote.
        over_single: of the policy over the best single strategy.
        beat: strategies that are better than the vote on these problems, beyond chance.
        best: the one strategy that is best on all of these problems, and so what to ask for where `single` is used.
        dearest: completion tokens of the dearest attempt, whatever was tried.
        always: the strategy of the policy that all of these problems teach, where it is the same for every difficulty.

    """

    budget: int
    items: tuple[str, ...]
    auto: Figure
    single: Figure
    majority: Figure
    oracle: Figure
    gain: Comparison
    over_single: Comparison
    beat: tuple[str, ...]
    best: str
    dearest: int
    always: str | None = None

    @property
    def problems(self) -> int:
        return len(self.items)

    @property
    def use(self) -> Figure:
        """What to use: the policy or the best single strategy, the better one beyond chance, else the cheaper one."""
        gain = self.over_single.difference.interval
        if gain.low > 0 or gain.high < 0:
            return self.auto if gain.low > 0 else self.single
        return self.auto if self.auto.tokens < self.single.tokens else self.single

    @property
    def strategy(self) -> str | None:
        """What to ask for, to use that; None: the policy itself, which asks a probe first."""
        return self.best if self.use is self.single else self.always

    @property
    def settled(self) -> bool:
        """Whether both halves of the problems preferred the same single strategy."""
        return " / " not in self.single.name


def halves(items: Sequence[str], seed: int = 0) -> NDArray[np.bool_]:
    """A half of the items, by chance: an item is on the same side within every budget."""
    order = np.random.default_rng(seed).permutation(len(items))
    half = np.zeros(len(items), dtype=np.bool_)
    half[order[: len(items) // 2]] = True
    return half


def figures(
    levels: Sequence[Level], bins: Bins, vote: str, seed: int = 0, signs: Sequence[str] = Signs._fields
) -> list[Figures]:
    """What policies, the best single strategy and the vote are worth, by two-fold cross-fitting.

    Args:
        levels: one for each budget.
        bins: of difficulty.
        vote: the strategy that is the majority vote, one of those tried by themselves.
        seed: of the halves.
        signs: that difficulty is estimated from.

    Raises:
        UsageError: there are too few problems to halve.

    """
    names = sorted({item for level in levels for item in level.items})
    if len(names) < 2 * LEAST:
        raise UsageError(
            f"{len(names)} problems are too few to learn a policy from and to judge it; give {2 * LEAST} or more."
        )
    first = {item for item, is_in in zip(names, halves(names, seed), strict=True) if is_in}
    sides = [np.array([item in first for item in level.items]) for level in levels]
    auto = [(np.zeros(len(level.items)), np.zeros(len(level.items))) for level in levels]
    single = [np.zeros(len(level.items), dtype=np.int_) for level in levels]
    for flip in (False, True):
        learnt = learn(
            [level.only(side ^ flip) for level, side in zip(levels, sides, strict=True)], bins, signs
        )
        for i, (level, side) in enumerate(zip(levels, sides, strict=True)):
            judged = ~(side ^ flip)
            auto[i][0][judged], auto[i][1][judged] = learnt.outcome(level.only(judged))
            taught = level.only(side ^ flip)
            single[i][judged] = best(
                taught, np.ones(len(taught.items), np.bool_), arms=range(len(level.arms))
            )
    return [
        _figures(level, _told("auto", *got), one, vote)
        for level, got, one in zip(levels, auto, single, strict=True)
    ]


def _figures(level: Level, auto: Figure, single: NDArray[np.int_], vote: str) -> Figures:
    one = _figure(level, single)
    votes = _figure(level, np.full(len(level.items), level.alone(vote)))
    every = [_figure(level, np.full(len(level.items), arm)) for arm in range(len(level.arms))]
    easy = np.where(np.isnan(level.easy), level.right.mean(axis=1), level.easy)
    return Figures(
        level.budget,
        level.items,
        auto,
        one,
        votes,
        _figure(level, _hindsight(level, 1 - easy)),
        _compared(level, auto, votes),
        _compared(level, auto, one),
        tuple(
            dict.fromkeys(
                arm.name for arm in every if _compared(level, arm, votes).difference.interval.low > 0
            )
        ),
        level.arms[best(level, np.ones(len(level.items), np.bool_), arms=range(len(level.arms)))],
        int(level.tokens.max()),
    )


def _hindsight(level: Level, hard: Array) -> NDArray[np.int_]:
    """The best arm of each bin of true difficulty, for each item."""
    bins = np.array(quantile_bins(hard.tolist(), OF_ORACLE))
    chosen = np.zeros(len(level.items), dtype=np.int_)
    for b in np.unique(bins):
        right, spent = level.right[bins == b].mean(axis=0), level.tokens[bins == b].mean(axis=0)
        chosen[bins == b] = min(range(len(right)), key=lambda arm: (-float(right[arm]), float(spent[arm])))
    return chosen


def _figure(level: Level, arms: NDArray[np.int_]) -> Figure:
    rows = np.arange(len(arms))
    named = " / ".join(dict.fromkeys(level.arms[arm] for arm in np.unique(arms)))
    return _told(named, level.right[rows, arms], level.tokens[rows, arms])


def _told(name: str, right: Array, spent: Array) -> Figure:
    return Figure(name, share(right, len(right), len(right), 0.95), float(spent.mean()), right, spent)


def _compared(level: Level, one: Figure, other: Figure) -> Comparison:
    right, spent = (
        [_attempts(level.items, x) for x in pair]
        for pair in ((one.by_item, other.by_item), (one.spent, other.spent))
    )
    return compare(right[0], right[1], (spent[0], spent[1]), draws=2000)


def asked(judged: Sequence[Figures]) -> dict[str | None, list[int]]:
    """What to ask for (see `Figures.strategy`) -> the budgets that it is for."""
    found: dict[str | None, list[int]] = {}
    for one in judged:
        found.setdefault(one.strategy, []).append(one.budget)
    return found


def more(one: Figures, larger: Figures) -> bool:
    """Whether what is used within the larger budget is better, beyond chance, on the problems that both have."""
    attempts = [_attempts(figure.items, figure.use.by_item) for figure in (larger, one)]
    spent = [_attempts(figure.items, figure.use.spent) for figure in (larger, one)]
    return compare(attempts[0], attempts[1], (spent[0], spent[1]), draws=2000).difference.interval.low > 0


def _attempts(items: Sequence[str], values: Array) -> dict[str, tuple[float]]:
    return {item: (float(value),) for item, value in zip(items, values, strict=True)}
