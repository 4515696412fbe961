"""One budget for many problems: what more samples of each are worth, and who gets them."""

from __future__ import annotations

import heapq
import math
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PRIOR: Final = 1.0
"""Samples that the leading answer, the second one and all others are each credited with before any is seen."""


class Tally(NamedTuple):
    """How the samples of one problem voted."""

    first: int
    second: int
    rest: int

    @classmethod
    def of(cls, keys: Iterable[str | None]) -> Tally:
        """Of samples' answers; one without an answer is among the rest."""
        counts: dict[str, int] = {}
        n = 0
        for key in keys:
            n += 1
            if key is not None:
                counts[key] = counts.get(key, 0) + 1
        first, second, *_ = *sorted(counts.values(), reverse=True), 0, 0
        return cls(first, second, n - first - second)


@lru_cache(maxsize=1 << 16)
def gain(seen: Tally, more: int) -> float:
    """By how much the vote's expected share rises with `more` samples.

    The shares of the leading answer, of the second one and of all others are taken to be Dirichlet with `PRIOR` each,
    and an answer to be right as often as its share says, which is what is known without right answers. The vote's value
    is then the share that its answer is expected to have, and that rises only where the second overtakes the first:
    by E[(second - first)+] / (n + more + 3 PRIOR), both counted after the new samples. So it is nothing where all
    agree, little where no answer has a share worth speaking of, and most where two are close.
    """
    first, second, rest = seen
    lead = first - second
    ahead = 0.0
    for among in range(lead + 1, more + 1):  # of the new samples, those that are for one of the two
        told = _beta_binomial(among, more, first + second + 2 * PRIOR, rest + PRIOR)
        ahead += told * sum(
            (2 * new - among - lead) * _beta_binomial(new, among, second + PRIOR, first + PRIOR)
            for new in range((among + lead) // 2 + 1, among + 1)
        )
    return ahead / (first + second + rest + more + 3 * PRIOR)


def allocate(values: Sequence[Sequence[float]], costs: Sequence[float], total: float) -> list[int]:
    """How many units each problem gets, for the largest sum of values: by marginal value for money.

    Each goes along the upper concave hull of its own values, so that a step which pays only together with the next is
    not missed. Where values are concave and costs equal, this is the optimum of the knapsack; else it is the optimum for
    what it spends, and what is left would not have paid for its next step. What gains nothing is not bought.

    Args:
        values: of each problem, what 0, 1, 2, ... units are worth.
        costs: of a unit, above 0.
        total: that may be spent.

    """
    steps: list[tuple[float, int, int]] = []
    for i, worth in enumerate(values):
        hull = concave(worth)
        for at, to in pairwise(hull):
            steps.append((-(worth[to] - worth[at]) / ((to - at) * costs[i]), i, to))
    heapq.heapify(steps)
    units = [0] * len(values)
    closed: set[int] = set()
    while steps:
        slope, i, to = heapq.heappop(steps)
        price = (to - units[i]) * costs[i]
        if i in closed or slope >= 0:
            continue
        if price > total:
            closed.add(i)  # its later steps are worth less than this one
            continue
        total -= price
        units[i] = to
    return units


def concave(values: Sequence[float]) -> list[int]:
    """The corners of the smallest concave curve that is nowhere below these values, up to the highest of them."""
    end = max(range(len(values)), key=lambda j: (values[j], -j))
    hull: list[int] = []
    for j in range(end + 1):
        while len(hull) > 1 and _slope(values, hull[-2], hull[-1]) <= _slope(values, hull[-1], j):
            hull.pop()
        hull.append(j)
    return hull


def _slope(values: Sequence[float], at: int, to: int) -> float:
    return (values[to] - values[at]) / (to - at)


def _beta_binomial(k: int, n: int, a: float, b: float) -> float:
    """The chance of k in n, where the chance of one is Beta(a, b)."""
    return math.comb(n, k) * math.exp(_log_beta(k + a, n - k + b) - _log_beta(a, b))


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
