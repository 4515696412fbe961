"""Several servers of one model as one engine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from ponder.core.errors import UsageError
from ponder.engines._layer import Layer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from ponder.core.calls import Sampling
    from ponder.core.prefix import Prefix, Segment
    from ponder.core.protocols import Capabilities, Delta, Engine

T = TypeVar("T")


class Balanced(Layer):
    """Gives each call to the server with the fewest in flight; those taken to be dead (`Breaking`) come last.

    Among equals they take turns. It can do what all of them can; ids are only kept where all have the same tokens.
    """

    def __init__(self, engines: Sequence[Engine]) -> None:
        if not engines:
            raise UsageError("Balanced needs at least one engine.")
        super().__init__(engines[0])
        self._engines = list(engines)
        self._in_flight = [0] * len(engines)
        self._turns = [0] * len(engines)
        self._calls = 0
        if "close" in vars(self):
            vars(self)["close"] = self._close

    def _close(self) -> None:
        for engine in self._engines:
            engine.close()  # type: ignore[attr-defined]  # the first one has it, and they are alike

    @property
    def capabilities(self) -> Capabilities:
        if len(self._engines) == 1:
            return self._engines[0].capabilities
        all_of = [engine.capabilities for engine in self._engines]
        can = frozenset.intersection(*(c.can for c in all_of))
        same = len({c.tokenizer for c in all_of}) == 1
        contexts = [c.context for c in all_of if c.context is not None]
        return replace(
            all_of[0],
            can=can if same else can - {"token_ids", "stop_ids", "logit_bias", "top_logprobs"},
            context=min(contexts) if contexts else None,
            tokenizer=all_of[0].tokenizer if same else None,
            many=all(c.many for c in all_of),
        )

    @property
    def in_flight(self) -> int:
        """Calls given to servers, and those that hold a permit there."""
        inside = (getattr(engine, "in_flight", 0) for engine in self._engines)
        return sum(map(max, self._in_flight, inside))

    async def extend(
        self, prefix: Prefix, sampling: Sampling, watch: Callable[[Delta], bool | None] | None = None
    ) -> Segment:
        return await self._given(lambda engine: engine.extend(prefix, sampling, watch))

    async def aside(self, name: str, call: Callable[..., Awaitable[T]], *asked: Any) -> T:
        del call  # it is the first one's
        return await self._given(lambda engine: getattr(engine, name)(*asked))

    async def _given(self, call: Callable[[Engine], Awaitable[T]]) -> T:
        at = min(range(len(self._engines)), key=self._rank)
        self._calls += 1
        self._turns[at] = self._calls
        self._in_flight[at] += 1
        try:
            return await call(self._engines[at])
        finally:
            self._in_flight[at] -= 1

    def _rank(self, i: int) -> tuple[bool, int, int]:
        return getattr(self._engines[i], "open", False), self._in_flight[i], self._turns[i]
