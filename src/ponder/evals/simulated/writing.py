"""One segment while a simulated model writes it."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Final

from ponder.core.prefix import Segment
from ponder.core.protocols import Delta
from ponder.evals.simulated.options import certain, masses
from ponder.evals.simulated.reading import FILLERS, NUDGE, nudged, stand
from ponder.evals.simulated.tokens import EOS, number

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from ponder.core.calls import Sampling, Usage
    from ponder.core.prefix import Finish
    from ponder.evals.simulated.chain import Chain, Guess

NEVER: Final = -1000.0
"""The log-probability of what the model never says of itself: exp of it is exactly 0.0, and JSON can carry it."""

BAN: Final = -100.0
"""A logit bias this low or lower leaves no chance at all, as chat servers document it."""


class Writing:
    """One segment while it is written: a token at a time with `step`, or up to the next choice with `burst`.

    Both write the same. `burst` is for calls that are `plain`: nothing but the temperature and the truncations bears
    on the choices, and nothing but the end and `max_tokens` ends the text.
    """

    def __init__(self, chain: Chain | Guess, text: str, sampling: Sampling, rng: random.Random) -> None:
        self._chain, self._sampling, self._rng = chain, sampling, rng
        self._said, self._at = certain(stand(chain, text)), 0
        self._stop_ids = frozenset(sampling.stop_ids) - {EOS}
        self._penalty = sampling.switch_penalty
        self._thought = self._penalty.since if self._penalty else 0
        self._guarded = bool(sampling.logit_bias or self._penalty or sampling.min_tokens)
        self.plain = not (self._guarded or sampling.stop or self._stop_ids or sampling.logprobs)
        self.ids: list[int] = []
        self._texts: list[str] = []
        self._logs: list[float] = []
        self._tops: list[tuple[tuple[int, float], ...]] = []
        self._text = ""  # kept up where there are stops to look for
        self._stopped_by: str | None = None
        self.finish: Finish | None = None

    def burst(self) -> Sequence[Delta]:
        """Write all that is certain, or a choice and all that is certain after it; returns its tokens."""
        said, at, log = self._said, self._at, 0.0
        if at == len(said.ids):
            options = self._chain.options(said.spot)
            j = options.draw(self._sampling, self._rng)
            said, at, log = options.said(j), 0, options.logs[j]
        n = min(len(said.ids), at + self._sampling.max_tokens - len(self.ids))
        deltas = said.deltas[at:n]
        self.ids += said.ids[at:n]
        self._texts += said.texts[at:n]
        self._said, self._at = said, n
        if self._sampling.logprobs is not None:
            self._logs += [log, *[0.0] * (n - at - 1)]
        if self.ids[-1] == EOS:
            self.finish = "eos"
        elif len(self.ids) >= self._sampling.max_tokens:
            self.finish = "length"
        return deltas

    def cut(self, n: int) -> None:
        """Take back all but the first `n` tokens: it was cancelled there."""
        for written in (self.ids, self._texts, self._logs, self._tops):
            del written[n:]
        self.finish = "cancelled"

    def step(self) -> Delta:
        """Write one token; `finish` tells whether it was the last."""
        i, delta = self._guarded_next() if self._guarded else self._next()
        self._text += delta.text
        self.ids.append(i)
        self._texts.append(delta.text)
        if self._penalty:
            self._thought = 1 if i in self._penalty.tokens else self._thought + 1
        if i == EOS:
            self.finish = "eos"
        elif i in self._stop_ids:
            self.finish, self._stopped_by = "stop", delta.text
        elif self._sampling.stop and (stop := self._stop(len(self._text) - len(delta.text))):
            self.finish, self._stopped_by = "stop", stop
        elif len(self.ids) >= self._sampling.max_tokens:
            self.finish = "length"
        return delta

    def segment(self, usage: Usage) -> Segment:
        """What was written, with what was to be recorded of it."""
        told = self._sampling.logprobs
        return Segment(
            "".join(self._texts),
            tuple(self.ids),
            tuple(itertools.accumulate(map(len, self._texts))),
            usage,
            finish=self.finish or "length",
            stopped_by=self._stopped_by,
            logprobs=tuple(self._logs) if told is not None else None,
            top_logprobs=tuple(self._tops) if told else None,
        )

    def _next(self) -> tuple[int, Delta]:
        """The next token where nothing but the temperature and the truncations bears on it."""
        if self._at < len(self._said.ids):
            return self._certain()
        return self._chosen(self._chain.options(self._said.spot).draw(self._sampling, self._rng))

    def _guarded_next(self) -> tuple[int, Delta]:
        """The next token under biases, a penalty, and tokens that are held off."""
        if self._at < len(self._said.ids):
            allowed = self._bias(self._said.ids[self._at]) > BAN
            return self._certain() if allowed else self._filler()
        options = self._chain.options(self._said.spot)
        able = [
            (log + bias, j)
            for j, (i, log) in enumerate(zip(options.ids, options.logs, strict=True))
            if (bias := self._bias(i)) > BAN
        ]
        if not able:
            at_end = self._said.spot.where == "end" and self._bias(number(NUDGE)) > BAN
            return self._nudge() if at_end else self._filler()
        able.sort(key=lambda option: -option[0])
        sums = list(itertools.accumulate(masses([logit for logit, _ in able], self._sampling)))
        point = self._rng.random() * sums[-1] if len(sums) > 1 else 0.0
        return self._chosen(
            next((j for end, (_, j) in zip(sums, able, strict=False) if point < end), able[0][1])
        )

    def _bias(self, i: int) -> float:
        """What is added to the logit of a token now."""
        if len(self.ids) < self._sampling.min_tokens and (i == EOS or i in self._stop_ids):
            return -math.inf
        bias = self._sampling.logit_bias.get(i, 0.0)
        if self._penalty and self._thought < self._penalty.beta and i in self._penalty.tokens:
            bias -= self._penalty.alpha
        return bias

    def _certain(self) -> tuple[int, Delta]:
        i, delta = self._said.ids[self._at], self._said.deltas[self._at]
        self._at += 1
        self._record(0.0, ((i, 0.0),))
        return i, delta

    def _chosen(self, j: int) -> tuple[int, Delta]:
        options = self._chain.options(self._said.spot)
        self._record(options.logs[j], self._ranked())
        self._said, self._at = options.said(j), 1
        return self._said.ids[0], self._said.deltas[0]

    def _filler(self) -> tuple[int, Delta]:
        """A word that the model would not say, because all that it would is forbidden; it changes nothing."""
        word = next((f for f in FILLERS if self._bias(number(f)) > BAN), FILLERS[0])
        certainly = self._at < len(self._said.ids)
        self._record(NEVER, ((self._said.ids[self._at], 0.0),) if certainly else self._ranked())
        return number(word), Delta(word, 1)

    def _nudge(self) -> tuple[int, Delta]:
        """A second thought, because the text may not end here."""
        self._record(NEVER, self._ranked())
        self._said, self._at = certain(nudged(self._said.spot)), 0
        return number(NUDGE), Delta(NUDGE, 1)

    def _ranked(self) -> tuple[tuple[int, float], ...]:
        """The likeliest tokens at a choice, as many as are recorded."""
        n = self._sampling.logprobs
        options = self._chain.options(self._said.spot)
        return tuple(zip(options.ids[:n], options.logs[:n], strict=True)) if n else ()

    def _record(self, log: float, ranked: tuple[tuple[int, float], ...]) -> None:
        self._logs.append(log)
        if self._sampling.logprobs:
            self._tops.append(ranked)

    def _stop(self, before: int) -> str | None:
        """The stop string that begins first in what is written, if the last token completed one."""
        found = []
        for order, stop in enumerate(self._sampling.stop):
            at = self._text.find(stop, max(0, before - len(stop) + 1))
            if at >= 0:
                found.append((at, order, stop))
        return min(found)[2] if found else None
