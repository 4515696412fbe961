"""REBASE: a tree in which better nodes get more children."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ponder.strategies.catalogue import Count, Temperature, method
from ponder.strategies.stepwise import StepWise
from ponder.thinking.aggregation import unit
from ponder.thinking.search.allocation import rebase

if TYPE_CHECKING:
    from ponder.core.problem import Problem
    from ponder.core.protocols import Choice, Run
    from ponder.strategies.stepwise import Leaf


@method
class Rebase(StepWise):
    """Reward-balanced search (Wu et al. 2024, 2408.00724): `n` children a round, shared out by softmax of reward.

    n is the paper's N, `balance` its T_b. A path that is over takes one place out of the budget, so that n paths
    come to an end; they vote, weighted by their rewards.
    """

    name: ClassVar[str] = "rebase"
    paper: ClassVar[str] = "2408.00724"
    cost: ClassVar[str] = "n * L, and what the scorer reads at every step"

    n: Count = 16
    balance: Temperature = 0.2
    temperature: Temperature = 1.0

    async def solve(self, problem: Problem, run: Run) -> Choice:
        starts = [self.start(problem)] * self.n
        ended: list[Leaf] = []
        for last in self.rounds():
            leaves = await self.grow(run, starts, last=last)
            run.propose(await self.choose(run, [*ended, *leaves]))
            ended += [leaf for leaf in leaves if self.over(leaf.path)]
            live = [leaf for leaf in leaves if not self.over(leaf.path)]
            if last or not live:
                break
            shares = rebase(unit([leaf.value for leaf in live]), self.n - len(ended), self.balance)
            starts = [leaf.path for leaf, share in zip(live, shares, strict=True) for _ in range(share)]
        return await self.choose(run, ended or leaves)
