"""Scoring by a task's own scorer, in processes that are killed when one answer takes too long.

The scorers of puzzles parse, search and simulate what a model wrote. That cannot be interrupted from within, and must not
take the memory or the time of the process that runs an evaluation. Each process limits its memory to 512 MB itself
(`ponder.evals.tasks._gym`); the time is kept here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.lowlevel

from ponder.core.errors import UsageError
from ponder.evals.tasks.gym import check, environment
from ponder.runtime.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT: Final = 2.0
START_LIMIT: Final = 60.0
"""Seconds that a process may take to start, and again to make an item: both are our own doing."""


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


class _Worker(Lines):
    """One process running `ponder.evals.tasks._gym score`."""

    def __init__(self) -> None:
        super().__init__(["ponder.evals.tasks._gym", "score"], environment())
        self._asked = 0
        self._ready = False

    async def prepare(self, meta: Mapping[str, Any], answer: str) -> bool:
        """Start the process, and have it make the item again. False if it does not get there.

        Raises:
            UsageError: it cannot make the item.

        """
        with anyio.move_on_after(START_LIMIT):
            if not self._ready:
                await self.line()
                self._ready = True
            self._asked += 1
            await self.send(json.dumps({**meta, "id": self._asked, "answer": answer}).encode("ascii") + b"\n")
            await self._reply()
            return True
        return False

    async def score(self) -> float:
        """The score of the answer that was given with the item."""
        return float((await self._reply())["score"])

    async def _reply(self) -> dict[str, Any]:
        reply: dict[str, Any] = json.loads(await self.line())
        if reply["id"] != self._asked:
            raise EOFError
        if "error" in reply:
            raise UsageError(
                f"An item cannot be made again to score an answer ({reply['error']}). Install the version of reasoning-gym "
                "that it was made with, or make the items anew."
            )
        return reply
