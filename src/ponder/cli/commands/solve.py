"""`ponder solve`."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from ponder.cli.commands.options import MemoryOf, Models, Yes
from ponder.core.errors import UsageError


class AnswerKind(StrEnum):
    """How answers are read and compared."""

    auto = "auto"
    math = "math"
    choice = "choice"
    yesno = "yesno"
    json = "json"
    code = "code"
    open = "open"


def solve(
    question: Annotated[
        str, typer.Argument(metavar="QUESTION", help='The question; "-" reads it from stdin.')
    ],
    strategy: Annotated[
        str | None,
        typer.Option(
            "--strategy",
            "-s",
            metavar="STRATEGY",
            help="A strategy with its parameters: self-consistency:n=16. See `ponder strategies`.",
        ),
    ] = None,
    model: Models = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            "-b",
            metavar="BUDGET",
            help="The most to spend: 4k completion tokens; 4k,30s also seconds; total=16k; calls=20; '$0.02'.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed draws the same samples.")] = 0,
    kind: Annotated[AnswerKind, typer.Option(help="How answers are read and compared.")] = AnswerKind.auto,
    memory: MemoryOf = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no receipt.")] = False,
    yes: Yes = False,
) -> None:
    """Answer a question, spending compute at inference time.

    Ctrl-C ends it with the best answer so far; `ponder view` shows every sample. What is not said here comes from
    PONDER_STRATEGY, PONDER_MODEL and PONDER_BUDGET, then from ponder.toml in the working folder; else it is
    self-consistency on the default model within 4k tokens.

    Examples:
      ponder solve "What is 17 + 48 - 29?"
      ponder solve "What is 17 + 48 - 29?" -s self-consistency:n=32 -b 8k,60s --json
      ponder solve "What is 17 + 48 - 29?" -s feedback-edit -m solver=A -m feedback=B -m edit=C
      echo "Is 91 prime?" | ponder solve - -s adaptive-consistency --kind yesno
    """
    from ponder.cli import opening
    from ponder.core.calls import Budget
    from ponder.core.problem import Problem
    from ponder.strategies import parse

    settings = opening.settings()
    problem = Problem.of(_text(question), kind.value)
    chosen = parse(strategy or settings.strategy)
    limit = Budget.parse(budget or settings.budget)

    from ponder import config
    from ponder.cli import solving
    from ponder.runtime.preflight import check_memory

    models = config.models_by_role(model or (), settings, [chosen])
    check_memory(memory, chosen)
    remembered = None if memory is None else config.memory(memory)
    with opening.engines(models, settings, yes=yes, quiet=quiet) as engines:
        code = solving.solve(
            problem, chosen, engines, limit, seed, settings, memory=remembered, as_json=as_json, quiet=quiet
        )
    raise SystemExit(code)


def _text(question: str) -> str:
    """The question, from stdin if it is "-"."""
    try:
        text = sys.stdin.buffer.read().decode() if question == "-" else question
        text.encode()
    except UnicodeError:
        raise UsageError(
            "The question is not UTF-8 text. Convert it first, for example with iconv -t utf-8."
        ) from None
    return text
