"""The front of what compute buys: arms that no other beats at the same cost or less."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ponder.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Point:
    """What one arm costs and is worth.

    Args:
        cost: mean completion tokens of an attempt, or seconds: any cost of which less is better.
        accuracy: a share, or a score of which more is better.
        oracle: whether the arm looks at what is right (METHODS 19.6).

    """

    cost: float
    accuracy: float
    oracle: bool = False


def dominated(points: Sequence[Point]) -> tuple[int | None, ...]:
    """For each point the index of one that beats it; None for those on the Pareto front.

    A point beats another if it costs no more and is no less accurate, and is better in one of the two; equal points
    do not beat each other. Of those that beat it the most accurate is named, and of these the cheapest. An oracle
    beats oracles only: what cannot be had without the answer pushes nothing off the front. The front is one of
    point estimates: what stands on it by less than its interval need not stand there next time.

    Raises:
        UsageError: a cost or an accuracy is NaN.

    """
    for point in points:
        if math.isnan(point.cost) or math.isnan(point.accuracy):
            raise UsageError(
                "A point of the front has no cost or no accuracy; leave out arms without outcomes."
            )

    def better(one: Point, other: Point) -> bool:
        return (
            (other.oracle or not one.oracle)
            and one.cost <= other.cost
            and one.accuracy >= other.accuracy
            and (one.cost, one.accuracy) != (other.cost, other.accuracy)
        )

    return tuple(
        min(
            (i for i, one in enumerate(points) if better(one, other)),
            key=lambda i: (-points[i].accuracy, points[i].cost),
            default=None,
        )
        for other in points
    )
