"""Best-of-N: many chains of thought, the best-scored one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from ponder.strategies.catalogue import Count, Natural, Temperature, method
from ponder.thinking.prompts import SHOTS, ask
from ponder.thinking.votes import best, majority

if TYPE_CHECKING:
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Choice, Run


@method
class BestOfN:
    """The highest-scored of `n` sampled solutions (Cobbe et al. 2021, 2110.14168; Snell et al. 2024, section 5).

    Among solutions that have an answer, if any has. `scorer` "mean-logprob" needs no second model: the
    model's own mean log-probability of what it wrote.
    """

    name: ClassVar[str] = "best-of-n"
    aliases: ClassVar[tuple[str, ...]] = ("bon",)
    paper: ClassVar[str] = "2408.03314"
    cost: ClassVar[str] = "n * L, and what the scorer reads"
    needs: ClassVar[frozenset[Ability]] = frozenset()

    n: Count = 16
    scorer: str = "mean-logprob"
    temperature: Temperature = 0.8
    shots: Natural = SHOTS
    max_tokens: Count = 512

    async def solve(self, problem: Problem, run: Run) -> Choice:
        paths = await run.sample(
            ask(problem, "cot", self.shots),
            self.n,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            logprobs=0,
        )
        candidates = await run.read(paths)
        run.propose(majority(candidates))
        scores = await run.score(paths, by=self.scorer)
        return best([replace(c, weight=s) for c, s in zip(candidates, scores, strict=True)])
