"""Feedback and edit: one model answers, one criticises, one edits, and the best edit is selected."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ponder.strategies.catalogue import Count, Natural, Temperature, method
from ponder.thinking.critique import most_useful
from ponder.thinking.prompts import SHOTS, ask, edit, feedback_on
from ponder.thinking.votes import majority, select

if TYPE_CHECKING:
    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Candidate, Choice, Run, Scorer


@method
class FeedbackEdit:
    """`k` responses, the `n` most useful of `f` texts of feedback on each, and an edit by each of those.

    (Wang et al. 2025, 2503.04378.) Feedback is ranked by whether it opens by saying how helpful the response is, keeps
    to ten sentences, and uses words of criticism. A response on which there is none stays as it is. Of the k * n edits
    `scorer` selects one: a reward, or a judge that compares them in pairs.

    The paper trains a model for each of the roles, "feedback" and "edit"; with one prompted model in all of them it
    finds no gain. It samples 10 to 64 texts of feedback, and is best with k = 8, n = 16.
    """

    name: ClassVar[str] = "feedback-edit"
    paper: ClassVar[str] = "2503.04378"
    cost: ClassVar[str] = "k * L + k * f * F + k * n * L, and what the scorer reads"
    needs: ClassVar[frozenset[Ability]] = frozenset()
    roles: ClassVar[tuple[str, ...]] = ("solver", "feedback", "edit")
    scored: ClassVar[tuple[str, ...]] = ("solver", "edit")

    k: Count = 2
    f: Count = 4
    n: Count = 2
    scorer: Scorer | str = "mean-logprob"
    temperature: Temperature = 0.7
    shots: Natural = SHOTS
    max_tokens: Count = 512
    max_feedback: Count = 256

    async def solve(self, problem: Problem, run: Run) -> Choice:
        seen: list[Candidate] = []

        async def edited(response: Prefix) -> list[Prefix]:
            feedback = await run.sample(
                feedback_on(problem, response.text),
                self.f,
                role="feedback",
                temperature=self.temperature,
                max_tokens=self.max_feedback,
            )
            useful = most_useful([path.text for path in feedback], self.n)
            if not useful:
                return [response]
            edits = await run.sample(
                [edit(problem, response.text, text, self.shots) for text in useful],
                role="edit",
                temperature=self.temperature,
                max_tokens=self.max_tokens,
                logprobs=0,
            )
            seen.extend(await run.read(edits))
            run.propose(majority(seen))
            return edits

        responses = await run.sample(
            ask(problem, "cot", self.shots),
            self.k,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            logprobs=0,
        )
        seen += await run.read(responses)
        run.propose(majority(seen))
        edits = [path for paths in await run.each(edited, responses) for path in paths]
        return select(await run.read(edits), await run.score(edits, by=self.scorer), "naive")
