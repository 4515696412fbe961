"""AB-MCTS-A: another answer or a better one, by Thompson sampling."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from ponder.strategies.catalogue import Count, Natural, Probability, Temperature, method
from ponder.thinking.prompts import SHOTS, ask, revise
from ponder.thinking.search.thompson import PRIORS, Branch, wider_or_deeper
from ponder.thinking.search.values import bounded
from ponder.thinking.votes import Selection, select

if TYPE_CHECKING:
    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Candidate, Choice, Run


@method
class ABMCTS:
    """Adaptive branching, node aggregation (AB-MCTS-A; Inoue et al. 2025, 2503.04412, section 3.3).

    Every node is a whole answer with a score in [0, 1]. From the root, and from each node gone to, Thompson sampling
    chooses between GEN, a new child (wider), and CONT, one of its children (deeper), and a second draw chooses
    which. A child of the root is a fresh answer, any other a revision of its parent. A score updates the beliefs of
    all nodes gone through. `prior` "gaussian" is normal-inverse-gamma with m = 0, kappa = 1, nu = 1, tau^2 = 0.1;
    "beta" is Beta(1/2, 1/2). It ends after `n` answers, or at one whose score reaches `gate`.
    """

    name: ClassVar[str] = "ab-mcts"
    aliases: ClassVar[tuple[str, ...]] = ("ab-mcts-a",)
    paper: ClassVar[str] = "2503.04412"
    cost: ClassVar[str] = "n * L, and what the scorer reads"
    needs: ClassVar[frozenset[Ability]] = frozenset()

    n: Count = 16
    prior: Literal["gaussian", "beta"] = "gaussian"
    gate: Probability = 1.0
    scorer: str = "mean-probability"
    selection: Selection = "naive"
    temperature: Temperature = 0.8
    shots: Natural = SHOTS
    max_tokens: Count = 512

    async def solve(self, problem: Problem, run: Run) -> Choice:
        root = Branch(ask(problem, "cot", self.shots), PRIORS[self.prior])
        candidates: list[Candidate] = []
        scores: list[float] = []
        while len(scores) < self.n and max(scores, default=0) < self.gate:
            node = wider_or_deeper(root, run.rng)
            path = await self.generate(problem, node, run)
            values = await run.score([path], by=self.scorer, how="last", unit=True)
            (score,) = bounded(values, self.scorer)
            node.add(path, score)
            candidates += await run.read([path])
            scores.append(score)
            run.propose(select(candidates, scores, self.selection))
        return select(candidates, scores, self.selection)

    async def generate(self, problem: Problem, node: Branch[Prefix], run: Run) -> Prefix:
        """GEN: a fresh answer at the root, elsewhere a revision of the node's."""
        start = node.state
        if node.parent is not None:
            start = replace(revise(problem, [node.state.text]), origin=node.state.place)
        return await run.extend(start, temperature=self.temperature, max_tokens=self.max_tokens, logprobs=0)
