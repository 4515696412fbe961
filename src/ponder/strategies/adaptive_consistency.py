"""Adaptive-Consistency: sample until the majority is settled."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from ponder.strategies.catalogue import Count, Natural, Probability, Temperature, method
from ponder.thinking.prompts import SHOTS, ask
from ponder.thinking.votes import beta, dirichlet, majority

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Candidate, Choice, Run


@method
class AdaptiveConsistency:
    """Self-consistency that stops once the leader is probably the winner (Aggarwal et al. 2023, 2305.11860).

    Samples are drawn `block` at a time, which trades latency against samples drawn in vain; the rule is asked
    after every one of them, in order, and the rest of a block is cancelled in flight once it holds.
    `rule`: "beta" compares the two leading answers, "dirichlet" the five most common.
    """

    name: ClassVar[str] = "adaptive-consistency"
    aliases: ClassVar[tuple[str, ...]] = ("adaptive",)
    paper: ClassVar[str] = "2305.11860"
    cost: ClassVar[str] = "E[k] * L, 4 <= k <= n"
    needs: ClassVar[frozenset[Ability]] = frozenset()

    n: Count = 40
    threshold: Probability = 0.95
    rule: Literal["beta", "dirichlet"] = "beta"
    block: Count = 4
    temperature: Temperature = 0.7
    top_k: Natural = 40
    shots: Natural = SHOTS
    max_tokens: Count = 512

    async def solve(self, problem: Problem, run: Run) -> Choice:
        prompt = ask(problem, "cot", self.shots)
        probability = beta if self.rule == "beta" else dirichlet
        seen: list[Candidate] = []

        def settled(new: Sequence[Candidate] = ()) -> bool:
            return probability([*seen, *new]) >= self.threshold

        while len(seen) < self.n and not settled():
            paths = await run.sample(
                prompt,
                min(self.block, self.n - len(seen)),
                until=settled,
                temperature=self.temperature,
                top_k=self.top_k,
                max_tokens=self.max_tokens,
            )
            seen += await run.read(paths)
            run.propose(majority(seen))
        return majority(seen)
