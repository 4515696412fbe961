"""Where a simulated text stands, and what may come next there."""

from __future__ import annotations

import bisect
import itertools
import math
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from ponder.core.protocols import Delta
from ponder.evals.simulated.tokens import EOS, number, split

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Sequence

    from ponder.core.calls import Sampling

Where = Literal["line", "clause", "value", "check", "answer", "spaced", "bare", "marked", "boxed", "end"]
"""The choices of a text: a step, a second thought or the answer; one clause more; the value of a step; the value
after "Wait"; the answer in its forms (" 42.", "42.", "42", " 42", "42}"); the end."""


class Spot(NamedTuple):
    """A place in a text.

    Args:
        rest: what is written for certain before the next choice.
        where: that choice.
        step: steps done.
        slip: what the running value is off by; 0 where all is right so far.
        clause: of the step being written.
        begun: what of the choice stands there already, where somebody wrote a part of a token.

    """

    rest: str
    where: Where
    step: int
    slip: int
    clause: int = 0
    begun: str = ""


class Said(NamedTuple):
    """Tokens in a row, as they are told to who watches, and the spot after them (whose `rest` is among them)."""

    ids: tuple[int, ...]
    deltas: tuple[Delta, ...]
    texts: tuple[str, ...]
    spot: Spot


@lru_cache(1024)
def certain(spot: Spot, before: str | None = None) -> Said:
    """All that is certain at a spot, after the token that leads to it; "" is end-of-text."""
    first = () if before is None else (_token(before),)
    tokens = (*first, *_tokens(spot.rest)) if spot.rest else first
    deltas = tuple(delta for _, delta in tokens)
    return Said(tuple(i for i, _ in tokens), deltas, tuple(delta.text for delta in deltas), spot)


class Options:
    """What may come next, likeliest first, each with the spot it leads to.

    Each is one token, so that a choice has one log-probability.

    Args:
        logs: log-probabilities, sorted.
        tell: the text of an option, "" for end-of-text, and the spot that it leads to. It is asked late and once,
            for most are never chosen.

    """

    __slots__ = ("_drawn", "_said", "_tell", "_told", "logs")

    def __init__(self, logs: Sequence[float], tell: Callable[[int], tuple[str, Spot]]) -> None:
        self.logs = logs
        self._tell = tell
        self._told: tuple[tuple[str, Spot], ...] | None = None
        self._said: dict[int, Said] = {}
        self._drawn: dict[tuple[float, int, float, float], list[float]] = {}

    @classmethod
    def of(cls, shares: Iterable[tuple[float, str, Spot]]) -> Options:
        """A few options by their shares of the whole; those without any are left out."""
        kept = sorted((share for share in shares if share[0] > 0), key=lambda share: -share[0])
        whole = math.fsum(share for share, _, _ in kept)
        told = [(text, spot) for _, text, spot in kept]
        return cls(tuple(math.log(share / whole) for share, _, _ in kept), told.__getitem__)

    @property
    def told(self) -> tuple[tuple[str, Spot], ...]:
        """Text and spot of each."""
        if self._told is None:
            self._told = tuple(map(self._tell, range(len(self.logs))))
        return self._told

    @property
    def ids(self) -> tuple[int, ...]:
        """The token of each."""
        return tuple(number(text) if text else EOS for text, _ in self.told)

    def said(self, j: int) -> Said:
        """One of them, and all that is certain after it."""
        found = self._said.get(j)
        if found is None:
            text, spot = self._tell(j)
            found = self._said[j] = certain(spot, text)
        return found

    def begun(self, text: str) -> Options:
        """Those that go on like `text`, without it."""
        return Options.of(
            (math.exp(log), option[len(text) :], spot)
            for log, (option, spot) in zip(self.logs, self.told, strict=True)
            if option.startswith(text) and option != text
        )

    def odds(self, sampling: Sampling) -> list[float]:
        """The probability of each that is left under this sampling; those left out are at the end."""
        sums = self._sums(sampling)
        return [(b - a) / sums[-1] for a, b in itertools.pairwise((0.0, *sums))]

    def draw(self, sampling: Sampling, rng: random.Random) -> int:
        """The index of one, drawn."""
        if len(self.logs) == 1 or sampling.temperature == 0:
            return 0
        sums = self._sums(sampling)
        return bisect.bisect_right(sums, rng.random() * sums[-1], 0, len(sums) - 1)

    def _sums(self, sampling: Sampling) -> list[float]:
        key = (sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p)
        sums = self._drawn.get(key)
        if sums is None:
            sums = self._drawn[key] = list(itertools.accumulate(masses(self.logs, sampling)))
        return sums


def masses(logits: Sequence[float], sampling: Sampling) -> list[float]:
    """What the likeliest of these sorted logits weigh: truncated by top_k, top_p, min_p, then tempered."""
    if sampling.temperature == 0:
        return [1.0]
    best = logits[0]
    kept = [math.exp(logit - best) for logit in logits[: sampling.top_k or None]]
    if sampling.top_p < 1:
        sums = list(itertools.accumulate(kept))
        del kept[bisect.bisect_left(sums, sampling.top_p * sums[-1]) + 1 :]
    if sampling.min_p:
        kept = [mass for mass in kept if mass >= sampling.min_p]
    if sampling.temperature != 1:
        kept = [mass ** (1 / sampling.temperature) for mass in kept]
    return kept


@lru_cache(1 << 14)
def _tokens(text: str) -> tuple[tuple[int, Delta], ...]:
    return tuple(map(_token, split(text)))


@lru_cache(1 << 14)
def _token(text: str) -> tuple[int, Delta]:
    return (number(text) if text else EOS), Delta(text, 1)
