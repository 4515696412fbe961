"""Tables and pictures of what is there: strategies, models, runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from ponder.cli.terminal import one_line
from ponder.core.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ponder.config import Settings
    from ponder.core.protocols import Strategy


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:  # names are typed again, so they stay whole
        table.add_column(column, overflow="fold", no_wrap=column == columns[0])
    return table


def listing() -> Table:
    """A table of names and what they are."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
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
        "needs": sorted(about().needs),
        "roles": list(about().roles),
        "parameters": [{"name": n, "type": t, "default": d} for n, t, d in parameters(cls)],
    }


def _summary(cls: Any) -> str:
    return " ".join((cls.__doc__ or "").split("\n\n")[0].split())


def table_of_strategies(chosen: Sequence[type[Strategy]], *, whole: bool) -> Table:
    """One line a strategy, or everything about one."""
    if not whole:
        table = _table("strategy", "what it does", "tokens", "paper")
        for about in map(explain, chosen):
            name = Text(about["name"], style="cyan")
            table.add_row(name, Text(about["summary"]), Text(about["cost"]), Text(about["paper"]))
        return table
    table = listing()
    for cls in chosen:
        about = explain(cls)
        first = about["parameters"][0]
        names = ", ".join([about["name"], *about["aliases"]])
        table.add_row("strategy", Text(names, style="cyan"))
        table.add_row("what it does", Text(" ".join((cls.__doc__ or "").split())))
        table.add_row("paper", Text(f"arXiv {about['paper']}"))
        table.add_row("tokens", Text(about["cost"]))
        table.add_row("needs", Text(", ".join(about["needs"]) or "any engine"))
        if about["roles"] != ["solver"]:
            table.add_row("roles", Text(", ".join(about["roles"])))
        for p in about["parameters"]:
            table.add_row(f"  {p['name']}", Text(f"{p['default']}  ({p['type']})"))
        with_it = f"{about['name']}:{first['name']}={first['default']}"
        table.add_row("example", Text(f'ponder solve "What is 17 + 48 - 29?" -s {with_it}'))
    return table


# -- scorers ------------------------------------------------------------------------------------------------------


def explain_scorer(cls: Any) -> dict[str, Any]:
    """A scorer as JSON values."""
    from ponder.strategies import parameters

    return {
        "name": cls.name,
        "aliases": list(getattr(cls, "aliases", ())),
        "summary": _summary(cls),
        "needs": sorted(cls.needs),
        "roles": list(getattr(cls, "roles", ())),
        "parameters": [{"name": n, "type": t, "default": d} for n, t, d in parameters(cls)],
    }


def table_of_scorers(chosen: Sequence[Any], *, whole: bool) -> Table:
    """One line a scorer, or everything about one."""
    if not whole:
        table = _table("scorer", "what it says", "needs")
        for about in map(explain_scorer, chosen):
            name = Text(about["name"], style="cyan")
            table.add_row(name, Text(about["summary"]), Text(", ".join(about["needs"]) or "any engine"))
        return table
    table = listing()
    for cls in chosen:
        about = explain_scorer(cls)
        table.add_row("scorer", Text(", ".join([about["name"], *about["aliases"]]), style="cyan"))
        table.add_row("what it says", Text(" ".join((cls.__doc__ or "").split())))
        table.add_row("needs", Text(", ".join(about["needs"]) or "any engine"))
        for p in about["parameters"]:
            table.add_row(f"  {p['name']}", Text(f"{p['default']}  ({p['type']})"))
        table.add_row(
            "example", Text(f'ponder solve "What is 17 + 48 - 29?" -s best-of-n:scorer={about["name"]}')
        )
    return table


# -- models -------------------------------------------------------------------------------------------------------


def models_here(settings: Settings) -> list[dict[str, Any]]:
    """The catalogue's models, where those are that are here, and which one is used if none is named."""
    from ponder import config, models

    default = config.wanted(None, settings)
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
            "sources": [source.title for source in m.sources],
            "notes": list(m.notes),
            "default": m is default,
            "path": str(path) if path else None,
        }
        for m, path in found
    ]


