"""What a person sees while a run goes on: samples as they come, the vote, what was spent. All on stderr."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ponder.cli.terminal import one_line
from ponder.core import events as e

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console, RenderableType

    from ponder.core.calls import Budget

MOST_ROWS = 24
MOST_BARS = 5
WRITING, WHOLE, CUT, ENDED, FAILED = "…✓✂⊖✗"
STYLES = {WRITING: "blue", WHOLE: "green", CUT: "yellow", ENDED: "dim", FAILED: "red"}


class Watching(Protocol):
    """Something that watches a run from `with` to its end."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def event(self, event: e.Event) -> None: ...
    def wrote(self, event: e.Event) -> None: ...


def watching(budget: Budget, console: Console, *, quiet: bool) -> Watching:
    """The picture on a terminal, lines elsewhere."""
    if quiet:
        return Quiet()
    return Painted(budget, console) if console.is_terminal else Plain(console)


class Quiet:
    """Nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def event(self, event: e.Event) -> None:
        """Nothing is shown."""

    def wrote(self, event: e.Event) -> None:
        """Nothing is shown."""


class Plain(Quiet):
    """One line for each call that ended, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._numbers: dict[str, int] = {}

    def event(self, event: e.Event) -> None:
        match event:
            case e.Extending():
                self._number(event.place)
            case e.Extended():
                text = one_line(event.text)
                end = text if len(text) <= 80 else "…" + text[-79:]
                self._say(f"{self._number(event.place)}: {end} ({_tokens(event.usage.completion)})")
            case e.Failed():
                what = "ended early" if event.cancelled else f"failed: {one_line(event.error)}"
                self._say(f"{self._number(event.place)}: {what} ({_tokens(event.usage.completion)})")
            case e.Finished() if event.votes:
                votes = "   ".join(f"{one_line(answer)[:24]}: {w:.3g}" for answer, w in event.votes)
                self._say(f"votes  {votes}")

    def _number(self, place: str) -> int:
        return self._numbers.setdefault(place, len(self._numbers) + 1)

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


@dataclass(slots=True)
class _Row:
    text: str = ""
    tokens: int = 0
    state: str = WRITING
    answer: str = ""


class Painted:
    """A live picture on a terminal: a row a sample, a bar an answer, and what was spent."""

    def __init__(self, budget: Budget, console: Console) -> None:
        self.budget = budget
        self.rows: dict[str, _Row] = {}
        self.votes: dict[str, tuple[str, int]] = {}  # by key: the answer as it was first given, and how often
        self.tokens = 0
        self._asked: set[str] = set()
        self._over = False
        self._started = time.monotonic()
        self._console = console
        self._lock = threading.Lock()  # events come from the engine's thread, pictures are drawn in another
        self._live = Live(console=console, refresh_per_second=8, get_renderable=self.picture)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def event(self, event: e.Event) -> None:
        with self._lock:
            match event:
                case e.Extending():
                    self.rows[event.place] = _Row()
                case e.Extended():
                    row = self._spent(event.place, event.usage.completion)
                    row.text = event.text
                    row.state = CUT if event.finish == "length" else WHOLE
                case e.Failed():
                    row = self._spent(event.place, event.usage.completion)
                    row.state = ENDED if event.cancelled else FAILED
                    row.text = row.text if event.cancelled else event.error
                case e.Answered():
                    self._count(event)
                case e.Finished():
                    self._over = True

    def wrote(self, event: e.Event) -> None:
        if isinstance(event, e.Wrote):
            with self._lock:
                row = self.rows.setdefault(event.place, _Row())
                row.text += event.text
                row.tokens += event.tokens
                self.tokens += event.tokens

    def picture(self) -> RenderableType:
        """The run as it stands, no higher than the terminal."""
        with self._lock:
            bars = self._bars()
            room = max(3, min(MOST_ROWS, self._console.height - len(bars) - 3))
            rows = Table.grid(padding=(0, 1), expand=True)
            rows.add_column(justify="right", style="dim", width=4)
            rows.add_column(width=1)
            rows.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
            rows.add_column(justify="right", max_width=24, no_wrap=True, overflow="ellipsis")
            rows.add_column(justify="right", style="dim", width=9, no_wrap=True)
            shown = list(enumerate(self.rows.values(), 1))[-room:]
            for number, row in shown:
                text = one_line(row.text)
                if row.state == WRITING:  # what it writes now, not what it began with
                    text = text[-max(10, self._console.width - 45) :]
                rows.add_row(
                    str(number),
                    Text(row.state, style=STYLES[row.state]),
                    Text(text, style="" if row.state == WRITING else "dim"),
                    Text(one_line(row.answer), style="bold cyan"),
                    f"{row.tokens} tok",
                )
            return Group(rows, *bars, *([] if self._over else [Text(self._receipt(), style="dim")]))

    def _spent(self, place: str, tokens: int) -> _Row:
        row = self.rows.setdefault(place, _Row())
        self.tokens += tokens - row.tokens
        row.tokens = tokens
        return row

    def _count(self, event: e.Answered) -> None:
        for place, answer, key in event.answers:
            if place in self.rows:
                self.rows[place].answer = answer or ""
            if key is not None and answer is not None and place not in self._asked:
                first, n = self.votes.get(key, (answer, 0))
                self.votes[key] = (first, n + 1)
            self._asked.add(place)

    def _bars(self) -> list[RenderableType]:
        total = sum(n for _, n in self.votes.values())
        if total < 2:
            return []
        bars: list[RenderableType] = []
        for answer, n in sorted(self.votes.values(), key=lambda vote: -vote[1])[:MOST_BARS]:
            bar = Text(f"{one_line(answer)[:24]:>24} ", style="bold cyan", no_wrap=True, overflow="ellipsis")
            bars.append(bar.append("█" * max(1, round(30 * n / total))).append(f" {n}/{total}", style="dim"))
        return bars

    def _receipt(self) -> str:
        seconds = time.monotonic() - self._started
        limit = "" if self.budget.tokens is None else f"/{self.budget.tokens:,}"
        time_limit = "" if self.budget.seconds is None else f"/{self.budget.seconds:g}"
        rate = self.tokens / max(seconds, 1e-3)
        return f"{self.tokens:,}{limit} tokens · {seconds:.1f}{time_limit} s · {rate:.0f} tok/s"


def _tokens(n: int) -> str:
    return f"{n} token{'' if n == 1 else 's'}"
