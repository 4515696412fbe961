"""The path that an attempt ended with, read off its trace: its text, who wrote it, and how it went on."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from ponder.core import events as e
from ponder.thinking.loops import repeats
from ponder.thinking.thoughts import thoughts

if TYPE_CHECKING:
    from collections.abc import Sequence


def chosen(events: Sequence[e.Event]) -> tuple[str, list[float], set[int]]:
    """The text of the chosen path, the tokens of each of its characters, and which a strategy wrote.

    The trace says how many tokens a segment has, not where each ends: they are taken to be equally long.
    """
    text, counts, written = "", list[float](), set[int]()
    for event in _line(events):
        if event.written:
            written.update(range(len(text), len(text) + len(event.written)))
        counts += [0.0] * len(event.written)
        counts += [event.usage.completion / len(event.text)] * len(event.text) if event.text else []
        text += event.written + event.text
    return text, counts, written


def switches(text: str, written: set[int]) -> int:
    """How often the model itself switched thoughts; what a strategy wrote ("Wait") is no switch of its own."""
    starts = itertools.accumulate(map(len, thoughts(text)[:-1]))
    return sum(start not in written for start in starts)


def loops(events: Sequence[e.Event]) -> bool:
    """Whether the chosen path ran into a loop: it was halted for that, or what a call wrote ends in one."""
    return any(event.stopped_by == "repetition" or repeats(event.text) is not None for event in _line(events))


def _line(events: Sequence[e.Event]) -> list[e.Extended]:
    """The calls of the chosen path, in the order in which they were made."""
    extended = {event.place: event for event in events if isinstance(event, e.Extended)}
    place = next((event.path for event in reversed(events) if isinstance(event, e.Finished)), "")
    line = list[e.Extended]()
    while (event := extended.get(place)) is not None and event not in line:
        line.append(event)
        place = event.parent
    return line[::-1]
