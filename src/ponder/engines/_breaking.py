"""A layer that leaves a dead server alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from ponder.core.errors import EngineError, TransientError, UsageError
from ponder.engines._layer import Layer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ponder.core.calls import Sampling
    from ponder.core.prefix import Prefix, Segment
    from ponder.core.protocols import Delta, Engine

T = TypeVar("T")


class Breaking(Layer):
    """After so many failures in a row, lets one call in each `pause` through, until one comes back.

    So many are at least as many as there are calls in flight: of hundreds at once, five that fail one after the other are
    no sign of death, only of a bad day.
    All others fail at once with a TransientError that says when to ask again. Only a TransientError that names no
    time is a failure: whoever says "in ten seconds", or refuses a request, is alive.
    """

    def __init__(self, engine: Engine, failures: int = 5, pause: float = 1.0) -> None:
        if failures < 1 or pause <= 0:
            raise UsageError("Breaking needs failures of at least 1 and a pause of more than 0 seconds.")
        super().__init__(engine)
        self._most, self._pause = failures, pause
        self._failed = 0  # in a row
        self._in_flight = 0
        self._next = 0.0  # when the next may try
        self._trying = False

    @property
    def open(self) -> bool:
        """Whether the server is taken to be dead."""
        return self._failed >= max(self._most, self._in_flight)

    async def extend(
        self, prefix: Prefix, sampling: Sampling, watch: Callable[[Delta], bool | None] | None = None
    ) -> Segment:
        return await self._guarded(self.engine.extend, prefix, sampling, watch)

    async def aside(self, name: str, call: Callable[..., Awaitable[T]], *asked: Any) -> T:
        del name
        return await self._guarded(call, *asked)

    async def _guarded(self, call: Callable[..., Awaitable[T]], *asked: Any) -> T:
        tries = self._admitted()
        self._in_flight += 1
        try:
            outcome = await call(*asked)
        except TransientError as error:
            if error.retry_after is None:
                self._failed += 1
                self._next = anyio.current_time() + self._pause
            raise
        except EngineError:
            self._failed = 0
            raise
        else:
            self._failed = 0
            return outcome
        finally:
            self._in_flight -= 1
            if tries:
                self._trying = False

    def _admitted(self) -> bool:
        """Whether this call is the one that tries a dead server."""
        if not self.open:
            return False
        now = anyio.current_time()
        if self._trying or now < self._next:
            raise TransientError(
                f"{self.capabilities.name} failed {self._failed} times in a row and is left alone for a moment. "
                "Start it again, or wait.",
                max(self._next - now, 0.0) or self._pause,
            )
        self._trying = True
        self._next = now + self._pause
        return True
