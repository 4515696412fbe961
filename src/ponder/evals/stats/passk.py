"""What k samples are worth, from n recorded ones: pass@k, if one may ask which is right, and maj@k, if not."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ponder.core.errors import UsageError
from ponder.evals.stats.clusters import Estimate, item_means, share

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Sample = tuple[str, int, bool]
"""(answer key, completion tokens, correct)."""

Samples = Mapping[str, Sequence[Sample]]
"""Item -> each recorded sample, as `Study.samples` has them."""


def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that at least one of k samples is right, of n recorded with c right (Chen et al. 2021, 2107.03374).

    1 - C(n-c, k) / C(n, k) = 1 - ∏_{i=n-c+1}^{n} (1 - k/i), which is unbiased: the share of all subsets of k that
    hold a right one. Whoever uses it must know what is right: an oracle (METHODS 19.6).

    Raises:
        UsageError: not 0 <= c <= n, or not 1 <= k <= n.

    """
    if not 0 <= c <= n:
        raise UsageError(f"There cannot be {c} right ones of {n} samples; give a number from 0 to {n}.")
    _check(n, k)
    if n - c < k:
        return 1.0
    return 1.0 - math.prod(1 - k / i for i in range(n - c + 1, n + 1))


def maj_at_k(keys: Sequence[str], right: Sequence[bool], k: int) -> float:
    """The accuracy of a majority vote over k samples, of n recorded: its mean over all subsets and their orders.

    Samples whose key is "" have no answer and no vote; a tie goes to the answer seen first, and since the samples
    of a subset come in random order, to each of the leading answers alike. A subset without an answer is wrong.
    So with X_a ~ the number of samples with key a in a random subset, and v_a the share of these that are right,
    it is E[mean of v_a over the answers a that lead]. Taken exactly, for any n: given their sum, independent
    X_a ~ Binomial(n_a, p) are distributed as in a subset of k, whatever p; so for each winning number of votes m
    the generating functions of the answers are multiplied, once to count and once to add up v_a.

    Args:
        keys: canonical answer keys, one a sample; order does not matter.
        right: whether each is right.
        k: voters.

    Raises:
        UsageError: `keys` and `right` differ in length, or not 1 <= k <= n.

    """
    n = len(keys)
    if len(right) != n:
        raise UsageError(f"There are {n} keys and {len(right)} grades; give one grade a sample.")
    _check(n, k)
    grades: dict[str, list[bool]] = defaultdict(list)
    for key, grade in zip(keys, right, strict=True):
        grades[key].append(grade)
    silent = len(grades.pop("", []))
    groups = [(len(found), sum(found) / len(found)) for found in grades.values()]
    p = k / (n + 1)  # near k / n, where the sum is likeliest to be k, and never 1
    won = sum(_led_with(votes, silent, groups, k, p) for votes in range(1, k + 1))
    return float(min(1.0, won / _binomial(n, p)[k]))


def _led_with(votes: int, silent: int, groups: Sequence[tuple[int, float]], k: int, p: float) -> float:
    """Σ P(X, ΣX = k) x (mean v of the answers that lead), over the X in which the leaders have `votes` votes.

    Arrays are indexed by [samples drawn so far, answers that have `votes` votes].
    """
    small = silent + sum(size for size, _ in groups if size < votes)  # can never lead: all one group
    chance = np.zeros((k + 1, k // votes + 1))
    few = _binomial(small, p)[: k + 1]
    chance[: len(few), 0] = few
    value = np.zeros_like(chance)  # Σ v of the answers that have `votes` votes, times the chance
    for size, v in groups:
        if size < votes:
            continue
        mass = _binomial(size, p)
        new_chance, new_value = np.zeros_like(chance), np.zeros_like(chance)
        for drawn in range(min(votes, k + 1)):
            new_chance[drawn:] += mass[drawn] * chance[: k + 1 - drawn]
            new_value[drawn:] += mass[drawn] * value[: k + 1 - drawn]
        new_chance[votes:, 1:] += mass[votes] * chance[: k + 1 - votes, :-1]
        new_value[votes:, 1:] += mass[votes] * (value + v * chance)[: k + 1 - votes, :-1]
        chance, value = new_chance, new_value
    leaders = np.arange(1, value.shape[1])
    return float((value[k, 1:] / leaders).sum())


def _binomial(n: int, p: float) -> Array:
    """P(X = x) for x = 0..n."""
    x = np.arange(n + 1)
    logs = np.array([math.lgamma(i + 1) for i in range(n + 1)])
    mass: Array = np.exp(logs[n] - logs - logs[::-1] + x * math.log(p) + (n - x) * math.log1p(-p))
    return mass


def mean_pass_at_k(samples: Samples, k: int, level: float = 0.95) -> Estimate:
    """`pass_at_k`, its mean over items, with the interval of `accuracy`.

    Raises:
        UsageError: there are no items, or one has fewer than k samples.

    """
    return _mean(samples, k, level, lambda s: pass_at_k(len(s), sum(right for _, _, right in s), k))


def mean_maj_at_k(samples: Samples, k: int, level: float = 0.95) -> Estimate:
    """`maj_at_k`, its mean over items, with the interval of `accuracy`. maj@1 is the accuracy of one sample.

    Raises:
        UsageError: there are no items, or one has fewer than k samples.

    """
    return _mean(
        samples, k, level, lambda s: maj_at_k([key for key, _, _ in s], [right for *_, right in s], k)
    )


def _mean(samples: Samples, k: int, level: float, value: Callable[[Sequence[Sample]], float]) -> Estimate:
    for item, found in samples.items():
        if len(found) < k:
            raise UsageError(
                f"Item {item!r} has {len(found)} samples; leave it out, or ask for k <= {len(found)}."
            )
    means = item_means({item: (value(found),) for item, found in samples.items()})
    # n samples hold n // k groups of k that share none.
    most = len(means) ** 2 / sum(1 / (len(found) // k) for found in samples.values())
    return share(means, most, sum(map(len, samples.values())), level)


def _check(n: int, k: int) -> None:
    if not 1 <= k <= n:
        raise UsageError(f"A subset of {k} cannot be drawn from {n} samples; ask for k from 1 to {n}.")
