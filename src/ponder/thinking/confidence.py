"""DeepConf's confidence of tokens, of groups and of traces (Fu et al. 2025, 2508.15260, section 3).

Higher is more confident: a distribution with one likely token gives the others little, and the mean of the log-
probabilities of the likeliest is then far below zero.
"""

from __future__ import annotations

import math
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ponder.core.prefix import Prefix

TOP = 20
"""The likeliest tokens that count, as in the paper."""


def of_token(logprobs: Sequence[float]) -> float:
    """C_i = -(1/k) * sum of the log-probabilities of the k likeliest tokens, in nats.

    A token that cannot be, with a log-probability of minus infinity, is left out: it says nothing of how sure the
    model was among the others.
    """
    known = [p for p in logprobs if p > -math.inf]
    return -math.fsum(known) / len(known) if known else 0.0


def of_path(path: Prefix, top: int = TOP) -> list[float]:
    """The confidence of each sampled token of a path that had its likeliest tokens recorded."""
    return [
        of_token([p for _, p in likeliest[:top]])
        for segment in path.segments
        for likeliest in segment.top_logprobs or ()
    ]


def groups(tokens: Sequence[float], window: int) -> list[float]:
    """The mean of every `window` tokens in a row; of fewer tokens than that, the mean of all.

    Raises:
        ValueError: there are no tokens, or the window has none.

    """
    if not tokens or window < 1:
        raise ValueError("Groups need tokens, and a window of at least one.")
    size = min(window, len(tokens))
    sums = [0.0, *accumulate(tokens)]
    return [(sums[i + size] - sums[i]) / size for i in range(len(tokens) - size + 1)]


def mean(tokens: Sequence[float], window: int = 0) -> float:  # noqa: ARG001 - all measures are called alike
    """Of all tokens."""
    return math.fsum(tokens) / len(tokens)


def tail(tokens: Sequence[float], window: int) -> float:
    """Of the last group."""
    return mean(tokens[-window:])


def lowest(tokens: Sequence[float], window: int) -> float:
    """Of the least confident group."""
    return min(groups(tokens, window))


def bottom(tokens: Sequence[float], window: int, share: float = 0.1) -> float:
    """The mean of the least confident tenth of the groups, of at least one."""
    ranked = sorted(groups(tokens, window))
    return mean(ranked[: max(1, int(len(ranked) * share))])


MEASURES: Mapping[str, Callable[[Sequence[float], int], float]] = {
    "mean": mean,
    "tail": tail,
    "lowest": lowest,
    "bottom": bottom,
}
"""How the confidence of a trace is made of that of its tokens, by name."""
