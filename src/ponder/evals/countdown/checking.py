"""Whether a text solves a puzzle, and if not, what is wrong with it first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from ponder.core.errors import UsageError
from ponder.evals.countdown.puzzle import Line, Puzzle, value, without

if TYPE_CHECKING:
    from ponder.evals.values import Item

GOAL: Final = "Goal Reached!"

GRADER: Final = "countdown-lines"
"""The grader that items of this task name."""

Fault = Literal["not reached", "unreadable", "rule", "computation", "unused", "target"]
"""not reached: the text never claims the goal. Else its first wrong line is no line, uses a number that is not there,
or has a wrong result (one that is no whole number from 0 up is wrong, too); or all lines are right, and numbers are
left over, or the last is not the target.
"""


def check(puzzle: Puzzle, text: str, goal: str = GOAL) -> Fault | None:
    """What is wrong with a text first; None if it solves the puzzle. What follows the goal phrase is not read."""
    body, claimed, _ = text.partition(goal)
    if not claimed:
        return "not reached"
    numbers = puzzle.numbers
    for written in body.strip().splitlines():
        line = Line.read(written.strip())
        if line is None:
            return "unreadable"
        rest = without(numbers, line.left, line.right)
        if rest is None:
            return "rule"
        if value(line.left, line.sign, line.right) != line.result:
            return "computation"
        numbers = (*rest, line.result)
    if len(numbers) > 1:
        return "unused"
    return None if numbers == (puzzle.target,) else "target"


class Verifier:
    """A grader of this task's items: the answer is the whole text."""

    async def grade(self, item: Item, answer: str | None) -> bool:
        """Whether the answer solves the item's puzzle.

        Raises:
            UsageError: the item is none of this task.

        """
        if item.grader != GRADER:
            raise UsageError(f"{item.problem.id} is no puzzle of {GRADER}; its grader is {item.grader}.")
        return answer is not None and check(Puzzle.read(item.problem.question), answer) is None
