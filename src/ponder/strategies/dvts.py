"""Diverse verifier tree search: many narrow searches that do not compete with each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from ponder.strategies.catalogue import Count, method
from ponder.strategies.stepwise import StepWise
from ponder.thinking.search.allocation import spread

if TYPE_CHECKING:
    from ponder.core.problem import Problem
    from ponder.core.protocols import Choice, Run
    from ponder.strategies.stepwise import Leaf


@method
class DVTS(StepWise):
    """n / width independent trees, each greedy: of `width` next steps it keeps the best (Beeching et al. 2024).

    The method is search-and-learn's; Liu et al. 2025 (2502.06703) take it over. `convention` says who votes:
    "search-and-learn": the `width` last candidates of every tree, n in all; "compute-optimal-tts": the best of each.
    Where width does not divide n, the n places are shared out among the trees as evenly as they can be.
    """

    name: ClassVar[str] = "dvts"
    paper: ClassVar[str] = "2502.06703"
    cost: ClassVar[str] = "n * L, and what the scorer reads at every step"

    n: Count = 16
    width: Count = 4
    convention: Literal["search-and-learn", "compute-optimal-tts"] = "search-and-learn"

    async def solve(self, problem: Problem, run: Run) -> Choice:
        ended: list[Leaf] = []

        async def tree(width: int) -> list[Leaf]:
            head = self.start(problem)
            for last in self.rounds():
                leaves = await self.grow(run, [head], width, last=last)
                run.propose(await self.choose(run, [*ended, *leaves]))
                best = self.best(leaves, 1)
                head = best[0].path
                if last or self.over(head):
                    break
            ends = leaves if self.convention == "search-and-learn" else best
            ended.extend(ends)
            return ends

        trees = await run.each(tree, spread(self.n, max(1, self.n // self.width)))
        return await self.choose(run, [leaf for ends in trees for leaf in ends])
