"""What self-backtracking is trained on: solutions, and solutions that go wrong and say so (2502.04404, section 4.1)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from ponder.core.errors import UsageError
from ponder.evals.countdown import GOAL, Line, Puzzle, leads_there, moves, solutions
from ponder.evals.countdown.puzzle import value, without

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ponder.evals.countdown import Countdown

MARKER: Final = "<backtrack>"
SIGNS: Final = "+-*/"

Mistake = Literal["exploration", "computation", "rule"]
"""exploration: a right line after which the target is out of reach. computation: a wrong result. rule: the line uses a
number that is not there.
"""

MISTAKES: Final[tuple[Mistake, ...]] = get_args(Mistake)


def prompt(puzzle: Puzzle) -> str:
    """What stands before the response; the model's chat template writes the same around the question."""
    return f"###Question: {puzzle.question}\n###Response:\n"


@dataclass(frozen=True, slots=True)
class Example:
    """One text to train on, and which parts of it are to be learnt.

    Args:
        puzzle: what is asked.
        lines: lines of a solution, all of them or the first few.
        wrong: the line that goes wrong after these; None in a solution.
        mistake: in which way it does.

    """

    puzzle: Puzzle
    lines: tuple[Line, ...]
    wrong: Line | None = None
    mistake: Mistake | None = None

    @property
    def parts(self) -> tuple[tuple[str, bool], ...]:
        """Texts and whether they are learnt. The question is not, nor the wrong line; that it is taken back is."""
        right = "".join(f"{line}\n" for line in self.lines)
        if self.wrong is None:
            return (prompt(self.puzzle), False), (right + GOAL, True)
        return (prompt(self.puzzle), False), (right, True), (str(self.wrong), False), ("\n" + MARKER, True)

    @property
    def text(self) -> str:
        """All of it, as the model reads it; the end-of-text token comes after, and is learnt."""
        return "".join(text for text, _ in self.parts)

    def learnt(self, spans: Sequence[tuple[int, int]]) -> list[bool]:
        """For each token, given where it begins and ends in `text`, whether all that it writes is to be learnt."""
        whole = [learnt for text, learnt in self.parts for _ in text]
        return [begin < end and all(whole[begin:end]) for begin, end in spans]


def solved(puzzle: Puzzle, rng: random.Random, largest: int | None = None) -> Example:
    """An example of a solution, each as likely.

    Raises:
        UsageError: the puzzle has none.

    """
    found = list(solutions(puzzle, largest))
    if not found:
        raise UsageError(f"{puzzle.question} has no solution. Take puzzles from Countdown.puzzles.")
    return Example(puzzle, rng.choice(found))


def gone_wrong(example: Example, mistake: Mistake, rng: random.Random, largest: int = 400) -> Example | None:
    """The solution up to a line by chance, and there a mistake; None where that mistake cannot be made there."""
    at = rng.randrange(len(example.lines))
    numbers = example.puzzle.numbers
    for line in example.lines[:at]:
        numbers = (*(without(numbers, line.left, line.right) or ()), line.result)
    make = {"exploration": _dead_ends, "computation": _miscalculated, "rule": _not_there}[mistake]
    wrong = make(numbers, example.puzzle.target, rng, largest)
    return Example(example.puzzle, example.lines[:at], rng.choice(wrong), mistake) if wrong else None


def _dead_ends(numbers: tuple[int, ...], target: int, _: random.Random, largest: int) -> list[Line]:
    # Without a limit on results: what can be reached only by way of a large number is no dead end.
    return [line for line, rest in moves(numbers, largest) if not leads_there(rest, target)]


def _miscalculated(numbers: tuple[int, ...], _: int, rng: random.Random, largest: int) -> list[Line]:
    """Near misses, as models make them: up to ten off."""
    found = []
    for line, _rest in moves(numbers, largest):
        results = range(max(0, line.result - 10), min(largest, line.result + 10) + 1)
        found.append(
            Line(line.left, line.sign, line.right, rng.choice([r for r in results if r != line.result]))
        )
    return found


def _not_there(numbers: tuple[int, ...], _: int, rng: random.Random, largest: int) -> list[Line]:
    """Right arithmetic with one number that is there and one that is not, or is not there twice."""
    found = []
    strangers = [n for n in range(1, max(20, *numbers) + 1) if n not in numbers] + list(numbers)
    for number in numbers:
        for sign in SIGNS:
            stranger = rng.choice(strangers)
            for left, right in ((number, stranger), (stranger, number)):
                result = value(left, sign, right)
                if result is not None and result <= largest and without(numbers, left, right) is None:
                    found.append(Line(left, sign, right, result))
    return found


def examples(family: Countdown, share: float = 0.5) -> Iterator[Example]:
    """Examples without end, of the family's training split: `share` of them goes wrong, by each mistake as often.

    Raises:
        UsageError: the share is no share.

    """
    if not 0 <= share <= 1:
        raise UsageError(f"A share of examples lies between 0 and 1, not {share}.")
    rng = random.Random(f"examples {family.seed}")
    for puzzle in family.puzzles("train"):
        right = solved(puzzle, rng, family.largest)
        if rng.random() >= share:
            yield right
            continue
        mistake = rng.choice(MISTAKES)
        wrong = None
        while wrong is None:  # where this one cannot be made, another can: a result can always be wrong
            wrong = gone_wrong(right, mistake, rng, family.largest)
            mistake = rng.choice(MISTAKES)
        yield wrong
