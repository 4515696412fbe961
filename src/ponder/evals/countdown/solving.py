"""Every way to go on, and every way to the target: exact, for the few numbers that Countdown has."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from ponder.evals.countdown.puzzle import Line, value, without

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ponder.evals.countdown.puzzle import Puzzle

SIGNS = "+-*/"


def moves(numbers: tuple[int, ...], largest: int | None = None) -> Iterator[tuple[Line, tuple[int, ...]]]:
    """Every legal line with the numbers that are there after it, once each.

    Sums and products are written in the order in which their numbers stand; results above `largest` are left out.
    """
    seen = set()
    for i, a in enumerate(numbers):
        for b in numbers[i + 1 :]:
            for sign in SIGNS:
                left, right = (a, b) if sign in "+*" or a >= b else (b, a)
                result = value(left, sign, right)
                if result is None or (largest is not None and result > largest):
                    continue
                line = Line(left, sign, right, result)
                rest = without(numbers, a, b)
                if line not in seen and rest is not None:
                    seen.add(line)
                    yield line, (*rest, result)


def solutions(puzzle: Puzzle, largest: int | None = None) -> Iterator[tuple[Line, ...]]:
    """Every solution; different orders of the same lines are different solutions."""
    if len(puzzle.numbers) == 1:
        if puzzle.numbers[0] == puzzle.target:
            yield ()
        return
    for line, numbers in moves(puzzle.numbers, largest):
        if leads_there(numbers, puzzle.target, largest):
            yield from ((line, *rest) for rest in solutions(type(puzzle)(numbers, puzzle.target), largest))


def leads_there(numbers: tuple[int, ...], target: int, largest: int | None = None) -> bool:
    """Whether the target can be made out of these numbers, each used once."""
    return target in reachable(tuple(sorted(numbers)), largest)


@lru_cache(maxsize=1 << 13)  # puzzles come again, in any order
def reachable(numbers: tuple[int, ...], largest: int | None = None) -> frozenset[int]:
    """Every number that can be made out of these, each used once. Sort them: so one answer serves every order."""
    if len(numbers) == 1:
        return frozenset(numbers)
    return frozenset().union(
        *(reachable(tuple(sorted(rest)), largest) for _, rest in moves(numbers, largest))
    )
