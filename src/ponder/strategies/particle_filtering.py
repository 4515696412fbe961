"""Particle filtering: partial solutions are drawn again in proportion to their odds of being right."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeAlias

from ponder.strategies.catalogue import Count, method
from ponder.strategies.stepwise import Leaf, StepWise
from ponder.thinking.aggregation import unit
from ponder.thinking.search.allocation import odds, resample
from ponder.thinking.votes import Selection  # noqa: TC001 - read at run time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Choice, Run

Trail: TypeAlias = tuple[Leaf, ...]
"""A particle: its path after each step, with what it was worth there."""


@method
class ParticleFiltering(StepWise):
    """`n` particles, each one step further a round, then drawn again by weight (Puri et al. 2025, 2502.01618).

    w = logit(reward of the last step), and n particles are drawn with replacement from softmax(w). One that is over
    keeps its weight and takes part until all are over. The heaviest gives the answer; `selection` "weighted" sums
    the weights of each answer, which estimates how likely the answer is under steps weighed by their odds.
    """

    name: ClassVar[str] = "particle-filtering"
    aliases: ClassVar[tuple[str, ...]] = ("particles",)
    paper: ClassVar[str] = "2502.01618"
    cost: ClassVar[str] = "n * L, and what the scorer reads at every step"

    n: Count = 16
    selection: Selection = "naive"

    async def solve(self, problem: Problem, run: Run) -> Choice:
        particles = await self.filter(run, self.start(problem), self.n)
        return await self.choose(run, [trail[-1] for trail in particles])

    async def filter(self, run: Run, start: Prefix, n: int, kept: Trail = ()) -> list[Trail]:
        """`n` particles whose paths are over, or as long as they may be. `kept` is one of them, come what may."""
        free: list[Trail] = [()] * (n - bool(kept))
        for t, last in enumerate(self.rounds(), 1):
            ended = [trail for trail in free if self.ended(trail)]
            live = [trail for trail in free if not self.ended(trail)]
            heads = [trail[-1].path if trail else start for trail in live]
            came = dict(zip((head.place for head in heads), live, strict=True))
            grown = await self.grow(run, heads, last=last) if live else []
            particles = [*ended, *((*came[leaf.path.rewind().place], leaf) for leaf in grown)]
            if kept:
                particles.insert(0, kept[:t])
            run.propose(await self.choose(run, [trail[-1] for trail in particles]))
            if last or all(map(self.ended, particles)):
                break
            weights = self.weights([trail[-1] for trail in particles])
            free = [particles[i] for i in resample(weights, n - bool(kept), run.rng)]
        return particles

    def ended(self, particle: Trail) -> bool:
        return bool(particle) and self.over(particle[-1].path)

    def weights(self, leaves: Sequence[Leaf]) -> list[float]:
        """softmax(w)."""
        return odds(unit([leaf.value for leaf in leaves]))

    async def choose(self, run: Run, leaves: Sequence[Leaf]) -> Choice:
        weighed = [Leaf(leaf.path, w) for leaf, w in zip(leaves, self.weights(leaves), strict=True)]
        return await super().choose(run, weighed)
