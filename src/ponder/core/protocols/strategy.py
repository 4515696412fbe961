"""What turns a problem into a choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols.choice import Choice
    from ponder.core.protocols.engine import Ability
    from ponder.core.protocols.run import Run


class Strategy(Protocol):
    """A frozen dataclass of hyper-parameters with one coroutine.

    One that calls models in several roles lists them in a class variable `roles`, ("solver", "feedback"), so that a
    model given for a role it does not have is noticed. Without that list any role is accepted. One that scores what
    roles other than the solver's wrote lists those whose texts it scores in `scored`, so that what the scorer reads is
    there.
    """

    name: ClassVar[str]
    paper: ClassVar[str]

    @property
    def needs(self) -> frozenset[Ability]:
        """What the engine in the role "solver" must be able to do."""
        ...

    async def solve(self, problem: Problem, run: Run) -> Choice | Prefix: ...
