"""The parent's side: one child that is kept alive, and what passes to and from it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from ponder.core.errors import EngineClosed, EngineError, PonderError, TransientError
from ponder.core.reading import a_text, a_whole_number, an_object, many
from ponder.engines.child import wire
from ponder.engines.embedded.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ponder.core.protocols import Capabilities

PATIENCE: Final = 10.0
"""Seconds that a child may take to take in a message, or to tokenise: then it hangs, and is ended."""
LIVED: Final = 30.0
"""Seconds after which the death of a child says nothing about the next one."""
PAUSES: Final = (0.0, 1.0, 2.0, 5.0, 15.0)
"""Seconds before the next child is started, by how many died young in a row."""
ENDING: Final = 1.0


class Waiting(Protocol):
    """Who waits for what the child answers."""

    def take(self, message: dict[str, Any]) -> bool | None:
        """An answer, or a delta: then whether more is wanted. Raises a TypeError or a ValueError for nonsense."""
        ...

    def fail(self, error: PonderError) -> None: ...


@dataclass(frozen=True)
class Ready:
    """What a child said once it had opened its engine."""

    capabilities: Capabilities
    offers: tuple[str, ...]


class Process:
    """Starts a child, hears it in a thread of its own, and starts another when it dies.

    Args:
        command: that starts a child (see `serving.serve`).
        environ: all of the child's environment.
        asked: what it is to open, as JSON.
        tell: told how that goes.

    Raises:
        PonderError: what the first child said, when it could not open its engine.

    """

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        asked: Any,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self._command, self._environ, self._asked = list(command), dict(environ), asked
        self._note = tell or (lambda _: None)
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._channel: socket.socket | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._there = False
        self._down: tuple[float, str] | None = None  # until when nothing is started, and why
        self._waiting: dict[int, Waiting] = {}
        self._starting: list[Reply[None]] = []
        self._count = 0
        self._over = threading.Event()
        first: Future[Ready] = Future()
        # A child dies with the thread that started it (see `serving`), so this thread starts all of them.
        self._thread = threading.Thread(target=self._keep, args=(first,), name="ponder-child", daemon=True)
        self._thread.start()
        self.ready = first.result()

    @property
    def closed(self) -> bool:
        return self._over.is_set()

    @property
    def pid(self) -> int | None:
        """Of the child that runs."""
        return self._child.pid if self._child else None

    # -- from any thread ------------------------------------------------------------------------------------------

    async def there(self) -> None:
        """Wait while a child starts.

        Raises:
            EngineClosed: it is closed.
            TransientError: the last one died, and the next one is started later.

        """
        with self._lock:
            self._check()
            if self._there:
                return
            reply: Reply[None] = Reply()
            self._starting.append(reply)
        await reply.wait()

    def ask(self, waiting: Waiting, message: dict[str, Any]) -> int:
        """Send a question; `waiting` is told what comes of it. Returns its number.

        Raises:
            EngineClosed, TransientError: as `there`; and where the child is not there yet.

        """
        with self._lock:
            self._check()
            if not self._there:
                raise TransientError("The engine's process is being started. Try again in a moment.", 1.0)
            self._count += 1
            ident = self._count
            self._waiting[ident] = waiting
        self._send({**message, "id": ident})
        return ident

    def leave(self, ident: int) -> None:
        """Nobody waits for that any more."""
        if self._waiting.pop(ident, None) is not None:
            self._send({"leave": ident})

    def hang(self) -> None:
        """It does not answer: end it, and start another."""
        if self._child:
            self._child.kill()

    def close(self) -> None:
        """End it; what is in flight gets EngineClosed."""
        self._over.set()
        if self._channel:
            with suppress(OSError):
                self._channel.shutdown(socket.SHUT_RDWR)
        if threading.current_thread() is not self._thread:
            self._thread.join(2 * ENDING)

    def _check(self) -> None:
        if self.closed:
            raise _closed()
        if self._down:
            until, why = self._down
            raise TransientError(why, max(0.1, until - time.monotonic()))

    def _send(self, message: dict[str, Any]) -> None:
        """What cannot be sent is not missed: the thread sees that the child is gone, and tells who waits."""
        if self._channel is None:
            return
        try:
            with self._sending:
                self._channel.sendall(wire.line(message))
        except TimeoutError:
            self.hang()
        except OSError:
            return

    # -- the thread -----------------------------------------------------------------------------------------------

    def _keep(self, first: Future[Ready]) -> None:
        young = 0
        over = self._over.is_set
        while not over():
            began = time.monotonic()
            why = self._live(first)
            if not first.done():
                first.set_exception(why)
                return
            young = 0 if time.monotonic() - began > LIVED else young + 1
            pause = PAUSES[min(young, len(PAUSES)) - 1] if young else 0.0
            with self._lock:
                self._there = False
                gone, self._waiting = self._waiting, {}
                if pause and not over():
                    self._down = time.monotonic() + pause, str(why)
                starting, self._starting = (self._starting, []) if pause or over() else ([], self._starting)
            for waiting in gone.values():
                waiting.fail(_closed() if over() else _again(why))
            for reply in starting:
                reply.answer(_closed() if over() else _again(why))
            self._over.wait(pause)
            self._down = None

    def _live(self, first: Future[Ready]) -> PonderError:
        """One child's life, and why it ended."""
        here, there = socket.socketpair()
        with here:
            with there:
                try:
                    self._child = child = subprocess.Popen(  # noqa: S603 - its words are ours
                        self._command, stdin=there.fileno(), stdout=2, env=self._environ
                    )
                except OSError as error:
                    return EngineError(f"The engine's process cannot be started: {error.strerror or error}.")
            here.settimeout(PATIENCE)
            self._channel = here
            said = None
            try:
                if not self.closed:  # else `close` came before the channel, and could not shut it
                    self._send({"open": self._asked})
                    said = self._hear(here, first)
            finally:
                with self._lock:
                    self._there = False  # who comes from now on waits for the next one
                self._channel = None
                with suppress(OSError):
                    here.shutdown(socket.SHUT_RDWR)  # a child that lives hears that it is over
                ended = _ended(child)
        return said or TransientError(
            f"The engine's process ended ({ended}); another one is started. Try again.", None
        )

    def _hear(self, channel: socket.socket, first: Future[Ready]) -> PonderError | None:
        """All that the child says; the error that it says it has, or None."""
        rest = b""
        while True:
            try:
                more = channel.recv(1 << 18)
            except TimeoutError:
                continue
            except OSError:
                return None
            if not more or len(rest) > wire.LONGEST:
                return None
            *lines, rest = (rest + more).split(b"\n") if b"\n" in more else [rest + more]
            seen: list[tuple[int, bool]] = []
            try:
                for text in lines:
                    if error := self._heard(json.loads(text), seen, first):
                        return error
            except (LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
                return TransientError(
                    f"The engine's process said what makes no sense ({str(error)[:80]}), and was ended. Try again."
                )
            if seen:
                self._send({"seen": seen})

    def _heard(self, message: Any, seen: list[tuple[int, bool]], first: Future[Ready]) -> PonderError | None:
        said = an_object(message)
        if "id" in said:
            ident = a_whole_number(said["id"])
            waiting = self._waiting.get(ident)
            if waiting is None:
                return None
            if "delta" in said:
                seen.append((ident, waiting.take(said) is not False))
            else:
                waiting.take(said)
                self._waiting.pop(ident, None)
        elif "note" in said:
            self._note(a_text(said["note"])[:500])
        elif "ready" in said:
            ready = Ready(wire.capabilities(said["ready"]), many(a_text)(said["offers"]))
            if not first.done():
                first.set_result(ready)
            elif ready != self.ready:
                return EngineError("The model is another one than it was. Start the server again.")
            with self._lock:
                self._there = True
                starting, self._starting = self._starting, []
            for reply in starting:
                reply.answer(None)
        elif "failed" in said:
            return wire.error(said["failed"])
        return None


def _ended(child: subprocess.Popen[bytes]) -> str:
    """End it if it has not ended, and say how it did."""
    try:
        code = child.wait(ENDING)
    except subprocess.TimeoutExpired:
        child.kill()
        code = child.wait()
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


def _again(why: PonderError) -> PonderError:
    """An error of its own for each who waits, for exceptions carry a traceback with them."""
    return TransientError(str(why), getattr(why, "retry_after", None))


def _closed() -> EngineClosed:
    return EngineClosed("The engine is closed. Open it again.")
