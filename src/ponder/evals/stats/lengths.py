"""Length and accuracy: are long answers right, or are hard items long?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ponder.core.errors import UsageError
from ponder.evals.stats.clusters import CELLS, Attempts, Estimate, item_means, percentiles, resamples

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Spread:
    """Lengths of some attempts, in tokens: how many there are, their mean, tenth, half and nine tenths."""

    attempts: int
    mean: float
    low: float
    median: float
    high: float


@dataclass(frozen=True, slots=True)
class LengthAndAccuracy:
    """How length goes with being right.

    Args:
        point_biserial: Pearson's correlation of length with right (1) or wrong (0); None where either never varies.
        spearman: the same of their ranks, which a few very long answers cannot dominate.
        within: Pearson's correlation after each item's means are taken from both: whether the longer of several
            attempts at the same item is right more often. The other two mix in that hard items get long answers.
            None where no item was tried often enough to tell.
        right: lengths of right attempts; None where there are none.
        wrong: lengths of wrong ones.

    """

    point_biserial: Estimate | None
    spearman: Estimate | None
    within: Estimate | None
    right: Spread | None
    wrong: Spread | None


def length_and_accuracy(
    lengths: Attempts, right: Attempts, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> LengthAndAccuracy:
    """Correlate length with accuracy over attempts, with bootstrap intervals that resample items.

    Args:
        lengths: item -> completion tokens of each attempt.
        right: item -> 1 or 0 of each attempt, in the same order.
        level: of the intervals.
        draws: resamples.
        seed: of the resampling.

    Raises:
        UsageError: items or numbers of attempts of the two differ, or a value is not finite.

    """
    if lengths.keys() != right.keys() or any(len(lengths[item]) != len(right[item]) for item in lengths):
        raise UsageError(
            "Lengths and grades are not of the same attempts; give one of each for every attempt."
        )
    for values in (lengths, right):
        item_means(values)
    counts = np.array([len(values) for values in lengths.values()])
    item = np.repeat(np.arange(len(counts)), counts)
    x = np.array([float(v) for values in lengths.values() for v in values])
    y = np.array([float(v) for key in lengths for v in right[key]])
    within_x, within_y = (v - (np.bincount(item, v) / counts)[item] for v in (x, y))

    def estimate(statistic: Callable[[Array], Array]) -> Estimate | None:
        """`statistic` takes how often each item is drawn, shape (draws, items), to its value in each draw."""
        measured = float(statistic(np.ones((1, len(counts))))[0])
        if np.isnan(measured):
            return None
        weights = resamples(np.ones(len(counts), dtype=np.int_), draws, seed)
        rows = max(1, CELLS // len(item))
        drawn = np.concatenate([statistic(w[i : i + rows]) for w in weights for i in range(0, len(w), rows)])
        told = drawn[~np.isnan(drawn)]
        error = float(told.std()) if len(told) else float("nan")
        return Estimate(measured, percentiles(drawn, len(counts), level), error, len(counts), len(item))

    return LengthAndAccuracy(
        point_biserial=estimate(lambda w: _pearson(x, y, w[:, item])),
        spearman=estimate(lambda w: _pearson(_ranks(x, w[:, item]), _ranks(y, w[:, item]), w[:, item])),
        within=estimate(lambda w: _pearson(within_x, within_y, w[:, item])),
        right=_spread(x[y > 0.5]),
        wrong=_spread(x[y <= 0.5]),
    )


def _pearson(x: Array, y: Array, weights: Array) -> Array:
    """Weighted correlations: weights of shape (draws, attempts), x and y of that or (attempts,). NaN if constant."""
    total = weights.sum(axis=1, keepdims=True)
    x = x - (weights * x).sum(axis=1, keepdims=True) / total
    y = y - (weights * y).sum(axis=1, keepdims=True) / total
    xx, yy, xy = ((weights * a * b).sum(axis=1) for a, b in ((x, x), (y, y), (x, y)))
    # Centred values that differ by rounding alone do not vary.
    least = 1e-18 * np.maximum(1.0, np.abs(x).max()) ** 2
    varies = (xx > least) & (yy > least)
    found: Array = np.divide(xy, np.sqrt(xx * yy), out=np.full(len(xx), np.nan), where=varies)
    return found


def _ranks(values: Array, weights: Array) -> Array:
    """The rank of each value among values repeated `weights` times; equal values share their middle rank."""
    order = np.argsort(values, kind="stable")
    _, starts, index = np.unique(values[order], return_index=True, return_inverse=True)
    held = np.add.reduceat(weights[:, order], starts, axis=1)  # of each distinct value
    middle = held.cumsum(axis=1) - held / 2 + 0.5
    ranks = np.empty_like(weights)
    ranks[:, order] = middle[:, index]
    return ranks


def _spread(lengths: Array) -> Spread | None:
    if not len(lengths):
        return None
    low, median, high = np.quantile(lengths, [0.1, 0.5, 0.9])
    return Spread(len(lengths), float(lengths.mean()), float(low), float(median), float(high))
