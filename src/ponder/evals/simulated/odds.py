"""What deciding among independent samples comes to, given how likely each answer is. They hold of any sampler."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from ponder.core.errors import UsageError
from ponder.evals.simulated.scorer import separation

if TYPE_CHECKING:
    from collections.abc import Mapping

EXACT: Final = 100
"""Up to so many votes a majority is enumerated; beyond, it is approximated."""


def majority(shares: Mapping[str, float], gold: str, n: int) -> float:
    """The probability that a plurality vote of `n` samples is right; ties go to who was seen first.

    Up to `EXACT` votes it is exact: the multinomial is summed over the right answer's count c and the number m of
    answers that tie with it. Each of the m + 1 is as likely to have been seen first. Beyond, `n` is
    taken for the mean of a Poisson variable, which makes the counts independent, and each count, of mean and
    variance n q, for normal.
    """
    _count(n)
    p = shares.get(gold, 0.0)
    others = [q for answer, q in shares.items() if answer != gold and q > 0]
    if p <= 0 or not others:
        return float(p > 0)
    return _enumerated(p, others, n) if n <= EXACT else min(1.0, _normal(p, others, n))


def any_right(p: float, n: int) -> float:
    """pass@n: the probability that one of `n` samples is right."""
    _count(n)
    return 1 - (1 - p) ** n


def best_of(p: float, n: int, auc: float) -> float:
    """The probability that the best-scored of `n` samples is right, by a scorer whose noise is normal.

    Right scores are N(d, 1) and wrong ones N(0, 1), with d = sqrt(2) Phi^-1(auc). The best is right with probability
    n p E[(p Phi(z) + (1 - p) Phi(z + d)) ** (n - 1)] over the scores z + d of a right sample: one integral. It holds
    for `SimulatedScorer` without biases where no two of the samples have the same text.
    """
    import numpy as np

    _count(n)
    if auc == 1:
        return any_right(p, n)
    apart = separation(auc)
    z = np.linspace(-9.0, 9.0, 1001)
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    below = p * _phi(z) + (1 - p) * _phi(z + apart)
    return float(n * p * np.trapezoid(density * below ** (n - 1), z))


def _enumerated(p: float, others: list[float], n: int) -> float:
    """Counts are independent Poisson variables given their sum, so only products of short series are needed."""
    import numpy as np

    counts = np.arange(n + 1)
    logs = np.array([math.lgamma(k + 1) for k in counts])

    def poisson(mean: float) -> Any:
        return np.exp(counts * math.log(mean) - mean - logs)

    lead, rest = poisson(n * p), [poisson(n * q) for q in others]
    total = 0.0
    for c in range(1, n + 1):
        left = n - c
        tied = [np.zeros(left + 1) for _ in range(min(len(others), left // c) + 1)]
        tied[0][0] = 1.0
        for series in rest:
            fewer = series[: min(c, left + 1)]
            for m in range(len(tied) - 1, -1, -1):
                grown = np.convolve(tied[m], fewer)[: left + 1]
                if m:
                    grown[c:] += tied[m - 1][: left + 1 - c] * series[c]
                tied[m] = grown
        total += lead[c] * sum(ways[left] / (m + 1) for m, ways in enumerate(tied))
    everything = math.fsum(others) + p
    return min(1.0, float(total) / math.exp(n * math.log(n * everything) - n * everything - logs[n]))


def _normal(p: float, others: list[float], n: int) -> float:
    import numpy as np

    z = np.linspace(-9.0, 9.0, 1001)
    votes = n * p + z * math.sqrt(n * p)
    ahead = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    for q in others:
        ahead = ahead * _phi((votes - n * q) / math.sqrt(n * q))
    return float(np.trapezoid(ahead, z))


def _phi(z: Any) -> Any:
    """The standard normal distribution function of an array."""
    import numpy as np

    return np.array([math.erfc(-x / math.sqrt(2)) / 2 for x in z])


def _count(n: int) -> None:
    if n < 1:
        raise UsageError(f"Give at least one sample, not {n}.")
