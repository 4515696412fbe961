"""Monte Carlo tree search over steps, valued by a process reward model (the search of ReST-MCTS*)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from ponder.strategies.catalogue import Count, Natural, Probability, Weight, method
from ponder.strategies.stepwise import Leaf, StepWise
from ponder.thinking.search.values import Node, back_up, bounded, descend
from ponder.thinking.steps import DELIMITER
from ponder.thinking.votes import Selection  # noqa: TC001 - read at run time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Choice, Run


@method
class MCTS(StepWise):
    """Selection, expansion, greedy roll-out and back-up (ReST-MCTS*, Zhang et al. 2024, 2406.03816, algorithm 2).

    Each iteration goes down to a leaf by V + w sqrt(2 ln N_p / N_c), draws `branch` steps after it and values them,
    rolls `roll` greedy steps forward from the best of them, c, where V(c) = (1 - alpha) V(c) + alpha max of the
    roll-out's values, and gives every node above the visit-weighted mean of its children's values.

    It ends early at a whole solution whose value reaches `gate`; the released code has 0.9, for a value model that
    was trained to tell. A roll-out that reaches the end is a solution like any other: it was paid for. Values are
    in [0, 1]. With the model's own judgement as `scorer` this is RAP (2305.14992) for texts.
    """

    name: ClassVar[str] = "mcts"
    aliases: ClassVar[tuple[str, ...]] = ("rest-mcts",)
    paper: ClassVar[str] = "2406.03816"
    cost: ClassVar[str] = "iterations * (branch + roll) steps, and what the scorer reads"

    iterations: Count = 10
    branch: Count = 3
    w: Weight = 0.7
    roll: Natural = 3
    alpha: Probability = 0.5
    gate: Probability = 1.0
    scorer: str = "mean-probability"
    selection: Selection = "naive"
    depth: Count = 16

    async def solve(self, problem: Problem, run: Run) -> Choice:
        root = Node(self.start(problem))
        found: list[Leaf] = []
        for _ in range(self.iterations):
            node = descend(root, self.w * math.sqrt(2))
            if node.depth < self.depth and not self.over(node.state):
                node, solutions = await self.expand(node, run)
                found += solutions
                run.propose(await self.choose(run, found or [Leaf(node.state, node.value)]))
            back_up(node)
            run.visited((above.state, above.value, above.visits) for above in node.line())
            if any(value >= self.gate for _, value in found):
                break
        if not found:
            best = max((node for node in root.walk() if not node.children), key=lambda node: node.value)
            path = await run.extend(best.state, temperature=0, max_tokens=self.max_tokens)
            found = [Leaf(path, best.value)]
        return await self.choose(run, found)

    async def expand(self, node: Node[Prefix], run: Run) -> tuple[Node[Prefix], list[Leaf]]:
        """New children of a node, the best of them rolled out: that one, and the whole solutions that came up."""
        leaves = self.best(await self.grow(run, [node.state], self.branch), self.branch)
        child, *_ = [node.add(path, value) for path, value in leaves]
        beyond = await self.valued(run, await self.roll_out(child.state, run))
        if beyond:
            ahead = max(value for _, value in beyond)
            child.value = (1 - self.alpha) * child.value + self.alpha * ahead
        return child, [leaf for leaf in [*leaves, *beyond] if self.over(leaf.path)]

    async def roll_out(self, path: Prefix, run: Run) -> list[Prefix]:
        """The paths after each of `roll` greedy steps, fewer where the solution ends."""
        beyond: list[Prefix] = []
        while len(beyond) < self.roll and not self.over(path):
            path = await run.extend(
                path, temperature=0, max_tokens=self.step_tokens, stop=(DELIMITER,), logprobs=0
            )
            beyond.append(path)
        return beyond

    async def values(self, run: Run, paths: Sequence[Prefix]) -> list[float]:
        """V of each path, in [0, 1]."""
        return bounded(await super().values(run, paths), self.scorer) if paths else []
