"""How good a path is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols.engine import Ability
    from ponder.core.protocols.run import Run

Aggregation: TypeAlias = Literal["last", "min", "prod", "mean", "max"]
"""How the value of a solution is made of those of its steps; see `thinking.aggregation`."""

Scale: TypeAlias = Literal["probability", "logprob", "logit"]
"""What a scorer's values are: in [0, 1]; logarithms of such; or any numbers, of which the logistic function is such."""


@dataclass(frozen=True, slots=True)
class Score:
    """Higher is better. `steps` are the values of the single steps, where the scorer has them.

    `unread` counts verdicts that were asked for and could not be read: they say nothing, but are recorded.
    """

    value: float
    steps: tuple[float, ...] = ()
    unread: int = 0


class Scorer(Protocol):
    """Says how good paths are.

    `needs` is what the engine must be able to do that writes what is scored, the solver's as a rule, and
    log-probabilities and certainty among it are recorded while it writes. A scorer that asks models itself lists their `roles`, ("judge",), as strategies do: then it is the
    engines of those roles that must be able. One whose values can be brought to the scale of probabilities says what
    they are as its `scale`; without it they are weighed as `thinking.aggregation.unit` guesses.
    """

    @property
    def name(self) -> str: ...
    @property
    def needs(self) -> frozenset[Ability]: ...

    async def score(self, problem: Problem, paths: Sequence[Prefix], run: Run) -> list[Score]:
        """One score per path, in the given order. `run` is a child scope that pays for whatever is called."""
        ...
