"""Two arms on the same items: is one better, and were they given the same to spend?"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from ponder.core.errors import UsageError
from ponder.evals.stats.clusters import CELLS, DRAWS, Attempts, Estimate, bootstrap, item_means

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


PAD = (0.5, -0.5)
"""Two imagined items, half won and half lost: arms that gave the same answers to a few items need not be alike."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one arm gains over another on the items that both have tried.

    Args:
        difference: mean over items of (mean of the arm - mean of the other), a share or whatever was given, with
            a paired bootstrap interval.
        p: of the hypothesis that the two are alike; two-sided, not corrected for other comparisons (see `holm`).
        test: what gave the p.
        wins: items on which the arm has the higher mean.
        losses: items on which it has the lower.
        ties: the rest.
        unpaired: items that only one of the two has tried, and that are left out.
        tokens: mean tokens of the two, over the items compared.
        equal_compute: whether these are near enough to speak of equal compute; a table marks those that are not.

    """

    difference: Estimate
    p: float
    test: Literal["exact McNemar", "sign flips"]
    wins: int
    losses: int
    ties: int
    unpaired: int
    tokens: tuple[float, float]
    equal_compute: bool


def equal_compute(one: float, other: float, within: float = 0.1) -> bool:
    """Whether two mean costs differ by at most `within` of the smaller: max <= (1 + within) min.

    Args:
        one: mean tokens of an attempt (or seconds).
        other: the same of the other arm.
        within: the share that is let pass; 0.1 is ten per cent.

    Raises:
        UsageError: a cost is negative or NaN.

    """
    if not (one >= 0 and other >= 0):
        raise UsageError(f"Costs are at least 0, not {one} and {other}; give mean tokens.")
    return max(one, other) <= (1 + within) * min(one, other)


def mcnemar(wins: int, losses: int) -> float:
    """The exact two-sided p of McNemar's test: min(1, 2 P(X <= min(wins, losses))), X ~ Binomial(wins + losses, ½).

    Only items on which exactly one of two arms is right tell anything; if the arms are alike, each is as likely to
    be the one. With one attempt of each arm at each item.

    Raises:
        UsageError: a count is negative.

    """
    if min(wins, losses) < 0:
        raise UsageError(f"There cannot be {wins} wins and {losses} losses; counts are at least 0.")
    n = wins + losses
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])  # log i!
    few = np.arange(min(wins, losses) + 1)
    return float(min(1.0, 2 * np.exp(logs[n] - logs[few] - logs[n - few] - n * math.log(2)).sum()))


def sign_flips(differences: Array, draws: int = DRAWS, seed: int = 0) -> float:
    """The p of the paired randomisation test (Fisher 1935): how often do random signs give as large a |Σ d|?

    If the arms are alike, each item's difference is as likely as its opposite. With differences of -1, 0 and 1 it
    is McNemar's test, by chance instead of exactly. (1 + as large) / (1 + draws), so never below 1 / (1 + draws).

    Args:
        differences: of each item, shape (items,).
        draws: random assignments of signs.
        seed: of these.

    """
    # Items with the same |d| are flipped together, by how many of them stay as they are: quick and the same.
    sizes, counts = np.unique(np.round(np.abs(differences[differences != 0]), 12), return_counts=True)
    if not len(sizes):
        return 1.0
    seen, rng = abs(float(differences.sum())), np.random.default_rng(seed)
    slack = 1e-9 * float(sizes @ counts)  # sums of the same numbers in another order are the same
    rows, as_large = max(1, CELLS // len(sizes)), 0
    for start in range(0, draws, rows):
        kept = rng.binomial(counts, 0.5, size=(min(rows, draws - start), len(sizes)))
        as_large += int((np.abs((2 * kept - counts) @ sizes) >= seen - slack).sum())
    return (1 + as_large) / (1 + draws)


def compare(
    arm: Attempts,
    other: Attempts,
    tokens: tuple[Attempts, Attempts],
    *,
    within: float = 0.1,
    level: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> Comparison:
    """Compare two arms item by item, on the items that both have tried.

    Each item counts once, by the difference of its means over seeds. Where both arms have one attempt at each item
    the p is McNemar's, else that of random signs. Tokens are asked for, so that no comparison leaves unsaid whether
    the two spent the same.

    Args:
        arm: item -> 1 or 0 for each attempt: right or not.
        other: the same of the arm it is compared with.
        tokens: item -> tokens of each attempt, of the two.
        within: how far mean tokens may differ, see `equal_compute`.
        level: of the interval.
        draws: resamples of the interval, and random signs.
        seed: of both.

    Raises:
        UsageError: the two share no item, or tokens of an item are missing.

    """
    shared = [item for item in arm if item in other]
    if not shared:
        raise UsageError("The two arms have no item in common; run both on the same items.")
    if any(item not in spent for spent in tokens for item in shared):
        raise UsageError("Tokens are missing for items that are compared; give those of every attempt.")
    one, two = ({item: values[item] for item in shared} for values in (arm, other))
    differences = item_means(one) - item_means(two)
    differences[np.abs(differences) < 1e-12] = 0.0
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    single = all(
        len(one[item]) == len(two[item]) == 1 and {*one[item], *two[item]} <= {0, 1} for item in shared
    )
    used, used_by_other = (float(item_means({i: spent[i] for i in shared}).mean()) for spent in tokens)
    pairs = dict(zip(shared, ((float(d),) for d in differences), strict=True))
    difference = bootstrap(pairs, level, draws, seed, pad=PAD)
    return Comparison(
        difference=replace(difference, attempts=sum(len(one[item]) + len(two[item]) for item in shared)),
        p=mcnemar(wins, losses) if single else sign_flips(differences, draws, seed),
        test="exact McNemar" if single else "sign flips",
        wins=wins,
        losses=losses,
        ties=len(shared) - wins - losses,
        unpaired=len(arm) + len(other) - 2 * len(shared),
        tokens=(used, used_by_other),
        equal_compute=equal_compute(used, used_by_other, within),
    )
