"""`ponder strategies`, `ponder scorers` and `ponder tasks`."""

from __future__ import annotations

from typing import Annotated

import typer

from ponder.cli.commands.options import AsJson


def strategies(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One strategy, explained.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the strategies, or explain one."""
    from ponder.cli.show import explain, table_of_strategies
    from ponder.cli.terminal import emit_json, out
    from ponder.strategies import CATALOGUE, parse

    one = None if name is None else type(parse(name))
    if as_json:
        emit_json(explain(one) if one else [explain(cls) for _, cls in sorted(CATALOGUE.items())])
    else:
        every = [cls for _, cls in sorted(CATALOGUE.items())]
        out().print(table_of_strategies([one] if one else every, whole=one is not None))


def scorers(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One scorer, explained.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the scorers, which guide a search, or explain one."""
    from ponder import config
    from ponder.cli.show import explain_scorer, table_of_scorers
    from ponder.cli.terminal import emit_json, out

    known = config.scorers()
    chosen = [type(known[by]) for by in ([name] if name else known)]
    if as_json:
        emit_json(explain_scorer(chosen[0]) if name else [explain_scorer(cls) for cls in chosen])
    else:
        out().print(table_of_scorers(chosen, whole=name is not None))


def tasks(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="TASK",
            help="One task as `ponder eval` takes it, explained: a name, with parameters or without, or a file.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the tasks that can be measured, or explain one, with its parameters and two of its problems.

    Data sets of the hub are explained without being fetched.

    Examples:
      ponder tasks
      ponder tasks chain_sum:min_terms=3,max_terms=3
      ponder tasks problems.jsonl
    """
    from ponder.cli.tasks import explained, listed, table_of_task, table_of_tasks
    from ponder.cli.terminal import emit, emit_json, out

    about = listed() if name is None else explained(name)
    if as_json:
        emit_json(about)
    elif isinstance(about, list):
        out().print(table_of_tasks(about))
    else:
        out().print(table_of_task(about))
        emit(f"Measure it: {about['command']}")
