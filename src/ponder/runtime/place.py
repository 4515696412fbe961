"""A place is a position in the program, never in time.

Calls are numbered where they are made, before anything runs: the third call of the second branch of a program's
first `each` is "0.1.2" in every run. Names in the trace and seeds come from places, so that the same seed gives
the same tree whatever the timing.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

Place = tuple[int, ...]


class Here:
    """The position from which calls are made now, and how many have been made from it."""

    __slots__ = ("calls", "place", "rng")

    def __init__(self, place: Place) -> None:
        self.place = place
        self.calls = 0
        self.rng: random.Random | None = None

    def next(self) -> Place:
        """The place of the next call."""
        self.calls += 1
        return (*self.place, self.calls - 1)


_here: ContextVar[Here] = ContextVar("here")


def here() -> Here:
    """The position of the code that asks."""
    return _here.get()


@contextmanager
def at(place: Place) -> Iterator[None]:
    """Calls made within are numbered below `place`; tasks started within inherit it."""
    token = _here.set(Here(place))
    try:
        yield
    finally:
        _here.reset(token)


def name(place: Place) -> str:
    """The place as the trace writes it."""
    return ".".join(map(str, place))


def derive(seed: int, problem: str, place: Place) -> int:
    """A seed for what happens at a place; 31 bits, which every server takes."""
    text = f"{seed}|{problem}|{name(place)}"
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 33
