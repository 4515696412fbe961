"""Cascade: a cheap strategy first, and another one only where a scorer is not sure of its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ponder.strategies.catalogue import method
from ponder.strategies.self_consistency import SelfConsistency

if TYPE_CHECKING:
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Aggregation, Choice, Run, Scorer, Strategy


@method
class Cascade:
    """The answer of `first` where its score is `tau` or more, else that of `then` (Chen et al. 2023, 2305.05176, section 3).

    The paper's cascade is of models, from cheap to dear, with a scorer that is trained; here it is of two ways to ask
    one model, and `then` may be a cascade. `scorer` values the path that `first` chose, its steps joined by
    `aggregation`; with a verifier such as `arithmetic`, tau = 1 takes what is verified. What `first` sampled is kept,
    where `then` draws the same. Where the budget ends within `then`, or it finds nothing, the first answer stands.
    `ponder calibrate` finds which pairs pay.
    """

    name: ClassVar[str] = "cascade"
    paper: ClassVar[str] = "2305.05176"
    cost: ClassVar[str] = "that of first, and of then where its score is below tau"
    needs: ClassVar[frozenset[Ability]] = frozenset()

    first: Strategy = SelfConsistency(n=2)
    then: Strategy = SelfConsistency()
    scorer: Scorer | str = "mean-probability"
    aggregation: Aggregation = "last"
    tau: float = 0.9

    async def solve(self, problem: Problem, run: Run) -> Choice:  # noqa: ARG002 - its parts are given it
        early = await run.delegate(self.first)
        run.propose(early)
        if early.answer is not None:
            [value] = await run.score([early.path], by=self.scorer, how=self.aggregation)
            if value >= self.tau:
                return early
        late = await run.delegate(self.then, given=[c.path for c in early.candidates])
        return late if late.answer is not None else early
