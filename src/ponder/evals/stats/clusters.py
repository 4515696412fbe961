"""Means over items that were tried several times: attempts at one item are alike, and count as such."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from ponder.core.errors import UsageError
from ponder.evals.stats.intervals import Interval, student_quantile, wilson

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Attempts = Mapping[str, Sequence[float]]
"""Item -> the values of the attempts at it, one for each seed: 0 or 1 for right, tokens, seconds."""

DRAWS = 10_000
CELLS = 2_000_000
"""Numbers a bootstrap holds at once: 16 MB."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and how sure it is.

    Args:
        value: of the figure, in the unit of what was measured.
        interval: at the level asked for.
        error: standard error, same unit; NaN where a single item was measured.
        items: independent units behind it.
        attempts: all of them, several to an item.

    """

    value: float
    interval: Interval
    error: float
    items: int
    attempts: int


def item_means(attempts: Attempts) -> Array:
    """Mean over each item's attempts, in the order of the items; shape (items,).

    Raises:
        UsageError: there are no items, an item has no attempts, or a value is not finite.

    """
    if not attempts:
        raise UsageError("There is nothing to average; run at least one item.")
    for item, values in attempts.items():
        if len(values) == 0:
            raise UsageError(f"Item {item!r} has no attempts; leave it out or run it.")
    means = np.array([sum(values) / len(values) for values in attempts.values()], dtype=np.float64)
    if not np.isfinite(means).all():
        item = list(attempts)[int(np.flatnonzero(~np.isfinite(means))[0])]
        raise UsageError(f"Item {item!r} has a value that is no finite number; leave the attempt out.")
    return means


def clustered_error(attempts: Attempts) -> float:
    """Standard error of the mean over items of each item's mean: s / √items, s over item means (n - 1).

    With equally many attempts at each item it is the clustered error of Miller 2024 (2411.00640, "clustered questions") times
    √(items / (items - 1)). NaN for a single item, which says nothing about others.
    """
    means = item_means(attempts)
    return float(means.std(ddof=1) / np.sqrt(len(means))) if len(means) > 1 else float("nan")


def accuracy(right: Attempts, level: float = 0.95) -> Estimate:
    """The share of right answers, each item counting the same, with a Wilson interval for clustered attempts.

    `wilson` with the number of independent attempts that would give the clustered error e: q (1 - q) / e², at least
    the items and at most the attempts (an effective sample size, as Korn & Graubard 1998 use for surveys), with one
    imagined item in e. With one attempt at each item it is `wilson` itself. It holds its level near 0 and 1, where
    a bootstrap does not; there it is rather too wide than too narrow.

    Args:
        right: item -> 1 for each attempt that was right, 0 for others.
        level: of the interval.

    Raises:
        UsageError: there are no items, an item has no attempts, or a value is not within [0, 1].

    """
    means = item_means(right)
    if any(not 0 <= value <= 1 for values in right.values() for value in values):
        raise UsageError("Right or wrong is 1 or 0; give no other values.")
    # Items with few attempts limit what many attempts at others can add: hence the harmonic mean.
    most = len(means) ** 2 / sum(1 / len(values) for values in right.values())
    return share(means, most, sum(map(len, right.values())), level)


def share(means: Array, most: float, attempts: int, level: float) -> Estimate:
    """`accuracy` of item means, shape (items,), of which each lies within [0, 1].

    Args:
        means: of the items, or unbiased estimates of what each item's mean would be.
        most: independent attempts that stand behind them all, were attempts at one item independent.
        attempts: as the estimate states them.
        level: of the interval.

    """
    q, items = round(float(means.mean()), 12), len(means)  # what is 1 but for rounding is 1
    effective, error = float(items), float("nan")
    if items > 1:
        error = float(means.std(ddof=1) / np.sqrt(items))
        # In the spread, not in q: one item more, half of it all right and half all wrong. Few items near 0 or 1
        # show too little of how items differ: with 16 alike attempts at each of 50, 95 % would be 85 % without.
        spread = (((means - q) ** 2).sum() + 0.5) / (items - 1)
        near = (q * items + 0.5) / (items + 1)
        effective = float(np.clip(near * (1 - near) / (spread / items), items, most))
    return Estimate(q, wilson(q * effective, effective, level), error, items, attempts)


def bootstrap(
    attempts: Attempts, level: float = 0.95, draws: int = DRAWS, seed: int = 0, pad: Sequence[float] = ()
) -> Estimate:
    """The mean over items of each item's mean, with an interval from resampled items (Efron 1979).

    Items are drawn with replacement and keep their attempts together, so attempts at one item may be as alike as
    they are. The interval is the expanded percentile one (Hesterberg 2014, 1411.5279): without that it is too
    narrow by √((n - 1) / n) z / t. The same seed gives the same interval.

    Args:
        attempts: item -> values.
        level: of the interval.
        draws: resamples.
        seed: of the resampling.
        pad: values of imagined items that are added for the interval only. A bootstrap of items that were all
            right has no width; items that could have been otherwise give it one.

    Raises:
        UsageError: there are no items, an item has no attempts, a value is not finite, or draws < 1.

    """
    means = item_means(attempts)
    interval = mean_interval(np.concatenate([means, np.asarray(pad, dtype=np.float64)]), level, draws, seed)
    return Estimate(
        float(means.mean()), interval, clustered_error(attempts), len(means), sum(map(len, attempts.values()))
    )


def mean_interval(values: Array, level: float, draws: int, seed: int) -> Interval:
    """The bootstrap interval of the mean of independent values, shape (n,).

    Values that are equal are drawn together, by how often they come in a resample: the same distribution, and
    fast where there are few different values, as with right and wrong.
    """
    distinct, counts = np.unique(values, return_counts=True)
    means = np.concatenate([w @ distinct for w in resamples(counts, draws, seed)]) / len(values)
    return percentiles(means, len(values), level)


def resamples(counts: NDArray[np.int_], draws: int, seed: int) -> Iterator[Array]:
    """How often each value comes in each resample: arrays of shape (some, len(counts)), `draws` rows in all.

    Args:
        counts: how often each value was seen; all 1 for items one by one.
        draws: resamples.
        seed: of the resampling.

    """
    if draws < 1:
        raise UsageError(f"A bootstrap of {draws} resamples says nothing; 10000 are usual.")
    rng = np.random.default_rng(seed)
    total, kinds = int(counts.sum()), len(counts)
    one_by_one = total < 10 * kinds  # then it is quicker than numbers drawn for each value at once
    value_of = np.repeat(np.arange(kinds), counts)
    rows = max(1, CELLS // (total if one_by_one else kinds))
    for start in range(0, draws, rows):
        some = min(rows, draws - start)
        if one_by_one:
            drawn = value_of[rng.integers(total, size=(some, total))] + np.arange(some)[:, None] * kinds
            weights = np.bincount(drawn.ravel(), minlength=some * kinds).reshape(some, kinds)
        else:
            weights = rng.multinomial(total, counts / total, size=some)
        yield weights.astype(np.float64)


def percentiles(statistics: Array, n: int, level: float) -> Interval:
    """The expanded percentile interval of resampled statistics, shape (draws,), of n independent units.

    Taken at the tails Φ(-t √(n / (n - 1))), t Student's with n - 1 degrees of freedom; NaNs, from resamples in
    which the statistic is not defined, are left out. A single unit is taken to know nothing: its interval is NaN.
    """
    if n < 2 or np.isnan(statistics).all():
        return Interval(float("nan"), float("nan"))
    tail = NormalDist().cdf(-student_quantile(level, n - 1) * (n / (n - 1)) ** 0.5)
    low, high = np.nanquantile(statistics, [tail, 1 - tail])
    return Interval(float(low), float(high))
