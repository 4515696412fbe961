"""From the values of a solution's steps to the value of the solution, and to its weight among others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ponder.core.protocols import Aggregation, Scale


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


def unit(values: Sequence[float], scale: Scale | None = None) -> list[float]:
    """Scores of one scorer on the scale of probabilities, in the same order, so that they can be summed and shared.

    Of a scorer that does not say its scale it is guessed from all values of a round: in [0, 1] they stay as they are;
    where none is above 0 they are taken for log-probabilities; any others for logits (docs/decisions/0012-scales.md).
    """
    if scale is None:
        inside = all(0 <= value <= 1 for value in values)
        scale = "probability" if inside else "logprob" if all(value <= 0 for value in values) else "logit"
    return [_UNIT[scale](value) for value in values]


ROUNDING: Final = 1e-6
"""What models compute in 32 bits may lie outside [0, 1] by this."""


def _probability(value: float) -> float:
    return min(1.0, max(0.0, value)) if -ROUNDING <= value <= 1 + ROUNDING else value


def _exp(value: float) -> float:
    return _probability(math.exp(min(value, 1.0)))


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value > -700 else 0.0


_UNIT: Final[dict[Scale, Callable[[float], float]]] = {
    "probability": _probability,
    "logprob": _exp,
    "logit": _logistic,
}
