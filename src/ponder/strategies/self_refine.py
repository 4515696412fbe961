"""Self-Refine: answer, criticise, refine, until nothing is left to criticise."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ponder.core.protocols import Choice
from ponder.strategies.catalogue import Count, Natural, Temperature, method
from ponder.thinking.critique import found_correct
from ponder.thinking.prompts import SHOTS, ask, refine, self_feedback

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Candidate, Run


@method
class SelfRefine:
    """A response refined by the model's own feedback, `iterations` times at most (Madaan et al. 2023, 2303.17651).

    All earlier responses and their feedback stand in the prompt of the next. It ends where the feedback says the stop
    phrase, "It is correct.", or where a response comes back unchanged. The last response that has an answer counts.

    The paper sees little gain on mathematics, where a model finds few of its own mistakes.
    """

    name: ClassVar[str] = "self-refine"
    paper: ClassVar[str] = "2303.17651"
    cost: ClassVar[str] = "L + i * (F + L), i <= iterations"
    needs: ClassVar[frozenset[Ability]] = frozenset()
    roles: ClassVar[tuple[str, ...]] = ("solver", "feedback")

    iterations: Natural = 4
    temperature: Temperature = 0.7
    shots: Natural = SHOTS
    max_tokens: Count = 512
    max_feedback: Count = 256

    async def solve(self, problem: Problem, run: Run) -> Choice:
        path = await run.extend(
            ask(problem, "cot", self.shots), temperature=self.temperature, max_tokens=self.max_tokens
        )
        history: list[tuple[str, str]] = []
        responses = await run.read([path])
        for _ in range(self.iterations):
            run.propose(latest(responses))
            feedback = await run.extend(
                self_feedback(problem, path.text),
                role="feedback",
                temperature=self.temperature,
                max_tokens=self.max_feedback,
            )
            if found_correct(feedback.text):
                break
            history.append((path.text, feedback.text))
            path = await run.extend(
                refine(problem, history, self.shots), temperature=self.temperature, max_tokens=self.max_tokens
            )
            responses += await run.read([path])
            if path.text == history[-1][0]:
                break
        return latest(responses)


def latest(responses: Sequence[Candidate]) -> Choice:
    """The last response that has an answer, or else the last."""
    last = next((c for c in reversed(responses) if c.key is not None), responses[-1])
    return Choice(last.path, last.answer, tuple(responses))
