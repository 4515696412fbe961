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
    from ponder.core.protocols import Delta

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


# -- stopping traces while they are written (section 3.2) -------------------------------------------------------------


def window_for(traces: Sequence[Sequence[float]], most: int) -> int:
    """The group of the paper, `most` tokens, or an eighth of the mean trace where that is less: at least one token.

    The paper's 2,048 are about an eighth of its traces; in shorter ones a group as long as the trace would tell
    nothing before its end.
    """
    return min(most, max(1, sum(map(len, traces)) // (8 * max(1, len(traces)))))


def percentile(values: Sequence[float], p: float) -> float:
    """The value below which `p` percent of the values lie, between two of them in proportion.

    Raises:
        ValueError: there are no values.

    """
    if not values:
        raise ValueError("A percentile needs values.")
    ranked = sorted(values)
    at = (len(ranked) - 1) * p / 100
    low = int(at)
    high = min(low + 1, len(ranked) - 1)
    return ranked[low] + (ranked[high] - ranked[low]) * (at - low)


class Falling:
    """A rule that halts a text whose current group is less confident than `threshold`.

    It lets a text go on until one group is full, and knows nothing of tokens whose likeliest are not told.
    """

    def __init__(self, window: int, threshold: float) -> None:
        self._window = window
        self._threshold = threshold
        self._sums = [0.0]

    def __call__(self, delta: Delta) -> str | None:
        fell = False
        for likeliest in delta.top:
            self._sums.append(self._sums[-1] + of_token([p for _, p in likeliest[:TOP]]))
            if len(self._sums) > self._window:
                group = (self._sums[-1] - self._sums[-1 - self._window]) / self._window
                fell = fell or group < self._threshold
        return "confidence" if fell else None
