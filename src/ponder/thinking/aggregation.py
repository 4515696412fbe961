"""From the values of a solution's steps to the value of the solution."""

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
