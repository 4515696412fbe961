"""Scoring by a task's own scorer, in processes that are killed when one answer takes too long.

The scorers of puzzles parse, search and simulate what a model wrote. That cannot be interrupted from within, and must not
take the memory or the time of the process that runs an evaluation. Each process limits its memory to 512 MB itself
(`ponder.evals.tasks._gym`); the time is kept here.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.lowlevel

from ponder.core.errors import UsageError
from ponder.evals.tasks.gym import check, environment
from ponder.runtime.worker import Worker, lent, twice

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT: Final = 1.25
"""Seconds for one answer, so that one that hangs is judged within two, all else included."""
START_LIMIT: Final = 600.0
"""Seconds that a process may take to start and to make an item: both are our own doing, and on a busy machine they take a
minute. An answer must not be wrong for that."""


class Scorers:
    """A few scoring processes. They start when first needed; `aclose` ends them, as does the interpreter's exit.

    One instance serves any number of tasks of one event loop at a time.
    """

    def __init__(self, *, workers: int = 2, limit: float = LIMIT) -> None:
        self.workers = workers
        self.limit = limit
        self.killed = 0  # processes that took too long, or too much memory
        self._idle: list[Worker] = []
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
            return await twice(partial(self._put, meta, answer))

    async def _put(self, meta: Mapping[str, Any], answer: str) -> float | None:
        """Ask a worker. Raises if it dies."""
        with lent(self._idle, _worker) as loan:
            worker = loan.worker
            try:
                with anyio.move_on_after(START_LIMIT):
                    await worker.ready()
                    loan.ready = True
                    await worker.ask({**meta, "answer": answer})
                    _made(await worker.reply())
                    with anyio.move_on_after(self.limit):
                        score = float(_made(await worker.reply())["score"])
                        loan.answered = True
                        return score
            except (ValueError, KeyError):  # what it wrote is no answer
                loan.ready = False
            except UsageError:
                loan.answered = True
                raise
            finally:
                self.killed += not loan.answered
        return None

    async def aclose(self) -> None:
        """End the processes. A later question starts new ones."""
        while self._idle:
            self._idle.pop().kill()


def _worker() -> Worker:
    return Worker(["ponder.evals.tasks._gym", "score"], environment())


def _made(reply: dict[str, Any]) -> dict[str, Any]:
    """The reply, if the item could be made again."""
    if "error" in reply:
        raise UsageError(
            f"An item cannot be made again to score an answer ({reply['error']}). Install the version of reasoning-gym "
            "that it was made with, or make the items anew."
        )
    return reply
