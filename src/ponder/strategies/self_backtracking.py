"""Self-backtracking: the model says where it went wrong, and the search goes on from before that line."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from ponder.strategies.catalogue import Count, Temperature, method
from ponder.thinking.prompts import ask
from ponder.thinking.steps import before_last_line
from ponder.thinking.votes import best, merge

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Candidate, Choice, Run


@method
class SelfBacktracking:
    """Expand, backtrack, select, on a model trained to write `marker` after a wrong line (2502.04404, section 4).

    `b` rounds of expansion draw `k` samples (the paper's N) of each state. A sample that ends with the marker is
    cut back to before its last line; at most floor(sqrt(k)) such states, none of them seen before, are the next
    round's. Samples that claim the `goal` compete by mean log-probability; `agg` is how those that say the same
    before the goal share one.

    A model that never writes the marker is never taken back: one round, and where it never claims the goal
    either, best-of-n by mean log-probability. Samples are plain, where the released code draws them by beam search.
    """

    name: ClassVar[str] = "self-backtracking"
    paper: ClassVar[str] = "2502.04404"
    cost: ClassVar[str] = "k * L * (1 + (b - 1) * floor(sqrt(k))) at most"
    needs: ClassVar[frozenset[Ability]] = frozenset({"continue", "logprobs", "token_ids", "stop_ids"})

    b: Count = 2
    k: Count = 16
    agg: Literal["mean", "sum", "logsumexp"] = "mean"
    marker: str = "<backtrack>"
    goal: str = "Goal Reached!"
    temperature: Temperature = 0.7
    max_tokens: Count = 512

    async def solve(self, problem: Problem, run: Run) -> Choice:
        [marker] = await run.encode([self.marker])
        frontier = [ask(problem)]
        visited = {""}
        seen: list[Candidate] = []
        for _ in range(self.b):
            paths = await run.sample(
                frontier,
                self.k,
                stop=(self.marker,),
                stop_ids=marker if len(marker) == 1 else (),  # a special token is text only where it stops
                temperature=self.temperature,
                max_tokens=self.max_tokens,
                logprobs=0,
            )
            scores = await run.score(paths, by="mean-logprob")
            seen += [replace(c, weight=s) for c, s in zip(await run.read(paths), scores, strict=True)]
            run.propose(self.select(seen))
            frontier = self.backtrack(paths, visited)
            if not frontier:
                break
        return self.select(seen)

    def backtrack(self, paths: Iterable[Prefix], visited: set[str]) -> list[Prefix]:
        """The states to go on from; they are added to `visited`."""
        states: list[Prefix] = []
        for path in paths:
            said, marked, _ = path.text.partition(self.marker)
            if marked and len(states) < math.isqrt(self.k):
                kept = before_last_line(said)
                if kept not in visited:
                    visited.add(kept)
                    states.append(path.upto(len(kept)))
        return states

    def select(self, seen: list[Candidate]) -> Choice:
        """The likeliest of those that claim the goal, else of those that were not taken back, else of all."""
        claims = [c for c in seen if self.goal and self.goal in c.path.text]
        ended = [c for c in seen if self.marker not in c.path.text]
        return best(merge(claims or ended or seen, self.before_goal, self.agg))

    def before_goal(self, candidate: Candidate) -> str:
        """What must be equal for two candidates to share a weight."""
        text = candidate.path.text
        return text.partition(self.goal)[0] if self.goal else text
