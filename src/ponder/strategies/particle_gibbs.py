"""Particle Gibbs: particle filtering again and again, each time with one particle of the time before."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ponder.strategies.catalogue import Count, method
from ponder.strategies.particle_filtering import ParticleFiltering
from ponder.thinking.search.allocation import resample, spread

if TYPE_CHECKING:
    from ponder.core.problem import Problem
    from ponder.core.protocols import Choice, Run
    from ponder.strategies.particle_filtering import Trail
    from ponder.strategies.stepwise import Leaf


@method
class ParticleGibbs(ParticleFiltering):
    """n / iterations particles, `iterations` times (Puri et al. 2025, 2502.01618, section 3.2).

    After each time one particle is drawn by weight. Its path is kept in all rounds of the next, in which others may
    be drawn from it at any step. A filter needs two particles; so there are at most n / 2 iterations.
    """

    name: ClassVar[str] = "particle-gibbs"
    aliases: ClassVar[tuple[str, ...]] = ()
    paper: ClassVar[str] = "2502.01618"
    cost: ClassVar[str] = "n * L, and what the scorer reads at every step"

    iterations: Count = 4

    async def solve(self, problem: Problem, run: Run) -> Choice:
        ends: list[Leaf] = []
        kept: Trail = ()
        for n in spread(self.n, min(self.iterations, max(1, self.n // 2))):
            particles = await self.filter(run, self.start(problem), n, kept)
            leaves = [trail[-1] for trail in particles]
            ends += leaves
            run.propose(await self.choose(run, ends))
            kept = particles[resample(self.weights(leaves), 1, run.rng)[0]]
        return await self.choose(run, ends)
