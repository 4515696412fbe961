"""What a run file looks like inside, and how one is opened safely.

A run file of another version is never changed in place: a migration copies it into an empty database of the
next version. Readers do so in memory; so an old file opens for as long as its migrations are kept here.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING

from ponder.core.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VERSION = 2
APPLICATION = 0x706E6472  # "pndr": tells a run file from any other SQLite file

LARGEST = 64 << 20
"""Bytes in one value at most. The longest segment a model writes takes one or two million."""

PATIENCE = 5.0
"""Seconds that one waits for another process to let go of the file, which it holds for moments."""

_META = "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
_ATTEMPTS = (
    "CREATE TABLE attempts (id INTEGER PRIMARY KEY, problem TEXT NOT NULL, question TEXT NOT NULL, "
    "strategy TEXT NOT NULL, models TEXT NOT NULL, budget TEXT NOT NULL, seed NOT NULL, labels TEXT NOT NULL, "
    "started REAL NOT NULL, status TEXT NOT NULL, stop TEXT, path TEXT, answer TEXT, usage TEXT, "
    "failed INTEGER, ended REAL)"
)
_EVENTS = (
    "CREATE TABLE events (seq INTEGER PRIMARY KEY, attempt INTEGER NOT NULL, place TEXT NOT NULL, "
    "kind TEXT NOT NULL, time REAL NOT NULL, body TEXT NOT NULL)"
)
_ITEMS = "CREATE TABLE items (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID"
_SAMPLES = (
    "CREATE TABLE samples (key TEXT NOT NULL, nth INTEGER NOT NULL, body TEXT NOT NULL, "
    "PRIMARY KEY (key, nth)) WITHOUT ROWID"
)
_GRADES = (
    "CREATE TABLE grades (attempt INTEGER NOT NULL, place TEXT NOT NULL, correct INTEGER, "
    "PRIMARY KEY (attempt, place)) WITHOUT ROWID"
)
_INDEXES = (
    "CREATE INDEX attempts_by_problem ON attempts (problem, strategy)",
    "CREATE INDEX events_by_attempt ON events (attempt)",
)

_FIRST = (_META, _ATTEMPTS, _EVENTS, *_INDEXES)
SCHEMAS: dict[int, tuple[str, ...]] = {1: _FIRST, 2: (*_FIRST, _ITEMS, _SAMPLES, _GRADES)}
"""The statements of each version. `meta`, `models`, `labels`, `usage` and `body` hold JSON.

From version 2 on a run may hold an evaluation: its `items` with what is right, the `samples` that arms share, and
`grades`: of an attempt's answer where `place` is "", else of the answer on the path that ends there.
"""


def _second(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    """Version 2 only has more tables."""
    for table in ("meta", "attempts", "events"):
        for row in old.execute(f"SELECT * FROM {table}"):  # noqa: S608 - our own words
            # Text goes as bytes, for a str with lone surrogates could not be bound.
            marks = ", ".join("CAST(? AS TEXT)" if isinstance(x, str) else "?" for x in row)
            values = [x.encode("utf-8", "surrogatepass") if isinstance(x, str) else x for x in row]
            new.execute(f"INSERT INTO {table} VALUES ({marks})", values)  # noqa: S608


MIGRATIONS: dict[int, Callable[[sqlite3.Connection, sqlite3.Connection], None]] = {1: _second}
"""By version, what copies a file's rows into an empty database of the version after it."""


def lay_out(connection: sqlite3.Connection, version: int | None = None) -> None:
    """Make an empty database a run file without rows, of this version if no other is named. The caller commits."""
    version = VERSION if version is None else version
    for statement in SCHEMAS[version]:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {version}")


def to_write(path: Path) -> sqlite3.Connection:
    """Open an existing run file of this version for its one writer: write-ahead log, every commit on disk."""
    connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        version = _version(connection, path)
        if version != VERSION:
            raise StoreError(
                f"{path} has the older format {version}, which can be read but not added to. Start a new run."
            )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def to_read(path: Path) -> sqlite3.Connection:
    """Open any file that claims to be a run file, trusting nothing in it, and never changing it.

    Raises:
        StoreError: it is missing, damaged, no run file, held by another process, or of a version made after this one.

    """
    if not path.is_file():
        raise StoreError(f"There is no run file {path}. List the runs to see which there are.")
    connection: sqlite3.Connection | None = None
    try:
        try:
            connection = _connect(path, "mode=ro")
            version = _version(connection, path)
        except sqlite3.OperationalError as error:
            if is_held(error):
                raise
            # A file left in write-ahead mode on a medium that takes no files beside it. Reading it as it
            # stands is right only if nothing waits in a log.
            log = path.with_name(path.name + "-wal")
            if log.exists() and log.stat().st_size:
                raise
            if connection is not None:
                connection.close()
            connection = _connect(path, "mode=ro&immutable=1")
            version = _version(connection, path)
        return _upgraded(connection, version)
    except (sqlite3.Error, OSError, ValueError) as error:  # ValueError: a message of SQLite's quotes the file
        if connection is not None:
            connection.close()
        raise unreadable(path, error) from error
    except BaseException:
        if connection is not None:
            connection.close()
        raise


def is_held(error: BaseException) -> bool:
    """Whether another process locks the file: for moments only, unless it was stopped in one of them."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the kind, the others say more of it
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def unreadable(path: Path, error: BaseException) -> StoreError:
    """What is said of a file that SQLite, or we, cannot read."""
    if is_held(error):
        return StoreError(
            f"{path} is locked by another process, which may be suspended. Let it go on or end it, then try again."
        )
    return damaged(path, error)


def damaged(path: Path, error: object) -> StoreError:
    """What is said of a file that holds what no run file does."""
    return StoreError(
        f"{path} is damaged or no run file ({error}). Restore it from a copy, or delete it and run again."
    )


def text_of(data: bytes) -> str:
    """A text column as it was given, lone surrogates included; what no text can be is replaced."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")


def _connect(path: Path, how: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}",
        uri=True,
        timeout=PATIENCE,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.text_factory = text_of
    with suppress(AttributeError):  # Python can be built without
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA cell_size_check = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection, path: Path) -> int:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION:
        raise StoreError(f"{path} is not a run file. List the runs to see which there are.")
    if version > VERSION:
        raise StoreError(
            f"{path} was written by a newer ponder (format {version}; this one knows formats up to {VERSION}). "
            "Upgrade ponder to open it."
        )
    # Exactly the tables we make and nothing else: a view or a virtual table could run for ever when read.
    found = {sql for (sql,) in connection.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")}
    if found != set(SCHEMAS.get(version, ())):
        raise StoreError(f"{path} is damaged: its tables are not those of a run file of format {version}.")
    return int(version)


def _upgraded(connection: sqlite3.Connection, version: int) -> sqlite3.Connection:
    while version < VERSION:
        newer = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        newer.text_factory = text_of
        lay_out(newer, version + 1)
        MIGRATIONS[version](connection, newer)
        connection.close()
        connection, version = newer, version + 1
    return connection
