"""Sharing out what a search may extend: who is kept, how often each is extended, who is drawn again."""

from __future__ import annotations

import bisect
import itertools
import math
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Sequence

T = TypeVar("T")


def top(values: Sequence[float], k: int) -> list[int]:
    """Indices of the `k` highest values, highest first; ties go to who came first."""
    return sorted(range(len(values)), key=lambda i: -values[i])[: max(0, k)]


def distinct(items: Iterable[T], what: Callable[[T], str]) -> list[T]:
    """The first of those that are the same."""
    first: dict[str, T] = {}
    for item in items:
        first.setdefault(what(item), item)
    return list(first.values())


def spread(places: int, among: int) -> list[int]:
    """`places` shared out as evenly as whole numbers allow; the first get one more (10 among 4: 3, 3, 2, 2)."""
    return [places // among + (i < places % among) for i in range(among)]


def rebase(rewards: Sequence[float], budget: int, temperature: float = 0.2) -> list[int]:
    """How often REBASE extends each node (Wu et al. 2024, 2408.00724): `budget` in all.

    From the highest reward down, n_i = ceil(B_left * e^(R_i/T) / sum_left), then n_i and e^(R_i/T) are taken off.
    A node with 0 dies. A temperature of 0 gives all to the highest.
    """
    if not rewards:
        return []
    best = max(rewards)
    shares = [
        math.exp((reward - best) / temperature) if temperature else float(reward == best)
        for reward in rewards
    ]
    given = [0] * len(rewards)
    ranked = top(rewards, len(rewards))
    for at, i in enumerate(ranked):
        left = math.fsum(
            shares[j] for j in ranked[at:]
        )  # taking off what is spent would leave rounding errors
        if budget <= 0 or not left:
            break
        given[i] = min(budget, math.ceil(budget * shares[i] / left - 1e-9))
        budget -= given[i]
    return given


def odds(values: Sequence[float], edge: float = 1e-7) -> list[float]:
    """The weights of particles, which sum to 1: softmax(logit(value)), so in proportion to v / (1 - v).

    Values of 0 and 1 are taken `edge` inwards (Puri et al. 2025, 2502.01618: .9 and .5 weigh .9 and .1).
    """
    clipped = [min(max(value, edge), 1 - edge) for value in values]
    ratios = [value / (1 - value) for value in clipped]
    whole = math.fsum(ratios)
    return [ratio / whole for ratio in ratios]


def resample(weights: Sequence[float], n: int, rng: random.Random) -> list[int]:
    """`n` indices, drawn independently and with replacement in proportion to their weights."""
    sums = list(itertools.accumulate(weights))
    return [bisect.bisect_right(sums, rng.random() * sums[-1], 0, len(sums) - 1) for _ in range(n)]
