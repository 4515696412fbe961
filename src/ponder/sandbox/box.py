"""One sandbox: a process that is started, asked by one program's owner, and killed."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import secrets
import select
import signal
import subprocess
import weakref
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import anyio

from ponder.core.errors import NoSandbox
from ponder.pipes import Pipes, TooLong
from ponder.sandbox.bubblewrap import command
from ponder.sandbox.inside import READY
from ponder.sandbox.seccomp import program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ponder.sandbox.bubblewrap import Limits

START: Final = 30.0
"""Seconds that a sandbox may take to start on a machine that is busy."""
GRACE: Final = 1.0
"""Seconds beyond a limit after which the process is killed from outside, if it did not keep to the limit itself."""
GONE: Final = 5
"""Seconds that the kernel may take to end what was killed."""
SLACK: Final = 4096
"""Bytes that a line may be longer than the output in it."""
_LIVING: weakref.WeakSet[Box] = weakref.WeakSet()


class Ended(Exception):
    """The process ended, or was ended, before it answered; the message says why."""


class Box:
    """A sandbox that waits. It runs one program and is never used again.

    Raises:
        NoSandbox: there is no bubblewrap here.

    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.nonce = secrets.token_hex(16)
        read, write = os.pipe()
        try:
            os.write(write, program())  # some 2 KB: it fits the pipe
            os.close(write)
            self._process = subprocess.Popen(  # noqa: S603 - the program is bubblewrap, by its path
                command(limits, read),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env={},  # its first process shows its environment to those inside
                cwd="/",
                pass_fds=(read,),
                start_new_session=True,
            )
        except OSError as error:
            raise NoSandbox(
                f"The sandbox cannot be started: {error}. Free memory or processes, and try again."
            ) from error
        finally:
            os.close(read)
        self._pipes = Pipes(self._process)
        self._err: IO[bytes] = self._process.stderr  # type: ignore[assignment]  # PIPE was asked for
        self._ready = False
        _LIVING.add(self)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    async def begin(self, **message: object) -> None:
        """Wait until it is there, and send what it is to do.

        Raises:
            NoSandbox: it did not start, with what bubblewrap says of it.

        """
        with anyio.move_on_after(START):
            try:
                self._ready = await self._line() + b"\n" == READY
                await self._write({"nonce": self.nonce, **message})
            except (Ended, OSError):
                self._ready = False
        if not self._ready:
            said = self._said()
            self.kill()
            raise NoSandbox(
                "Programs that a model writes are run in a sandbox, and bubblewrap cannot make one here: "
                f"{' '.join(said.split())[:300] or 'it ended without a word'}. {_way_out(said)}"
            )

    async def send(self, **message: object) -> None:
        """Write one line; to a process that has ended it is lost.

        Raises:
            Ended: it does not read. One that answers before it is asked can fill the pipe.

        """
        with anyio.move_on_after(self.limits.seconds + GRACE):
            await self._write(message)
            return
        raise Ended(f"TimeoutError: it did not read for {self.limits.seconds:g} s, and was ended")

    async def receive(self) -> dict[str, Any]:
        """The next line that bears the nonce; others are dropped, for a program may write what it likes.

        Raises:
            Ended: it ended, wrote too much, or took too long.

        """
        left = self.limits.output + SLACK
        with anyio.move_on_after(self.limits.seconds + GRACE):
            while True:
                line = await self._line(left)
                left -= len(line)
                try:
                    message = json.loads(line)
                except (ValueError, RecursionError):
                    continue
                if isinstance(message, dict) and message.get("nonce") == self.nonce:
                    return message
        raise Ended(f"TimeoutError: it took longer than {self.limits.seconds:g} s, and was ended")

    async def _write(self, message: Mapping[str, object]) -> None:
        with contextlib.suppress(BrokenPipeError):  # whoever waits for the answer learns why
            await self._pipes.send(json.dumps(message).encode("ascii") + b"\n")

    async def _line(self, most: int = SLACK) -> bytes:
        try:
            return await self._pipes.line(most)
        except TooLong:
            raise Ended(f"OverflowError: it wrote more than {self.limits.output} bytes") from None
        except EOFError:
            raise Ended(
                "ProcessLookupError: the process ended: by itself, for memory, or for processor time"
            ) from None

    def _said(self) -> str:
        """What bubblewrap complained of by now."""
        os.set_blocking(self._err.fileno(), False)
        try:
            return (self._err.read() or b"").decode("utf-8", "replace")
        except OSError:
            return ""

    def kill(self) -> None:
        """End it with all that is in it, and wait until nothing is left. Safe to call twice.

        The first process inside is killed, and the kernel ends its namespace with it; bubblewrap, its parent outside,
        then reaps it and ends. Once the pipe has no writer, nothing lives there.
        """
        _LIVING.discard(self)
        if self._pipes.out.closed:
            return
        self._pipes.into.close()
        for child in self._children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        try:
            self._process.wait(timeout=GONE)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        waiting = select.poll()
        waiting.register(self._pipes.out, select.POLLIN)
        while waiting.poll(1000 * GONE):
            if not os.read(self._pipes.out.fileno(), 1 << 20):
                break
        self._pipes.out.close()
        self._err.close()

    def _children(self) -> list[int]:
        """Bubblewrap's own: as long as it lives and has not reaped them, their numbers are nobody else's."""
        pid = self._process.pid
        try:
            return [
                int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
            ]
        except OSError:
            return []


def _way_out(said: str) -> str:
    """What to do about it, by what bubblewrap complains of."""
    if "nknown option" in said:
        return "It is too old: version 0.8 or a newer one is needed (Debian 12, Ubuntu 24.04 and Fedora 38 have it)."
    return (
        "User namespaces may be off for this user. The administrator can allow them: sysctl -w "
        "user.max_user_namespaces=15000, and kernel.unprivileged_userns_clone=1 on Debian, or "
        "kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu. In Docker: docker run --security-opt seccomp=unconfined "
        "--security-opt apparmor=unconfined."
    )


@atexit.register
def _kill_all() -> None:
    for box in list(_LIVING):
        box.kill()
