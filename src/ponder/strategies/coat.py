"""CoAT: Monte Carlo tree search over steps, each with a memory of what it brings to mind."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from ponder.strategies.catalogue import Count, Natural, Weight, method
from ponder.strategies.stepwise import Leaf, StepWise
from ponder.thinking.prompts import associate, read_association, read_relevance, relevance, with_memory
from ponder.thinking.search.memory import remember
from ponder.thinking.search.values import Node, back_up, bounded, descend
from ponder.thinking.votes import Selection  # noqa: TC001 - read at run time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Choice, Run


class Thought(NamedTuple):
    """A node's content: the path up to G(n), and the memory of that path, AM(1..n)."""

    path: Prefix
    memory: tuple[str, ...] = ()


@method
class CoAT(StepWise):
    """Chain of associated thoughts (Pan et al. 2025, 2502.02390, section 3).

    K simulations. Each goes down from the root by UCT = V(n) + w sqrt(ln N(parent) / N(n)) to a node with fewer
    than `branch` children, writes G, a next step, from the question, the path and its memory, then AM, a fact that
    is associated with G, values both, V = F_g + beta F_a, and gives every node above the visit-weighted mean of
    its children's values. F_g is the scorer's value of the path, F_a a judge's grade of the fact; both are in
    [0, 1], or w would mean nothing.

    A fact that the path knows already is not remembered, and a path remembers `max_memory` characters at most. With
    `recall` > 0 the external brain is asked for that many passages, from which the fact is taken, and the root,
    whose content is the question, is associated as well; without `summarise` the passages are remembered as they
    are, for a model that is too small to repeat a fact rightly. A branch ends where the solution does, or at `depth`.
    """

    name: ClassVar[str] = "coat"
    paper: ClassVar[str] = "2502.02390"
    cost: ClassVar[str] = "K * (one step + max_association + 4), and what the scorer reads"
    roles: ClassVar[tuple[str, ...]] = ("solver", "associator", "judge")

    K: Count = 12
    branch: Count = 2
    w: Weight = 1.0
    beta: Weight = 0.1
    recall: Natural = 0
    summarise: bool = True
    max_association: Count = 48
    max_memory: Count = 1000
    depth: Count = 8
    scorer: str = "mean-probability"
    selection: Selection = "naive"

    @property
    def recalls(self) -> bool:
        """Whether it needs a memory."""
        return self.recall > 0

    async def solve(self, problem: Problem, run: Run) -> Choice:
        root = Node(Thought(self.start(problem)))
        if self.recalls:
            root.state = Thought(root.state.path, await self.associated(problem, root.state, run))
        found: list[Leaf] = []
        for _ in range(self.K):
            node = descend(root, self.w, self.branch)
            if node.depth < self.depth and not self.over(node.state.path):
                node, leaf = await self.expand(problem, node, run)
                found += [leaf] * self.over(leaf.path)
                run.propose(await self.choose(run, found or [leaf]))
            back_up(node)
            run.visited((above.state.path, above.value, above.visits) for above in node.line())
        if not found:
            node = max(root.children, key=lambda child: child.value)
            while node.children:
                node = max(node.children, key=lambda child: child.value)
            path = await run.extend(with_memory(*node.state), temperature=0, max_tokens=self.max_tokens)
            found = [Leaf(path, node.value)]
        return await self.choose(run, found)

    async def expand(self, problem: Problem, node: Node[Thought], run: Run) -> tuple[Node[Thought], Leaf]:
        """A new child, with its value: G, AM unless G ends the solution, F_g and F_a."""
        ((path, value),) = await self.grow(run, [with_memory(*node.state)])
        thought = Thought(replace(path, prompt=node.state.path.prompt), node.state.memory)
        if not self.over(path):
            memory = await self.associated(problem, thought, run)
            if new := [fact for fact in memory if fact not in thought.memory]:
                value += self.beta * await self.relevance(problem, path, "\n".join(new), run)
            thought = Thought(thought.path, memory)
        return node.add(thought, value), Leaf(path, value)

    async def associated(self, problem: Problem, thought: Thought, run: Run) -> tuple[str, ...]:
        """The memory of the path with AM, what is associated with its last step."""
        step = thought.path.segments[-1].text if thought.path.segments else ""
        passages = await self.passages(f"{problem.question} {step}", thought.memory, run)
        if passages and not self.summarise:
            memory = thought.memory
            for passage in passages:
                memory = remember(memory, passage, thought.path.text, self.max_memory)
            return memory
        said = await run.extend(
            associate(problem, thought.path, passages),
            role="associator",
            temperature=0 if passages else self.temperature,  # a fact that is copied is not to vary
            max_tokens=self.max_association,
        )
        fact = read_association(said.text)
        return remember(thought.memory, fact, thought.path.text, self.max_memory)

    async def passages(self, query: str, known: tuple[str, ...], run: Run) -> list[str]:
        """EB: what the external brain has to say that is not remembered yet, if there is one."""
        found = await run.recall(query, self.recall + len(known)) if self.recalls else []
        return [text for text in found if remember(known, text, most=self.max_memory) != known][: self.recall]

    async def relevance(self, problem: Problem, path: Prefix, fact: str, run: Run) -> float:
        """F_a, in [0, 1]."""
        asked = relevance(problem, path, fact)
        return read_relevance((await run.extend(asked, role="judge", temperature=0, max_tokens=4)).text)

    async def values(self, run: Run, paths: Sequence[Prefix]) -> list[float]:
        """F_g of each path, in [0, 1]."""
        return bounded(await super().values(run, paths), self.scorer)
