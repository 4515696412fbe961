"""Where run files lie and what they are called: `<directory>/20261123-0142-k3f9.sqlite`."""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ponder.core.errors import StoreError, UnknownName
from ponder.store.lock import Lock

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".sqlite"
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that is easily taken for another


def new_id() -> str:
    """A run's id: when it began (UTC, so that ids sort by age anywhere) and four random letters."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M}-{''.join(secrets.choice(_LETTERS) for _ in range(4))}"


def make(directory: Path) -> None:
    """Make a directory, and those above it that are missing, for its owner only."""
    if not directory.is_dir():
        if not directory.parent.exists():
            make(directory.parent)
        directory.mkdir(mode=0o700, exist_ok=True)


def reserve(directory: Path) -> tuple[Path, Lock]:
    """A path that no run has, with its lock taken."""
    while True:
        path = directory / (new_id() + SUFFIX)
        try:
            lock = Lock.take(lock_of(path), str(path))
        except StoreError:
            continue
        if not path.exists():
            return path, lock
        lock.release()


def lock_of(path: Path) -> Path:
    """The lock file of a run file."""
    return path.with_suffix(".lock")


def locate(directory: Path, run: str) -> Path:
    """The file of a run.

    Raises:
        UnknownName: there is none; near ids are suggested.

    """
    path = directory / (run + SUFFIX)
    if not re.fullmatch("[a-z0-9-]+", run) or not path.is_file():
        raise UnknownName("run", run, (p.stem for p in directory.glob("*" + SUFFIX)))
    return path


def settle(directory: Path) -> None:
    """Make a new name in a directory survive the machine, where the system lets one ask for that."""
    with suppress(OSError):
        fd = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
