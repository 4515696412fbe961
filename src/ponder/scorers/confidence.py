"""How sure the model was of what it wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ponder.core.protocols import Score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Run


@dataclass(frozen=True)
class MeanLogprob:
    """The mean log-probability of the sampled tokens, in nats, under the model's own distribution. Costs nothing."""

    name: ClassVar[str] = "mean-logprob"
    needs: ClassVar[frozenset[Ability]] = frozenset({"logprobs"})

    async def score(self, problem: Problem, paths: Sequence[Prefix], run: Run) -> list[Score]:  # noqa: ARG002
        return [Score(path.mean_logprob) for path in paths]
