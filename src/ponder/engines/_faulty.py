"""A layer that fails on purpose."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from ponder.core.errors import EngineError, TransientError
from ponder.engines._layer import Layer, key_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ponder.core.calls import Sampling
    from ponder.core.prefix import Prefix, Segment
    from ponder.core.protocols import Delta, Engine

T = TypeVar("T")

_SOON = 16  # a cut comes within this many tokens, so that short texts are cut within, too


class Faulty(Layer):
    """Injects faults into an engine, the same ones for the same calls whatever their order.

    What befalls a call depends on `seed`, on what is asked and on how often it was asked before, so a second
    try has its own luck.

    Args:
        errors: the share of calls that fail before their first token.
        cuts: the share that fail after some: between two of them or, where the text is shorter, after the last.
        fatal: the share of faults that are EngineErrors, not worth another try.
        delays: seconds at most before a call, evenly spread.
        retry_after: as the TransientErrors tell it.

    """

    def __init__(
        self,
        engine: Engine,
        seed: int = 0,
        *,
        errors: float = 0.0,
        cuts: float = 0.0,
        fatal: float = 0.0,
        delays: float = 0.0,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(engine)
        self._seed = seed
        self._errors, self._cuts, self._fatal = errors, cuts, fatal
        self._delays, self._retry_after = delays, retry_after
        self._asked: Counter[str] = Counter()
        self.faults = 0

    async def extend(
        self, prefix: Prefix, sampling: Sampling, watch: Callable[[Delta], bool | None] | None = None
    ) -> Segment:
        rng = await self._begin("extend", prefix, sampling)
        if rng.random() >= self._cuts:
            return await self.engine.extend(prefix, sampling, watch)
        left = rng.randint(1, min(sampling.max_tokens, _SOON))

        def cutting(delta: Delta) -> bool | None:
            nonlocal left
            left -= delta.tokens
            more = watch(delta) if watch is not None else None
            return False if left <= 0 else more

        await self.engine.extend(prefix, sampling, cutting if "streams" in self.capabilities.can else None)
        raise self._fault(rng, "after some tokens")

    async def aside(self, name: str, call: Callable[..., Awaitable[T]], *asked: Any) -> T:
        await self._begin(name, *asked)
        return await call(*asked)

    async def _begin(self, name: str, *asked: Any) -> random.Random:
        """Chance for this call, or the fault before its first token."""
        key = key_of(name, *asked)
        rng = random.Random(f"{self._seed} {key} {self._asked[key]}")
        self._asked[key] += 1
        wait = rng.random() * self._delays
        if wait > 0:
            await anyio.sleep(wait)
        if rng.random() < self._errors:
            raise self._fault(rng, "before the first token")
        return rng

    def _fault(self, rng: random.Random, when: str) -> EngineError:
        self.faults += 1
        if rng.random() < self._fatal:
            return EngineError(f"The model failed {when}, as it was told to.")
        return TransientError(
            f"The connection broke {when}, as it was told to. Try again.", self._retry_after
        )
