"""Strategies by name, as values that can be written down: parse("self-consistency:n=16") and its inverse."""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, TypeVar

from ponder.thinking.spelling import (
    Catalogue,
    Count,
    Natural,
    Probability,
    Range,
    Temperature,
    Weight,
    parameters,
    spell,
)

if TYPE_CHECKING:
    from ponder.core.protocols import Strategy

__all__ = [
    "ALIASES",
    "CATALOGUE",
    "Count",
    "Natural",
    "Probability",
    "Range",
    "Temperature",
    "Weight",
    "method",
    "parameters",
    "parse",
    "spell",
]

CATALOGUE: dict[str, type[Strategy]] = {}
ALIASES: dict[str, str] = {}
_STRATEGIES: Catalogue[Strategy] = Catalogue("strategy", CATALOGUE, ALIASES)

S = TypeVar("S")


@typing.dataclass_transform(frozen_default=True)
def method(cls: type[S]) -> type[S]:
    """Make a class a strategy: a frozen dataclass whose parameters keep to their ranges, in the catalogue under its
    `name` and `aliases`, and written by `str` as `parse` reads it. Where it lists no `roles`, it is all "solver".
    """
    if not hasattr(cls, "roles"):
        cls.roles = ("solver",)  # type: ignore[attr-defined]
    return _STRATEGIES.add(cls)


def parse(text: str) -> Strategy:
    """Read `name`, `name:parameter=value,...`; a nested strategy, or a text with commas, stands in parentheses.

    Raises:
        UnknownName: the strategy or a parameter does not exist; near names are suggested.
        UsageError: a value cannot be read or makes no sense.

    """
    return _STRATEGIES.parse(text)
