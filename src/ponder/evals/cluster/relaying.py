"""What a worker sends in place of writing it: rows for the one run file, in order."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from ponder.core import events as e

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ponder.core.prefix import Segment
    from ponder.evals.harness import Tally
    from ponder.store import RunWriter
    from ponder.store.writer import Recording


class Attempt(NamedTuple):
    """The worker's `number`-th attempt begins."""

    number: int
    labels: Mapping[str, Any]


class Happened(NamedTuple):
    """An event of an attempt."""

    number: int
    event: e.Event


class Graded(NamedTuple):
    """A grade, as `RunWriter.grade` has it."""

    number: int
    place: str
    correct: bool | None


class Drawn(NamedTuple):
    """A sample, as `RunWriter.sample` has it."""

    key: str
    nth: int
    segment: Segment


class Missed(NamedTuple):
    """A sample that the worker would draw, unless it was kept by an earlier part of the run."""

    key: str
    nth: int


class Counted(NamedTuple):
    """What has been added to the tally since the last one."""

    more: Tally


class Opened(NamedTuple):
    """The worker has opened what it needs and waits for items."""


class Took(NamedTuple):
    """The worker began with an item and has room for another."""


class Misjudged(NamedTuple):
    """The tests of a problem are wrong, and why."""

    problem: str
    why: str


class Over(NamedTuple):
    """A problem has no attempt left; its samples need not be remembered."""

    problem: str
    samples: frozenset[tuple[str, int]]


class Broke(NamedTuple):
    """The worker can do no more. `usage`: for a reason that the user can mend."""

    said: str
    usage: bool


Row = Attempt | Happened | Graded | Drawn | Missed | Counted | Opened | Took | Misjudged | Over | Broke


class Relay:
    """Takes what a `RunWriter` takes, from any thread, and hands it out as rows."""

    def __init__(self, run: str) -> None:
        self.id = run
        self.behind = 0
        self._rows: list[Row] = []
        self._turn = threading.Lock()
        self._last = 0

    def attempt(self, **labels: Any) -> RelayedRecording:
        """See `RunWriter.attempt`; numbers are the worker's own."""
        self._last += 1
        self.add(Attempt(self._last, labels))
        return RelayedRecording(self, self._last)

    def sample(self, key: str, nth: int, segment: Segment) -> None:
        """See `RunWriter.sample`."""
        self.add(Drawn(key, nth, segment))

    def grade(self, attempt: int, place: str, correct: bool | None) -> None:
        """See `RunWriter.grade`."""
        self.add(Graded(attempt, place, correct))

    def add(self, row: Row) -> None:
        """One more row."""
        with self._turn:
            self._rows.append(row)

    def take(self) -> list[Row]:
        """All rows since they were last taken."""
        with self._turn:
            rows, self._rows = self._rows, []
        return rows


class RelayedRecording:
    """A watcher whose events are written elsewhere."""

    def __init__(self, relay: Relay, number: int) -> None:
        self.id = number
        self._relay = relay

    def __call__(self, event: e.Event) -> None:
        if not isinstance(event, e.Wrote):
            self._relay.add(Happened(self.id, event))


class Received:
    """The rows of one worker, written into the run file, and what is known of its problems meanwhile.

    Attributes:
        finished: by problem that the worker has, the jobs (`Job.name`) that are complete.
        samples: of those problems.

    """

    def __init__(self, writer: RunWriter) -> None:
        self.finished: dict[str, set[tuple[str, str, str, int]]] = {}
        self.samples: dict[tuple[str, int], Segment] = {}
        self._writer = writer
        self._recordings: dict[int, Recording] = {}
        self._running: dict[int, tuple[str, str, str, int]] = {}

    def write(self, row: Attempt | Happened | Graded | Drawn) -> None:
        """Keep a row."""
        match row:
            case Attempt(number, labels):
                self._recordings[number] = self._writer.attempt(**labels)
            case Happened(number, event):
                self._recordings[number](event)
                if isinstance(event, e.Started):
                    self._running[number] = (event.strategy, event.budget, event.problem, event.seed)
                elif isinstance(event, e.Finished) and event.stop == "failed":
                    self._running.pop(number, None)
            case Graded(number, place, correct):
                self._writer.grade(self._recordings[number].id, place, correct)
                if not place:  # the attempt's own grade, which is its last
                    job = self._running.pop(number)
                    self.finished.setdefault(job[2], set()).add(job)
            case Drawn(key, nth, segment):
                self._writer.sample(key, nth, segment)
                self.samples[key, nth] = segment

    def forget(self, over: Over) -> None:
        """A problem is done with."""
        self.finished.pop(over.problem, None)
        for name in over.samples:
            self.samples.pop(name, None)

    def break_off(self) -> None:
        """The worker is gone: what it had begun has no end."""
        for number in self._running:
            self._writer.interrupted(self._recordings[number].id)
        self._running.clear()