def table_of_models(here: list[dict[str, Any]]) -> Table:
    """One line a model."""
    table = _table("model", "size", "licence", "here", "title")
    for m in here:
        name = Text(m["name"], style="cyan")
        if m["default"]:
            name.append(" (default)", style="dim")
        size = f"{m['bytes'] / 1e6:,.0f} MB"
        table.add_row(
            name, size, Text(m["licence"].partition(" (")[0]), "yes" if m["path"] else "no", Text(m["title"])
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
    """One line a run."""
    table = _table("run", "question", "strategy", "answer", "tokens", "stop")
    for row in rows:
        name = Text(row["run"], style="cyan")
        if row["damage"]:
            table.add_row(name, Text(row["damage"], style="red"))
            continue
        table.add_row(
            name,
            Text(shortened(row["question"], 50)),
            Text(row["strategy"]),
            Text(shortened(row["answer"] or "-", 24), style="bold"),
            f"{row['completion']:,}",
            row["stop"] or "",
        )
    return table


def picture_of_run(settings: Settings, run: str | None, *, full: bool, width: int) -> Iterator[Text]:
    """A run's tree with its question above it and its cost below."""
    from ponder.runtime.draw import lines
    from ponder.runtime.tree import grow
    from ponder.store import RunFile, locate

    with RunFile.open(locate(settings.runs, _run(settings, run))) as file:
        for attempt in file.attempts():
            tree = grow(file.events(attempt.id))
            yield Text(one_line(attempt.question), style="bold")
            about = f"{attempt.strategy} · {_played(attempt.models)} · budget {attempt.budget}"
            yield Text(one_line(about), style="dim")
            room = 10_000 if full else max(60, width)
            for line in lines(tree, room, 10_000 if full else max(20, width - 40), fold=not full):
                yield _coloured(line)
            yield _ending(attempt)


def page_of_run(settings: Settings, run: str | None, to: str, *, full: bool) -> str:
    """Write a run's trees as one page; the name of the file."""
    from ponder.cli.exporting import check_place, written
    from ponder.cli.tree_page import tree_page
    from ponder.store import RunFile, locate

    check_place(to)
    with RunFile.open(locate(settings.runs, _run(settings, run))) as file:
        page = tree_page(file, lambda attempt: _ending(attempt).plain, full=full)
    return written(Path(to), page.encode("utf-8", "replace"))


def _played(models: Mapping[str, str]) -> str:
    """Which models played: the solver's name, then those of other roles beside their roles."""
    return ", ".join(name if role == "solver" else f"{role}: {name}" for role, name in models.items())


def _run(settings: Settings, asked: str | None) -> str:
    """The id of the run that is meant: the newest, or the only one that begins or ends so."""
    from ponder.store import list_runs

    if asked is None:
        newest = list_runs(settings.runs, 1)
        if not newest:
            raise UsageError('There are no runs yet. Make one: ponder solve "What is 17 + 48 - 29?"')
        return newest[0].id
    ids = [path.stem for path in settings.runs.glob("*.sqlite")]
    meant = [i for i in ids if asked and (i.startswith(asked) or i.endswith(asked))]
    if asked in ids:
        return asked
    if len(meant) > 1:
        raise UsageError(
            f"{len(meant)} runs are called so: {', '.join(sorted(meant)[-5:])}. Say more of the id."
        )
    if not meant:
        raise UnknownName("run", asked, sorted(ids)[-20:])
    return meant[0]


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
    answer = "no answer" if attempt.answer is None else f"answer {one_line(attempt.answer)}"
    scorer = f"{usage.scorer:,} scorer tokens · " if usage.scorer else ""
    return Text(
        f"{answer} · {attempt.stop} · {usage.completion:,} completion + {usage.prompt:,} prompt tokens "
        f"({usage.cached:,} cached) · {scorer}{usage.calls} calls",
        style="bold",
    )


def shortened(text: str, most: int) -> str:
    text = one_line(text)
    return text if len(text) <= most else text[: most - 1] + "…"
