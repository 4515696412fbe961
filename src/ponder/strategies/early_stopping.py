"""Early-stopping self-consistency (ESC): stop at the first window that agrees."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ponder.strategies.catalogue import Count, Natural, Temperature, method
from ponder.thinking.prompts import SHOTS, ask
from ponder.thinking.votes import majority, unanimous

if TYPE_CHECKING:
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Candidate, Choice, Run


@method
class EarlyStopping:
    """Windows of `w` samples until one is unanimous, at most `n` in all (Li et al. 2024, 2401.10480).

    `of_window` returns the unanimous window's answer, as the released code does; otherwise the majority so far.
    """

    name: ClassVar[str] = "early-stopping"
    aliases: ClassVar[tuple[str, ...]] = ("esc",)
    paper: ClassVar[str] = "2401.10480"
    cost: ClassVar[str] = "E[k] * L, w <= k <= n"
    needs: ClassVar[frozenset[Ability]] = frozenset()

    n: Count = 40
    w: Count = 5
    of_window: bool = False
    temperature: Temperature = 0.7
    top_k: Natural = 40
    shots: Natural = SHOTS
    max_tokens: Count = 512

    async def solve(self, problem: Problem, run: Run) -> Choice:
        prompt = ask(problem, "cot", self.shots)
        seen: list[Candidate] = []
        while len(seen) < self.n:
            paths = await run.sample(
                prompt,
                min(self.w, self.n - len(seen)),
                temperature=self.temperature,
                top_k=self.top_k,
                max_tokens=self.max_tokens,
            )
            window = await run.read(paths)
            seen += window
            run.propose(majority(seen))
            if len(window) == self.w and unanimous(window):
                return majority(window if self.of_window else seen)
        return majority(seen)
