"""The best arm for each difficulty, chosen on some items and measured on others (Snell et al. 2024, 2408.03314)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ponder.core.errors import UsageError
from ponder.evals.stats.clusters import Estimate, share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True)
class ComputeOptimal:
    """What choosing the arm by difficulty is worth.

    Args:
        accuracy: on items that did not choose: the figure to report, if difficulty was told without the answers.
        hindsight: of the best arm of each bin on the very items: an oracle, for comparison only (METHODS 19.6).
        best_single: of the one arm that is best overall, likewise chosen on the other half.
        choices: for each bin, in rising order, the arm that was measured on each of its halves: the other's choice.
            None for a half that has no item, as with a bin of one.

    """

    accuracy: Estimate
    hindsight: float
    best_single: Estimate
    choices: tuple[tuple[int | None, int | None], ...]


def quantile_bins(difficulty: Sequence[float], bins: int = 5) -> tuple[int, ...]:
    """Bin of each item, 0 the easiest, with as equal numbers as there are (2408.03314, section 3.2).

    Args:
        difficulty: of each item, more is harder: 1 - pass@1 (which knows the answers), or the mean of a verifier's
            scores, negated (which does not).
        bins: how many.

    Raises:
        UsageError: there are fewer items than bins.

    """
    if bins < 1 or len(difficulty) < bins:
        raise UsageError(f"{len(difficulty)} items do not fill {bins} bins; ask for fewer bins.")
    order = np.argsort(np.asarray(difficulty, dtype=np.float64), kind="stable")
    found = np.empty(len(order), dtype=np.int_)
    found[order] = np.arange(len(order)) * bins // len(order)
    return tuple(int(b) for b in found)


def pass_bins(pass_at_1: Sequence[float]) -> tuple[int, ...]:
    """0 easy (pass@1 of a half or more), 1 medium (a tenth or more), 2 hard (less) (2502.06703, section 4).

    Absolute, for quantiles of a strong model put easy items into "hard".
    """
    return tuple(0 if p >= 0.5 else 1 if p >= 0.1 else 2 for p in pass_at_1)


def compute_optimal(
    right: ArrayLike, bins: Sequence[int], level: float = 0.95, seed: int = 0
) -> ComputeOptimal:
    """Choose the best arm of each bin on one half of its items, measure on the other half, swap, and average.

    Args:
        right: mean over seeds, shape (items, arms), from 0 to 1; arms at equal compute. Of arms that are equally
            good the first is chosen, so put cheap ones first.
        bins: of each item. Difficulty must not come from the attempts in `right`, or the choice has seen the test.
        level: of the intervals, which take the choices as given and count an item once, however many its seeds.
        seed: of the halves.

    Raises:
        UsageError: the shapes do not fit, or there are fewer than two items.

    """
    table, where = np.asarray(right, dtype=np.float64), np.asarray(bins)
    if table.ndim != 2 or where.shape != table.shape[:1] or len(table) < 2:
        raise UsageError("Give a table of items by arms with two items or more, and one bin an item.")
    if not ((table >= 0) & (table <= 1)).all():
        raise UsageError("Accuracies lie between 0 and 1; leave out items that an arm has not tried.")
    # Alternating along a shuffled order sorted by bin: each bin, and the whole, is halved as evenly as it can be.
    order = np.random.default_rng(seed).permutation(len(table))
    order = order[np.argsort(where[order], kind="stable")]
    half = np.empty(len(table), dtype=np.int_)
    half[order] = np.arange(len(table)) % 2
    found, single = np.empty(len(table)), np.empty(len(table))
    hindsight = 0.0
    choices: list[tuple[int | None, int | None]] = []
    for side in (0, 1):
        single[half == side] = table[half == side, int(table[half != side].mean(axis=0).argmax())]
    for b in np.unique(where):
        inside = where == b
        pair: list[int | None] = []
        for side in (0, 1):
            here, others = inside & (half == side), inside & (half != side)
            if not here.any():
                pair.append(None)
                continue
            # A bin of one item has no other half: what is best over all items of that half serves.
            chosen = int(table[others if others.any() else half != side].mean(axis=0).argmax())
            pair.append(chosen)
            found[here] = table[here, chosen]
        choices.append((pair[0], pair[1]))
        hindsight += float(table[inside].mean(axis=0).max()) * int(inside.sum()) / len(table)
    return ComputeOptimal(
        accuracy=share(found, len(found), len(found), level),
        hindsight=hindsight,
        best_single=share(single, len(single), len(single), level),
        choices=tuple(choices),
    )


def matched_inference(larger: float, ratio: float) -> float:
    """How many times the inference a small model may spend where a model `larger` times its size spends as many FLOPs.

    Pre-training costs 6 N D_pre and inference 2 N D_inf, so it is M + 3 (M - 1) D_pre / D_inf (2408.03314, section 7).

    Args:
        larger: M, the ratio of parameters.
        ratio: R = D_inf / D_pre, tokens ever inferred over tokens trained on.

    Raises:
        UsageError: `larger` is below 1 or `ratio` not above 0.

    """
    if not (larger >= 1 and ratio > 0):
        raise UsageError(f"Sizes of 1 or more and ratios above 0 make sense, not {larger} and {ratio}.")
    return larger + 3 * (larger - 1) / ratio
