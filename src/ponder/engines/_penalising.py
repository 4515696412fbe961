"""TIP's penalty for engines that know only a constant bias: one call becomes several, each under the right one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ponder.core.calls import Usage
from ponder.core.errors import Unsupported
from ponder.core.prefix import Segment
from ponder.engines._layer import Layer
from ponder.engines._parts import joined, seeded

if TYPE_CHECKING:
    from collections.abc import Callable

    from ponder.core.calls import Sampling
    from ponder.core.prefix import Finish, Prefix
    from ponder.core.protocols import Ability, Capabilities, Delta

NEEDED: frozenset[Ability] = frozenset({"continue", "token_ids", "logit_bias", "stop_ids"})


class Penalising(Layer):
    """Gives "switch_penalty" to an engine that can bias tokens, stop at them and go on (2501.18585, section 4).

    While a thought is shorter than beta, a call is as long as the penalty is sure to hold; a switch within it only
    makes that longer. After that a call ends at the next switch token, which begins the penalty anew. So no token
    is drawn under a wrong bias and none is thrown away, and the texts have the same distribution as with the
    penalty inside the engine. The seed of each part is made of the call's. An engine that has the penalty, or
    lacks what this needs, is left as it is.

    It costs what one call would: the prompt counts once, though a server may read it for each part.
    """

    _made: tuple[Capabilities, Capabilities] | None = None
    """The capabilities of the engine, and what became of them."""

    @property
    def capabilities(self) -> Capabilities:
        able = self.engine.capabilities
        if self._made is None or self._made[0] is not able:
            more = replace(able, can=able.can | {"switch_penalty"}) if able.can >= NEEDED else able
            self._made = able, more
        return self._made[1]

    async def extend(
        self, prefix: Prefix, sampling: Sampling, watch: Callable[[Delta], bool | None] | None = None
    ) -> Segment:
        """See `Engine`.

        Raises:
            Unsupported: a penalty and a grammar, which would begin anew with each part.

        """
        can = self.engine.capabilities.can
        if sampling.switch_penalty is None or "switch_penalty" in can or not can >= NEEDED:
            return await self.engine.extend(prefix, sampling, watch)
        if sampling.grammar is not None:
            raise Unsupported(
                f"{self.capabilities.name} cannot hold a grammar and a switch penalty at once. Leave one of them out."
            )
        writing = _Parts(sampling)
        told = True

        def watching(delta: Delta) -> bool:
            nonlocal told
            told = told and watch is not None and watch(delta) is not False
            return told

        while writing.finish is None:
            part = await self.engine.extend(prefix, writing.next(), watching if watch is not None else None)
            prefix += part
            writing.add(part)
            if not told and watch is not None and writing.finish is None:
                writing.cancel()
        return writing.segment


class _Parts:
    """One segment while it is written in parts."""

    def __init__(self, sampling: Sampling) -> None:
        if sampling.switch_penalty is None:
            raise ValueError("There is no penalty.")
        self._how, self._penalty = sampling, sampling.switch_penalty
        self._bias = dict(sampling.logit_bias)
        for token in dict.fromkeys(self._penalty.tokens):
            self._bias[token] = self._bias.get(token, 0.0) - self._penalty.alpha
        self._thought = self._penalty.since
        self._drawn = self._number = 0
        self.finish: Finish | None = None
        self.segment = Segment("", (), (), Usage(), finish="length")

    def next(self) -> Sampling:
        """How the next part is drawn."""
        how, left = self._how, self._how.max_tokens - self._drawn
        early = self._drawn < how.min_tokens  # what holds off the end would hold off a stop at a switch, too
        room = self._penalty.beta - self._thought
        most = left if room <= 0 else min(room, left)
        if (early and room <= 0) or self._pending():
            most = 1
        free = room <= 0 and most > 1
        seed = seeded(how.seed, self._number)
        self._number += 1
        return replace(
            how,
            max_tokens=most,
            min_tokens=min(max(0, how.min_tokens - self._drawn), most),
            logit_bias=how.logit_bias if room <= 0 else self._bias,
            stop_ids=(*how.stop_ids, *self._penalty.tokens) if free else how.stop_ids,
            switch_penalty=None,
            seed=seed,
        )

    def add(self, part: Segment) -> None:
        """A part was drawn; `finish` says whether it was the last."""
        before, ids = self.segment, part.token_ids or ()
        self._drawn += len(ids)
        for token in ids:
            self._thought = 1 if token in self._penalty.tokens else self._thought + 1
        text = before.text + part.text
        finish: Finish | None
        stop = _stop(text, len(before.text), self._how.stop)
        switched = part.finish == "stop" and bool(ids) and ids[-1] in self._penalty.tokens
        own = bool(ids) and ids[-1] in self._how.stop_ids
        on = part.finish == "length" or (switched and not own)
        if stop is not None and part.finish != "eos" and not own:
            finish, stopped_by = "stop", stop
        elif on and self._drawn < self._how.max_tokens:
            finish, stopped_by = None, None
        else:
            finish = "length" if on else part.finish
            stopped_by = None if on else part.stopped_by
        self.finish = finish
        whole = joined(before if self._number > 1 else None, part)
        self.segment = replace(whole, finish=finish or "length", stopped_by=stopped_by)

    def cancel(self) -> None:
        """Whoever watches wants no more."""
        self.finish = "cancelled"
        self.segment = replace(self.segment, finish="cancelled")

    def _pending(self) -> bool:
        """Whether a stop string has begun that another part may complete; then a part is one token."""
        text = self.segment.text
        return any(text.endswith(stop[:n]) for stop in self._how.stop for n in range(1, len(stop)))


def _stop(text: str, before: int, stops: tuple[str, ...]) -> str | None:
    """The stop string that begins first, among those that end after the first `before` characters."""
    found = [
        (at, order, stop)
        for order, stop in enumerate(stops)
        if (at := text.find(stop, max(0, before - len(stop) + 1))) >= 0
    ]
    return min(found)[2] if found else None
