"""The child: it opens an engine, does what it is asked, and ends with whoever started it."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import socket
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any, Final

from ponder.core.protocols import ContinuationScores, Delta, Embeds, Tokenizes
from ponder.engines._layer import cut_to
from ponder.engines.child import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from ponder.core.prefix import Segment
    from ponder.core.protocols import Engine, Watch

    Tell = Callable[[str], None]
    Open = Callable[[Any, Tell], Engine]

_PR_SET_PDEATHSIG: Final = 1


def serve(open_engine: Open) -> None:
    """Be the child, on the socket that is this process's standard input. Returns when the other side hangs up.

    `open_engine` is given what the parent asked for, and somebody to tell how it goes.
    """
    _end_with_parent()
    channel = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    asked = channel.makefile("rb")
    lock = threading.Lock()

    def tell(message: dict[str, Any]) -> None:
        with lock:
            try:
                channel.sendall(wire.line(message))
            except OSError:  # nobody is there any more
                os._exit(0)

    first = asked.readline()
    if not first:
        return
    try:
        engine = open_engine(json.loads(first)["open"], lambda said: tell({"note": said}))
    except Exception as error:  # noqa: BLE001 - the parent raises it
        tell({"failed": wire.told_error(error)})
        return
    offers: tuple[tuple[str, Any], ...] = (
        ("tokens", Tokenizes),
        ("scores", ContinuationScores),
        ("embeds", Embeds),
    )
    can = [name for name, protocol in offers if isinstance(engine, protocol)]
    tell({"ready": wire.told_capabilities(engine.capabilities), "offers": can})
    asyncio.run(_Serving(engine, tell).run(asked))


def _end_with_parent() -> None:
    """Ctrl-C and SIGTERM are the parent's: it ends its requests first, and then hangs up."""
    parent = os.getppid()
    for told in (signal.SIGINT, signal.SIGTERM):
        signal.signal(told, signal.SIG_IGN)
    if sys.platform == "linux":  # elsewhere the end of the channel is enough, but for a child that hangs
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(0)


class _Ahead:
    """What a call writes before its watch, in the parent, has seen it: one delta at most.

    So the parent's answer travels while the model computes the next token, and still nothing is told after the watch said
    False. The one delta that was drawn by then is dropped.
    """

    def __init__(self, tell: Callable[[Delta], None]) -> None:
        self._tell = tell
        self._news = threading.Condition()
        self._waits = False  # for what the parent says of the last one
        self.tokens = 0
        self.refused = False

    def watch(self, delta: Delta) -> bool | None:
        """Called by the engine."""
        with self._news:
            while self._waits and not self.refused:
                self._news.wait()
            if self.refused:
                return False
            self._waits = True
            self.tokens += delta.tokens
        self._tell(delta)
        return None

    def seen(self, *, more: bool) -> None:
        """The parent's watch saw the last one, and wants more or not."""
        with self._news:
            self._waits = False
            self.refused |= not more
            self._news.notify()


class _Serving:
    """Does what is asked, side by side."""

    def __init__(self, engine: Engine, tell: Callable[[dict[str, Any]], None]) -> None:
        self._engine: Any = engine  # what it offers was told
        self._tell = tell
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._ahead: dict[int, _Ahead] = {}

    async def run(self, asked: Any) -> None:
        loop = asyncio.get_running_loop()

        def take(message: dict[str, Any]) -> None:
            loop.call_soon_threadsafe(self._take, message)

        threading.Thread(target=self._listen, args=(asked, take), name="ponder-child", daemon=True).start()
        await asyncio.Event().wait()

    def _listen(self, asked: Any, take: Callable[[dict[str, Any]], None]) -> None:
        """This thread waits for nothing but the parent, so that the parent's words always come in."""
        try:
            for text in asked:
                message = json.loads(text)
                for ident, more in message.get("seen", ()):
                    if ahead := self._ahead.get(ident):
                        ahead.seen(more=more)
                if "call" in message or "leave" in message:
                    if message.get("watch"):
                        self._ahead[message["id"]] = self._watched(message["id"])
                    elif ahead := self._ahead.get(message.get("leave")):
                        ahead.seen(more=False)  # the engine may wait there, and would not see that it is left
                    take(message)
        except Exception:  # noqa: BLE001 - the process ends, and its parent starts another
            traceback.print_exc()
        os._exit(0)

    def _watched(self, ident: int) -> _Ahead:
        return _Ahead(lambda delta: self._tell({"id": ident, "delta": delta}))

    def _take(self, message: dict[str, Any]) -> None:
        if "leave" in message:
            if task := self._tasks.get(message["leave"]):
                task.cancel()
            return
        ident = message["id"]
        if message["call"] in ("encode", "count"):
            self._tell({"id": ident} | self._at_once(message))
            return
        task = self._tasks[ident] = asyncio.create_task(self._answer(ident, self._made(ident, message)))
        task.add_done_callback(lambda _: self._forget(ident))

    def _forget(self, ident: int) -> None:
        self._tasks.pop(ident, None)
        self._ahead.pop(ident, None)

    def _at_once(self, message: dict[str, Any]) -> dict[str, Any]:
        try:
            if message["call"] == "encode":
                return {"done": self._engine.encode(message["text"])}
            return {"done": self._engine.count(wire.prefix(message["prefix"]))}
        except Exception as error:  # noqa: BLE001 - the parent raises it
            return {"error": wire.told_error(error)}

    def _made(self, ident: int, message: dict[str, Any]) -> Coroutine[Any, Any, Any]:
        if message["call"] == "extend":
            return self._extended(message, self._ahead.get(ident))
        if message["call"] == "logprobs":
            return self._engine.logprobs(wire.prefix(message["prefix"]), message["text"])  # type: ignore[no-any-return]
        return self._engine.embed(message["texts"])  # type: ignore[no-any-return]

    async def _extended(self, message: dict[str, Any], ahead: _Ahead | None) -> dict[str, Any]:
        watch: Watch | None = ahead.watch if ahead else None
        segment: Segment = await self._engine.extend(
            wire.prefix(message["prefix"]), wire.sampling(message["sampling"]), watch
        )
        if ahead and ahead.refused and ahead.tokens < segment.usage.completion:
            segment = cut_to(segment, ahead.tokens)
        return wire.told_segment(segment)

    async def _answer(self, ident: int, made: Coroutine[Any, Any, Any]) -> None:
        try:
            told = {"id": ident, "done": await made}
        except Exception as error:  # noqa: BLE001 - the parent raises it
            told = {"id": ident, "error": wire.told_error(error)}
        self._tell(told)
