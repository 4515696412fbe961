"""Tree of Thoughts: breadth-first over steps that the model itself values."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from ponder.strategies.catalogue import Count, Natural, Temperature, method
from ponder.thinking.prompts import SHOTS, ask, propose_thoughts, read_thoughts
from ponder.thinking.search.growing import complete, distinct
from ponder.thinking.steps import DELIMITER
from ponder.thinking.votes import best

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Choice, Run


@method
class TreeOfThoughts:
    """ToT-BFS (Yao et al. 2023, 2305.10601, algorithm 1): k thoughts from each state, the b best states kept.

    `generate` "sample" draws k steps independently, "propose" asks for k different ones in one reply. `scorer`
    "thought-value" labels each state, "thought-vote" compares all of them; any other scorer will do as well. A
    state that is a whole solution is kept or dropped like the others, and not grown. `depth` is the paper's T.
    """

    name: ClassVar[str] = "tree-of-thoughts"
    aliases: ClassVar[tuple[str, ...]] = ("tot",)
    paper: ClassVar[str] = "2305.10601"
    cost: ClassVar[str] = "depth * b * k steps, and their values"
    needs: ClassVar[frozenset[Ability]] = frozenset({"continue"})

    k: Count = 3
    b: Count = 5
    depth: Count = 8
    generate: Literal["sample", "propose"] = "sample"
    scorer: str = "thought-value"
    temperature: Temperature = 0.7
    shots: Natural = SHOTS
    max_step: Count = 128
    max_tokens: Count = 512

    async def solve(self, problem: Problem, run: Run) -> Choice:
        states = [ask(problem, "steps", self.shots)]
        values = [0.0]
        for _ in range(self.depth):
            growing = [state for state in states if not complete(problem, state)]
            if not growing:
                break
            whole = [state for state in states if complete(problem, state)]
            states = distinct([*whole, *await self.thoughts(problem, growing, run)])
            values = await run.score(states, by=self.scorer, how="last")
            ranked = sorted(zip(values, states, strict=True), key=lambda pair: -pair[0])[: self.b]
            values, states = [value for value, _ in ranked], [state for _, state in ranked]
            if any(complete(problem, state) for state in states):
                run.propose(await self.choose(problem, states, values, run))
        if not any(complete(problem, state) for state in states):
            states = [await run.extend(states[0], temperature=0, max_tokens=self.max_tokens)]
            return best(await run.read(states))
        return await self.choose(problem, states, values, run)

    async def thoughts(self, problem: Problem, states: Sequence[Prefix], run: Run) -> list[Prefix]:
        """G of the paper: k next thoughts from each state."""
        if self.generate == "sample":
            return await run.sample(
                states,
                self.k,
                temperature=self.temperature,
                max_tokens=self.max_step,
                stop=(DELIMITER,),
                logprobs=0,
            )

        async def proposed(state: Prefix) -> list[Prefix]:
            reply = await run.extend(
                propose_thoughts(problem, state, self.k),
                temperature=self.temperature,
                max_tokens=self.k * self.max_step,
            )
            return [state + f"{thought}{DELIMITER}" for thought in read_thoughts(reply.text, self.k)]

        return [state for some in await run.each(proposed, states) for state in some]

    async def choose(
        self, problem: Problem, states: Sequence[Prefix], values: Sequence[float], run: Run
    ) -> Choice:
        """The whole solution of the highest value."""
        whole = [(s, v) for s, v in zip(states, values, strict=True) if complete(problem, s)]
        candidates = await run.read([state for state, _ in whole])
        return best([replace(c, weight=v) for c, (_, v) in zip(candidates, whole, strict=True)])
