"""Conditional control: the prompt says how long to think, and nothing makes it so."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from ponder.strategies.budget_forcing import answer, think, within
from ponder.strategies.catalogue import Count, Temperature, method
from ponder.thinking.prompts import conditioned

if TYPE_CHECKING:
    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Run


@method
class ConditionalControl:
    """The token-, step- and class-conditional baselines of s1 (Muennighoff et al. 2025, 2501.19393, section 3.2).

    `condition` "tokens" asks for up to `n` tokens, "steps" for up to n / 100 steps, "short" and "long" for a short or
    a long amount of thinking. Whether the model obeys is what is measured: thinking ends where it ends, at
    `max_thinking` at the latest. With budget forcing the same prompts are `budget-forcing:condition=...`.
    """

    name: ClassVar[str] = "conditional-control"
    aliases: ClassVar[tuple[str, ...]] = ("token-conditional",)
    paper: ClassVar[str] = "2501.19393"
    cost: ClassVar[str] = "L"
    needs: ClassVar[frozenset[Ability]] = frozenset({"continue"})

    condition: Literal["tokens", "steps", "short", "long"] = "tokens"
    n: Count = 512
    max_thinking: Count = 2048
    max_answer: Count = 256
    markers: str = "auto"
    temperature: Temperature = 0.0

    @property
    def asked(self) -> int | None:
        """The most thinking tokens that it asks for; None where it names no number."""
        return self.n if self.condition in ("tokens", "steps") else None

    async def solve(self, problem: Problem, run: Run) -> Prefix:
        markers = run.markers(self.markers)
        path = conditioned(problem, self.condition, self.n) + markers.start
        most = within(run, self.max_thinking, self.max_answer)
        path = await think(run, path, markers, most, self.temperature)
        return await answer(run, path, markers, self.max_answer)
