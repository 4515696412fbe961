"""Reading run files, one's own and other people's."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from ponder.core import reading
from ponder.core.errors import StoreError, UnknownName, UsageError
from ponder.store import coding, names, schema
from ponder.store.lock import held

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path
    from types import TracebackType

    from ponder.core.calls import Usage
    from ponder.core.events import Event
    from ponder.core.prefix import Segment

Status = Literal["finished", "running", "interrupted"]
"""An attempt without an end is running while a process writes its file, and else interrupted."""


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """What is known of an attempt without its events. What only its end tells is None before."""

    id: int
    problem: str
    question: str
    strategy: str
    models: Mapping[str, str] = field(hash=False)
    budget: str
    seed: int
    labels: Mapping[str, Any] = field(hash=False)
    started: float
    status: Status
    stop: str | None
    path: str | None
    answer: str | None
    usage: Usage | None
    failed: int | None
    ended: float | None


class Moment(NamedTuple):
    """An event and when it came, in seconds since 1970."""

    time: float
    event: Event


_COLUMNS = tuple(f.name for f in fields(AttemptRow))


class RunFile:
    """A run file, open for reading. A run that is being written may be read; each call sees what is committed.

    Every method raises StoreError where the file is damaged, or locked by another process for five seconds.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self.id = path.stem
        self._connection = connection
        self._checked = False

    @classmethod
    def open(cls, path: Path) -> RunFile:
        """Open without trust: read-only, sizes limited, nothing in the file is executed.

        Raises:
            StoreError: it is missing, damaged, no run file, held by another process, or of a version made after this one.

        """
        return cls(path, schema.to_read(path))

    def meta(self) -> dict[str, Any]:
        """What is known of the run: id, created, command, versions, host, pid and what its maker added."""
        with self._reading():
            return {
                key: json.loads(value)
                for key, value in self._connection.execute("SELECT key, value FROM meta")
            }

    def attempts(self, problem: str | None = None, strategy: str | None = None) -> list[AttemptRow]:
        """The attempts in the order in which they were made, all or those at a problem, or by a strategy."""
        asked = {"problem": problem, "strategy": strategy}
        given = {k: v.encode("utf-8", "surrogatepass") for k, v in asked.items() if v is not None}
        where = " AND ".join(f"{name} = CAST(:{name} AS TEXT)" for name in given) or "TRUE"
        with self._reading():
            # The lock first: a writer that ends in between must not make a finished attempt look interrupted.
            being_written = held(names.lock_of(self.path))
            rows = self._connection.execute(
                f"SELECT {', '.join(_COLUMNS)} FROM attempts WHERE {where} ORDER BY id",  # noqa: S608 - our own words
                given,
            ).fetchall()
            return [_attempt(row, being_written=being_written) for row in rows]

    def events(self, attempt: int | None = None, kinds: Collection[type[Event]] = ()) -> list[Event]:
        """The events of one attempt in the order in which they came, all or of some kinds; without an id, of the
        only one.

        Raises:
            UsageError: there is no such attempt, or more than one to choose from.

        """
        return [moment.event for moment in self.moments(attempt, kinds)]

    def moments(self, attempt: int | None = None, kinds: Collection[type[Event]] = ()) -> list[Moment]:
        """The events of one attempt and when they came; see `events`."""
        with self._reading():
            if attempt is None:
                attempt = self._only()
            elif (
                self._connection.execute("SELECT 1 FROM attempts WHERE id = ?", (attempt,)).fetchone() is None
            ):
                first = self._connection.execute("SELECT id FROM attempts ORDER BY id LIMIT 20")
                raise UnknownName("attempt", str(attempt), [str(id_) for (id_,) in first])
            self.check()
            wanted = [kind.kind for kind in kinds]
            some = f"AND kind IN ({', '.join('?' * len(wanted))})" if wanted else ""
            rows = self._connection.execute(
                f"SELECT time, kind, place, body FROM events WHERE attempt = ? {some} ORDER BY seq",  # noqa: S608 - marks
                (attempt, *wanted),
            )
            return [
                Moment(coding.READERS["float"](time), coding.decode(kind, place, body))
                for time, kind, place, body in rows
            ]

    def _only(self) -> int:
        ids = [id_ for (id_,) in self._connection.execute("SELECT id FROM attempts")]
        if len(ids) != 1:
            raise UsageError(f"The run {self.id} holds {len(ids)} attempts. Name one by its id.")
        return int(ids[0])

    def items(self) -> dict[str, Any]:
        """The problems of an evaluation with what is right, by id, as `RunWriter.item` was given them."""
        with self._reading():
            rows = self._connection.execute("SELECT id, body FROM items")
            return {name: json.loads(body) for name, body in rows}

    def samples(self) -> dict[tuple[str, int], Segment]:
        """The samples that arms share, by key and index."""
        with self._reading():
            rows = self._connection.execute("SELECT key, nth, body FROM samples")
            return {(key, nth): coding.segment(body) for key, nth, body in rows}

    def sample(self, key: str, nth: int) -> Segment | None:
        """One of the samples that arms share; None: it was not drawn."""
        with self._reading():
            asked = "SELECT body FROM samples WHERE key = ? AND nth = ?"
            row = self._connection.execute(asked, (key, nth)).fetchone()
            return None if row is None else coding.segment(row[0])

    def drawn(self) -> list[tuple[str, int]]:
        """The names of the samples that arms share: key and index."""
        with self._reading():
            return self._connection.execute("SELECT key, nth FROM samples").fetchall()

    def finished(self) -> frozenset[tuple[str, str, str, int]]:
        """Strategy, budget, problem and seed of each attempt that ended otherwise than in an error, and was graded."""
        with self._reading():
            rows = self._connection.execute(
                "SELECT strategy, budget, problem, seed FROM attempts JOIN grades ON attempt = attempts.id "
                "WHERE place = '' AND status = 'finished' AND stop != 'failed'"
            )
            return frozenset(
                (sys.intern(strategy), sys.intern(budget), sys.intern(problem), int(seed))
                for strategy, budget, problem, seed in rows
            )

    def generated(self) -> int:
        """Completion tokens of all samples that arms share: what the models wrote."""
        with self._reading():
            total = "SELECT TOTAL(json_extract(body, '$.usage.completion')) FROM samples"
            return int(self._connection.execute(total).fetchone()[0])

    def grades(self) -> dict[int, dict[str, bool | None]]:
        """By attempt and place ("" is the attempt's answer), whether it is right; None where nobody can tell."""
        found: dict[int, dict[str, bool | None]] = {}
        with self._reading():
            for attempt, place, correct in self._connection.execute("SELECT * FROM grades"):
                found.setdefault(attempt, {})[place] = None if correct is None else bool(correct)
        return found

    def check(self) -> None:
        """Check the whole file once; reading events does so by itself.

        Raises:
            StoreError: it is damaged; names the first fault.

        """
        if not self._checked:
            with self._reading():
                (verdict,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
                if verdict != "ok":
                    raise schema.damaged(self.path, verdict)
            self._checked = True

    def close(self) -> None:
        """Let go of the file. Closing again does nothing."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (StoreError, UsageError):
            raise
        except (sqlite3.Error, LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
            raise schema.unreadable(self.path, error) from error


class Samples(Mapping[tuple[str, int], "Segment"]):
    """The samples of a run file by key and index, each read when it is asked for; good while the file is open.

    A sample takes ten thousand bytes of memory: a hundred for each token, with its id, its place and its
    log-probability. So who goes on with a run of a million samples must not hold those of what is done.
    """

    def __init__(self, run: RunFile, others: Mapping[tuple[str, int], Segment] | None = None) -> None:
        """Besides those of the run there may be `others`, for what it has not drawn."""
        self._run = run
        self._others = others or {}

    def __getitem__(self, name: tuple[str, int]) -> Segment:
        return self._run.sample(*name) or self._others[name]

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(dict.fromkeys([*self._run.drawn(), *self._others]))

    def __len__(self) -> int:
        return len(list(iter(self)))


def _attempt(row: tuple[Any, ...], *, being_written: bool) -> AttemptRow:
    of = dict(zip(_COLUMNS, row, strict=True))
    of["models"] = coding.texts(json.loads(of["models"]))
    of["labels"] = dict(json.loads(of["labels"]))
    of["seed"] = int(of["seed"])
    of["usage"] = None if of["usage"] is None else reading.usage(json.loads(of["usage"]))
    for column in fields(AttemptRow):
        if column.type in ("str", "str | None", "int | None", "float", "float | None"):
            of[column.name] = coding.READERS[column.type](of[column.name])
    if of["status"] == "running" and not being_written:
        of["status"] = "interrupted"
    if of["status"] not in ("finished", "running", "interrupted"):
        raise ValueError(f"an attempt is {str(of['status'])[:40]!r}")
    return AttemptRow(**of)
