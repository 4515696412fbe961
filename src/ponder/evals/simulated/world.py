"""A world of simulated problems: seeded, without end."""

from __future__ import annotations

from dataclasses import dataclass

from ponder.core.errors import UsageError
from ponder.evals.simulated.puzzle import Puzzle, puzzle
from ponder.evals.values import Item

TASK = "simulated"


@dataclass(frozen=True, slots=True)
class World:
    """All problems of one seed. Their difficulties are uniform in [0, 1], and harder ones have more steps."""

    seed: int = 0

    def __post_init__(self) -> None:
        """Raises UsageError for a seed that no question could name."""
        if not 0 <= self.seed < 10**15:
            raise UsageError(f"The seed of a simulated world is a whole number from 0 up, not {self.seed}.")

    def puzzle(self, index: int) -> Puzzle:
        """The problem with this number, from 0."""
        return puzzle(self.seed, index)

    def items(self, n: int, start: int = 0) -> tuple[Item, ...]:
        """The `n` problems from number `start` on, with their gold answers; `level` is the difficulty."""
        return tuple(_item(self.puzzle(i)) for i in range(start, start + n))


def _item(asked: Puzzle) -> Item:
    return Item(
        asked.problem,
        asked.gold,
        TASK,
        family=f"{asked.steps} steps",
        level=asked.difficulty,
        meta={"steps": asked.steps, "simulated": True},
    )
