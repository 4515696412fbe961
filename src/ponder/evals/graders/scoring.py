"""Scoring by a task's own scorer, in processes that are killed when one answer takes too long.

The scorers of puzzles parse, search and simulate what a model wrote. That cannot be interrupted from within, and must not
take the memory or the time of the process that runs an evaluation. Each process limits its memory to 512 MB itself
(`ponder.evals.tasks._gym`); the time is kept here.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import weakref
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.lowlevel

from ponder.core.errors import UsageError
from ponder.evals.tasks.gym import check, environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import IO

LIMIT: Final = 2.0
START_LIMIT: Final = 60.0
"""Seconds that a process may take to start, and again to make an item: both are our own doing."""

_LIVING: weakref.WeakSet[_Worker] = weakref.WeakSet()


class Scorers:
    """A few scoring processes. They start when first needed; `aclose` ends them, as does the interpreter's exit.

    One instance serves any number of tasks of one event loop at a time.
    """

    def __init__(self, *, workers: int = 2, limit: float = LIMIT) -> None:
        self.workers = workers
        self.limit = limit
        self.killed = 0  # processes that took too long, or too much memory
        self._idle: list[_Worker] = []
        self._slots: dict[object, anyio.Semaphore] = {}  # a semaphore belongs to the event loop it is made in

    async def score(self, meta: Mapping[str, Any], answer: str) -> float | None:
        """What the scorer of the item's task gives, 0 to 1; None if it could not tell in time.

        Raises:
            UsageError: the package that made the item is missing, or of another version.

        """
        check()
        loop = anyio.lowlevel.current_token()
        if loop not in self._slots:
            self._slots = {loop: anyio.Semaphore(self.workers)}
        async with self._slots[loop]:
            worker = self._idle.pop() if self._idle else _Worker()
            answered = False
            try:
                if not await worker.prepare(meta, answer):
                    return None
                with anyio.move_on_after(self.limit):
                    score = await worker.score()
                    answered = True
                    return score
            except (OSError, EOFError, ValueError, KeyError):  # it died, or wrote what is no answer
                return None
            except UsageError:
                answered = True
                raise
            finally:
                if answered and worker.alive:
                    self._idle.append(worker)
                else:
                    worker.kill()
                    self.killed += not answered
            return None

    async def aclose(self) -> None:
        """End the processes. A later question starts new ones."""
        while self._idle:
            self._idle.pop().kill()


class _Worker:
    """One process running `ponder.evals.tasks._gym score`, spoken to in lines over pipes that never block."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # this interpreter, our module
            [sys.executable, "-m", "ponder.evals.tasks._gym", "score"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=environment(),
            start_new_session=True,  # Ctrl-C is for us to handle
        )
        self._in: IO[bytes] = self._process.stdin  # type: ignore[assignment]  # PIPE was asked for
        self._out: IO[bytes] = self._process.stdout  # type: ignore[assignment]
        os.set_blocking(self._in.fileno(), False)
        os.set_blocking(self._out.fileno(), False)
        self._pending = b""
        self._asked = 0
        self._ready = False
        _LIVING.add(self)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    async def prepare(self, meta: Mapping[str, Any], answer: str) -> bool:
        """Start the process, and have it make the item again. False if it does not get there.

        Raises:
            UsageError: it cannot make the item.

        """
        with anyio.move_on_after(START_LIMIT):
            if not self._ready:
                await self._line()
                self._ready = True
            self._asked += 1
            await self._send(
                json.dumps({**meta, "id": self._asked, "answer": answer}).encode("ascii") + b"\n"
            )
            await self._reply()
            return True
        return False

    async def score(self) -> float:
        """The score of the answer that was given with the item."""
        return float((await self._reply())["score"])

    async def _reply(self) -> dict[str, Any]:
        reply: dict[str, Any] = json.loads(await self._line())
        if reply["id"] != self._asked:
            raise EOFError
        if "error" in reply:
            raise UsageError(
                f"An item cannot be made again to score an answer ({reply['error']}). Install the version of reasoning-gym "
                "that it was made with, or make the items anew."
            )
        return reply

    async def _send(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._in.fileno(), data) :]
            except BlockingIOError:
                await anyio.wait_writable(self._in.fileno())

    async def _line(self) -> bytes:
        """The next line; EOFError if the process has died."""
        while b"\n" not in self._pending:
            try:
                read = os.read(self._out.fileno(), 65_536)
            except BlockingIOError:
                await anyio.wait_readable(self._out.fileno())
                continue
            if not read:
                raise EOFError
            self._pending += read
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def kill(self) -> None:
        """End it at once and leave no zombie. Safe to call twice."""
        _LIVING.discard(self)
        self._process.kill()
        self._process.wait()
        self._in.close()
        self._out.close()


@atexit.register
def _kill_all() -> None:
    for worker in list(_LIVING):
        worker.kill()
