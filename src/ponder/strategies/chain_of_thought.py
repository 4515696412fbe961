"""Chain of thought: one reasoned answer after worked examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ponder.strategies.catalogue import Count, Natural, Temperature, method
from ponder.thinking.prompts import SHOTS, ask

if TYPE_CHECKING:
    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Run


@method
class ChainOfThought:
    """One chain of thought, greedy (Wei et al. 2022, 2201.11903)."""

    name: ClassVar[str] = "chain-of-thought"
    aliases: ClassVar[tuple[str, ...]] = ("cot",)
    paper: ClassVar[str] = "2201.11903"
    cost: ClassVar[str] = "L, one solution's tokens"
    needs: ClassVar[frozenset[Ability]] = frozenset()

    shots: Natural = SHOTS
    temperature: Temperature = 0.0
    max_tokens: Count = 512
    thinking: int | None = None

    async def solve(self, problem: Problem, run: Run) -> Prefix:
        prompt = ask(problem, "cot", self.shots)
        return await run.extend(
            prompt,
            visible=True,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            thinking=self.thinking,
        )
