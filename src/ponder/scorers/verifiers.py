"""Scorers that say 0 or 1 because something was executed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ponder.core.protocols import Score
from ponder.scorers.catalogue import scorer
from ponder.thinking.arithmetic import verdicts
from ponder.thinking.steps import split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Run, Scale


@scorer
class Arithmetic:
    """Calculates again what each step claims (`12 * 7 = 84`): 1 if it holds, 0 if not; needs no model.

    A step that claims nothing follows the claim before it, or else the one after; a text that claims nothing is 1/2.
    The value of a path is that of its worst step. It sees wrong sums, not sums that are beside the point: a path that
    says nothing but `1 + 1 = 2` has 1. On tasks that are sums it is nearly a calculator, so show
    `thinking.arithmetic.calculate`, which executes the question itself, beside it.
    """

    name: ClassVar[str] = "arithmetic"
    scale: ClassVar[Scale] = "probability"
    needs: ClassVar[frozenset[Ability]] = frozenset()

    async def score(self, problem: Problem, paths: Sequence[Prefix], run: Run) -> list[Score]:  # noqa: ARG002
        return [self.value(path.text) for path in paths]

    def value(self, text: str) -> Score:
        """The score of a text."""
        steps = tuple(verdicts(split(text)))
        return Score(min(steps, default=0.5), steps)
