"""Cascades out of what was measured: a cheap strategy before the best one, where a scorer is sure of its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ponder.strategies import Cascade, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from ponder.evals.calibration.measured import Level

    Array = NDArray[np.float64]

FEW: Final = 5
"""Values of a verifier at most, each of which may be the one to be sure of; of a scorer with more it is a quantile."""
QUANTILES: Final = (0.1, 0.25, 0.5, 0.75, 0.9)


class Outcome(NamedTuple):
    """Of each item whether a strategy by itself is right, and its tokens."""

    right: Array
    tokens: Array


def outcome(level: Level, strategy: str) -> Outcome:
    """Of a strategy by itself: one that was tried, or a cascade of two that were.

    Nobody tried the cascade. Where the two together need more than the budget, the first answer is taken to stand and
    the budget to be spent, which is the worst that can come of it.
    """
    cascade = parse(strategy)
    if strategy not in level.arms[level.follow :] and isinstance(cascade, Cascade):
        first, then = level.alone(str(cascade.first)), level.alone(str(cascade.then))
        return _joined(level, first, then, cascade.tau)
    arm = level.alone(strategy)
    return Outcome(level.right[:, arm], level.tokens[:, arm])


def _joined(level: Level, first: int, then: int, tau: float) -> Outcome:
    sure = level.values[:, first] >= tau  # not where there is no value
    both = level.tokens[:, first] + level.tokens[:, then]
    paid = (both <= level.budget) if level.budget else np.ones(len(both), dtype=np.bool_)
    return Outcome(
        np.where(sure | ~paid, level.right[:, first], level.right[:, then]),
        np.where(sure, level.tokens[:, first], np.where(paid, both, float(level.budget))),
    )


def cheaper(level: Level, then: int, least: int) -> str | None:
    """The cheapest cascade that ends in a strategy and loses no problem more than it wins; None where there is none.

    One that is cheaper than that strategy itself, and sure of at least so many problems.
    """
    found: list[tuple[float, str]] = []
    for first in range(level.follow, len(level.arms)):
        for tau in _thresholds(level.values[:, first]) if first != then else ():
            right, tokens = _joined(level, first, then, tau)
            enough = (level.values[:, first] >= tau).sum() >= least
            as_good = right.mean() >= level.right[:, then].mean()
            if enough and as_good and tokens.mean() < level.tokens[:, then].mean():
                found.append((float(tokens.mean()), _spelled(level.arms[first], level.arms[then], tau)))
    return min(found)[1] if found else None


def _thresholds(values: Array) -> Iterable[float]:
    known = values[~np.isnan(values)]
    distinct: Sequence[float] = np.unique(known).tolist()
    return distinct[1:] if len(distinct) <= FEW else np.unique(np.quantile(known, QUANTILES)).tolist()


def _spelled(first: str, then: str, tau: float) -> str:
    by = parse(first)
    words = f"scorer=({getattr(by, 'scorer', '')}),aggregation={getattr(by, 'aggregation', 'last')}"
    return str(parse(f"cascade:first=({first}),then=({then}),{words},tau={tau:.6g}"))
