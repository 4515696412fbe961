"""How well a method turns tokens into accuracy: the three figures of s1 (2501.19393, section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from ponder.core.errors import UsageError
from ponder.evals.stats.clusters import DRAWS, percentiles, resamples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from ponder.evals.stats.intervals import Interval

    Array = NDArray[np.float64]

LINEAR = "percentage points per 1000 tokens"
DOUBLING = "percentage points per doubling of tokens"


@dataclass(frozen=True, slots=True)
class Slope:
    """s1's Scaling.

    Args:
        points: the mean slope, in `unit`; NaN where no two runs differ in tokens.
        unit: s1 states none, and its figures fit no plain token axis (METHODS 5): compare within one unit only.
        pairs: runs compared with each other.
        interval: over items; None where only means were given.

    """

    points: float
    unit: str
    pairs: int
    interval: Interval | None = None


def control(tokens: Sequence[float], low: Sequence[float] | float, high: Sequence[float] | float) -> float:
    """The share of runs that keep to what was asked: (1/|A|) Σ 1[low <= tokens <= high], from 0 to 1.

    Args:
        tokens: what each run used, of what was limited (thinking tokens, as a rule).
        low: the least that was asked for, one for all or one for each run; 0 for no such bound.
        high: the most, likewise.

    Raises:
        UsageError: there are no runs, or the bounds do not fit them in number.

    """
    if not tokens:
        raise UsageError("Control needs runs; run the method under at least one limit.")
    try:
        used, least, most = np.broadcast_arrays(tokens, low, high)
    except ValueError:
        raise UsageError("Give one bound for all runs, or one for each run.") from None
    if used.shape != (len(tokens),):
        raise UsageError("Give one bound for all runs, or one for each run.")
    return float(((least <= used) & (used <= most)).mean())


def scaling(tokens: Sequence[float], accuracy: Sequence[float], *, doubling: bool = False) -> Slope:
    """The mean slope between all pairs of runs: 1/C(|A|,2) Σ_{a<b} (f(b) - f(a)) / (b - a).

    Pairs with the same tokens have no slope and are left out.

    Args:
        tokens: mean tokens of each run.
        accuracy: of each run, from 0 to 1.
        doubling: on the axis log2(tokens), which asks what twice the tokens buy; else per 1000 tokens.

    Raises:
        UsageError: not one accuracy a run, or tokens below 1 on the logarithmic axis.

    """
    if len(tokens) != len(accuracy):
        raise UsageError(f"There are {len(tokens)} runs and {len(accuracy)} accuracies; give one a run.")
    slope, pairs = _slopes(
        np.array([tokens], dtype=np.float64), np.array([accuracy], dtype=np.float64), doubling
    )
    return Slope(float(slope[0]), DOUBLING if doubling else LINEAR, int(pairs[0]))


def scaling_over_items(
    tokens: ArrayLike,
    right: ArrayLike,
    *,
    doubling: bool = False,
    level: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> Slope:
    """`scaling`, with an interval from resampled items; the runs of a resample share its items.

    Args:
        tokens: mean over seeds, shape (items, runs).
        right: mean over seeds, same shape, from 0 to 1.
        doubling: as in `scaling`.
        level: of the interval.
        draws: resamples.
        seed: of the resampling.

    Raises:
        UsageError: the shapes differ, there are no items, or as `scaling`.

    """
    used, good = np.asarray(tokens, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if used.ndim != 2 or used.shape != good.shape or not len(used):
        raise UsageError("Scaling needs tokens and accuracies of the same items and runs: two equal tables.")
    measured = scaling(tuple(used.mean(axis=0)), tuple(good.mean(axis=0)), doubling=doubling)
    items = len(used)
    drawn = [
        _slopes(w @ used / items, w @ good / items, doubling)[0]
        for w in resamples(np.ones(items, dtype=np.int_), draws, seed)
    ]
    slopes = np.concatenate(drawn)
    interval = None if np.isnan(slopes).all() else percentiles(slopes, items, level)
    return Slope(measured.points, measured.unit, measured.pairs, interval)


def performance(accuracy: Sequence[float]) -> float:
    """The best accuracy of any run: max_a f(a). A maximum of noisy figures, so it flatters; say so beside it.

    Raises:
        UsageError: there are no runs.

    """
    if not accuracy:
        raise UsageError("Performance needs runs; run the method under at least one limit.")
    return max(accuracy)


def _slopes(tokens: Array, accuracy: Array, doubling: bool) -> tuple[Array, NDArray[np.int_]]:
    """Mean slopes and numbers of pairs of several sets of runs: from shape (sets, runs) to (sets,)."""
    if doubling and (tokens < 1).any():
        raise UsageError("Less than one token has no logarithm worth plotting; use the linear axis.")
    axis = np.log2(tokens) if doubling else tokens / 1000
    total, pairs = np.zeros(len(axis)), np.zeros(len(axis), dtype=np.int_)
    for a, b in combinations(range(axis.shape[1]), 2):
        run, rise = axis[:, b] - axis[:, a], 100 * (accuracy[:, b] - accuracy[:, a])
        differ = run != 0
        total[differ] += rise[differ] / run[differ]
        pairs += differ
    return np.divide(total, pairs, out=np.full(len(axis), np.nan), where=pairs > 0), pairs
