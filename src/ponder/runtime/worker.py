"""A process of ours that answers questions in JSON, one at a time, and may be stopped in the middle of one."""

from __future__ import annotations

import json
import os
import signal
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from ponder.runtime.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

T = TypeVar("T")


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


async def twice(ask: Callable[[], Awaitable[T]]) -> T | None:
    """What asking gives; None where the worker died each time.

    It may have died after the question before, and one question may be its death.
    """
    for _ in range(2):
        with suppress(OSError, EOFError):
            return await ask()
    return None
