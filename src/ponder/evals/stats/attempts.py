"""Outcomes of one arm as what statistics take: for each item, the values of its attempts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ponder.evals.values import Outcome

Broken = Literal["wrong", "left out"]
"""What an attempt counts as that broke with an error: a user got no answer, or nothing was learnt of the method."""


def broke(outcome: Outcome) -> bool:
    """Whether the attempt ended in an error and so has no grade."""
    return outcome.correct is None and (outcome.stop == "failed" or bool(outcome.error))


def right(outcomes: Iterable[Outcome], broken: Broken = "wrong") -> dict[str, list[float]]:
    """Item -> 1 or 0 for each graded attempt, in the order given; a report shows it with `broken` both ways.

    Attempts without a grade and without an error, at items without gold, are left out; so are items without any
    attempt left.
    """
    found: dict[str, list[float]] = {}
    for outcome in outcomes:
        if outcome.correct is not None:
            found.setdefault(outcome.item, []).append(float(outcome.correct))
        elif broken == "wrong" and broke(outcome):
            found.setdefault(outcome.item, []).append(0.0)
    return found


def measured(
    outcomes: Iterable[Outcome], value: Callable[[Outcome], float], broken: Broken = "wrong"
) -> dict[str, list[float]]:
    """Item -> `value` of exactly those attempts that `right` has with the same `broken`, in the same order.

    For tokens `lambda outcome: outcome.usage.completion`; a broken attempt counts what it had spent.
    """
    found: dict[str, list[float]] = {}
    for outcome in outcomes:
        if outcome.correct is not None or (broken == "wrong" and broke(outcome)):
            found.setdefault(outcome.item, []).append(float(value(outcome)))
    return found
