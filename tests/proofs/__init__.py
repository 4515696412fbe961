"""What is promised under bad conditions, measured: a row for each promise, which `make prove` runs and writes down.

A row is a function that measures and returns a `Figure`. Its tier says when it is run: "C" at each commit (minutes in
all), "N" now and then, for as long as it takes. The tests check the same at smaller sizes; where they can, rows call the
tests' own code, so that nothing is measured twice in two ways.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Tier = Literal["C", "N"]


class Figure(NamedTuple):
    """What was measured, in words, and whether it is within the bound."""

    said: str
    held: bool


@dataclass(frozen=True)
class Row:
    """A promise. `measure` takes an empty folder and the tier that is asked for."""

    id: str
    promise: str
    bound: str
    measure: Callable[[Path, Tier], Figure]

    @property
    def order(self) -> float:
        return float(self.id[1:])


ROWS: dict[str, Row] = {}


def row(
    name: str, promise: str, bound: str
) -> Callable[[Callable[[Path, Tier], Figure]], Callable[[Path, Tier], Figure]]:
    """Enter a function into the table as this row."""

    def enter(measure: Callable[[Path, Tier], Figure]) -> Callable[[Path, Tier], Figure]:
        if name in ROWS:
            raise ValueError(f"{name} is there twice")
        ROWS[name] = Row(name, promise, bound, measure)
        return measure

    return enter
