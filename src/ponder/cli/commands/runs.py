"""`ponder runs` and `ponder view`."""

from __future__ import annotations

from typing import Annotated

import typer

from ponder.cli.commands.options import AsJson


def runs(
    as_json: AsJson = False,
    limit: Annotated[int, typer.Option("-n", metavar="N", min=1, help="How many, newest first.")] = 20,
) -> None:
    """List past runs, newest first."""
    from ponder.cli import opening
    from ponder.cli.show import past_runs, table_of_runs
    from ponder.cli.terminal import emit_json, out, say

    rows = past_runs(opening.settings(), limit)
    if as_json:
        emit_json(rows)
    elif rows:
        out().print(table_of_runs(rows))
    else:
        say('No runs yet. Make one: ponder solve "What is 17 + 48 - 29?"')


def view(
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="The run's id, its beginning or its end; else the newest run."),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Whole texts.")] = False,
    html: Annotated[
        str | None,
        typer.Option("--html", metavar="FILE", help="Write it there, as one page that opens offline."),
    ] = None,
) -> None:
    """Draw a run's tree: every sample, what it answered and cost, and the vote.

    Examples:
      ponder view
      ponder view nb5r --full
      ponder view nb5r --html tree.html
    """
    from ponder.cli import opening
    from ponder.cli.show import page_of_run, picture_of_run
    from ponder.cli.terminal import emit, out

    if html is not None:
        emit(page_of_run(opening.settings(), run, html, full=full))
        return
    for line in picture_of_run(opening.settings(), run, full=full, width=out().width):
        out().print(line, highlight=False, soft_wrap=True)
