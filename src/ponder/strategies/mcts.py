"""Monte Carlo tree search over steps, valued by a process reward model (the search of ReST-MCTS*)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from ponder.strategies.catalogue import Count, Natural, Probability, Temperature, Weight, method
from ponder.thinking.prompts import SHOTS, ask
from ponder.thinking.search.growing import complete, distinct
from ponder.thinking.search.values import Node, back_up, bounded, descend
from ponder.thinking.steps import DELIMITER
from ponder.thinking.votes import best, majority

if TYPE_CHECKING:
    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Candidate, Choice, Run


@method
class MCTS:
    """Selection, expansion, greedy roll-out and back-up (ReST-MCTS*, Zhang et al. 2024, 2406.03816, algorithm 2).

    Each iteration goes down to a leaf by V + w sqrt(2 ln N_p / N_c), draws `branch` steps after it and values them,
    rolls `roll` greedy steps forward from the best of them, c, where V(c) = (1 - alpha) V(c) + alpha max of the
    roll-out's values, and gives every node above the visit-weighted mean of its children's values.

    It ends early at a whole solution whose value reaches `gate`; the released code has 0.9, for a value model that
    was trained to tell. A roll-out that reaches the end is a solution like any other: it was paid for. `choose`
    "best" takes the solution of the highest value, "vote" weighs answers by their values. Values are in [0, 1].
    """

    name: ClassVar[str] = "mcts"
    aliases: ClassVar[tuple[str, ...]] = ("rest-mcts", "rap")
    paper: ClassVar[str] = "2406.03816"
    cost: ClassVar[str] = "iterations * (branch + roll) steps, and what the scorer reads"
    needs: ClassVar[frozenset[Ability]] = frozenset({"continue"})

    iterations: Count = 10
    branch: Count = 3
    w: Weight = 0.7
    roll: Natural = 3
    alpha: Probability = 0.5
    depth: Count = 16
    gate: Probability = 1.0
    choose: Literal["best", "vote"] = "best"
    scorer: str = "mean-probability"
    temperature: Temperature = 0.8
    shots: Natural = SHOTS
    max_step: Count = 128
    max_tokens: Count = 512

    async def solve(self, problem: Problem, run: Run) -> Choice:
        root = Node(ask(problem, "steps", self.shots))
        found: list[Candidate] = []
        for _ in range(self.iterations):
            node = descend(root, self.w * math.sqrt(2))
            if node.depth < self.depth and not complete(problem, node.state):
                node, solutions = await self.expand(problem, node, run)
                found += solutions
                if found:
                    run.propose(self.chosen(found))
            back_up(node)
            if any(solution.weight >= self.gate for solution in found):
                break
        if found:
            return self.chosen(found)
        leaf = max((node for node in root.walk() if not node.children), key=lambda node: node.value)
        path = await run.extend(leaf.state, temperature=0, max_tokens=self.max_tokens)
        return best(await run.read([path]))

    async def expand(
        self, problem: Problem, node: Node[Prefix], run: Run
    ) -> tuple[Node[Prefix], list[Candidate]]:
        """New children of a node, the best of them rolled out: that one, and the whole solutions that came up."""
        paths = distinct(
            await run.sample(
                node.state,
                self.branch,
                temperature=self.temperature,
                max_tokens=self.max_step,
                stop=(DELIMITER,),
                logprobs=0,
            )
        )
        values = await self.values(paths, run)
        children = [node.add(path, value) for path, value in zip(paths, values, strict=True)]
        child = max(children, key=lambda node: node.value)
        beyond = await self.roll_out(problem, child.state, run)
        if beyond:
            ahead = await self.values(beyond, run)
            child.value = (1 - self.alpha) * child.value + self.alpha * max(ahead)
            paths, values = [*paths, *beyond], [*values, *ahead]
        whole = [(path, value) for path, value in zip(paths, values, strict=True) if complete(problem, path)]
        solutions = await run.read([path for path, _ in whole])
        return child, [replace(s, weight=v) for s, (_, v) in zip(solutions, whole, strict=True)]

    async def roll_out(self, problem: Problem, path: Prefix, run: Run) -> list[Prefix]:
        """The paths after each of `roll` greedy steps, fewer where the solution ends."""
        beyond: list[Prefix] = []
        while len(beyond) < self.roll and not complete(problem, path):
            path = await run.extend(
                path, temperature=0, max_tokens=self.max_step, stop=(DELIMITER,), logprobs=0
            )
            beyond.append(path)
        return beyond

    async def values(self, paths: list[Prefix], run: Run) -> list[float]:
        """V of each path, in [0, 1]."""
        return bounded(await run.score(paths, by=self.scorer, how="last"), self.scorer)

    def chosen(self, found: list[Candidate]) -> Choice:
        """What the solutions found so far decide."""
        return best(found) if self.choose == "best" else majority(found)
