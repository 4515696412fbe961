"""The one writer of a run file: a thread that commits what watchers hand it, many events at a time.

What `flush` returned for survives the death of the process and of the machine; what was only handed over does
so after 50 ms. A run goes on when its file cannot be written: the writer stops, keeps the first error and what
it has committed, and `flush` and `close` say so.
"""

from __future__ import annotations

import atexit
import os
import queue
import socket
import sqlite3
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from ponder.core import events as e
from ponder.core import reading
from ponder.core.errors import StoreError
from ponder.store import coding, names, schema
from ponder.store.lock import Lock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from ponder.core.prefix import Segment

WINDOW = 0.025
"""Seconds that a commit waits for others to join it; encoding and the disk have as long again."""
ROWS = 64
"""A commit waits no longer once so many events are there."""
MOST = 1024
"""Events in one commit at most."""

_EVENT = "INSERT INTO events (attempt, place, kind, time, body) VALUES (?, CAST(? AS TEXT), ?, ?, ?)"
_STARTED = (
    "INSERT INTO attempts (id, problem, question, strategy, models, budget, seed, labels, started, status) "
    "VALUES (?, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), ?, CAST(? AS TEXT), ?, ?, ?, 'running')"
)
_ITEM = "INSERT OR REPLACE INTO items (id, body) VALUES (CAST(? AS TEXT), CAST(? AS TEXT))"
_SAMPLE = "INSERT OR IGNORE INTO samples (key, nth, body) VALUES (?, ?, CAST(? AS TEXT))"
_GRADE = "INSERT OR REPLACE INTO grades (attempt, place, correct) VALUES (?, CAST(? AS TEXT), ?)"
_FINISHED = (
    "UPDATE attempts SET status = 'finished', stop = ?, path = CAST(? AS TEXT), answer = CAST(? AS TEXT), "
    "usage = ?, failed = ?, ended = ? WHERE id = ?"
)


class Recording:
    """A watcher: keeps the events of one attempt. Callable from any thread; it never waits and never raises."""

    __slots__ = ("_labels", "_take", "id")

    def __init__(self, writer: RunWriter, attempt: int, labels: Mapping[str, Any]) -> None:
        self.id = attempt
        self._labels = labels
        self._take = writer._take

    def __call__(self, event: e.Event) -> None:
        if not isinstance(event, e.Wrote):
            self._take(_Row(self.id, time.time(), event, self._labels))


class _Row(NamedTuple):
    attempt: int
    time: float
    event: e.Event
    labels: Mapping[str, Any]


class _Said(NamedTuple):
    """A row of another table: a statement and its values."""

    statement: str
    values: tuple[Any, ...]


class _Mark(threading.Event):
    """Set once everything handed over before it is on disk, or will never be."""


