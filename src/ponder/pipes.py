"""The pipes of a process of ours that is spoken to in lines, without a thread that waits."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    import subprocess


class TooLong(Exception):
    """A line has more bytes than it may."""


class Pipes:
    """What is written to a process and read from it. They never block.

    Args:
        process: with its `stdin` and `stdout` as pipes that nothing buffers.

    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.into: IO[bytes] = process.stdin  # type: ignore[assignment]  # PIPE was asked for
        self.out: IO[bytes] = process.stdout  # type: ignore[assignment]
        os.set_blocking(self.into.fileno(), False)
        os.set_blocking(self.out.fileno(), False)
        self._pending = b""

    async def send(self, data: bytes) -> None:
        """Write all of it.

        Raises:
            BrokenPipeError: the process has ended.

        """
        while data:
            try:
                data = data[os.write(self.into.fileno(), data) :]
            except BlockingIOError:
                await anyio.wait_writable(self.into.fileno())

    async def line(self, most: float = float("inf")) -> bytes:
        """The next line, without its end.

        Raises:
            EOFError: the process has ended.
            TooLong: it has more than `most` bytes.

        """
        while b"\n" not in self._pending and len(self._pending) <= most:
            try:
                read = os.read(self.out.fileno(), 65_536)
            except BlockingIOError:
                await anyio.wait_readable(self.out.fileno())
                continue
            if not read:
                raise EOFError
            self._pending += read
        line, _, self._pending = self._pending.partition(b"\n")
        if len(line) > most:
            raise TooLong
        return line
