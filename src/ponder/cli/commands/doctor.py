"""`ponder doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from ponder.cli.commands.options import Model
from ponder.core.errors import UsageError


def doctor(
    server: Annotated[
        str | None,
        typer.Argument(metavar="SERVER", help="The address of a server, or its name in ponder.toml."),
    ] = None,
    model: Model = None,
    tune: Annotated[
        bool,
        typer.Option("--tune", help="Find the fastest settings for the model, in 10 seconds, and keep them."),
    ] = False,
) -> None:
    """Check what this machine and a model can do, or probe what a server does.

    A server is asked a few tiny things, and what it can do is kept for later calls.

    Examples:
      ponder doctor
      ponder doctor http://127.0.0.1:8000/v1
    """
    from ponder import config
    from ponder.cli import doctor as doctors
    from ponder.cli import opening
    from ponder.cli.terminal import out, say

    settings = opening.settings()
    upstream = config.remote(server or model, settings)
    if server and upstream is None:
        raise UsageError(
            f"{server} is no address of a server. Example: ponder doctor http://127.0.0.1:8000/v1"
        )
    if upstream:
        table, fine = doctors.probed(upstream, settings)
    else:
        table, fine = doctors.checkup(settings, model, say if tune else None)
    out().print(table)
    if not fine:
        raise SystemExit(4 if upstream else 3)
