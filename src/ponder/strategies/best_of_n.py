"""Best-of-N: many chains of thought, the best-scored one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from ponder.strategies.catalogue import Count, Natural, Temperature, method
from ponder.thinking.prompts import SHOTS, ask
from ponder.thinking.votes import Selection, majority, select

if TYPE_CHECKING:
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Aggregation, Choice, Run, Scorer


@method
class BestOfN:
    """One of `n` sampled solutions, by score (Cobbe et al. 2021, 2110.14168; Snell et al. 2024, section 5.1).

    `selection` "naive" takes the highest-scored solution, "weighted" the answer whose solutions have the highest
    sum of scores, "majority" the answer with most solutions, "borda" the one with most votes by rank; all among solutions that have an answer, if any has.
    `aggregation` makes the score of a solution of those of its steps, where the scorer has them. `scorer`
    "mean-logprob" needs no second model: the model's own mean log-probability of what it wrote.
    """

    name: ClassVar[str] = "best-of-n"
    aliases: ClassVar[tuple[str, ...]] = ("bon",)
    paper: ClassVar[str] = "2408.03314"
    cost: ClassVar[str] = "n * L, and what the scorer reads"
    needs: ClassVar[frozenset[Ability]] = frozenset()

    n: Count = 16
    scorer: Scorer | str = "mean-logprob"
    selection: Selection = "naive"
    aggregation: Aggregation = "last"
    style: Literal["cot", "steps"] = "cot"
    temperature: Temperature = 0.8
    shots: Natural = SHOTS
    max_tokens: Count = 512

    async def solve(self, problem: Problem, run: Run) -> Choice:
        paths = await run.sample(
            ask(problem, self.style, self.shots),
            self.n,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            logprobs=0,
        )
        candidates = await run.read(paths)
        run.propose(majority(candidates))
        values = await run.score(
            paths, by=self.scorer, how=self.aggregation, unit=self.selection == "weighted"
        )
        return select(candidates, values, self.selection)
