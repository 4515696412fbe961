"""Tables and pictures of what is there: strategies, models, runs, this machine."""

from __future__ import annotations

import os
import platform
import shutil
import time
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from ponder.core.errors import PonderError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ponder.config import Settings
    from ponder.core.protocols import Strategy


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


# -- strategies ---------------------------------------------------------------------------------------------------


def explain(cls: type[Strategy]) -> dict[str, Any]:
    """A strategy as JSON values."""
    from ponder.strategies import parameters

    about: Any = cls
    return {
        "name": about.name,
        "aliases": list(getattr(about, "aliases", ())),
        "paper": about.paper,
        "summary": _summary(about),
        "cost": about.cost,
        "needs": sorted(about.needs),
        "parameters": [{"name": n, "type": t, "default": d} for n, t, d in parameters(cls)],
    }


def _summary(cls: Any) -> str:
    return " ".join((cls.__doc__ or "").split("\n\n")[0].split())


def table_of_strategies(chosen: Mapping[str, type[Strategy]], *, whole: bool) -> Table:
    """One line a strategy, or everything about one."""
    if not whole:
        table = _table("strategy", "what it does", "tokens", "paper")
        for cls in chosen.values():
            about = explain(cls)
            table.add_row(Text(about["name"], style="cyan"), about["summary"], about["cost"], about["paper"])
        return table
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for cls in chosen.values():
        about = explain(cls)
        table.add_row("strategy", Text(", ".join([about["name"], *about["aliases"]]), style="cyan"))
        table.add_row("what it does", Text(" ".join((cls.__doc__ or "").split())))
        table.add_row("paper", f"arXiv {about['paper']}")
        table.add_row("tokens", about["cost"])
        table.add_row("needs", ", ".join(about["needs"]) or "any engine")
        for p in about["parameters"]:
            table.add_row(f"  {p['name']}", Text(f"{p['default']}  ({p['type']})"))
        first = about["parameters"][0]
        table.add_row(
            "example",
            Text(
                f'ponder solve "What is 17 + 48 - 29?" -s {about["name"]}:{first["name"]}={first["default"]}'
            ),
        )
    return table


# -- models -------------------------------------------------------------------------------------------------------


def models_here(settings: Settings) -> list[dict[str, Any]]:
    """The catalogue's models, and where those are that are here."""
    from ponder import models

    default = next(iter(models.DEFAULT_ORDER)).name
    found = ((m, models.find(m, into=settings.models)) for m in models.CATALOGUE.values())
    return [
        {
            "name": m.name,
            "aliases": list(m.aliases),
            "title": m.title,
            "parameters": m.parameters,
            "bytes": m.bytes,
            "licence": m.licence,
            "sha256": m.sha256,
            "sources": [str(source) for source in m.sources],
            "notes": m.notes,
            "default": m.name == (settings.model or default),
            "path": str(path) if path else None,
        }
        for m, path in found
    ]


def table_of_models(here: list[dict[str, Any]]) -> Table:
    table = _table("model", "size", "licence", "here", "title")
    for m in here:
        name = Text(m["name"], style="cyan")
        if m["default"]:
            name.append(" (default)", style="dim")
        table.add_row(
            name, f"{m['bytes'] / 1e6:,.0f} MB", m["licence"], "yes" if m["path"] else "no", m["title"]
        )
    return table


# -- runs ---------------------------------------------------------------------------------------------------------


def past_runs(settings: Settings, limit: int) -> list[dict[str, Any]]:
    """Past runs as JSON values, newest first."""
    from ponder.store import list_runs

    return [
        {
            "run": run.id,
            "started": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.started)),
            "question": run.question,
            "strategy": run.strategy,
            "model": run.model,
            "answer": run.answer,
            "stop": run.stop,
            "completion": run.usage.completion,
            "attempts": run.attempts,
            "damage": run.damage,
        }
        for run in list_runs(settings.runs, limit)
    ]


