"""Everything operational about an engine is an engine that wraps an engine.

Retrying   tries again what is worth another try.
Limited    lets so many calls in at a time.
Coalesced  makes one call of identical ones.
Cached     keeps what was written, and gives it again.
Recorded   writes down every call; `Replayed` gives them again without a model.
Adaptive   lets in as many at a time as the server can take, which it finds out.
Breaking   leaves a dead server alone.
Balanced   makes one engine of several servers.
Faulty     fails on purpose, for tests.
Penalising gives TIP's switch penalty to an engine that can only bias tokens.

A layer takes and gives what any engine does (`engines.laws` hold), and knows nothing of the others. Usual order,
outermost first: Cached, Coalesced, Limited, Retrying; so that what waits for its next try keeps its slot, and
a server that is down is not asked more often by more callers. Below Retrying stand Balanced and, on each of its
servers, Breaking and Adaptive; so that the next try may go to another server.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.lowlevel

from ponder.core.calls import Usage
from ponder.core.errors import TransientError, UsageError
from ponder.engines._adaptive import Adaptive
from ponder.engines._balanced import Balanced
from ponder.engines._breaking import Breaking
from ponder.engines._faulty import Faulty
from ponder.engines._layer import Layer
from ponder.engines._penalising import Penalising
from ponder.engines._recording import Record, Recorded, Replayed
from ponder.engines._sharing import Cached, Coalesced
from ponder.engines.embedded.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ponder.core.calls import Sampling
    from ponder.core.prefix import Prefix, Segment
    from ponder.core.protocols import Delta, Engine

__all__ = [
    "Adaptive",
    "Balanced",
    "Breaking",
    "Cached",
    "Coalesced",
    "Faulty",
    "Layer",
    "Limited",
    "Penalising",
    "Record",
    "Recorded",
    "Replayed",
    "Retries",
    "Retrying",
]

T = TypeVar("T")


@dataclass(slots=True)
class Retries:
    """How often all calls together may be tried again: `floor` times, and `ratio` times for every call.

    Share one between the engines that talk to the same server, and an outage of it multiplies their load
    by no more than 1 + `ratio`.
    """

    floor: int = 100
    ratio: float = 1.0
    calls: int = 0
    used: int = 0

    def take(self) -> bool:
        """Whether one more is allowed; if so it counts."""
        if self.used >= self.floor + self.ratio * self.calls:
            return False
        self.used += 1
        return True


class Retrying(Layer):
    """Tries again after a TransientError, and after no other.

    The wait before try k+1 is drawn from 0 to min(`cap`, `base` * 2**(k-1)) seconds, so that callers that
    failed together do not come back together; after a `retry_after`, that much later.

    Args:
        attempts: tries in all, the first among them.
        rng: for the waits.
        retries: what all calls share.
        replay: try again even after tokens were written, which the caller's watch then sees from the beginning.
            They are paid for and count towards `max_tokens`, so a call costs no more than one that did not fail.
            Without it, a call that failed halfway fails.

    """

    def __init__(
        self,
        engine: Engine,
        attempts: int = 4,
        base: float = 0.5,
        cap: float = 8.0,
        *,
        rng: random.Random | None = None,
        retries: Retries | None = None,
        replay: bool = False,
    ) -> None:
        if attempts < 1:
            raise UsageError(f"Retrying needs attempts of at least 1, not {attempts}.")
        super().__init__(engine)
        self._attempts, self._base, self._cap = attempts, base, cap
        self._rng = rng or random.Random()
        self._retries = retries or Retries()
        self._replay = replay

    async def extend(
        self, prefix: Prefix, sampling: Sampling, watch: Callable[[Delta], bool | None] | None = None
    ) -> Segment:
        lost = written = (
            0  # tokens of the tries that failed, and of the one that runs, in so far as it is told
        )

        def watching(delta: Delta) -> bool | None:
            nonlocal written
            written += delta.tokens
            return watch(delta) if watch is not None else None

        def again(error: TransientError) -> bool:
            nonlocal lost, written
            lost, written = lost + max(written, error.spent), 0
            return not lost or (self._replay and lost < sampling.max_tokens)

        try:
            segment = await self._try(
                lambda: self.engine.extend(
                    prefix,
                    replace(sampling, max_tokens=sampling.max_tokens - lost) if lost else sampling,
                    watching if watch is not None else None,
                ),
                again,
            )
        except TransientError as error:
            error.spent = lost
            raise
        return replace(segment, usage=segment.usage + Usage(completion=lost)) if lost else segment

    async def aside(self, name: str, call: Callable[..., Awaitable[T]], *asked: Any) -> T:
        del name
        return await self._try(lambda: call(*asked), lambda error: self._replay or not error.spent)

    async def _try(self, call: Callable[[], Awaitable[T]], again: Callable[[TransientError], bool]) -> T:
        self._retries.calls += 1
        tried = 0
        while True:
            try:
                return await call()
            except TransientError as error:
                tried += 1
                if not again(error) or tried >= self._attempts or not self._retries.take():
                    error.tries = tried
                    raise
                most = min(self._cap, self._base * 2 ** (tried - 1))
                wait = (error.retry_after or 0.0) + self._rng.uniform(0, most)
            await anyio.sleep(wait)


class Limited(Layer):
    """Lets `n` calls in at a time; who came first goes first, and who is cancelled while waiting is forgotten.

    May be shared by event loops in several threads.
    """

    def __init__(self, engine: Engine, n: int) -> None:
        if n < 1:
            raise UsageError(f"Limited needs n of at least 1, not {n}.")
        super().__init__(engine)
        self._slots = n
        self._waiting: deque[Reply[None]] = deque()
        self._lock = threading.Lock()

    async def extend(
        self, prefix: Prefix, sampling: Sampling, watch: Callable[[Delta], bool | None] | None = None
    ) -> Segment:
        return await self.aside("extend", self.engine.extend, prefix, sampling, watch)

    async def aside(self, name: str, call: Callable[..., Awaitable[T]], *asked: Any) -> T:
        del name
        await self._enter()
        try:
            return await call(*asked)
        finally:
            self._leave()

    async def _enter(self) -> None:
        await anyio.lowlevel.checkpoint_if_cancelled()
        turn: Reply[None] = Reply()
        with self._lock:
            if self._slots:
                self._slots -= 1
                return
            self._waiting.append(turn)
        try:
            await turn.wait()
        except BaseException:
            with self._lock:
                waited = turn in self._waiting
                if waited:
                    self._waiting.remove(turn)
            if not waited:  # let in while being cancelled
                self._leave()
            raise

    def _leave(self) -> None:
        """Let in who waits longest; whose event loop is gone waits no more."""
        with self._lock:
            while self._waiting:
                if self._waiting.popleft().answer(None):
                    return
            self._slots += 1
