"""What a person sees while a run goes on: samples as they come, the vote, what was spent. All on stderr."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from ponder.core import events as e

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from rich.console import RenderableType

    from ponder.core.calls import Budget

MOST_ROWS = 24


@dataclass(slots=True)
class _Row:
    text: str = ""
    tokens: int = 0
    state: str = "…"
    answer: str | None = None


class Watching(Protocol):
    """Something that watches a run from `with` to its end."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def event(self, event: e.Event) -> None: ...
    def wrote(self, event: e.Event) -> None: ...


class _Board:
    """The state of a run as events tell it; drawn by its two children."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.rows: dict[str, _Row] = {}
        self.votes: dict[str, tuple[str, int]] = {}
        self.asked: set[str] = set()
        self.tokens = 0
        self.started = time.monotonic()
        self.lock = threading.Lock()

    def event(self, event: e.Event) -> None:
        with self.lock:
            match event:
                case e.Extending():
                    self.rows[event.place] = _Row()
                case e.Extended():
                    row = self.rows.setdefault(event.place, _Row())
                    self.tokens += event.usage.completion - row.tokens
                    row.text, row.tokens = event.text, event.usage.completion
                    row.state = "✂" if event.finish == "length" else "✓"
                case e.Failed():
                    self.rows.setdefault(event.place, _Row()).state = "✗"
                case e.Answered():
                    self._count(event)

    def wrote(self, event: e.Event) -> None:
        if isinstance(event, e.Wrote):
            with self.lock:
                row = self.rows.setdefault(event.place, _Row())
                row.text += event.text
                row.tokens += event.tokens
                self.tokens += event.tokens

    def _count(self, event: e.Answered) -> None:
        for place, answer, key in event.answers:
            if place in self.rows:
                self.rows[place].answer = answer
            if key is not None and answer is not None and place not in self.asked:
                first, n = self.votes.get(key, (answer, 0))
                self.votes[key] = (first, n + 1)
            self.asked.add(place)

    def spent(self) -> str:
        seconds = time.monotonic() - self.started
        limit = f"/{self.budget.tokens:,}" if self.budget.tokens is not None else ""
        time_limit = f"/{self.budget.seconds:g}" if self.budget.seconds is not None else ""
        return f"{self.tokens:,}{limit} tokens · {seconds:.1f}{time_limit} s · {self.tokens / max(seconds, 1e-3):.0f} tok/s"


class Painted(_Board):
    """A live picture on a terminal."""

    def __init__(self, budget: Budget, console: Console) -> None:
        super().__init__(budget)
        self._live = Live(
            console=console,
            refresh_per_second=8,
            get_renderable=self.picture,
            transient=False,
            vertical_overflow="crop",
        )

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def picture(self) -> RenderableType:
        with self.lock:
            rows = Table.grid(padding=(0, 1), expand=True)
            rows.add_column(justify="right", style="dim", width=4)
            rows.add_column(width=1)
            rows.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
            rows.add_column(
                justify="right", style="bold cyan", max_width=24, no_wrap=True, overflow="ellipsis"
            )
            rows.add_column(justify="right", style="dim", width=8)
            colours = {"✓": "green", "✗": "red", "✂": "yellow", "…": "blue"}
            for i, row in enumerate(self.rows.values(), 1):
                if len(self.rows) > MOST_ROWS and i <= len(self.rows) - MOST_ROWS:
                    continue
                text = " ".join(row.text.split())
                shown = Text(
                    text if row.state != "…" else text[-300:], style="" if row.state == "…" else "dim"
                )
                rows.add_row(
                    str(i),
                    Text(row.state, style=colours[row.state]),
                    shown,
                    row.answer or "",
                    f"{row.tokens} tok",
                )
            return Group(rows, Text(""), *self._bars(), Text(self.spent(), style="dim"))

    def _bars(self) -> list[RenderableType]:
        total = sum(n for _, n in self.votes.values())
        if total < 2:
            return []
        bars = Table.grid(padding=(0, 1))
        ranked = sorted(self.votes.values(), key=lambda vote: -vote[1])
        for answer, n in ranked[:5]:
            bars.add_row(
                Text(answer[:24], style="bold cyan"),
                Text("█" * round(30 * n / total), style="cyan"),
                f"{n}/{total}",
            )
        return [bars, Text("")]


class Plain(_Board):
    """One line for each finished call, for logs and pipes."""

    def __init__(self, budget: Budget, console: Console) -> None:
        super().__init__(budget)
        self._console = console

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def event(self, event: e.Event) -> None:
        super().event(event)
        match event:
            case e.Extended():
                n = list(self.rows).index(event.place) + 1
                text = " ".join(event.text.split())
                end = text if len(text) <= 80 else "…" + text[-79:]
                self._say(f"{n}: {end} ({event.usage.completion} tokens)")
            case e.Failed():
                self._say(f"a call failed: {event.error}")
            case e.Finished():
                for answer, weight in event.votes:
                    self._say(f"vote: {answer} {weight:g}")
                self._say(self.spent())

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class Quiet(_Board):
    """Nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return


def watching(budget: Budget, console: Console, *, quiet: bool) -> Watching:
    """The picture on a terminal, lines elsewhere."""
    if quiet:
        return Quiet(budget)
    return Painted(budget, console) if console.is_terminal else Plain(budget, console)


class Fetching:
    """The progress of a download: a bar on a terminal, a line every few seconds elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said = 0.0
        self._bar: Progress | None = None
        self._tasks: dict[str, int] = {}

    def __enter__(self) -> Callable[[int, int, str], None]:
        return self._tell

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _tell(self, done: int, total: int, what: str) -> None:
        if self._console.is_terminal:
            if self._bar is None:
                self._bar = Progress(
                    TextColumn("{task.description}"),
                    BarColumn(),
                    DownloadColumn(),
                    TransferSpeedColumn(),
                    TimeRemainingColumn(),
                    console=self._console,
                )
                self._bar.start()
            if what not in self._tasks:
                self._tasks[what] = self._bar.add_task(what, total=total or None)
            self._bar.update(self._tasks[what], completed=done, total=total or None)  # type: ignore[arg-type]
        elif time.monotonic() - self._said > 3 or (done == total and total):
            self._said = time.monotonic()
            share = f" of {total / 1e6:,.0f}" if total else ""
            self._console.print(
                f"{what}: {done / 1e6:,.0f}{share} MB", markup=False, highlight=False, soft_wrap=True
            )
