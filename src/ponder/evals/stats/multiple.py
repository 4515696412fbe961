"""Many comparisons at once: what is left of a p when many were looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ponder.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


def holm(ps: Sequence[float]) -> tuple[float, ...]:
    """Adjusted ps that hold the chance of even one false claim (Holm 1979), in the order given.

    With the ps in rising order, p~_i = max over j <= i of min(1, (m - j + 1) p_j). Claim where p~ <= 0.05: then the
    chance of any false claim among the m is at most 0.05, however the comparisons depend on each other.

    Raises:
        UsageError: a p is not within [0, 1].

    """
    order = _rising(ps)
    adjusted = [0.0] * len(ps)
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[i]))
        adjusted[i] = largest
    return tuple(adjusted)


def benjamini_hochberg(ps: Sequence[float]) -> tuple[float, ...]:
    """Adjusted ps that hold the share of false claims among all claims (Benjamini & Hochberg 1995).

    With the ps in rising order, p~_i = min over j >= i of min(1, m p_j / j), in the order given. It promises less
    than `holm` and finds more; it is valid where comparisons are independent or depend positively, as arms
    compared with one and the same baseline do.

    Raises:
        UsageError: a p is not within [0, 1].

    """
    order = _rising(ps)
    adjusted = [0.0] * len(ps)
    smallest = 1.0
    for rank in range(len(ps), 0, -1):
        i = order[rank - 1]
        smallest = min(smallest, len(ps) * ps[i] / rank)
        adjusted[i] = smallest
    return tuple(adjusted)


def _rising(ps: Sequence[float]) -> list[int]:
    """Indices of the ps, smallest first."""
    for p in ps:
        if not 0 <= p <= 1:
            raise UsageError(f"{p} is no p-value; give numbers from 0 to 1.")
    return sorted(range(len(ps)), key=ps.__getitem__)
