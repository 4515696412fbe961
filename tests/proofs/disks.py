"""Disks that fail and files of other versions."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from store import test_store as store

from ponder.store import RunFile, RunWriter, schema
from proofs import Figure, row

if TYPE_CHECKING:
    from pathlib import Path

    from proofs import Tier


@row(
    "R4",
    "A disk that fails after N statements (N = 1, 2, ...) costs what was not committed, says so, and damages nothing",
    "0 damaged files by SQLite's integrity check, 0 exceptions into the run, every file resumable",
)
def failing(folder: Path, tier: Tier) -> Figure:
    most = 200 if tier == "N" else 40
    broken = []
    for n in range(1, most + 1):
        try:
            store.write_until_it_fails(folder / str(n), n)
        except (AssertionError, sqlite3.Error, OSError) as error:
            broken.append(f"N = {n}: {str(error)[:60]}")
    return Figure(
        f"{most} points of failure, {len(broken)} files damaged or exceptions raised"
        + "".join(f"; {b}" for b in broken[:3]),
        held=not broken,
    )


@row(
    "R5",
    "Run files of every released format open, and are never changed in place",
    "100 % read with all their events, byte for byte as they were",
)
def versions(folder: Path, tier: Tier) -> Figure:
    del tier
    read = 0
    for version in schema.SCHEMAS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(schema, "VERSION", version)
            with RunWriter.create(folder / str(version)) as writer:
                store.record(writer)
        before = writer.path.read_bytes()
        with RunFile.open(writer.path) as run:
            read += run.events() == store.EVENTS and writer.path.read_bytes() == before
    return Figure(f"{read} of {len(schema.SCHEMAS)} formats read", held=read == len(schema.SCHEMAS))
