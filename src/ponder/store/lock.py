"""One writer per run file, by a lock that the operating system drops when its holder dies.

So no lock outlives its process, however that ended: a lock file left behind means nothing by itself.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from ponder.core.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 0.2
"""Seconds to try again: who lists runs probes their locks, and must not make a writer refuse."""

if sys.platform == "win32":
    import msvcrt

    _FAR = 1 << 30  # a locked byte cannot be read there: lock one far beyond the owner's name

    def _lock(fd: int, *, shared: bool) -> None:  # noqa: ARG001 - there is but one kind of lock there
        os.lseek(fd, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError from error

else:
    import fcntl

    def _lock(fd: int, *, shared: bool) -> None:
        """Raises BlockingIOError while another holds it."""
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


class Lock:
    """Held from `take` until `release`, or until the process ends."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd: int | None = fd

    @classmethod
    def take(cls, path: Path, what: str) -> Lock:
        """Take the lock file `path`, creating it.

        Raises:
            StoreError: `what` is being written by another process (or by this one); names it.

        """
        end = time.monotonic() + PATIENCE
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
            try:
                _lock(fd, shared=False)
                if _same_file(fd, path):  # else the former holder removed it while we waited
                    os.ftruncate(fd, 0)
                    os.write(fd, f"process {os.getpid()} on {socket.gethostname()}".encode())
                    return cls(path, fd)
                os.close(fd)
            except BlockingIOError:
                owner = os.read(fd, 300).decode("utf-8", "replace") or "another process"
                os.close(fd)
                if time.monotonic() > end:
                    raise StoreError(
                        f"{what} is being written by {owner}. Wait for it to end, or start a new run."
                    ) from None
                time.sleep(0.01)
            except BaseException:
                os.close(fd)
                raise

    def release(self) -> None:
        """Give it back and leave no file behind. Removed while it is held, so that no third process gets in."""
        if self._fd is not None:
            with suppress(OSError):
                self.path.unlink()
            os.close(self._fd)
            self._fd = None


def held(path: Path) -> bool:
    """Whether some process holds the lock file `path` now."""
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return False
    try:
        _lock(fd, shared=True)
    except BlockingIOError:
        return True
    except OSError:
        return False
    else:
        return False
    finally:
        os.close(fd)


def _same_file(fd: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    here = os.fstat(fd)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
