"""One segment while a script's language model writes it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ponder.core.prefix import Segment
from ponder.engines._language import BAN, EOS, NEVER, pick

if TYPE_CHECKING:
    import random

    from ponder.core.calls import Sampling, Usage
    from ponder.core.prefix import Finish, Prefix
    from ponder.core.protocols import Ability
    from ponder.engines._language import Language, Node


class Writing:
    """One segment while it is written; abilities that are not in `can` are left unused."""

    def __init__(
        self,
        language: Language,
        can: frozenset[Ability],
        prefix: Prefix,
        sampling: Sampling,
        rng: random.Random,
    ) -> None:
        self._language, self._texts, self._can = language, language.texts, can
        self._sampling = sampling if "logit_bias" in can else replace(sampling, logit_bias={})
        penalty = sampling.switch_penalty if "switch_penalty" in can else None
        self._penalty = penalty
        if penalty:
            bias = dict(self._sampling.logit_bias)
            bias.update((i, bias.get(i, 0.0) - penalty.alpha) for i in penalty.tokens)
            self._penalised = replace(self._sampling, logit_bias=bias)
            self._thought = penalty.since
        self._prefix, self._rng = prefix, rng
        self._stop_ids = frozenset(sampling.stop_ids if "stop_ids" in self._can else ()) - {EOS}
        self._held = self._stop_ids | {EOS}
        self._hold = sampling.min_tokens if "stop_ids" in self._can else 0
        self._node = self._language.stand(prefix)
        self.ids: list[int] = []
        self._ends: list[int] = []
        self._logs: list[float] = []
        self._tops: list[tuple[tuple[int, float], ...]] = []
        self._text = ""
        self._stopped_by: str | None = None
        self.finish: Finish | None = None

    def step(self) -> str:
        """Write one token and return its text; `finish` tells whether it was the last."""
        i, node = self._next()
        self._logs.append(self._node.logs.get(i, NEVER))
        if self._sampling.logprobs:
            self._tops.append(self._node.ranked[: self._sampling.logprobs])
        self._node = node
        if self._penalty:
            self._thought = 1 if i in self._penalty.tokens else self._thought + 1
        token = self._texts[i]
        before = len(self._text)
        self._text += token
        self.ids.append(i)
        self._ends.append(len(self._text))
        if i == EOS:
            self.finish = "eos" if "tells_stop_from_eos" in self._can else "stop"
        elif i in self._stop_ids:
            self.finish, self._stopped_by = "stop", token
        elif self._sampling.stop and (stop := self._stop(before)):
            self.finish, self._stopped_by = "stop", stop
        elif len(self.ids) >= self._sampling.max_tokens:
            self.finish = "length"
        return token

    def tops(self, last: int) -> tuple[tuple[tuple[int, float], ...], ...]:
        """The likeliest tokens' log-probabilities of the last tokens, where they are recorded."""
        told = self._sampling.logprobs and "top_logprobs" in self._can
        return tuple(self._tops[-last:]) if told else ()

    def segment(self, usage: Usage) -> Segment:
        ids, told = "token_ids" in self._can, self._sampling.logprobs
        return Segment(
            self._text,
            tuple(self.ids) if ids else None,
            tuple(self._ends) if ids else None,
            usage,
            finish=self.finish or "length",
            stopped_by=self._stopped_by,
            logprobs=tuple(self._logs) if told is not None and "logprobs" in self._can else None,
            top_logprobs=tuple(self._tops) if told and "top_logprobs" in self._can else None,
        )

    def _next(self) -> tuple[int, Node]:
        """The token, and where it leads. On script; else as the script goes on beyond; else the end."""
        held = self._held if len(self.ids) < self._hold else ()
        sampling = self._sampling
        if self._penalty and self._thought < self._penalty.beta:
            sampling = self._penalised
        i = pick(self._node, sampling, held, self._rng)
        if i is not None:
            return i, self._node.next[i]
        beyond = self._language.beyond(self._prefix, tuple(self.ids))
        i = pick(beyond, sampling, {*held, EOS}, self._rng)
        if i is not None:
            return i, beyond.next[i]
        if not held and sampling.logit_bias.get(EOS, 0.0) > BAN:
            return EOS, self._node
        return self._language.filler, beyond

    def _stop(self, before: int) -> str | None:
        """The stop string that begins first in what is written, if the last token completed one."""
        found = []
        for order, stop in enumerate(self._sampling.stop):
            at = self._text.find(stop, max(0, before - len(stop) + 1))
            if at >= 0:
                found.append((at, order, stop))
        return min(found)[2] if found else None
