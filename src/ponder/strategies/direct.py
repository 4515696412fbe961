"""The answer without reasoning: the cheapest strategy, and enough for simple questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ponder.strategies.catalogue import Count, Natural, Temperature, method
from ponder.thinking.prompts import SHOTS, ask

if TYPE_CHECKING:
    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Run


@method
class Direct:
    """One answer, no reasoning: the "standard" baseline of Chain of Draft's comparison (2502.18600)."""

    name: ClassVar[str] = "direct"
    paper: ClassVar[str] = "2502.18600"
    cost: ClassVar[str] = "the answer's tokens"
    needs: ClassVar[frozenset[Ability]] = frozenset()

    shots: Natural = SHOTS
    temperature: Temperature = 0.0
    max_tokens: Count = 128

    async def solve(self, problem: Problem, run: Run) -> Prefix:
        prompt = ask(problem, "direct", self.shots)
        return await run.extend(
            prompt, visible=True, temperature=self.temperature, max_tokens=self.max_tokens
        )
