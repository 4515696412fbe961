"""Tree of Thoughts: breadth-first over steps that the model itself values."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from ponder.core.prefix import Segment
from ponder.strategies.catalogue import Count, Temperature, method
from ponder.strategies.stepwise import Leaf, StepWise
from ponder.thinking.answers import find
from ponder.thinking.prompts import propose_thoughts, read_thoughts
from ponder.thinking.search.allocation import distinct
from ponder.thinking.steps import DELIMITER
from ponder.thinking.votes import Selection  # noqa: TC001 - read at run time

if TYPE_CHECKING:
    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Choice, Run


@method
class TreeOfThoughts(StepWise):
    """ToT-BFS (Yao et al. 2023, 2305.10601, algorithm 1): k thoughts from each state, the b best states kept.

    `generate` "sample" draws k steps independently, "propose" asks for k different ones in one reply. `scorer`
    "thought-value" labels each state, "thought-vote" compares all of them; any other scorer will do as well. A
    state that is a whole solution competes with the others and is not grown. `depth` is the paper's T.
    """

    name: ClassVar[str] = "tree-of-thoughts"
    aliases: ClassVar[tuple[str, ...]] = ("tot",)
    paper: ClassVar[str] = "2305.10601"
    cost: ClassVar[str] = "depth * b * k steps, and their values"

    k: Count = 3
    b: Count = 5
    generate: Literal["sample", "propose"] = "sample"
    scorer: str = "thought-value"
    selection: Selection = "naive"
    temperature: Temperature = 0.7
    depth: Count = 8

    async def solve(self, problem: Problem, run: Run) -> Choice:
        leaves = [Leaf(self.start(problem), 0.0)]
        for _ in range(self.depth):
            growing = [path for path, _ in leaves if not self.over(path)]
            if not growing:
                break
            whole = [path for path, _ in leaves if self.over(path)]
            states = [*whole, *await self.thoughts(problem, growing, run)]
            states = distinct(states, lambda state: state.text.strip())
            leaves = self.best(await self.valued(run, states), self.b)
            run.propose(await self.choose(run, leaves))
        if not any(self.over(path) for path, _ in leaves):
            best = await run.extend(leaves[0].path, temperature=0, max_tokens=self.max_tokens)
            leaves = [Leaf(best, leaves[0].value)]
        return await self.choose(run, leaves)

    async def thoughts(self, problem: Problem, states: list[Prefix], run: Run) -> list[Prefix]:
        """G of the paper: k next thoughts from each state."""
        if self.generate == "sample":
            return await self.draw(run, states, self.k)

        async def proposed(state: Prefix) -> list[Prefix]:
            reply = await run.extend(
                propose_thoughts(problem, state, self.k),
                temperature=self.temperature,
                max_tokens=self.step_tokens,
            )
            return [self.after(problem, state, said) for said in read_thoughts(reply.text, self.k)]

        return [path for some in await run.each(proposed, states) for path in some] or states

    def after(self, problem: Problem, state: Prefix, thought: str) -> Prefix:
        """The state with a proposed thought; one that says the answer ends it."""
        found = find(thought, problem.kind, choices=problem.choices)
        if found and found.declared:
            return state + Segment(thought, sampled=False, finish="eos")
        return state + f"{thought}{DELIMITER}"
