"""One problem of the simulated world: a running sum, the answers that slips lead to, and where to find it again."""

from __future__ import annotations

import hashlib
import itertools
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ponder.core.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

FEWEST, MOST = 2, 8
"""Steps of the easiest and of the hardest problem."""

ATTRACTIVE: Final = (-10, 10, -1, 1, -100, 100, -20, 20, -2, 2)
"""Slips that people and models make: a carry lost, one counted too many. Each problem has three of them."""

RARE: Final = tuple(sign * n for n in (3, 4, 5, 6, 7, 8, 9, 11, 12, 15, 30, 50) for sign in (-1, 1))
"""The long tail: the same in every problem, all equally likely."""

_LOW, _HIGH = 300, 700  # so that no running value, right or wrong, has more or fewer than three digits
_ASKED = re.compile(r"Simulated problem (\d{1,15}) of world (\d{1,15})\.")
_ID = re.compile(r"sim-(\d{1,15})-(\d{1,15})")


@dataclass(frozen=True, slots=True)
class Puzzle:
    """A running sum.

    Args:
        world: the seed of its world.
        index: its number there, from 0.
        difficulty: uniform in [0, 1] over a world.
        values: the number to start with, and the right one after each step; all have three digits.
        slips: what the three attractive wrong answers are off by, the most attractive first.
        question: its wording, which names it, so that it is found again from its text alone.

    """

    world: int
    index: int
    difficulty: float
    values: tuple[int, ...]
    slips: tuple[int, ...]
    question: str

    @property
    def steps(self) -> int:
        """How many there are."""
        return len(self.values) - 1

    @property
    def gold(self) -> str:
        """The right answer."""
        return str(self.values[-1])

    @property
    def problem(self) -> Problem:
        """As a strategy sees it."""
        return Problem.of(self.question, "math", id=f"sim-{self.world}-{self.index}")


@lru_cache(4096)
def puzzle(world: int, index: int) -> Puzzle:
    """Problem `index` of the world with seed `world`; the same on every machine."""
    draw = uniforms("puzzle", world, index)
    difficulty = round(next(draw), 4)
    values = [_LOW + int((_HIGH - _LOW) * next(draw))]
    told = [f"Simulated problem {index} of world {world}. Start with {values[0]}."]
    for _ in range(FEWEST + min(MOST - FEWEST, int((MOST - FEWEST + 1) * difficulty))):
        term = 11 + int(89 * next(draw))
        term = term if next(draw) < 0.5 else -term
        if not _LOW <= values[-1] + term <= _HIGH:
            term = -term
        values.append(values[-1] + term)
        told.append(f"Add {term}." if term > 0 else f"Take {-term} away.")
    left = list(ATTRACTIVE)
    slips = tuple(left.pop(int(len(left) * next(draw))) for _ in range(3))
    question = " ".join([*told, "Which number do you get?"])
    return Puzzle(world, index, difficulty, tuple(values), slips, question)


def find(text: str) -> Puzzle | None:
    """The last problem that a text asks, word for word; None where it asks none of ours."""
    for asked in reversed(list(_ASKED.finditer(text))):
        found = puzzle(int(asked[2]), int(asked[1]))
        if text.startswith(found.question, asked.start()):
            return found
    return None


def named(problem_id: str) -> Puzzle | None:
    """The puzzle with this problem id; None where the id is none of ours."""
    name = _ID.fullmatch(problem_id)
    return puzzle(int(name[1]), int(name[2])) if name else None


def uniforms(*key: str | int) -> Iterator[float]:
    """Numbers in [0, 1) that the key alone decides, in every process and every version of Python."""
    for block in itertools.count():
        digest = hashlib.sha256(repr((*key, block)).encode()).digest()
        for i in range(0, 32, 8):
            yield (int.from_bytes(digest[i : i + 8], "big") >> 11) / (1 << 53)
