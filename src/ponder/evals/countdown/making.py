"""Puzzles out of a seed, with targets and numbers that training never sees."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement, islice
from typing import TYPE_CHECKING, Literal

from ponder.core.errors import UsageError
from ponder.core.problem import Message, Problem
from ponder.evals.countdown.checking import GRADER
from ponder.evals.countdown.puzzle import Puzzle
from ponder.evals.countdown.solving import reachable
from ponder.evals.values import Item

if TYPE_CHECKING:
    from collections.abc import Iterator

Split = Literal["train", "seen", "new"]
"""train: what a model may be trained on. seen: its targets, with numbers that it never had together. new: targets that
it never had, with any numbers.
"""


@dataclass(frozen=True)
class Countdown:
    """A family of puzzles that have a solution.

    Args:
        numbers: how many each puzzle has.
        low, high: of the numbers.
        first, last: of the targets.
        largest: no result on the way is above it.
        share: of the targets, and of the sets of numbers, that training never sees.
        seed: of that choice, and of the puzzles.

    """

    numbers: int = 3
    low: int = 1
    high: int = 20
    first: int = 10
    last: int = 100
    largest: int = 400
    share: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises UsageError for a family without puzzles, or one that takes hours to solve."""
        if not 2 <= self.numbers <= 5:
            raise UsageError(f"A puzzle has 2 to 5 numbers, not {self.numbers}.")
        if not 1 <= self.low <= self.high <= self.largest or not 0 <= self.first < self.last <= self.largest:
            raise UsageError("Give 1 <= low <= high <= largest and 0 <= first < last <= largest.")
        if not 0 < self.share < 1:
            raise UsageError(f"The share that is held out lies between 0 and 1, not {self.share}.")

    @cached_property
    def new(self) -> frozenset[int]:
        """The targets that training never sees, one at least."""
        targets = range(self.first, self.last + 1)
        return frozenset(self._rng("targets").sample(targets, max(1, round(self.share * len(targets)))))

    def held_out(self, numbers: tuple[int, ...]) -> bool:
        """Whether training never sees these numbers together, in any order."""
        told = hashlib.sha256(f"{self.seed} {sorted(numbers)}".encode()).digest()
        return int.from_bytes(told[:8]) < self.share * 2**64

    def puzzles(self, split: Split) -> Iterator[Puzzle]:
        """Puzzles of a split without end, by the seed alone; some come again.

        Each set of numbers is as likely as it is in so many draws, and of the targets that can be made out of it each.

        Raises:
            UsageError: the family has no puzzle in this split.

        """
        rng = self._rng(split)
        self._has_some(split)
        while True:
            numbers = tuple(rng.randint(self.low, self.high) for _ in range(self.numbers))
            targets = self._targets(numbers, split)
            if targets:
                yield Puzzle(numbers, rng.choice(targets))

    def items(self, split: Split, count: int) -> list[Item]:
        """The first `count` different puzzles of a split, as items that `Verifier` grades.

        Raises:
            UsageError: there are not so many.

        """
        found: dict[Puzzle, Puzzle] = {}
        # A family this small repeats itself: what has not come in so many draws is not there.
        for puzzle in islice(self.puzzles(split), 1_000 + 100 * count):
            found.setdefault(Puzzle(tuple(sorted(puzzle.numbers)), puzzle.target), puzzle)
            if len(found) == count:
                return [self._item(puzzle, split) for puzzle in found.values()]
        raise UsageError(f"There are only about {len(found)} puzzles in the split {split!r}. Ask for fewer.")

    def _item(self, puzzle: Puzzle, split: Split) -> Item:
        name = f"{GRADER}/{split}/{'-'.join(map(str, puzzle.numbers))}/{puzzle.target}"
        problem = Problem(name, (Message("user", puzzle.question),), "open")
        return Item(problem, "(any that solves it)", GRADER, split, float(self.numbers), GRADER)

    def _targets(self, numbers: tuple[int, ...], split: Split) -> list[int]:
        """The targets of a split that can be made out of these numbers."""
        if split != "new" and self.held_out(numbers) != (split == "seen"):
            return []
        within = (n for n in reachable(tuple(sorted(numbers)), self.largest) if self.first <= n <= self.last)
        return sorted(n for n in within if (n in self.new) == (split == "new"))

    def _has_some(self, split: Split) -> None:
        sets = combinations_with_replacement(range(self.low, self.high + 1), self.numbers)
        if not any(self._targets(numbers, split) for numbers in sets):
            raise UsageError(
                f"This family of Countdown has no puzzle in the split {split!r}. Widen its numbers or its targets."
            )

    def _rng(self, purpose: str) -> random.Random:
        return random.Random(f"countdown {self.seed} {self.numbers} {purpose}")
