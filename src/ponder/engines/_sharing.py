"""Layers in which callers share work: `Coalesced` and `Cached`."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from ponder.core.errors import EngineClosed, EngineError
from ponder.core.protocols import ExtendsMany
from ponder.engines._layer import Layer, key_of, shown
from ponder.engines.embedded.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from anyio.abc import TaskGroup

    from ponder.core.calls import Sampling
    from ponder.core.prefix import Prefix, Segment
    from ponder.core.protocols import Capabilities, Delta, Engine


@dataclass(eq=False, slots=True)
class _Waiter:
    segment: Segment | None = None


@dataclass(eq=False, slots=True)
class _Batch:
    """Identical calls of one tick, and what became of them."""

    prefix: Prefix
    sampling: Sampling
    waiters: list[_Waiter] = field(default_factory=list)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    done: anyio.Event = field(default_factory=anyio.Event)
    error: Exception | None = None


class Coalesced(Layer):
    """Makes one `extend_many` of identical calls that arrive in the same tick.

    Only of calls without a seed and without a watch, and where the engine can draw many; all others pass.
    Who is cancelled leaves at once and harms nobody; when the last has left, the call is cancelled. If it
    fails, it fails for all.

    Args:
        tasks: where the calls run. A call may outlive the caller who happened to be first, so it needs a home
            that does not end with him.

    """

    def __init__(self, engine: Engine, tasks: TaskGroup) -> None:
        super().__init__(engine)
        self._tasks = tasks
        self._gathering: dict[str, _Batch] = {}

    async def extend(
        self, prefix: Prefix, sampling: Sampling, watch: Callable[[Delta], bool | None] | None = None
    ) -> Segment:
        engine = self.engine
        if watch is not None or sampling.seed is not None or not isinstance(engine, ExtendsMany):
            return await engine.extend(prefix, sampling, watch)
        await anyio.lowlevel.checkpoint_if_cancelled()
        key = key_of(prefix, sampling)
        batch = self._gathering.get(key)
        if batch is None:
            batch = self._gathering[key] = _Batch(prefix, sampling)
            self._tasks.start_soon(self._call, engine, key, batch)
        waiter = _Waiter()
        batch.waiters.append(waiter)
        try:
            await batch.done.wait()
        finally:
            batch.waiters.remove(waiter)
            if not batch.waiters:
                self._leave(key, batch)
                batch.scope.cancel()
        if waiter.segment is not None:
            return waiter.segment
        raise batch.error or EngineClosed("The engine was closed while it was asked. Ask again.")

    async def _call(self, engine: ExtendsMany, key: str, batch: _Batch) -> None:
        try:
            with batch.scope:
                await anyio.lowlevel.checkpoint()  # the tick in which others join
                self._leave(key, batch)
                asked = tuple(batch.waiters)
                if len(asked) == 1:
                    segments = [await self.engine.extend(batch.prefix, batch.sampling)]
                else:
                    segments = await engine.extend_many(batch.prefix, batch.sampling, len(asked))
                if len(segments) != len(asked):
                    raise EngineError(
                        f"The engine gave {len(segments)} segments where {len(asked)} were asked for."
                    )
                for waiter, segment in zip(asked, segments, strict=True):
                    waiter.segment = segment
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            batch.error = error
        finally:
            self._leave(key, batch)
            batch.done.set()

    def _leave(self, key: str, batch: _Batch) -> None:
        """Let nobody else join."""
        if self._gathering.get(key) is batch:
            del self._gathering[key]


class Cached(Layer):
    """Gives again what was written for the same prefix and the same sampling, its seed included.

    Only calls with a seed or at temperature 0 are kept: of others the same call means another sample. Those
    that ask for the same at the same time wait for the first; if that fails or is cancelled, the next of
    them asks. What a watch cut short is not kept.

    A segment given again costs all the tokens it cost before, for what a budget allows must not depend on
    the luck of a cache; its prompt counts as cached, and its seconds and flops are 0.

    Args:
        store: segments by the key of their call; any mapping, so also one on disk.

    """

    def __init__(self, engine: Engine, store: MutableMapping[str, Segment]) -> None:
        super().__init__(engine)
        self._store = store
        self._asking: dict[str, list[Reply[None]]] = {}  # who waits for a call, on whatever event loop
        self._lock = threading.Lock()

    @property
    def capabilities(self) -> Capabilities:
        """Without its tokens, a segment given again can be shown only as a whole, so not stopped within."""
        inner = self.engine.capabilities
        return inner if "token_ids" in inner.can else replace(inner, can=inner.can - {"stoppable"})

    async def extend(
        self, prefix: Prefix, sampling: Sampling, watch: Callable[[Delta], bool | None] | None = None
    ) -> Segment:
        if sampling.seed is None and sampling.temperature > 0:
            return await self.engine.extend(prefix, sampling, watch)
        key = key_of(self.capabilities.name, prefix, sampling)
        while True:
            ended: Reply[None] = Reply()
            with self._lock:
                if (found := self._store.get(key)) is None:
                    if key not in self._asking:
                        self._asking[key] = []
                        break
                    self._asking[key].append(ended)
            if found is not None:
                await anyio.lowlevel.checkpoint()
                usage = replace(found.usage, cached=found.usage.prompt, seconds=0.0, flops=0.0)
                return shown(replace(found, usage=usage), watch)
            await ended.wait()
        try:
            segment = await self.engine.extend(prefix, sampling, watch)
            if segment.finish != "cancelled" and (segment.ends or "stoppable" not in self.capabilities.can):
                self._store[key] = segment
        finally:
            with self._lock:
                waiting = self._asking.pop(key)
            for reply in waiting:
                reply.answer(None)
        return segment
