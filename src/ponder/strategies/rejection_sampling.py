"""Rejection sampling: think again until the thinking happens to be short enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ponder.strategies.budget_forcing import answer, think, within
from ponder.strategies.catalogue import Count, Temperature, method
from ponder.thinking.prompts import conditioned

if TYPE_CHECKING:
    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Run


@method
class RejectionSampling:
    """s1's baseline: sample until the thinking takes `limit` tokens or fewer (Muennighoff et al. 2025, 2501.19393).

    Every try is paid for in full: one that is too long is not stopped at the limit. After `n` of them the shortest
    counts. Only the try that is kept gets to answer.
    """

    name: ClassVar[str] = "rejection-sampling"
    paper: ClassVar[str] = "2501.19393"
    cost: ClassVar[str] = "E[tries] * L, at most n * L"
    needs: ClassVar[frozenset[Ability]] = frozenset({"continue"})

    limit: Count = 128
    n: Count = 64
    max_thinking: Count = 2048
    max_answer: Count = 256
    markers: str = "auto"
    temperature: Temperature = 1.0

    @property
    def asked(self) -> int:
        """The most thinking tokens that it asks for."""
        return self.limit

    async def solve(self, problem: Problem, run: Run) -> Prefix:
        markers = run.markers(self.markers)
        prompt = conditioned(problem) + markers.start
        tries: list[Prefix] = []
        while len(tries) < self.n and not (tries and self.kept(tries[-1])):
            most = within(run, self.max_thinking, self.max_answer)
            tries.append(await think(run, prompt, markers, most, self.temperature))
        path = tries[-1] if self.kept(tries[-1]) else min(tries, key=lambda path: (path.cut, path.tokens))
        return await answer(run, path, markers, self.max_answer)

    def kept(self, path: Prefix) -> bool:
        return path.tokens <= self.limit and not path.cut
