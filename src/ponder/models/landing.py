"""How a file lands: hashed, flushed to the disk, moved into place at once, and remembered as verified."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from typing import TYPE_CHECKING

from ponder.models.errors import DiskFull, SourceFailed

if TYPE_CHECKING:
    from pathlib import Path

    from ponder.models.catalogue import ModelFile
    from ponder.models.progress import Tick

CHUNK = 1 << 20


def sha256(path: Path, tick: Tick | None = None) -> str:
    digest, done, size = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            done += len(chunk)
            if tick is not None:
                tick(done, size)
    return digest.hexdigest()


def verified(path: Path, model: ModelFile) -> bool:
    """Whether `path` is that model, byte for byte.

    Hashed once: the answer is remembered beside it under the file's size and time of change, so that a
    later use costs a stat. A directory that cannot be written only loses the memory.
    """
    try:
        now = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    if now.st_size != model.bytes:
        return False
    # The time is taken before hashing: a change made meanwhile shows as a later time.
    seen = _as_seen(now, model)
    with contextlib.suppress(OSError, ValueError):
        if json.loads(_memory(path).read_text("utf-8")) == seen:
            return True
    if sha256(path) != model.sha256:
        return False
    _remember(path, seen)
    return True


def land(part: Path, final: Path, model: ModelFile, tick: Tick) -> None:
    """Move `part` to `final` if its hash is the pinned one; else remove it and raise SourceFailed."""
    found = sha256(part, tick)
    if found != model.sha256:
        part.unlink()
        raise SourceFailed(f"its bytes hash to {found[:12]}..., not to the pinned {model.sha256[:12]}...")
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(final)
    _sync_directory(final.parent)
    _remember(final, _as_seen(final.stat(), model))


def room(directory: Path, needed: int) -> None:
    """Raise DiskFull unless `needed` further bytes fit."""
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise DiskFull(directory, needed, free)


def _as_seen(now: os.stat_result, model: ModelFile) -> dict[str, str | int]:
    return {"sha256": model.sha256, "bytes": now.st_size, "mtime_ns": now.st_mtime_ns}


def _memory(path: Path) -> Path:
    return path.with_name(f"{path.name}.verified")


def _remember(path: Path, seen: dict[str, str | int]) -> None:
    with contextlib.suppress(OSError):
        _memory(path).write_text(json.dumps(seen), "utf-8")


def _sync_directory(directory: Path) -> None:
    """Make the move itself outlast a power cut, where directories can be opened."""
    with contextlib.suppress(OSError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
