"""Compute at equal accuracy: how many tokens two ways to spend them need to be right equally often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ponder.core.errors import UsageError
from ponder.evals.stats.clusters import resamples
from ponder.evals.stats.intervals import Interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ratio:
    """The tokens that one way needs, by those of another, for the accuracy that the other has.

    Args:
        accuracy: that both are to have.
        tokens: that the one needs; infinite where it never gets there.
        of: that the other spends.
        value: the ratio.
        interval: from resampled items.
        at_most: whether the one is better than that at its fewest tokens, so that it would need fewer still.

    """

    accuracy: float
    tokens: float
    of: float
    value: float
    interval: Interval
    at_most: bool


def needed(tokens: Array, right: Array, accuracy: float) -> float:
    """The fewest tokens for an accuracy, on a line through measured points; infinite where none gets there.

    Between two points the line is what a share of the items at one and the rest at the other would give. A point that
    is no better than a cheaper one is left out. Below the cheapest point nothing is known, so its tokens are returned.

    Args:
        tokens: of each point, shape (points,), in any order.
        right: likewise, the share that was right.
        accuracy: that is wanted.

    """
    order = np.argsort(tokens, kind="stable")
    spent, good = tokens[order], right[order]
    best = np.maximum.accumulate(good)
    kept = np.concatenate([[True], best[1:] > best[:-1]])
    spent, good = spent[kept], good[kept]
    if accuracy > good[-1]:
        return float("inf")
    return float(np.interp(accuracy, good, spent))


def equal_accuracy(
    one: tuple[Array, Array],
    other: tuple[Array, Array],
    draws: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Ratio:
    """The tokens that a line of points needs, as a share of another point's, to be right as often as that is.

    Args:
        one: right and tokens of each item at each point of the line, both of shape (items, points).
        other: right and tokens of the same items at the point, both of shape (items,).
        draws: resamples of items, for the interval.
        seed: of these.
        level: of the interval.

    Raises:
        UsageError: the shapes do not fit.

    """
    sizes = {len(values) for values in (*one, *other)}
    if len(sizes) > 1 or one[0].shape != one[1].shape or one[0].ndim != 2:
        raise UsageError(
            "Give right and tokens of the same items: of a line at each point, of the other once."
        )
    table = np.column_stack([*one, *other])
    points = one[0].shape[1]

    def found(means: Array) -> tuple[float, float, float]:
        accuracy, of = float(means[-2]), float(means[-1])
        return accuracy, needed(means[points : 2 * points], means[:points], accuracy), of

    means = table.mean(axis=0)
    accuracy, tokens, of = found(means)
    ratios = []
    for weights in resamples(np.ones(len(table), dtype=np.int_), draws, seed):
        for drawn in weights @ table / len(table):
            _, fewest, its = found(drawn)
            ratios.append(fewest / its)
    low, high = np.quantile(
        ratios, [(1 - level) / 2, (1 + level) / 2], method="nearest"
    )  # some may be infinite
    cheapest = means[:points][means[points : 2 * points].argmin()]
    return Ratio(
        accuracy, tokens, of, tokens / of, Interval(float(low), float(high)), bool(cheapest >= accuracy)
    )
