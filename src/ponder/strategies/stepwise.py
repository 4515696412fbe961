"""What methods that go step by step have in common: how a step is drawn and valued, when a path is over, the vote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from ponder.strategies.catalogue import Count, Natural, Temperature  # noqa: TC001 - read at run time
from ponder.thinking.prompts import SHOTS, ask
from ponder.thinking.search.allocation import distinct, top
from ponder.thinking.steps import DELIMITER
from ponder.thinking.votes import Selection, select

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Aggregation, Choice, Run, Scorer


class Leaf(NamedTuple):
    """The end of a path, and what the scorer says that it is worth."""

    path: Prefix
    value: float


@dataclass(frozen=True, kw_only=True)
class StepWise:
    """A solution step by step, a step being a paragraph.

    `depth` is the most steps; in the last round a path may write to its end. A step that is cut off at `step_tokens`
    is gone on with in the next round; a path of `max_tokens` is over. The value of a path is the scorer's, made of
    those of its steps by `aggregation`; `selection` makes the choice among the ends (see best-of-n).
    """

    needs: ClassVar[frozenset[Ability]] = frozenset({"continue"})

    scorer: Scorer | str = "mean-logprob"
    selection: Selection = "weighted"
    aggregation: Aggregation = "last"
    temperature: Temperature = 0.8
    shots: Natural = SHOTS
    depth: Count = 40
    step_tokens: Count = 256
    max_tokens: Count = 1024

    def start(self, problem: Problem) -> Prefix:
        """Where every path begins."""
        return ask(problem, "steps", self.shots)

    def rounds(self) -> Iterator[bool]:
        """Whether it is the last, for each round."""
        return (left == 1 for left in range(self.depth, 0, -1))

    def over(self, path: Prefix) -> bool:
        """Whether nothing more is to be written: the model ended the text or had no word to add, or it is too long.

        A text that stopped at the end of a step is not over, nor one that a limit of tokens cut off in a step
        (search-and-learn takes both for finished where a server does not tell them apart).
        """
        if not path.segments:
            return False
        return path.done or path.tokens >= self.max_tokens or not path.segments[-1].text.strip()

    async def grow(self, run: Run, paths: Sequence[Prefix], n: int = 1, *, last: bool = False) -> list[Leaf]:
        """`n` next steps of each path, valued, in order. Where samples fail or the money ends, there are fewer."""
        return await self.valued(run, await self.draw(run, paths, n, last=last))

    async def draw(
        self, run: Run, paths: Sequence[Prefix], n: int = 1, *, last: bool = False
    ) -> list[Prefix]:
        """`n` next steps of each path, in order."""
        return await run.sample(paths, n, **self.step(paths, last=last))

    def step(self, paths: Sequence[Prefix], *, last: bool = False) -> dict[str, Any]:
        """How the next step of these paths is sampled."""
        room = max(1, self.max_tokens - min(path.tokens for path in paths))
        return {
            "stop": () if last else (DELIMITER,),
            "max_tokens": room if last else min(room, self.step_tokens),
            "temperature": self.temperature,
            "logprobs": 0,
        }

    async def valued(self, run: Run, paths: Sequence[Prefix]) -> list[Leaf]:
        """The paths with their values."""
        return [Leaf(*pair) for pair in zip(paths, await self.values(run, paths), strict=True)]

    async def values(self, run: Run, paths: Sequence[Prefix]) -> list[float]:
        """What each path is worth, in [0, 1] where the scorer says its scale."""
        return await run.score(paths, by=self.scorer, how=self.aggregation, unit=True)

    def best(self, leaves: Sequence[Leaf], k: int) -> list[Leaf]:
        """The `k` leaves of highest value, ties to the first; of equal texts only the first counts."""
        first = distinct(leaves, lambda leaf: leaf.path.text)
        return [first[i] for i in top([leaf.value for leaf in first], k)]

    async def choose(self, run: Run, leaves: Sequence[Leaf]) -> Choice:
        """The choice among the paths that are over, or else among all: one that is not has the answer it declares."""
        ends = [leaf for leaf in leaves if self.over(leaf.path)] or leaves
        # Of one that a limit cut off the last number is no answer (docs/decisions/0006-cut-texts.md).
        read = await run.read([path if path.done else path.cut_off() for path, _ in ends])
        return select(read, [leaf.value for leaf in ends], self.selection)
