"""The model's file: said, asked for and shown as it comes, where it is not here yet."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column

from ponder import config, models
from ponder.cli.terminal import err, leaving_at_once, say
from ponder.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console


def model_file(name: str | None, settings: config.Settings, *, yes: bool, quiet: bool) -> Path:
    """The model's file. What is to be fetched is announced, and on a terminal asked for.

    Raises:
        UsageError: it is not here, and the answer was no.
        PonderError: it cannot be had; the message says what to do.

    """
    wanted = config.wanted(name, settings)
    if not isinstance(wanted, Path):
        if models.find(wanted, into=settings.models) is None:
            _announce(wanted, ask=not yes and err().is_terminal and sys.stdin.isatty())
        elif not (name or settings.model or quiet) and wanted is not models.DEFAULT_ORDER[0]:
            better = models.DEFAULT_ORDER[0].name
            say(f"Using {wanted.name}, which is here. {better} answers better: ponder pull {better}")
    with Fetching(err()) as progress:
        return config.model_path(name, settings, progress=None if quiet else progress)


def _announce(model: models.ModelFile, *, ask: bool) -> None:
    sources = ", or else ".join(source.title for source in model.sources)
    about = f"Fetching {model.title}: {model.bytes / 1e6:,.0f} MB, {model.licence}, once, from {sources}."
    if not ask:
        say(about)
        return
    with leaving_at_once():
        say(about)
        if typer.confirm("Go on?", default=True, err=True):
            return
    raise UsageError("Nothing was fetched. Use a file of your own with -m path/to/file.gguf.")


class Fetching:
    """The progress of a download: a bar on a terminal, a line every few seconds elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said = 0.0
        self._bar: Progress | None = None
        self._tasks: dict[str, int] = {}

    def __enter__(self) -> Callable[[int, int, str], None]:
        return self._bars if self._console.is_terminal else self._lines

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _bars(self, done: int, total: int, what: str) -> None:
        if self._bar is None:
            self._bar = Progress(
                TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
                BarColumn(bar_width=12),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                console=self._console,
                expand=True,
            )
            self._bar.start()
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=total or None)
        self._bar.update(self._tasks[what], completed=done, total=total or None)  # type: ignore[arg-type]

    def _lines(self, done: int, total: int, what: str) -> None:
        if time.monotonic() - self._said > 3 or (done == total and total):
            self._said = time.monotonic()
            share = f": {done / 1e6:,.0f} of {total / 1e6:,.0f} MB" if total else ""
            self._console.print(f"{what}{share}", markup=False, highlight=False, soft_wrap=True)
