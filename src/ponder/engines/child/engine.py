"""An engine that runs in a child process, as an engine."""

from __future__ import annotations

import threading
import weakref
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TookTooLong
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from anyio import to_thread
from anyio.lowlevel import checkpoint_if_cancelled

from ponder.core.errors import PonderError, TransientError
from ponder.core.reading import a_whole_number
from ponder.engines.child import wire
from ponder.engines.child.process import PATIENCE, Process
from ponder.engines.embedded.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ponder.core.calls import Sampling
    from ponder.core.prefix import Prefix, Segment
    from ponder.core.protocols import Capabilities, Watch

T = TypeVar("T")


class Child:
    """The engine that `command` opens, in its own process: see `serving.serve`.

    A child that dies takes the calls in flight with it, as TransientErrors that say what they had written, and another is
    started: calls that come meanwhile wait for it; where children die young, they are told when to try again. It offers what its engine
    offers. `encode` and `count` hold up the event loop for as long as the child takes to answer.

    Args:
        command, environ, asked, tell: see `process.Process`.

    Raises:
        PonderError: the engine could not be opened; what it said.

    """

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        asked: Any,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self._process = Process(command, environ, asked, tell)
        self._close = weakref.finalize(self, self._process.close)
        offers = vars(self)
        if "tokens" in self._process.ready.offers:
            offers |= {"encode": self._encode, "count": self._count}
        if "scores" in self._process.ready.offers:
            offers["logprobs"] = self._logprobs
        if "embeds" in self._process.ready.offers:
            offers["embed"] = self._embed

    @property
    def capabilities(self) -> Capabilities:
        return self._process.ready.capabilities

    @property
    def pid(self) -> int | None:
        """The child's."""
        return self._process.pid

    @property
    def closed(self) -> bool:
        return self._process.closed

    def close(self) -> None:
        """End the child; calls in flight get EngineClosed. May be called again."""
        self._close()

    async def aclose(self) -> None:
        """`close`, for whoever must not block the event loop."""
        await to_thread.run_sync(self.close)

    async def extend(self, prefix: Prefix, sampling: Sampling, watch: Watch | None = None) -> Segment:
        asked = {
            "call": "extend",
            "prefix": wire.told_prefix(prefix),
            "sampling": wire.told_sampling(sampling),
            "watch": watch is not None,
        }
        return await self._answer(_Call(wire.segment, watch), asked)

    async def _logprobs(self, prefix: Prefix, continuation: str) -> tuple[float, ...]:
        asked = {"call": "logprobs", "prefix": wire.told_prefix(prefix), "text": continuation}
        return await self._answer(_Call(wire.logprobs), asked)

    async def _embed(self, texts: Sequence[str]) -> list[list[float]]:
        found = await self._answer(_Call(wire.vectors), {"call": "embed", "texts": list(texts)})
        return [list(vector) for vector in found]

    def _encode(self, text: str) -> tuple[int, ...]:
        return self._at_once(wire.ids, {"call": "encode", "text": text})

    def _count(self, prefix: Prefix) -> int:
        return self._at_once(a_whole_number, {"call": "count", "prefix": wire.told_prefix(prefix)})

    async def _answer(self, call: _Call[T], asked: dict[str, Any]) -> T:
        await checkpoint_if_cancelled()
        await self._process.there()
        ident = self._process.ask(call, asked)
        try:
            return await call.reply.wait()
        except BaseException:
            call.abandon()
            self._process.leave(ident)
            raise

    def _at_once(self, read: Callable[[Any], T], asked: dict[str, Any]) -> T:
        question = _Question(read)
        self._process.ask(question, asked)
        try:
            return question.answer.result(PATIENCE)
        except TookTooLong:
            self._process.hang()
            raise TransientError(
                f"The engine's process did not answer for {PATIENCE:g} s; another one is started. Try again."
            ) from None


class _Call(Generic[T]):
    """A call that a task awaits; heard in the thread of `Process`."""

    def __init__(self, read: Callable[[Any], T], watch: Watch | None = None) -> None:
        self.reply: Reply[T] = Reply()
        self._read, self._watch = read, watch
        self._told = 0
        self._left = False
        self._lock = threading.Lock()

    def take(self, message: dict[str, Any]) -> bool | None:
        if "delta" not in message:
            outcome = wire.error(message["error"]) if "error" in message else self._read(message["done"])
            if not self._left:
                self.reply.answer(outcome)
            return None
        delta = wire.delta(message["delta"])
        with self._lock:  # nothing is told to the watch once `abandon` has returned
            if self._left or self._watch is None:
                return False
            self._told += delta.tokens
            try:
                return self._watch(delta)
            except Exception as error:  # noqa: BLE001 - the call's own fault, which ends it alone
                self._left = True
                self.reply.answer(error)
                return False

    def fail(self, error: PonderError) -> None:
        if isinstance(error, TransientError):
            error.spent = self._told
        self.reply.answer(error)

    def abandon(self) -> None:
        with self._lock:
            self._left = True


class _Question(Generic[T]):
    """A question that a thread waits for."""

    def __init__(self, read: Callable[[Any], T]) -> None:
        self.answer: Future[T] = Future()
        self._read = read

    def take(self, message: dict[str, Any]) -> None:
        if "error" in message:
            self.answer.set_exception(wire.error(message["error"]))
        else:
            self.answer.set_result(self._read(message["done"]))

    def fail(self, error: PonderError) -> None:
        self.answer.set_exception(error)
