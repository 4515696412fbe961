"""What is read off an evaluation: `ponder report`, `ponder analyze` and `ponder export`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from ponder.cli.commands.options import AsJson, Evaluation


def report(
    run: Evaluation = None,
    to: Annotated[
        str | None, typer.Option("--to", "-o", metavar="FILE", help="Where to write; else RUN.html here.")
    ] = None,
) -> None:
    """Write an evaluation's report: one HTML file that opens offline."""
    from ponder.cli import opening
    from ponder.cli.exporting import write_report
    from ponder.cli.terminal import emit

    emit(write_report(opening.settings(), run, to))


class Analysis(StrEnum):
    """What can be read off an evaluation."""

    underthinking = "underthinking"


def analyze(
    what: Annotated[Analysis, typer.Argument(metavar="underthinking", help="What to look at.")],
    run: Evaluation = None,
    as_json: AsJson = False,
) -> None:
    """Look into the traces of an evaluation, without a model.

    underthinking: switches of thought in right and in wrong responses, how many wrong ones hold a right thought, and
    the underthinking score (arXiv 2501.18585): the share of a wrong response that comes after its first right thought.
    """
    from ponder.cli import analyzing, opening
    from ponder.cli.terminal import emit_json, out

    found = analyzing.ANALYSES[what.value](opening.settings(), run)
    if as_json:
        emit_json(found)
    else:
        out().print(analyzing.table(found))


class ExportForm(StrEnum):
    """What an evaluation is exported as."""

    jsonl = "jsonl"
    parquet = "parquet"
    inspect = "inspect"


def export(
    run: Evaluation = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            "-o",
            metavar="FILE",
            help="A name that ends in .jsonl or .parquet; for Inspect a folder, else logs.",
        ),
    ] = None,
    form: Annotated[
        ExportForm | None,
        typer.Option("--format", "-f", help="If the name does not tell it.", show_default=False),
    ] = None,
) -> None:
    """Write an evaluation's outcomes as a table, a line for each attempt, or as logs for Inspect.

    The logs are a folder, which `inspect view --log-dir` opens, with one file for each task and strategy.

    Examples:
      ponder export 8ggu -o outcomes.parquet
      ponder export --format inspect -o logs
    """
    from ponder.cli import opening
    from ponder.cli.exporting import export
    from ponder.cli.terminal import emit

    for name in export(opening.settings(), run, to, form.value if form else None):
        emit(name)
