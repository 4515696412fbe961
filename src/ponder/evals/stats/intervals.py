"""Intervals: how far the truth may be from what was measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from ponder.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class Interval:
    """From `low` to `high`, both included."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def wilson(successes: float, n: float, level: float = 0.95) -> Interval:
    """The score interval of a share (Wilson 1927): every p that a z-test at `level` does not reject.

    (q + z²/2n ± z √(q(1-q)/n + z²/4n²)) / (1 + z²/n) with q = successes / n. It never leaves [0, 1] and has a
    width at 0 and at n successes. Nothing tried (n = 0) is [0, 1]: nothing known.

    Args:
        successes: from 0 to n; need not be whole, for `accuracy` asks with an effective number of trials.
        n: trials, independent of each other. Several attempts at one item are not: use `accuracy`.
        level: the share of such intervals that hold the truth.

    Raises:
        UsageError: there are more successes than trials, or fewer than none, or `level` is not within (0, 1).

    """
    if not 0 <= successes <= n:
        raise UsageError(f"There cannot be {successes} successes in {n} trials; give a number from 0 to {n}.")
    z = normal_quantile(level)
    if n == 0:
        return Interval(0.0, 1.0)
    q = successes / n
    centre = q + z * z / (2 * n)
    half = z * math.sqrt(q * (1 - q) / n + (z / (2 * n)) ** 2)
    scale = 1 + z * z / n
    # Rounding must not leave a sliver: at no success the lower end is 0, at n the upper end is 1.
    low = 0.0 if successes == 0 else max(0.0, (centre - half) / scale)
    high = 1.0 if successes == n else min(1.0, (centre + half) / scale)
    return Interval(low, high)


def normal_quantile(level: float) -> float:
    """The z between -z and z of which lies `level` of the normal distribution: 1.96 for 0.95."""
    if not 0 < level < 1:
        raise UsageError(f"A level is a share between 0 and 1, not {level}; 0.95 is usual.")
    return NormalDist().inv_cdf((1 + level) / 2)


def student_quantile(level: float, freedom: int) -> float:
    """The t between -t and t of which lies `level` of Student's distribution with `freedom` degrees of it.

    Exact for 1 and 2 degrees; above, Fisher's expansion about the normal quantile (Abramowitz & Stegun 26.7.5),
    which is off by at most 0.2 % at 0.95, 0.8 % at 0.99 and 4.2 % at 0.999.
    """
    z = normal_quantile(level)
    if freedom == 1:
        return math.tan(math.pi * level / 2)
    if freedom == 2:
        return level * math.sqrt(2 / (1 - level * level))
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return math.fsum(term / float(freedom) ** power for power, term in enumerate(terms))
