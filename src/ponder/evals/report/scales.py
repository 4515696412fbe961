"""Scales: from a quantity to a place on the page, and where their ticks are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Linear:
    """Maps [low, high] onto [start, end] in pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, most: int = 6) -> list[float]:
        """At most `most` multiples of 1, 2 or 5 times a power of ten."""
        step = _step(self.high - self.low, most)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(i * step, 12) for i in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class Log:
    """The same for the logarithm; what is below `low`, zero too, is placed at `low`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int = 6) -> list[float]:
        """At most `most` of 1, 2 and 5 times the powers of ten; linear ones within less than a factor of three."""
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for leading in ((1, 2, 5), (1, 3), (1,)):
            found = [
                m * 10.0**d
                for d in decades
                for m in leading
                if self.low <= m * 10.0**d * (1 + 1e-9) <= self.high
            ]
            if len(found) <= most:
                break
        else:
            found = found[:: math.ceil(len(found) / most)]
        return found if len(found) > 2 else Linear(self.low, self.high, 0, 1).ticks(min(most, 4))


Scale = Linear | Log


def shares(values: Iterable[float]) -> tuple[float, float]:
    """The part of [0, 1] that shows these shares: whole tenths, and at least two of them."""
    found = [v for v in values if math.isfinite(v)] or [0.0, 1.0]
    low = max(0.0, math.floor(10 * min(found) - 0.2) / 10)
    high = min(1.0, math.ceil(10 * max(found) + 0.2) / 10)
    return (max(0.0, high - 0.2), high) if high - low < 0.2 and high > 0.5 else (low, max(high, low + 0.2))


def spread(values: Iterable[float]) -> tuple[float, float] | None:
    """The part of a log axis that shows these quantities, with room at both ends; None if none is positive."""
    found = [v for v in values if math.isfinite(v) and v > 0]
    if not found:
        return None
    low, high = min(found), max(found)
    room = max(1.12, (high / low) ** 0.07, math.sqrt(2 * low / high))
    return low / room, high * room


def powers(largest: int) -> Sequence[int]:
    """1, 2, 4, ... and the largest."""
    return sorted({*(2**i for i in range(largest.bit_length()) if 2**i <= largest), largest})


def _step(span: float, most: int) -> float:
    least = span / max(most - 1, 1)
    size = 10.0 ** math.floor(math.log10(least))
    return next(m * size for m in (1, 2, 5, 10) if m * size >= least * (1 - 1e-9))
