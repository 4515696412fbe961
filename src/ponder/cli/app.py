"""The commands. Answers go to stdout, everything else to stderr.

Exit codes: 0 an answer; 1 no answer (the budget or the time ended first, or the model gave none); 2 a wrong word
on the command line; 3 a model file, a run file or the configuration cannot be used; 4 the model failed; 5 an
answer, but some samples failed; 130 interrupted, with the best answer so far.
"""

from __future__ import annotations

import errno
import inspect
import sys
import warnings
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ponder import __version__
from ponder.cli.commands.attack import attack
from ponder.cli.commands.calibrate import calibrate
from ponder.cli.commands.catalogue import scorers, strategies, tasks
from ponder.cli.commands.doctor import doctor
from ponder.cli.commands.eval import eval_
from ponder.cli.commands.mock import mock
from ponder.cli.commands.models import models, pull
from ponder.cli.commands.outcomes import analyze, export, report
from ponder.cli.commands.runs import runs, view
from ponder.cli.commands.serve import keys, serve
from ponder.cli.commands.solve import solve
from ponder.core.errors import AllFailed, EngineError, ModelFileError, PonderError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

COMMANDS: tuple[Callable[..., None], ...] = (
    solve,
    strategies,
    scorers,
    tasks,
    models,
    pull,
    runs,
    view,
    eval_,
    attack,
    calibrate,
    report,
    analyze,
    export,
    doctor,
    mock,
    serve,
    keys,
)
"""As `ponder --help` and docs/cli.md list them."""

app = typer.Typer(
    name="ponder",
    help="Better answers from any language model, by spending compute at inference time under one exact budget.",
    epilog='Begin with: ponder solve "What is 17 + 48 - 29?". `ponder COMMAND -h` explains a command, with examples.',
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help comes in half the time, and is the same in a pipe and in the docs
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _help(f: Callable[..., None]) -> str:
    """A command's docstring, with the line breaks of its examples and of its exit codes kept; those of `solve` are ours."""
    about, _, more = inspect.cleandoc(f.__doc__ or "").partition("\nExamples:\n")
    if not more:
        return about
    examples, _, listed = more.partition("\n\nExit codes:\n")
    if f is solve:
        codes = " ".join((__doc__ or "").partition("Exit codes: ")[2].split()).rstrip(".").split("; ")
        listed = "\n".join(f"  {line}" for line in codes)
    text = f"{about}\n\b\nExamples:\n{examples}"
    return f"{text}\n\n\b\nExit codes:\n{listed}" if listed else text


for command in COMMANDS:
    about = _help(command)
    app.command(command.__name__.rstrip("_"), help=about, short_help=about.partition("\n\n")[0])(command)
app.command("ask", hidden=True)(solve)  # what the field's other tools call it


FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG})
"""Where a table goes to a disk that is full; files of our own are named in errors of our own."""


def _version(value: bool) -> None:
    if value:
        from ponder.cli.terminal import emit

        emit(f"ponder {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


def _code(error: PonderError) -> int:
    if isinstance(error, UsageError):
        return 3 if error.setting else 2
    return 4 if isinstance(error, EngineError | AllFailed) and not isinstance(error, ModelFileError) else 3


def _told(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning as one of our sentences."""
    from ponder.cli.terminal import say

    say(str(message))


def _with_address(words: list[str]) -> list[str]:
    """The words, a bare --ray with the address that it means: typer has no option whose value may be left out."""
    if "--ray" not in words:
        return words
    from ponder.evals.cluster.joining import AUTO, is_address

    at = words.index("--ray")
    bare = at + 1 == len(words) or not is_address(words[at + 1])
    return [*words[:at], f"--ray={AUTO}", *words[at + 1 :]] if bare else words


def main() -> None:
    """Run the command line; every error of ours is one sentence and an exit code."""
    if sys.stdout is not None and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # an answer is shown even where the terminal lacks a letter
    warnings.showwarning = _told
    try:
        code = app(_with_address(sys.argv[1:]), standalone_mode=False)
    except PonderError as error:
        from ponder.cli.terminal import say

        while isinstance(error, AllFailed) and isinstance(error.errors[0], PonderError):
            error = error.errors[0]
        say(str(error))
        raise SystemExit(_code(error)) from None
    except typer.TyperException as error:
        error.show()  # type: ignore[attr-defined]  # those that typer raises itself can
        raise SystemExit(error.exit_code) from None
    except (typer.Abort, KeyboardInterrupt):
        code = 130
    except OSError as error:
        if error.filename is not None or error.errno not in FULL:
            raise
        from ponder.cli.terminal import nowhere, say

        nowhere(1)  # or Python would complain again when it flushes at exit
        say(f"The output could not be written: {error.strerror}. Send it somewhere else.")
        raise SystemExit(3) from None
    if code == 130:  # typer's word for KeyboardInterrupt
        from ponder.cli.terminal import STOPPED, say

        say(STOPPED)
    raise SystemExit(code or 0)
