"""One run as a command: watched, recorded, and ended by Ctrl-C with the best answer so far."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import anyio

from ponder import config
from ponder.api import asolve
from ponder.cli import receipt
from ponder.cli.progress import watching
from ponder.cli.terminal import err, say
from ponder.core.errors import StoreError
from ponder.store import RunWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from ponder.core.calls import Budget
    from ponder.core.events import Watcher
    from ponder.core.problem import Problem
    from ponder.core.protocols import Engine, Memory, Result, Strategy


class Trace:
    """The record of a run. A run goes on where it cannot be kept, and `complaint` says why it was not."""

    def __init__(self, settings: config.Settings) -> None:
        self._writer: RunWriter | None = None
        self.complaint: str | None = None
        try:
            self._writer = RunWriter.create(settings.runs, command=sys.argv[1:], versions=config.versions())
        except StoreError as error:
            self.complaint = str(error)

    @property
    def id(self) -> str:
        return self._writer.id if self._writer else ""

    @property
    def watchers(self) -> Sequence[Watcher]:
        return [self._writer.attempt()] if self._writer else []

    def close(self) -> None:
        """Write what is left."""
        if self._writer:
            try:
                self._writer.close()
            except StoreError as error:
                self.complaint = str(error)


def solve(
    problem: Problem,
    strategy: Strategy,
    engines: Mapping[str, Engine],
    budget: Budget,
    seed: int,
    settings: config.Settings,
    *,
    memory: Memory | None = None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Attempt the problem, show how it ended, and return the exit code."""
    trace = Trace(settings)
    board = watching(budget, err(), quiet=quiet)
    started = time.monotonic()

    async def job(running: Callable[[Any], None]) -> Result:
        return await asolve(
            problem,
            strategy,
            model=engines,
            budget=budget,
            seed=seed,
            memory=memory,
            watchers=[board.event, *trace.watchers],
            live=[] if quiet else [board.wrote],
            trace=trace.id,
            started=running,
        )

    try:
        with board:
            result = _interruptible(job)
    finally:
        trace.close()
        if trace.complaint:
            say(f"The trace could not be kept: {trace.complaint}")
    elapsed = time.monotonic() - started
    if as_json:
        receipt.show_json(result, elapsed, strategy, engines, budget, seed)
    else:
        receipt.show(result, elapsed, quiet=quiet)
    code = receipt.code(result)
    return 3 if trace.complaint and code != 130 else code


def _interruptible(job: Callable[[Callable[[Any], None]], Coroutine[Any, Any, Result]]) -> Result:
    """Run to the end. Ctrl-C or SIGTERM ends the spending; a second one ends the process."""
    running: list[Any] = []

    async def listen() -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            asked = False
            async for _ in signals:
                if asked or not running:
                    err().show_cursor()
                    os._exit(130)  # what was recorded is on disk
                asked = True
                running[0].end("cancelled")

    async def main() -> Result:
        async with anyio.create_task_group() as group:
            if sys.platform != "win32":  # which has no signals to wait for: Ctrl-C just ends it there
                group.start_soon(listen)
            result = await job(running.append)
            group.cancel_scope.cancel()
        return result

    try:
        return anyio.run(main)
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        raise error from None
