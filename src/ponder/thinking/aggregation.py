"""From the values of a solution's steps to the value of the solution, and to its weight among others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.protocols import Aggregation


def aggregate(steps: Sequence[float], how: Aggregation = "last") -> float:
    """One value of all steps.

    "last" suits scorers that predict the final success, "min" and "prod" those that judge each step by itself
    (Snell et al. 2024, 2408.03314, section 5 and appendix E).

    Raises:
        ValueError: there are no steps.

    """
    if not steps:
        raise ValueError("There are no steps to aggregate.")
    match how:
        case "last":
            return steps[-1]
        case "min":
            return min(steps)
        case "prod":
            return math.prod(steps)
        case "mean":
            return math.fsum(steps) / len(steps)
        case "max":
            return max(steps)


def unit(values: Sequence[float]) -> list[float]:
    """Scores of one scorer on the scale of probabilities, in the same order, so that they can be summed and shared.

    Values in [0, 1] stay as they are. Where none is above 0, they are taken for log-probabilities, and their
    exponentials count; any others are taken for logits (docs/decisions/0012-scales.md).
    """
    if all(0 <= value <= 1 for value in values):
        return list(values)
    if all(value <= 0 for value in values):
        return [math.exp(value) for value in values]
    return [1 / (1 + math.exp(-value)) if value > -700 else 0.0 for value in values]
