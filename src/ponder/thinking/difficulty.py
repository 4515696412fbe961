"""How hard a problem looks after a few samples: what they show, and what that says of their vote."""

from __future__ import annotations

import math
from collections import Counter
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from ponder.thinking.aggregation import unit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Signs(NamedTuple):
    """What a few samples of one problem show.

    Args:
        agreement: the leading answer's share of all samples; one without an answer agrees with none.
        confidence: the mean probability of a token, as a geometric mean over each sample; 0 where it is not known.
        length: the logarithm of 1 and the mean number of tokens.
        score: the mean of a scorer's values on the scale of probabilities; 0 without a scorer.

    """

    agreement: float
    confidence: float
    length: float
    score: float

    @classmethod
    def of(
        cls,
        keys: Sequence[str | None],
        logprobs: Sequence[float],
        tokens: Sequence[int],
        scores: Sequence[float] = (),
    ) -> Signs:
        """The signs of samples, given each one's answer by key, mean log-probability (NaN: not known) and tokens.

        Raises:
            ValueError: there are no samples.

        """
        if not keys:
            raise ValueError("Nothing was sampled, so nothing shows.")
        told = Counter(key for key in keys if key is not None)
        known = [math.exp(min(0.0, logprob)) for logprob in logprobs if not math.isnan(logprob)]
        return cls(
            max(told.values(), default=0) / len(keys),
            fmean(known) if known else 0.0,
            math.log1p(fmean(tokens)),
            fmean(unit(scores)) if scores else 0.0,
        )


def difficulty(signs: Signs, weights: Mapping[str, float]) -> float:
    """The probability that the samples' vote is wrong, by a logistic regression on their signs.

    Snell et al. (2024, 2408.03314, section 3.2) take the mean of a verifier's scores for it. Without weights it is the
    share of samples that do not agree with the leading answer.
    """
    if not weights:
        return 1 - signs.agreement
    odds = weights.get("bias", 0.0) + sum(weights.get(name, 0.0) * x for name, x in signs._asdict().items())
    return 1 / (1 + math.exp(-max(-700.0, min(700.0, odds))))
