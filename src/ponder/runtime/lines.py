"""A process of ours that is spoken to in lines, and killed when it takes too long."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import weakref
from typing import TYPE_CHECKING

from ponder.pipes import Pipes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LIVING: weakref.WeakSet[Lines] = weakref.WeakSet()


class Lines:
    """A Python process running `module`, over pipes that never block. The interpreter's exit ends it.

    Args:
        module: with its arguments, as after `python -m`.
        env: all of its environment.

    """

    def __init__(self, module: Sequence[str], env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, our module
            [sys.executable, "-m", *module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=env,
            start_new_session=True,  # Ctrl-C is for us to handle
        )
        self._pipes = Pipes(self._process)
        _LIVING.add(self)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    async def send(self, data: bytes) -> None:
        """Write all of it."""
        await self._pipes.send(data)

    async def line(self) -> bytes:
        """The next line; EOFError if the process has died."""
        return await self._pipes.line()

    def kill(self) -> None:
        """End it and its children at once, and leave no zombie. Safe to call twice."""
        _LIVING.discard(self)
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._pipes.into.close()
        self._pipes.out.close()


@atexit.register
def _kill_all() -> None:
    for lines in list(_LIVING):
        lines.kill()