class RunWriter:
    """An open run file; make one with `create` or `resume`, and `close` it."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: Lock) -> None:
        self.path = path
        self.id = path.stem
        self._connection = connection
        self._lock = lock
        (last,) = connection.execute("SELECT max(id) FROM attempts").fetchone()
        self._last = int(last or 0)
        self._kept = 0
        self._writing = 0  # rows in the commit under way
        self._pid = os.getpid()
        self._error: Exception | None = None
        self._deaf = False
        self._closed = False
        self._turn = threading.Lock()  # for what is rare: attempt, flush and close; never held by a watcher
        self._queue: queue.SimpleQueue[_Row | _Said | _Mark | None] = queue.SimpleQueue()
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"writer of {self.id}", daemon=True)
        self._thread.start()
        atexit.register(self._at_exit)

    @classmethod
    def create(
        cls,
        directory: Path,
        *,
        command: Sequence[str] = (),
        versions: Mapping[str, str] | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> RunWriter:
        """A new run file in `directory`, which is made if it is missing; only its owner may read either.

        Args:
            command: how the run was started, without secrets.
            versions: of whatever the result may depend on.
            meta: anything else that should be known of the run; JSON values.

        Raises:
            StoreError: it cannot be made.

        """
        try:
            names.make(directory)
            path, lock = names.reserve(directory)
        except OSError as error:
            raise _cannot(directory, error) from error
        about = {
            **(meta or {}),
            "id": path.stem,
            "created": time.time(),
            "command": list(command),
            "versions": dict(versions or {}),
            "host": socket.gethostname(),
            "pid": os.getpid(),
        }
        draft = path.with_suffix(".new")
        try:
            # Laid out under another name, so that no reader ever meets a run file without tables.
            draft.touch(mode=0o600, exist_ok=False)
            made = sqlite3.connect(draft, isolation_level=None)
            try:
                made.execute("BEGIN")
                schema.lay_out(made)
                made.executemany(
                    "INSERT INTO meta VALUES (?, ?)", [(k, coding.dump(v)) for k, v in about.items()]
                )
                made.execute("COMMIT")
            finally:
                made.close()
            draft.replace(path)
            names.settle(directory)
            return cls(path, schema.to_write(path), lock)
        except BaseException as error:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            lock.release()
            if isinstance(error, sqlite3.Error | OSError):
                raise _cannot(path, error) from error
            raise

    @classmethod
    def resume(cls, path: Path) -> RunWriter:
        """Add attempts to an existing run file. Attempts that had not finished are marked as interrupted.

        Raises:
            StoreError: another process writes it, or it cannot be written.

        """
        if not path.is_file():
            raise StoreError(f"There is no run file {path}. List the runs to see which there are.")
        try:
            lock = Lock.take(names.lock_of(path), str(path))
        except OSError as error:
            raise _cannot(path, error) from error
        try:
            connection = schema.to_write(path)
            try:
                connection.execute("UPDATE attempts SET status = 'interrupted' WHERE status = 'running'")
                return cls(path, connection, lock)
            except BaseException:
                connection.close()
                raise
        except BaseException as error:
            lock.release()
            if isinstance(error, sqlite3.OperationalError) and not schema.is_held(error):
                raise _cannot(path, error) from error
            if isinstance(error, sqlite3.Error | ValueError):
                raise schema.unreadable(path, error) from error
            raise

    def attempt(self, **labels: Any) -> Recording:
        """A watcher for one attempt. `labels` are kept beside it: JSON values to find it by later."""
        with self._turn:
            self._last += 1
            return Recording(self, self._last, labels)

    def item(self, name: str, body: Any) -> None:
        """Keep a problem with what is right; JSON values. Like a watcher it never waits and never raises."""
        self._take(_Said(_ITEM, (_raw(name), _raw(coding.dump(body)))))

    def sample(self, key: str, nth: int, segment: Segment) -> None:
        """Keep the `nth` sample of what `key` names."""
        body = coding.dump({name: getattr(segment, name) for name in reading.SEGMENT})
        self._take(_Said(_SAMPLE, (key, nth, _raw(body))))

    def grade(self, attempt: int, place: str, correct: bool | None) -> None:
        """Keep the grade of an attempt's answer (`place` ""), or of the answer on the path that ends there."""
        self._take(_Said(_GRADE, (attempt, _raw(place), None if correct is None else int(correct))))

    def interrupted(self, attempt: int) -> None:
        """An attempt that will have no end, for its maker is dead."""
        self._take(_Said("UPDATE attempts SET status = 'interrupted' WHERE id = ?", (attempt,)))

    @property
    def behind(self) -> int:
        """Rows handed over and not yet kept, about: what the death of the process would lose."""
        return 0 if self._deaf else self._queue.qsize() + self._writing

    @property
    def error(self) -> StoreError | None:
        """Why nothing more is recorded, if so."""
        if self._error is None:
            return None
        return StoreError(
            f"The run file {self.path} could not be written ({_why(self._error)}): its first {self._kept} events "
            "are kept and the later ones are not recorded. Free some room or choose another directory for runs."
        )

    def flush(self) -> None:
        """Wait until everything handed over so far is on disk.

        Raises:
            StoreError: it is not, and never will be.

        """
        with self._turn:
            if not self._closed:
                self._ask(_Mark()).wait()
        if error := self.error:
            raise error

    def close(self) -> None:
        """Write what is left, and leave one file that opens anywhere. Closing again does nothing.

        Raises:
            StoreError: not everything was recorded.

        """
        with self._turn:
            if self._closed:
                return
            self._closed = self._deaf = True
            atexit.unregister(self._at_exit)
            self._queue.put(None)
            self._hurry.set()
            self._thread.join()
            # What is committed is safe either way; the log stays where another process still reads it.
            with suppress(sqlite3.Error):
                self._connection.execute("PRAGMA busy_timeout = 0")
                self._connection.execute("PRAGMA journal_mode = DELETE")
            with suppress(sqlite3.Error):
                self._connection.close()
            self._lock.release()
        if error := self.error:
            raise error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except StoreError as lost:
            if error is None:
                raise
            error.add_note(str(lost))

    def _at_exit(self) -> None:
        if (
            os.getpid() == self._pid
        ):  # a forked child has the connection, but neither the thread nor the right
            with suppress(StoreError):
                self.close()

    # -- on the calling thread ------------------------------------------------------------------------------

    def _take(self, row: _Row | _Said) -> None:
        if self._deaf:
            return
        self._queue.put(row)
        if self._queue.qsize() >= ROWS and not self._hurry.is_set():
            self._hurry.set()

    def _ask(self, mark: _Mark) -> _Mark:
        self._queue.put(mark)
        self._hurry.set()
        return mark

    # -- on the writer's thread -----------------------------------------------------------------------------

    def _work(self) -> None:
        open_ = True
        while open_:
            batch = [self._queue.get()]
            self._hurry.wait(WINDOW)
            self._hurry.clear()
            with suppress(queue.Empty):
                while len(batch) < MOST and batch[-1] is not None:
                    batch.append(self._queue.get_nowait())
            open_ = batch[-1] is not None
            rows = [item for item in batch if isinstance(item, _Row | _Said)]
            self._writing = len(rows)
            if rows and self._error is None:
                try:
                    self._commit(rows)
                    self._kept += len(rows)
                except Exception as error:  # noqa: BLE001 - whatever it is, the run goes on without its record
                    self._error, self._deaf = error, True
                    with suppress(sqlite3.Error):
                        self._connection.execute("ROLLBACK")
            self._writing = 0
            for item in batch:
                if isinstance(item, _Mark):
                    item.set()

    def _commit(self, rows: Sequence[_Row | _Said]) -> None:
        """An attempt's row changes in the same transaction as the event that changes it."""
        run = self._connection
        heard = [row for row in rows if isinstance(row, _Row)]
        events = [(r.attempt, _raw(r.event.place), r.event.kind, r.time, _body(r.event)) for r in heard]
        run.execute("BEGIN IMMEDIATE")
        run.executemany(_EVENT, events)
        for row in rows:
            if isinstance(row, _Said):
                run.execute(row.statement, row.values)
                continue
            match row.event:
                case e.Started() as x:
                    seed = x.seed if -(1 << 63) <= x.seed < 1 << 63 else str(x.seed)
                    about = (_raw(x.problem), _raw(x.question), _raw(x.strategy), coding.dump(x.models))
                    more = (_raw(x.budget), seed, coding.dump(row.labels), row.time)
                    run.execute(_STARTED, (row.attempt, *about, *more))
                case e.Finished() as x:
                    end = (x.stop, _raw(x.path), _raw(x.answer), coding.dump(x.usage), x.failed, row.time)
                    run.execute(_FINISHED, (*end, row.attempt))
        run.execute("COMMIT")


def _body(event: e.Event) -> str:
    body = coding.encode(event)
    if 4 * len(body) > schema.LARGEST and len(body.encode()) > schema.LARGEST:
        raise ValueError(f"an event at {event.place} is larger than {schema.LARGEST >> 20} MB")
    return body


def _raw(text: str | None) -> bytes | None:
    """Text as the bytes that `schema.text_of` reads; a str with lone surrogates could not be bound at all."""
    return None if text is None else text.encode("utf-8", "surrogatepass")


def _why(error: Exception) -> str:
    code = getattr(error, "sqlite_errorname", "")
    if code == "SQLITE_FULL":
        return "the disk is full"
    if code.startswith("SQLITE_READONLY"):
        return "it may only be read"
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return str(error)


def _cannot(path: Path, error: Exception) -> StoreError:
    return StoreError(f"{path} cannot be written ({_why(error)}). Choose another directory for runs.")
