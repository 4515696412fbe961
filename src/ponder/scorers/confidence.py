"""How sure the model was of what it wrote. These read what was recorded while it wrote, and cost nothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

from ponder.core.protocols import Score
from ponder.scorers.catalogue import Count, scorer
from ponder.thinking import confidence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Run, Scale


@scorer
class MeanLogprob:
    """The mean log-probability of the sampled tokens, in nats, under the model's own distribution."""

    name: ClassVar[str] = "mean-logprob"
    scale: ClassVar[Scale] = "logprob"
    needs: ClassVar[frozenset[Ability]] = frozenset({"logprobs"})

    async def score(self, problem: Problem, paths: Sequence[Prefix], run: Run) -> list[Score]:  # noqa: ARG002
        return [Score(path.mean_logprob) for path in paths]


@scorer
class MeanProbability:
    """exp of the mean log-probability: the geometric mean of the sampled tokens' probabilities, in [0, 1].

    It ranks paths as `MeanLogprob` does, on the scale that UCT and Thompson sampling ask for.
    """

    name: ClassVar[str] = "mean-probability"
    scale: ClassVar[Scale] = "probability"
    needs: ClassVar[frozenset[Ability]] = frozenset({"logprobs"})

    async def score(self, problem: Problem, paths: Sequence[Prefix], run: Run) -> list[Score]:  # noqa: ARG002
        return [Score(min(1.0, math.exp(path.mean_logprob))) for path in paths]


@scorer
class SelfCertainty:
    """How far the model's distributions were from uniform: KL(uniform || p), the mean over the sampled tokens
    (Kang et al. 2025, 2502.18581, section 3).

    It takes the whole vocabulary. From the likeliest tokens alone it cannot be had: for that there is `confidence`.
    """

    name: ClassVar[str] = "self-certainty"
    needs: ClassVar[frozenset[Ability]] = frozenset({"certainty"})

    async def score(self, problem: Problem, paths: Sequence[Prefix], run: Run) -> list[Score]:  # noqa: ARG002
        return [Score(_mean([c for s in path.segments for c in s.certainty or ()])) for path in paths]


@scorer
class Confidence:
    """DeepConf's confidence of a trace (Fu et al. 2025, 2508.15260, section 3), from the likeliest tokens' log-probabilities.

    The confidence of a token is minus the mean log-probability of the `top` likeliest; a group is `window` tokens in
    a row, and a shorter trace is one group. `measure`: "mean" over all tokens, "tail" over the last group, "lowest"
    the least group's, "bottom" the mean of the least tenth of the groups. Where fewer than `top` were recorded, as
    servers that cut the list do, those that are there count.
    """

    name: ClassVar[str] = "confidence"
    aliases: ClassVar[tuple[str, ...]] = ("deepconf",)
    needs: ClassVar[frozenset[Ability]] = frozenset({"top_logprobs"})

    measure: Literal["mean", "tail", "lowest", "bottom"] = "mean"
    window: Count = 2048
    top: Count = 20

    async def score(self, problem: Problem, paths: Sequence[Prefix], run: Run) -> list[Score]:  # noqa: ARG002
        return [Score(self.value(path)) for path in paths]

    def value(self, path: Prefix) -> float:
        """The confidence of a path; NaN where nothing was recorded."""
        tokens = confidence.of_path(path, self.top)
        return confidence.MEASURES[self.measure](tokens, self.window) if tokens else math.nan


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan
