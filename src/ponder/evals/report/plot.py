"""The area that data are drawn in: its grid, its axes, and labels that keep out of each other's way."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ponder.evals.report.markup import Html, join, tag
from ponder.evals.report.scales import Linear, Log

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ponder.evals.report.scales import Scale

LETTER = 6.6
"""Pixels that a letter of a figure's text is wide, about."""

TOP, RIGHT, BOTTOM, LEFT = 30.0, 12.0, 46.0, 44.0


@dataclass(frozen=True, slots=True)
class Axis:
    """What runs along an edge: its title, what of it is shown, and its ticks as (value, label)."""

    title: str
    low: float
    high: float
    label: Callable[[float], str]
    log: bool = False
    ticks: Sequence[float] = ()

    def scale(self, start: float, end: float) -> Scale:
        """Onto pixels."""
        return (Log if self.log else Linear)(self.low, self.high, start, end)


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing area of `width` times `height` pixels with an axis below and one at the left."""

    width: float
    height: float
    below: Axis
    left: Axis

    @property
    def x(self) -> Scale:
        """From the lower axis' quantity to pixels."""
        return self.below.scale(LEFT + 6, self.width - RIGHT - 6)

    @property
    def y(self) -> Scale:
        """From the left axis' quantity to pixels; upwards."""
        return self.left.scale(self.height - BOTTOM, TOP)

    def frame(self) -> list[Html]:
        """Grid lines, tick labels and the axes' titles."""
        x, y = self.x, self.y
        floor, end = self.height - BOTTOM, self.width - RIGHT
        drawn = [tag("text", self.left.title, class_="title", x=0, y=12)]
        for value in self.left.ticks or y.ticks(6):
            drawn.append(tag("path", class_="grid", d=f"M{LEFT:g} {y(value):.1f}H{end:g}"))
            drawn.append(tag("text", self.left.label(value), class_="tick end", x=LEFT - 8, y=y(value) + 4))
        drawn.append(tag("path", class_="axis", d=f"M{LEFT:g} {floor:g}H{end:g}"))
        taken = -1e9
        for value in self.below.ticks or x.ticks(int(self.width // 60)):
            label = self.below.label(value)
            half = len(label) * LETTER / 2
            drawn.append(tag("path", class_="axis", d=f"M{x(value):.1f} {floor:g}v4"))
            if x(value) - half > taken:
                at = min(x(value), self.width - half)
                drawn.append(tag("text", label, class_="tick mid", x=at, y=floor + 18))
                taken = at + half + 4
        drawn.append(tag("text", self.below.title, class_="title end", x=end, y=self.height - 6))
        return drawn


def drawing(width: float, height: float, children: Sequence[Html], *, says: str, class_: str = "") -> Html:
    """An SVG picture, with the sentence that it says to who cannot see it."""
    return tag(
        "svg",
        tag("title", says),
        children,
        class_=f"figure {class_}".strip(),
        viewBox=f"0 0 {width:g} {height:g}",
        width=width,
        height=height,
        role="img",
        aria_label=says,
    )


Box = tuple[float, float, float, float]


@dataclass(slots=True)
class Labels:
    """Places labels one by one beside their marks, each where it covers least of what is there already."""

    taken: list[Box]
    within: Box

    def place(self, text: str, x: float, y: float) -> Html:
        """The label of the mark at (x, y), with a line to it where it stands far off."""
        w, h = len(text) * LETTER, 11.0
        best, least = (0.0, 0.0, 0.0, 0.0, 0.0), math.inf
        for gap in (6.0, 12.0, 20.0, 30.0, 42.0):
            for turn in range(12):
                across, down = math.cos(math.pi * (turn - 1) / 6), math.sin(math.pi * (turn - 1) / 6)
                left, top = x + (gap + w / 2) * across - w / 2, y + (gap + h / 2) * down - h / 2
                box = (left, top, left + w, top + h)
                if (cost := self._cost(box) + gap) < least - 1e-9:  # the first of equals
                    best, least = (*box, gap), cost
        left, top, right, bottom, gap = best
        self.taken.append((left, top, right, bottom))
        label = tag("text", text, class_="label", x=left, y=bottom - 2)
        if gap < 18:
            return label
        to_x, to_y = min(max(x, left), right), min(max(y, top), bottom)
        return join([tag("path", class_="leader", d=f"M{x:.1f} {y:.1f}L{to_x:.1f} {to_y:.1f}"), label])

    def _cost(self, box: Box) -> float:
        outside = sum(max(0.0, a - b) for a, b in zip(self.within[:2], box[:2], strict=True))
        outside += sum(max(0.0, b - a) for a, b in zip(self.within[2:], box[2:], strict=True))
        return 100 * outside + sum(_overlap(box, other) for other in self.taken)


def _overlap(a: Box, b: Box) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
