"""How Tree of Thoughts lets a model value its own unfinished solutions (Yao et al. 2023, 2305.10601, section 3)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from ponder.core.protocols import Score
from ponder.scorers.catalogue import Count, Temperature, scorer
from ponder.thinking.prompts import read_value, read_vote, value_thought, vote_thoughts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Run


@scorer
class ThoughtValue:
    """Each path by itself: `n` labels, sure = 20, likely = 1, impossible = 0.001, summed.

    A reply without a label counts 0. The values are ranks more than amounts, and not in [0, 1].
    """

    name: ClassVar[str] = "thought-value"
    needs: ClassVar[frozenset[Ability]] = frozenset()
    roles: ClassVar[tuple[str, ...]] = ("judge",)

    n: Count = 3
    temperature: Temperature = 0.7
    max_tokens: Count = 8

    async def score(self, problem: Problem, paths: Sequence[Prefix], run: Run) -> list[Score]:
        async def one(path: Prefix) -> Score:
            said = await run.sample(
                value_thought(problem, path),
                self.n,
                role="judge",
                temperature=self.temperature,
                max_tokens=self.max_tokens,
            )
            return Score(math.fsum(read_value(reply.text) for reply in said))

        return await run.each(one, paths)


@scorer
class ThoughtVote:
    """All paths side by side: `n` votes on which is the most promising; a path's value is its votes."""

    name: ClassVar[str] = "thought-vote"
    needs: ClassVar[frozenset[Ability]] = frozenset()
    roles: ClassVar[tuple[str, ...]] = ("judge",)

    n: Count = 5
    temperature: Temperature = 0.7
    max_tokens: Count = 16

    async def score(self, problem: Problem, paths: Sequence[Prefix], run: Run) -> list[Score]:
        said = await run.sample(
            vote_thoughts(problem, paths),
            self.n,
            role="judge",
            temperature=self.temperature,
            max_tokens=self.max_tokens,
        )
        votes = [read_vote(reply.text, len(paths)) for reply in said]
        return [Score(float(votes.count(i))) for i in range(len(paths))]
