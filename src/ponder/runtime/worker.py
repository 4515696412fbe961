"""A process of ours that answers questions in JSON, one at a time, and may be stopped in the middle of one."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio

from ponder.runtime.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

T = TypeVar("T")

START_LIMIT: Final = 600.0
"""Seconds that a process may take to start and to import what it needs."""


class Worker(Lines):
    """A process that runs `ponder.runtime.forking.serve`: its child answers, and after a `stop` another child does.

    Args:
        module: with its arguments, as after `python -m`.
        env: all of its environment.

    """

    def __init__(self, module: Sequence[str], env: Mapping[str, str]) -> None:
        super().__init__(module, env)
        self._asked = 0
        self._child = 0
        self._stopped = True

    @property
    def pid(self) -> int:
        """Of the child that answers, or did."""
        return self._child

    async def ready(self) -> None:
        """Wait until a child is there to answer. EOFError if the process has died."""
        while self._stopped:
            self._is_birth(json.loads(await self.line()))

    async def ask(self, question: Mapping[str, Any]) -> None:
        """Put the next question to the child."""
        self._asked += 1
        await self.send(json.dumps({**question, "id": self._asked}).encode("ascii") + b"\n")

    async def reply(self) -> dict[str, Any]:
        """The next line of the answer.

        Raises:
            EOFError: the child died of the question, or before it. Another is there.

        """
        while True:
            said: dict[str, Any] = json.loads(await self.line())
            if self._is_birth(said):
                raise EOFError
            if said.get("id") == self._asked:  # else to a question that was given up
                self._stopped = bool(said.get("fatal"))
                return said

    def stop(self) -> None:
        """Kill the child, whatever it is at. Nobody else can have its id, see `forking`."""
        if self._child and not self._stopped and self.alive:
            os.kill(self._child, signal.SIGKILL)
        self._stopped = True

    def _is_birth(self, said: Mapping[str, Any]) -> bool:
        """Whether a line is a new child's first."""
        if said.get("child", self._child) == self._child:
            return False
        self._child, self._stopped = said["child"], False
        return True


@dataclass(slots=True)
class Loan:
    """A worker that somebody asks, who says what became of it.

    Args:
        worker: which.
        ready: its process has started, and made sense so far: it may be lent again.
        answered: its child has nothing more to do.

    """

    worker: Worker
    ready: bool = False
    answered: bool = False


@contextmanager
def lent(idle: list[Worker], make: Callable[[], Worker]) -> Iterator[Loan]:
    """A worker that is idle, or a new one. It is idle again afterwards, if it is fit for another question."""
    loan = Loan(idle.pop() if idle else make())
    try:
        yield loan
    finally:
        if not loan.answered:
            loan.worker.stop()
        if loan.ready and loan.worker.alive:
            idle.append(loan.worker)
        else:
            loan.worker.kill()


def bare() -> dict[str, str]:
    """An environment for a worker: ours may hold secrets, and it needs none of it but where modules are, from any folder."""
    modules = [str(Path(place).absolute()) for place in sys.path if place]
    return {"PYTHONPATH": os.pathsep.join(modules), "PYTHONSAFEPATH": "1"}


async def put(
    question: Mapping[str, Any], idle: list[Worker], make: Callable[[], Worker], limit: float
) -> dict[str, Any] | None:
    """What a worker replies; None where none starts, or answers within `limit` seconds, or what it says is no answer.

    Raises:
        OSError, EOFError: it died.

    """
    with lent(idle, make) as loan:
        try:
            with anyio.move_on_after(START_LIMIT):
                await loan.worker.ready()
                loan.ready = True
            if loan.ready:
                with anyio.move_on_after(limit):
                    await loan.worker.ask(question)
                    reply = await loan.worker.reply()
                    loan.answered = True
                    return reply
        except (ValueError, KeyError):
            loan.ready = False
    return None


async def twice(ask: Callable[[], Awaitable[T]]) -> T | None:
    """What asking gives; None where the worker died each time.

    It may have died after the question before, and one question may be its death.
    """
    for _ in range(2):
        with suppress(OSError, EOFError):
            return await ask()
    return None
