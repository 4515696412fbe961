"""Zero-shot chain of thought: "Let's think step by step.", then ask for the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ponder.core.protocols import Choice
from ponder.strategies.catalogue import Count, Temperature, method
from ponder.thinking.answers import extract
from ponder.thinking.prompts import LETS_THINK, ask, so_the_answer

if TYPE_CHECKING:
    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Run


@method
class ZeroShotCoT:
    """Two stages: reason after a trigger, then extract the answer after a second (Kojima et al. 2022, 2205.11916).

    The first stage's 128 tokens cut today's models off; 512 is our default.
    """

    name: ClassVar[str] = "zero-shot-cot"
    paper: ClassVar[str] = "2205.11916"
    cost: ClassVar[str] = "L + 32"
    needs: ClassVar[frozenset[Ability]] = frozenset({"continue"})

    max_tokens: Count = 512
    max_answer: Count = 32
    temperature: Temperature = 0.0

    async def solve(self, problem: Problem, run: Run) -> Choice | Prefix:
        path = ask(problem) + LETS_THINK
        path = await run.extend(path, temperature=self.temperature, max_tokens=self.max_tokens)
        first = path
        run.propose(first)
        path = path.before_stop + so_the_answer(problem)
        path = await run.extend(path, temperature=0, max_tokens=self.max_answer)
        said = path.segments[-1].text.strip()
        for text in (said.partition("\n")[0], said):  # the paper takes the first match, not the last
            answer = extract(f"The answer is {text}", problem.kind, choices=problem.choices)
            if not answer or answer.startswith("The answer"):
                continue  # it said none
            if not (path.cut and text.endswith(answer)):  # where it was cut, "42" may be "4"
                return Choice(path, answer)
        return first
