"""Mixture of agents: layers of models that read each other's answers, and one that writes the last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ponder.strategies.catalogue import Count, Natural, Temperature, method
from ponder.thinking.prompts import SHOTS, ask, synthesise
from ponder.thinking.votes import majority

if TYPE_CHECKING:
    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Run


@method
class MixtureOfAgents:
    """`layers` - 1 layers of `n` proposers, then an aggregator (Wang et al. 2024, 2406.04692, section 2).

    Each layer reads all answers of the one before; the first reads the question alone. The proposers are the roles
    "proposer-1" to "proposer-n", and the last layer is the role "aggregator": so each may be another model, as in the
    paper, whose default is six proposers and three layers. One model in all roles mixes its own samples.
    """

    name: ClassVar[str] = "mixture-of-agents"
    aliases: ClassVar[tuple[str, ...]] = ("moa",)
    paper: ClassVar[str] = "2406.04692"
    cost: ClassVar[str] = "L * (n * (layers - 1) + 1), with n answers in each prompt but the first layer's"
    needs: ClassVar[frozenset[Ability]] = frozenset()

    n: Count = 3
    layers: Count = 3
    temperature: Temperature = 0.7
    shots: Natural = SHOTS
    max_tokens: Count = 512

    @property
    def roles(self) -> tuple[str, ...]:
        """What models may be given for."""
        return ("solver", *self.proposers, "aggregator")

    @property
    def proposers(self) -> tuple[str, ...]:
        return tuple(f"proposer-{i}" for i in range(1, self.n + 1))

    async def solve(self, problem: Problem, run: Run) -> Prefix:
        prompt = ask(problem, "cot", self.shots)
        writing: dict[str, Any] = {"temperature": self.temperature, "max_tokens": self.max_tokens}
        for _ in range(self.layers - 1):
            answers = await run.sample(prompt, self.n, role=self.proposers, **writing)
            run.propose(majority(await run.read(answers)))
            prompt = synthesise(problem, [path.text for path in answers], self.shots)
        return await run.extend(prompt, role="aggregator", visible=True, **writing)
