"""A layer that finds out how much a server can take."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.lowlevel

from ponder.core.errors import TransientError, UsageError
from ponder.engines._layer import Layer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ponder.core.calls import Sampling
    from ponder.core.prefix import Prefix, Segment
    from ponder.core.protocols import Delta, Engine

T = TypeVar("T")


class Adaptive(Layer):
    """Limits the calls in flight: one more for every round that went well, half as many when the server complains.

    This is AIMD with a slow start, as TCP does it: calls that come back while the limit is in use add 1/limit each, so one
    for each round of them, and before the first complaint 1 each, so that each round has twice as many; a TransientError halves the limit, at most once in `calm` seconds, for one overload fails many
    calls at once. Who came first goes first; who is cancelled while waiting is forgotten.

    Args:
        start: calls in flight at first.
        most: calls in flight at most.
        calm: seconds.

    """

    def __init__(self, engine: Engine, start: int = 16, most: int = 256, calm: float = 1.0) -> None:
        if not 1 <= start <= most:
            raise UsageError(f"Adaptive needs 1 <= start <= most, not start={start} and most={most}.")
        super().__init__(engine)
        self.limit = float(start)
        self._inside = 0
        self._most, self._calm = float(most), calm
        self._cut: float | None = None  # when it was last halved
        self._waiting: deque[anyio.Event] = deque()

    @property
    def in_flight(self) -> int:
        """Calls that were let in."""
        return self._inside

    async def extend(
        self, prefix: Prefix, sampling: Sampling, watch: Callable[[Delta], bool | None] | None = None
    ) -> Segment:
        return await self._counted(self.engine.extend, prefix, sampling, watch)

    async def aside(self, name: str, call: Callable[..., Awaitable[T]], *asked: Any) -> T:
        del name
        return await self._counted(call, *asked)

    async def _counted(self, call: Callable[..., Awaitable[T]], *asked: Any) -> T:
        await self._enter()
        try:
            outcome = await call(*asked)
        except TransientError:
            now = anyio.current_time()
            if self._cut is None or now - self._cut >= self._calm:
                self._cut, self.limit = now, max(1.0, self.limit / 2)
            raise
        else:
            if self._inside + 1 >= self.limit or self._waiting:
                self.limit = min(self._most, self.limit + (1 if self._cut is None else 1 / self.limit))
            return outcome
        finally:
            self._inside -= 1
            self._wake()

    async def _enter(self) -> None:
        if self._waiting or self._inside >= int(self.limit):
            turn = anyio.Event()
            self._waiting.append(turn)
            try:
                await turn.wait()
            except BaseException:
                if turn.is_set():  # let in while being cancelled: the place is the next one's
                    self._inside -= 1
                    self._wake()
                else:
                    self._waiting.remove(turn)
                raise
        else:
            await anyio.lowlevel.checkpoint_if_cancelled()
            self._inside += 1

    def _wake(self) -> None:
        while self._waiting and self._inside < int(self.limit):
            self._inside += 1
            self._waiting.popleft().set()
