"""`ponder models` and `ponder pull`."""

from __future__ import annotations

from typing import Annotated

import typer

from ponder.cli.commands.options import AsJson


def models(as_json: AsJson = False) -> None:
    """List the models that `ponder pull` knows, and which of them are here."""
    from ponder.cli import opening
    from ponder.cli.show import models_here, table_of_models
    from ponder.cli.terminal import emit_json, out

    here = models_here(opening.settings())
    if as_json:
        emit_json(here)
    else:
        out().print(table_of_models(here))


def pull(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name from `ponder models`.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Fetch a model: resumable, verified, landed at once or not at all."""
    from ponder.cli import opening
    from ponder.cli.fetching import model_file
    from ponder.cli.terminal import emit

    emit(str(model_file(name, opening.settings(), yes=yes, quiet=False)))
