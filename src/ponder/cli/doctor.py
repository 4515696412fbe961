"""What this machine and a model can do, line by line."""

from __future__ import annotations

import os
import platform
import shutil
import time
from typing import TYPE_CHECKING

import anyio
from rich.text import Text

from ponder import config, models
from ponder.cli.show import listing
from ponder.core.errors import PonderError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rich.table import Table

    from ponder.config import Settings
    from ponder.engines.servers.found import Found
    from ponder.engines.servers.upstream import Upstream


TUNING = 10.0
"""Seconds of a tuning run."""


def checkup(
    settings: Settings, model: str | None, progress: Callable[[str], None] | None = None
) -> tuple[Table, bool]:
    """What this machine and a model can do, line by line, and whether all is fine.

    With `progress`, which is told how it goes, the settings for the model are tuned first.
    """
    table = listing()
    fine = True

    def say(what: str, how: str, *, well: bool = True) -> None:
        nonlocal fine
        fine &= well
        table.add_row(what, Text(how, style="" if well else "red"))

    say("versions", ", ".join(f"{name} {version}" for name, version in config.versions().items()))
    say("machine", f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}")
    try:
        settings.runs.mkdir(mode=0o700, parents=True, exist_ok=True)
        free = shutil.disk_usage(settings.runs).free
        where = f"{settings.runs}, {free / 1e9:,.1f} GB free"
        if not os.access(settings.runs, os.W_OK):
            say("runs", f"{where}; it cannot be written. Set PONDER_HOME.", well=False)
        elif free < 1e8:
            say("runs", f"{where}, which is little. Free some room or set PONDER_HOME.", well=False)
        else:
            say("runs", where)
    except OSError as error:
        say("runs", f"{settings.runs} cannot be written: {error.strerror}. Set PONDER_HOME.", well=False)
    told, held = _strength()
    say("sandbox", told, well=held)
    try:
        wanted = config.wanted(model, settings)
        path = models.find(wanted, into=settings.models) if isinstance(wanted, models.ModelFile) else wanted
        if path is None:
            say("model", f"not here yet. Fetch it: ponder pull {getattr(wanted, 'name', '')}")
            return table, fine
        file, why = config.engine_file(path, settings, progress)
        say("file", f"{file.name}: {why}")
        say("tuning", _tuning(file, settings, progress))
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


def probed(upstream: Upstream, settings: Settings) -> tuple[Table, bool]:
    """What the servers of a model do, probed anew, and whether all of them answer."""
    from ponder.engines.servers.probe import probe

    table, fine = listing(), True
    for link in config.links(upstream):
        table.add_row("server", Text(link.url))
        try:
            found = anyio.run(probe, link, upstream.model, upstream.dialect)
            path = found.save(settings.cache / "servers", upstream.model)
        except PonderError as error:
            table.add_row("error", Text(str(error), style="red"))
            fine = False
            continue
        interface = {
            "chat": "its chat interface",
            "completions": "raw completions",
            "native": "its own interface",
        }
        stops = "by the server, which says by which" if found.keeps_stop else "here, closing the connection"
        for what, how in (
            ("model", found.model),
            ("speaks", found.dialect),
            ("context", f"{found.context:,} tokens" if found.context else "unknown"),
            ("asked by", interface[found.wire]),
            ("can", ", ".join(sorted(found.can)).replace("_", " ")),
            ("cannot", ", ".join(found.notes) or "-"),
            ("stop strings", f"are looked for {stops}"),
            ("usage", "counted" if found.counts else "estimated, for the server does not count"),
            ("n", "several samples of one request" if found.many else "one sample of each request"),
            ("thinking", _thinking(found)),
            ("kept", str(path)),
        ):
            table.add_row(what, Text(how))
    return table, fine


def _thinking(found: Found) -> str:
    """How a thinking budget comes out on a server."""
    marks = (
        f"between {found.opened or found.markers.start.strip()} and {found.markers.end}"
        if found.markers
        else ""
    )
    if "thinking_budget" in found.can:
        how = "the server keeps to a budget; it is counted all the same"
    elif found.markers and "continue" in found.can:
        how = "a budget is kept by cutting and continuing"
    elif found.asks:
        how = "a budget is a wish here; it is counted, and told where it is not kept"
    else:
        how = "a budget cannot be asked for; it is counted where thinking is seen"
    return "; ".join(filter(None, (marks, how)))


def _strength() -> tuple[str, bool]:
    """What the sandbox withstood. Nothing needs one but programs that a model writes, so none is no fault."""
    from ponder.core.errors import NoSandbox
    from ponder.sandbox.strength import strength

    try:
        found = anyio.run(strength)
    except NoSandbox as error:
        return f"none. {error}", True
    return str(found), found.held


def _tuning(file: Path, settings: Settings, progress: Callable[[str], None] | None) -> str:
    from ponder.engines.embedded.tuning import remembered, tune

    if settings.engine != "llama.cpp":
        return "of llama.cpp only"
    tuning = remembered(file, settings.cache)
    if progress:
        tuning = tune(file, TUNING, folder=settings.cache, progress=progress)
    if tuning is None:
        return "never run; the defaults are used. Run it: ponder doctor --tune"
    over = f"; threads is set to {settings.threads}" if settings.threads else ""
    return f"{tuning}{over}"
