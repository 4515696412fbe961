"""Chain of Draft: reasoning in a few words a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ponder.strategies.catalogue import Count, Natural, Temperature, method
from ponder.thinking.prompts import SHOTS, ask

if TYPE_CHECKING:
    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Run


@method
class ChainOfDraft:
    """One terse chain: five words a step at most, the answer after "####" (Xu et al. 2025, 2502.18600).

    The worked examples in draft style are part of the method; the five-word limit is advice to the model,
    not enforced.
    """

    name: ClassVar[str] = "chain-of-draft"
    aliases: ClassVar[tuple[str, ...]] = ("cod",)
    paper: ClassVar[str] = "2502.18600"
    cost: ClassVar[str] = "down to 0.08 L in the paper"
    needs: ClassVar[frozenset[Ability]] = frozenset()

    shots: Natural = SHOTS
    temperature: Temperature = 0.0
    max_tokens: Count = 256

    async def solve(self, problem: Problem, run: Run) -> Prefix:
        prompt = ask(problem, "draft", self.shots)
        return await run.extend(
            prompt, visible=True, temperature=self.temperature, max_tokens=self.max_tokens
        )
