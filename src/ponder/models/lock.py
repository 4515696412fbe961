"""One process at a time, by a lock that the operating system drops when its holder dies.

So no lock outlives its process, however it ended, and a lock file left behind means nothing by itself.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

POLL_SECONDS = 0.1
_FAR = 1 << 30  # on Windows a locked byte cannot be read: lock one far beyond the holder's name

if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: IO[bytes]) -> bool:
        file.seek(_FAR)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        file.seek(_FAR)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)


@contextmanager
def alone(path: Path, waiting: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock file `path`, creating it; while another holds it, `waiting` is told who, again and again.

    Threads exclude each other too. The file stays when the lock is given back: to unlink it would let a
    third process lock a new file of that name while a second one waits on the old.
    """
    with path.open("a+b") as file:
        while not _try_lock(file):
            file.seek(0)
            waiting(file.read(32).decode("ascii", "replace").strip())
            time.sleep(POLL_SECONDS)
        try:
            file.truncate(0)
            file.write(f"{os.getpid()}\n".encode())
            file.flush()
            yield
        finally:
            _unlock(file)