def table_of_runs(rows: list[dict[str, Any]]) -> Table:
    table = _table("run", "question", "strategy", "answer", "tokens", "stop")
    for row in rows:
        if row["damage"]:
            table.add_row(row["run"], Text(row["damage"], style="red"))
            continue
        table.add_row(
            Text(row["run"], style="cyan", no_wrap=True),
            Text(_line(row["question"], 50)),
            Text(row["strategy"]),
            Text(_line(row["answer"] or "-", 24), style="bold"),
            f"{row['completion']:,}",
            row["stop"] or "",
        )
    return table


def picture_of_run(settings: Settings, run: str | None, *, full: bool, width: int) -> Iterator[Text]:
    """A run's tree with its question above it and its cost below."""
    from ponder.runtime.draw import lines
    from ponder.runtime.tree import grow
    from ponder.store import RunFile, list_runs, locate

    if run is None:
        newest = list_runs(settings.runs, 1)
        if not newest:
            raise UsageError('There are no runs yet. Make one: ponder solve "What is 17 + 48 - 29?"')
        run = newest[0].id
    elif not (settings.runs / f"{run}.sqlite").is_file():
        starts = [r.id for r in list_runs(settings.runs) if r.id.startswith(run)]
        run = starts[0] if len(starts) == 1 else run
    with RunFile.open(locate(settings.runs, run)) as file:
        for attempt in file.attempts():
            tree = grow(file.events(attempt.id))
            yield Text(attempt.question, style="bold")
            yield Text(
                f"{attempt.strategy} · {', '.join(attempt.models.values())} · budget {attempt.budget}",
                style="dim",
            )
            room = 10_000 if full else max(60, width)
            for line in lines(tree, room, 10_000 if full else max(20, width - 40)):
                yield _coloured(line)
            yield _ending(attempt)


def _coloured(line: str) -> Text:
    text = Text(line)
    if "★" in line:
        text.stylize("bold green")
    elif "✗" in line:
        text.stylize("red")
    elif "⊖" in line:
        text.stylize("dim")
    text.highlight_regex(r"= \S+", "cyan")
    return text


def _ending(attempt: Any) -> Text:
    if attempt.usage is None:
        return Text(f"{attempt.status}: no end was recorded", style="yellow")
    usage = attempt.usage
    answer = "no answer" if attempt.answer is None else f"answer {attempt.answer}"
    return Text(
        f"{answer} · {attempt.stop} · {usage.completion:,} completion + {usage.prompt:,} prompt tokens "
        f"({usage.cached:,} cached) · {usage.calls} calls",
        style="bold",
    )


def _line(text: str, most: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


# -- this machine -------------------------------------------------------------------------------------------------


def checkup(settings: Settings, model: str | None) -> tuple[Table, bool]:
    """What this machine and a model can do, line by line, and whether all is fine."""
    from ponder import config, models

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    fine = True

    def say(what: str, how: str, *, well: bool = True) -> None:
        nonlocal fine
        fine &= well
        table.add_row(what, Text(how, style="" if well else "red"))

    say("versions", ", ".join(f"{name} {version}" for name, version in config.versions().items()))
    say("machine", f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}")
    try:
        settings.runs.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(settings.home).free
        writable = os.access(settings.runs, os.W_OK)
        say("runs", f"{settings.runs} ({free / 1e9:,.1f} GB free)", well=writable and free > 1e8)
    except OSError as error:
        say("runs", f"{settings.runs} cannot be written: {error.strerror}. Set PONDER_HOME.", well=False)
    try:
        wanted = models.resolve(model or settings.model or models.DEFAULT_ORDER[0].name)
        path = (
            wanted if not isinstance(wanted, models.ModelFile) else models.find(wanted, into=settings.models)
        )
        if path is None:
            say("model", "not here yet. Fetch it: ponder pull " + getattr(wanted, "name", ""))
            return table, fine
        started = time.perf_counter()
        engine = config.open_engine(path, settings)
        try:
            can = engine.capabilities
            say("model", f"{can.name}, {path}, opened in {time.perf_counter() - started:.1f} s")
            say("context", f"{can.context:,} tokens a sample" if can.context else "unknown")
            say("can", ", ".join(sorted(can.can)).replace("_", " "))
        finally:
            engine.close()
    except PonderError as error:
        say("model", str(error), well=False)
    return table, fine
