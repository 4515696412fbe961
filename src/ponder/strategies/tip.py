"""TIP: leaving a thought before it is finished costs something."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ponder.core.calls import SwitchPenalty
from ponder.core.errors import UsageError
from ponder.strategies.budget_forcing import answer, within
from ponder.strategies.catalogue import Count, Natural, Probability, Temperature, method
from ponder.thinking.loops import looping
from ponder.thinking.prompts import conditioned
from ponder.thinking.thoughts import SPELT, switches

if TYPE_CHECKING:
    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Run


@method
class TIP:
    """Thought switching penalty (Wang et al. 2025, 2501.18585, section 4).

    `alpha` is taken off the logits of the tokens that begin a switch of thought, for the first `beta` tokens of each
    thought: z'_v = z_v - alpha if v begins a switch and t < psi + beta, where psi is where the thought began. The
    penalty is of the thinking alone, not of the answer after it.
    """

    name: ClassVar[str] = "tip"
    aliases: ClassVar[tuple[str, ...]] = ("thought-switching-penalty",)
    paper: ClassVar[str] = "2501.18585"
    cost: ClassVar[str] = "L"
    needs: ClassVar[frozenset[Ability]] = frozenset({"continue", "stop_ids", "switch_penalty"})

    alpha: Temperature = 3.0
    beta: Natural = 600
    temperature: Temperature = 0.7
    top_p: Probability = 0.95
    max_thinking: Count = 4096
    max_answer: Count = 256
    markers: str = "auto"

    async def solve(self, problem: Problem, run: Run) -> Prefix:
        markers = run.markers(self.markers)
        found = switches(dict(zip(SPELT, await run.encode(SPELT), strict=True)).__getitem__)
        if not found.tokens:
            raise UsageError(
                f"No token of this model begins a switch of thought and nothing else; left out: {found.left_out}."
            )
        path = await run.extend(
            conditioned(problem) + markers.start,
            **markers.stops,
            switch_penalty=SwitchPenalty(found.tokens, self.alpha, self.beta),
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=within(run, self.max_thinking, self.max_answer),
            halt=looping,
        )
        run.propose(path)
        return await answer(run, path, markers, self.max_answer)
