"""A simulated reward model: it knows whether a path is still right, blurred by noise and bent by biases."""

from __future__ import annotations

import math
import re
from statistics import NormalDist
from typing import TYPE_CHECKING, ClassVar, Final

from ponder.core.errors import UsageError
from ponder.core.protocols import Score
from ponder.evals.simulated import tokens
from ponder.evals.simulated.puzzle import find, uniforms
from ponder.thinking.spelling import spelled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Run, Scale
    from ponder.evals.simulated.puzzle import Puzzle

_NORMAL: Final = NormalDist()
_STATED: Final = re.compile(
    r"= (?P<step>\d{1,9})|value is (?P<again>\d{1,9})"
    r"|(?:answer is:? ?|#### ?|\\boxed\{|\A(?=\d+\.?\s*\Z))(?P<answer>\d{1,9})"
)


@spelled
class SimulatedScorer:
    """Values every step of a path to a simulated problem, and the whole of it as its last step.

    A step has z = d * right + a normal draw + the biases, and its value is sigmoid(z - d / 2). d is chosen such that
    a right step beats a wrong one with probability `auc`: d = sqrt(2) * Phi^-1(auc) (the binormal model). The draw
    depends on nothing but `seed`, the problem and the text up to the step, so the same text is always valued alike.
    Where nothing is stated yet, a path is right; a problem of no simulated world has no right path.

    It reads the question and the text, and is charged for that in scorer tokens.

    Args:
        auc: in (0, 1]; 0.5 knows nothing, 1 never errs.
        length: added to z for every 100 characters: positive prefers long paths.
        favour: added to z where the running value is off by the problem's most attractive slip.
        seed: of the noise.

    """

    name: ClassVar[str] = "simulated"
    scale: ClassVar[Scale] = "probability"
    needs: ClassVar[frozenset[Ability]] = frozenset()

    auc: float = 0.8
    length: float = 0.0
    favour: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises UsageError for an impossible `auc`."""
        if not 0 < self.auc <= 1:
            raise UsageError(f"A simulated scorer takes auc above 0 and up to 1, not {self.auc}.")

    async def score(self, problem: Problem, paths: Sequence[Prefix], run: Run) -> list[Score]:
        asked = len(tokens.split(problem.question))
        texts = [path.text for path in paths]
        puzzle = find(problem.question)
        async with run.charge(sum(asked + len(tokens.split(text)) for text in texts)):
            return [self.value(puzzle, text) for text in texts]

    def value(self, puzzle: Puzzle | None, text: str) -> Score:
        """The score of a text that attempts a problem; None is a problem of no simulated world."""
        steps = tuple(
            self._value(puzzle, text[:end], slip)
            for end, slip in (_stated(puzzle, text) if puzzle else ((len(text), None),))
        )
        steps = steps or (self._value(puzzle, text, 0),)
        return Score(steps[-1], steps)

    def _value(self, puzzle: Puzzle | None, text: str, slip: int | None) -> float:
        bias = self.length * len(text) / 100
        if puzzle and slip == puzzle.slips[0]:
            bias += self.favour
        if self.auc == 1:
            return _sigmoid((4.0 if slip == 0 else -4.0) + bias)
        apart = separation(self.auc)
        where = (puzzle.world, puzzle.index) if puzzle else (-1, -1)
        noise = _NORMAL.inv_cdf(max(next(uniforms("score", self.seed, *where, text)), 2**-54))
        return _sigmoid(apart * (slip == 0) + noise + bias - apart / 2)


def separation(auc: float) -> float:
    """How many standard deviations two normals are apart if a draw of one beats one of the other so often."""
    return math.sqrt(2) * _NORMAL.inv_cdf(auc)


def _sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z)) if z > -700 else 0.0


def _stated(puzzle: Puzzle, text: str) -> Iterator[tuple[int, int]]:
    """Where each value stands that a text states, and what it is off by."""
    step = 0
    for stated in _STATED.finditer(text):
        step = min(step + (stated["step"] is not None), puzzle.steps)
        right = puzzle.values[-1 if stated["answer"] else step]
        yield stated.end(), int(stated["step"] or stated["again"] or stated["answer"]) - right
