"""Self-consistency: many chains of thought, one vote."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ponder.strategies.catalogue import Count, Natural, Temperature, method
from ponder.thinking.prompts import SHOTS, ask
from ponder.thinking.votes import majority

if TYPE_CHECKING:
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Choice, Run


@method
class SelfConsistency:
    """Majority vote over `n` sampled chains of thought (Wang et al. 2022, 2203.11171).

    The paper takes n = 40; most of its gain is there at 16.
    """

    name: ClassVar[str] = "self-consistency"
    aliases: ClassVar[tuple[str, ...]] = ("majority", "majority-vote", "sc")
    paper: ClassVar[str] = "2203.11171"
    cost: ClassVar[str] = "n * L"
    needs: ClassVar[frozenset[Ability]] = frozenset()

    n: Count = 16
    temperature: Temperature = 0.7
    top_k: Natural = 40
    shots: Natural = SHOTS
    max_tokens: Count = 512
    thinking: int | None = None

    async def solve(self, problem: Problem, run: Run) -> Choice:
        paths = await run.sample(
            ask(problem, "cot", self.shots),
            self.n,
            temperature=self.temperature,
            top_k=self.top_k,
            max_tokens=self.max_tokens,
            thinking=self.thinking,
        )
        return majority(await run.read(paths))
