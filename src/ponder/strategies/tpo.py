"""TPO: test-time preference optimisation, a gradient descent in words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from ponder.core.protocols import Candidate
from ponder.strategies.catalogue import Count, Natural, Probability, Temperature, method
from ponder.thinking.critique import improved
from ponder.thinking.prompts import SHOTS, ask, textual_gradient, textual_loss, textual_update
from ponder.thinking.votes import best

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Choice, Run, Scorer


@method
class TPO:
    """Responses improved by criticism of the best beside the worst (Li et al. 2025, 2501.12895, section 3).

    N = `n` responses are scored into a cache. `d` times: the best of the whole cache (chosen) is compared with the worst
    (rejected) in words, the loss; criticism is made of that, the gradient; and `n` new responses that heed it are
    scored into the cache. The best of the cache is returned. An update that cannot be parsed is left out, and listed
    among the candidates without an answer; if none can be, the cache stays as it is.

    `revision` is the paper's baseline without the rejected response; `d=0` is its other one, best-of-n. Loss and
    gradient are written in the role "feedback".
    """

    name: ClassVar[str] = "tpo"
    aliases: ClassVar[tuple[str, ...]] = ("test-time-preference-optimisation",)
    paper: ClassVar[str] = "2501.12895"
    cost: ClassVar[str] = "n * L * (1 + d) + 2 * d * F, in n + d * (2 + n) calls"
    needs: ClassVar[frozenset[Ability]] = frozenset()
    roles: ClassVar[tuple[str, ...]] = ("solver", "feedback")

    n: Count = 5
    d: Natural = 2
    scorer: Scorer | str = "mean-logprob"
    revision: bool = False
    temperature: Temperature = 0.7
    top_p: Probability = 0.95
    shots: Natural = SHOTS
    max_tokens: Count = 512
    max_feedback: Count = 256

    async def solve(self, problem: Problem, run: Run) -> Choice:
        question = ask(problem, "cot", self.shots)
        writing: dict[str, Any] = {"temperature": self.temperature, "top_p": self.top_p}
        cache: list[Candidate] = []
        unparsed: list[Candidate] = []

        async def keep(responses: Sequence[Prefix]) -> Choice:
            found = await run.read(responses)
            if not cache:
                run.propose(best(found))  # before it is known how good they are
            scores = await run.score(responses, by=self.scorer) if responses else []
            cache.extend(replace(c, weight=s) for c, s in zip(found, scores, strict=True))
            return replace(best(cache), candidates=(*cache, *unparsed))

        async def consult(prompt: Prefix) -> str:
            path = await run.extend(prompt, role="feedback", max_tokens=self.max_feedback, **writing)
            return path.text

        choice = await keep(
            await run.sample(question, self.n, max_tokens=self.max_tokens, logprobs=0, **writing)
        )
        for _ in range(self.d):
            run.propose(choice)
            chosen, rejected = choice.path, min(cache, key=lambda c: c.weight).path
            alone = self.revision or rejected is chosen
            loss = await consult(textual_loss(problem, chosen.text, None if alone else rejected.text))
            gradient = await consult(textual_gradient(problem, chosen.text, loss))
            update = textual_update(problem, chosen.text, gradient)
            drafts = await run.sample(update, self.n, max_tokens=self.max_tokens, logprobs=0, **writing)
            parsed = [improved(draft, question.prompt) for draft in drafts]
            unparsed += [Candidate(d) for d, response in zip(drafts, parsed, strict=True) if response is None]
            choice = await keep([response for response in parsed if response])
        return choice
