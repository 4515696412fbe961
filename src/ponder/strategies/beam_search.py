"""Beam search: keep the best partial solutions, guided by a process reward model."""

from __future__ import annotations

from itertools import cycle, islice
from typing import TYPE_CHECKING, ClassVar, Literal

from ponder.strategies.catalogue import Count, method
from ponder.strategies.stepwise import StepWise
from ponder.thinking.search.allocation import distinct, spread, top

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Choice, Run
    from ponder.strategies.stepwise import Leaf


@method
class BeamSearch(StepWise):
    """`n` beams of which each round keeps the best n / width (Snell et al. 2024, 2408.03314, section 5.2).

    n is the paper's N, width its M: the continuations of each beam that is kept. Where width does not divide n, the
    n places are shared out as evenly as they can be. Of equal texts one is kept, with `filter_duplicates`.

    `convention` says what becomes of finished beams, and who votes:
    "paper": they compete like all others; one that is kept holds its places without being extended, and all n
    places of the last round vote;
    "search-and-learn": they leave the beam, the others fill all n places, and the first n that finish vote;
    "compute-optimal-tts": one that is kept leaves, the beam narrows by it, and the n / width that are kept vote.
    """

    name: ClassVar[str] = "beam-search"
    aliases: ClassVar[tuple[str, ...]] = ("beam",)
    paper: ClassVar[str] = "2408.03314"
    cost: ClassVar[str] = "n * L, and what the scorer reads at every step"

    n: Count = 16
    width: Count = 4
    convention: Literal["paper", "search-and-learn", "compute-optimal-tts"] = "paper"
    filter_duplicates: bool = True

    async def solve(self, problem: Problem, run: Run) -> Choice:
        starts = [self.start(problem)] * self.n
        ended: list[Leaf] = []
        for last in self.rounds():
            leaves = await self.grow(run, starts, last=last)
            run.propose(await self.choose(run, [*ended, *leaves]))
            ended, starts = self.keep(ended, leaves, last=last)
            if last or not starts:
                break
        return await self.choose(run, ended or leaves)

    def keep(self, ended: list[Leaf], leaves: list[Leaf], *, last: bool) -> tuple[list[Leaf], list[Prefix]]:
        """Who votes in the end as far as is known now, and who is extended, as often as it stands there."""
        keep = max(1, self.n // self.width)
        if self.convention == "search-and-learn":
            ended = [*ended, *(leaf for leaf in leaves if self.over(leaf.path))][: self.n]
            live = self.best([leaf for leaf in leaves if not self.over(leaf.path)], keep)
            return ended, [leaf.path for leaf in islice(cycle(live), self.n * (len(ended) < self.n))]
        if self.convention == "compute-optimal-tts":
            kept = self.best(leaves, keep - len(ended))
            ended = [*ended, *(leaf for leaf in kept if self.over(leaf.path))]
            return ended, [path for path, _ in kept if not self.over(path) for _ in range(self.n // keep)]
        leaves = [*ended, *leaves]
        if last or all(self.over(leaf.path) for leaf in leaves):
            return leaves, []
        kept = self.best(leaves, keep)
        places = [leaf for leaf, p in zip(kept, spread(self.n, len(kept)), strict=True) for _ in range(p)]
        return (
            [leaf for leaf in places if self.over(leaf.path)],
            [leaf.path for leaf in places if not self.over(leaf.path)],
        )

    def best(self, leaves: Sequence[Leaf], k: int) -> list[Leaf]:
        """The `k` of highest value; a finished beam that holds several places is one in any case."""
        if self.filter_duplicates:
            return super().best(leaves, k)
        beams = distinct(leaves, lambda leaf: leaf.path.place)
        return [beams[i] for i in top([leaf.value for leaf in beams], k)]
