"""Budget forcing: a thinking section made as long as wanted, by cutting it off or by keeping it from ending."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ponder.strategies.catalogue import Count, Natural, Temperature, method
from ponder.thinking.loops import looping
from ponder.thinking.markers import closing
from ponder.thinking.prompts import Condition, conditioned

if TYPE_CHECKING:
    from ponder.core.markers import Markers
    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Run

RESERVE = 0.12
"""The share of a tight budget that is kept for the answer, `max_answer` tokens at most."""


@method
class BudgetForcing:
    """Budget forcing of s1 (Muennighoff et al. 2025, 2501.19393, section 3.1).

    At most `max_thinking` tokens of thinking: then it is closed and "Final Answer:" written. At least `waits` + 1
    rounds of it: where the model would end its thinking the end is taken back, `nudge` is appended, and it
    goes on within what is left. A round that is cut off, or that only repeats itself, ends the forcing.

    `condition` also asks for that length in the prompt: "tokens", "steps", "short" or "long". `markers` are those of
    the chat template, or a family's, or your own as START...END. A model without thinking tokens thinks until
    it would end its turn. Where an engine cannot hold off the end of a text, a round may end at once.
    """

    name: ClassVar[str] = "budget-forcing"
    aliases: ClassVar[tuple[str, ...]] = ("s1",)
    paper: ClassVar[str] = "2501.19393"
    cost: ClassVar[str] = "(waits + 1) * L, at most max_thinking + max_answer"
    needs: ClassVar[frozenset[Ability]] = frozenset({"continue"})

    waits: Natural = 1
    nudge: str | None = "Wait"
    max_thinking: Count = 2048
    max_answer: Count = 256
    condition: Condition = "none"
    markers: str = "auto"
    temperature: Temperature = 0.0

    @property
    def asked(self) -> int:
        """The most thinking tokens that it asks for."""
        return self.max_thinking

    async def solve(self, problem: Problem, run: Run) -> Prefix:
        markers = run.markers(self.markers)
        path = conditioned(problem, self.condition, self.max_thinking) + markers.start
        most = within(run, self.max_thinking, self.max_answer)
        for left in reversed(range(self.waits + 1)):
            path = await think(run, path, markers, most - path.tokens, self.temperature, held=self.waits > 0)
            if path.cut or not left or path.tokens >= most:
                break
            path = path.before_stop + (self.nudge or "")
        return await answer(run, path, markers, self.max_answer)


async def think(
    run: Run, path: Prefix, markers: Markers, most: int, temperature: float, *, held: bool = False
) -> Prefix:
    """One round of thinking, at most `most` tokens; `held`: it does not end at once again, where that can be helped."""
    path = await run.extend(
        path,
        **markers.stops,
        min_tokens=int(held and run.can("stop_ids")),
        max_tokens=most,
        temperature=temperature,
        halt=looping,
    )
    run.propose(path)
    return path


async def answer(run: Run, path: Prefix, markers: Markers, most: int) -> Prefix:
    """The thinking closed, and the answer after it."""
    thought = path.before_stop
    asked = thought + closing(markers, thought.text, cut=path.cut)
    return await run.extend(asked, visible=True, temperature=0, max_tokens=most)


def within(run: Run, thinking: int, answer: int) -> int:
    """Tokens to think, so that what the budget has left pays for an answer too."""
    left = run.budget.left.tokens
    if left is None:
        return thinking
    return max(1, min(thinking, left - min(answer, round(RESERVE * left))))
