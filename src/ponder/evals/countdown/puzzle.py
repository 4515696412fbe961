"""A puzzle of Countdown and a line of its solution, with the text of each."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ponder.core.errors import UsageError

_QUESTION = re.compile(r"numbers \[([0-9]+(?:, [0-9]+)*)\]->target ([0-9]+)")
_LINE = re.compile(r"([0-9]{1,12})([-+*/])([0-9]{1,12})=([0-9]{1,12})")


@dataclass(frozen=True, slots=True)
class Puzzle:
    """Make the target out of the numbers: each is used exactly once, and results go on as numbers."""

    numbers: tuple[int, ...]
    target: int

    @property
    def question(self) -> str:
        """The puzzle as the paper writes it, without what stands around it."""
        return f"numbers {list(self.numbers)}->target {self.target}"

    @classmethod
    def read(cls, question: str) -> Puzzle:
        """The inverse of `question`.

        Raises:
            UsageError: it is no such question.

        """
        found = _QUESTION.fullmatch(question.strip())
        if found is None:
            raise UsageError(f"{question!r} is no puzzle. Write, for example: numbers [3, 5, 8]->target 23")
        return cls(tuple(map(int, found[1].split(", "))), int(found[2]))


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a solution, `left sign right = result`; whether it is right is another matter."""

    left: int
    sign: str
    right: int
    result: int

    def __str__(self) -> str:
        return f"{self.left}{self.sign}{self.right}={self.result}"

    @classmethod
    def read(cls, text: str) -> Line | None:
        """The inverse of `str`; None if the text is no line."""
        found = _LINE.fullmatch(text)
        return cls(int(found[1]), found[2], int(found[3]), int(found[4])) if found else None


def value(left: int, sign: str, right: int) -> int | None:
    """The result of an operation, or None where it leaves the whole numbers from 0 up."""
    match sign:
        case "+":
            return left + right
        case "*":
            return left * right
        case "-":
            return left - right if left >= right else None
        case "/":
            return left // right if right and left % right == 0 else None
    raise UsageError(f"There is no operation {sign!r}. There are +, -, * and /.")


def without(numbers: tuple[int, ...], *used: int) -> tuple[int, ...] | None:
    """The numbers that are left when some are used, in their order; None if one of these is not there."""
    left = list(numbers)
    for number in used:
        if number not in left:
            return None
        left.remove(number)
    return tuple(left)
