"""The commands. Answers go to stdout, everything else to stderr.

Exit codes: 0 an answer; 1 no answer (the budget or the time ended first); 2 a wrong word on the command line;
3 a model file, a run file or the configuration cannot be used; 4 the model failed; 5 an answer, but some samples
failed; 130 interrupted, with the best answer so far.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console

from ponder import __version__
from ponder.core.errors import (
    AllFailed,
    EngineError,
    ModelFileError,
    PonderError,
    UsageError,
)

if TYPE_CHECKING:
    from ponder.core.calls import Budget
    from ponder.core.problem import Problem
    from ponder.core.protocols import Engine, Result, Strategy
    from ponder.store import RunWriter

app = typer.Typer(
    name="ponder",
    help="Better answers from any language model, by spending compute at inference time under one exact budget.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

err = Console(stderr=True)
out = Console()

Model = Annotated[
    str | None, typer.Option("--model", "-m", help="A name from `ponder models`, or the path of a GGUF file.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


class AnswerKind(StrEnum):
    """How answers are read and compared."""

    auto = "auto"
    math = "math"
    choice = "choice"
    yesno = "yesno"
    json = "json"
    open = "open"


@app.command()
def solve(
    question: Annotated[str, typer.Argument(help='The question; "-" reads it from stdin.')],
    strategy: Annotated[
        str | None,
        typer.Option(
            "--strategy",
            "-s",
            help="A strategy with its parameters: `self-consistency:n=16`. See `ponder strategies`.",
        ),
    ] = None,
    model: Model = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            "-b",
            help="The most to spend: `4k` completion tokens; `4k,30s` also seconds; `total=16k`; `calls=20`.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed draws the same samples.")] = 0,
    kind: Annotated[AnswerKind, typer.Option(help="How answers are read and compared.")] = AnswerKind.auto,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Fetch the model without asking.")] = False,
) -> None:
    """Answer a question, spending compute at inference time.

    Examples:
      ponder solve "What is 17 + 48 - 29?"
      ponder solve "What is 17 + 48 - 29?" -s self-consistency:n=32 -b 8k,60s --json
      echo "Is 91 prime?" | ponder solve - -s adaptive-consistency --kind yesno
    """
    from ponder import config
    from ponder.core.calls import Budget
    from ponder.core.problem import Problem
    from ponder.strategies import parse

    settings = config.settings()
    text = sys.stdin.read() if question == "-" else question
    problem = Problem.of(text, kind.value)
    chosen = parse(strategy or settings.strategy)
    limit = Budget.parse(budget or settings.budget)
    path = _model_file(model, settings, yes=yes, quiet=quiet)
    engine = config.open_engine(path, settings)
    try:
        code = _solve(problem, chosen, engine, limit, seed, settings, as_json=as_json, quiet=quiet)
    finally:
        engine.close()
    raise typer.Exit(code)


def _solve(
    problem: Problem,
    strategy: Strategy,
    engine: Engine,
    budget: Budget,
    seed: int,
    settings: Any,
    *,
    as_json: bool,
    quiet: bool,
) -> int:
    import time

    import anyio

    from ponder import config, store
    from ponder.api import asolve
    from ponder.cli.progress import watching

    recorder: RunWriter | None = None
    complaint: str | None = None
    try:
        recorder = store.RunWriter.create(settings.runs, command=sys.argv[1:], versions=config.versions())
    except PonderError as error:
        complaint = str(error)
    board = watching(budget, err, quiet=quiet)
    started = time.monotonic()
    running: list[Any] = []

    async def interruptible() -> Result:
        async with anyio.create_task_group() as group:

            async def listen() -> None:
                with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                    async for _ in signals:
                        if not running or running[0].ended:
                            os._exit(130)  # asked twice: now
                        running[0].end("cancelled")

            group.start_soon(listen)
            result = await asolve(
                problem,
                strategy,
                model=engine,
                budget=budget,
                seed=seed,
                watchers=[board.event, *([recorder.attempt()] if recorder else [])],
                live=[] if quiet else [board.wrote],
                trace=recorder.id if recorder else "",
                started=running.append,
            )
            group.cancel_scope.cancel()
        return result

    try:
        with board:
            result = _plainly(interruptible)
    finally:
        if recorder:
            try:
                recorder.close()
            except PonderError as error:
                complaint = str(error)
    _show(result, strategy, engine, budget, seed, time.monotonic() - started, as_json=as_json, quiet=quiet)
    if complaint:
        _say(f"The trace could not be kept: {complaint}")
        return 3
    return _code(result)


def _plainly(job: Any) -> Any:
    """Run, and raise a group of one error as that error."""
    import anyio

    try:
        return anyio.run(job)
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        raise error from None


def _show(
    result: Result,
    strategy: Strategy,
    engine: Engine,
    budget: Budget,
    seed: int,
    elapsed: float,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    usage = result.usage
    if as_json:
        choice = result.choice
        body = {
            "answer": result.answer,
            "votes": [
                {"answer": answer, "weight": weight} for answer, weight in (choice.votes if choice else ())
            ],
            "candidates": [
                {"answer": c.answer, "text": c.path.text, "tokens": c.path.tokens, "weight": c.weight}
                for c in (choice.candidates if choice else ())
            ],
            "usage": {
                "prompt": usage.prompt,
                "cached": usage.cached,
                "completion": usage.completion,
                "scorer": usage.scorer,
                "calls": usage.calls,
                "seconds": round(usage.seconds, 3),
            },
            "stop": result.stop,
            "failed": result.failed,
            "elapsed": round(elapsed, 3),
            "strategy": str(strategy),
            "model": engine.capabilities.name,
            "budget": str(budget),
            "seed": seed,
            "run": result.trace,
        }
        sys.stdout.write(json.dumps(body, ensure_ascii=False) + "\n")
    elif result.answer is not None:
        sys.stdout.write(_printable(result.answer) + "\n")
    sys.stdout.flush()
    if result.answer is None:
        _say(_why_nothing(result))
    elif not quiet:
        ended = {"budget": "the budget ended it", "deadline": "time ended it", "cancelled": "you ended it"}
        note = f" · {ended[result.stop]}" if result.stop in ended else ""
        failed = f" · {result.failed} failed" if result.failed else ""
        trace = f" · ponder view {result.trace}" if result.trace else ""
        _say(
            f"{usage.completion:,} completion + {usage.prompt:,} prompt tokens ({usage.cached:,} cached), "
            f"{usage.calls} calls, {elapsed:.1f} s{note}{failed}{trace}"
        )


def _why_nothing(result: Result) -> str:
    usage = result.usage
    match result.stop:
        case "budget":
            return (
                f"No answer: the budget ended first, after {usage.completion} completion tokens in {usage.calls} calls. "
                "Give more with -b, for example -b 4k."
            )
        case "deadline":
            return f"No answer: time was up after {usage.completion} tokens. Give more with -b, for example -b 4k,60s."
        case "cancelled":
            return f"No answer yet: stopped after {usage.completion} tokens."
        case _:
            return (
                "No answer was found in what the model wrote. Look at it with "
                f"`ponder view {result.trace}`; perhaps --kind says how to read it."
            )


def _code(result: Result) -> int:
    if result.stop == "cancelled":
        return 130
    if result.answer is None:
        return 1
    return 5 if result.failed else 0


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _say(text: str) -> None:
    err.print(text, markup=False, highlight=False, soft_wrap=True)


def _model_file(name: str | None, settings: Any, *, yes: bool, quiet: bool) -> Any:
    """The model's file; what is to be fetched is announced, and asked for on a terminal."""
    from ponder import config, models
    from ponder.cli.progress import Fetching

    wanted = name or settings.model
    candidates = [models.resolve(wanted)] if wanted else [models.CATALOGUE[n] for n in _default_names()]
    first = candidates[0]
    if isinstance(first, models.ModelFile) and not any(
        isinstance(c, models.ModelFile) and models.find(c, into=settings.models) for c in candidates[:1]
    ):
        sources = " or ".join(str(source) for source in first.sources)
        _say(f"Fetching {first.title}, {first.bytes / 1e6:,.0f} MB, {first.licence}, once, from {sources}.")
        if (
            err.is_terminal
            and sys.stdin.isatty()
            and not yes
            and not typer.confirm("Go on?", default=True, err=True)
        ):
            raise UsageError("Nothing was fetched. Use a file of your own with -m path/to/file.gguf.")
    with Fetching(err) as progress:
        return config.model_path(name, settings, progress=None if quiet else progress)


def _default_names() -> list[str]:
    from ponder import models

    return [model.name for model in models.DEFAULT_ORDER]


@app.command()
def strategies(
    name: Annotated[str | None, typer.Argument(help="One strategy, explained.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the strategies, or explain one."""
    from ponder.cli.show import explain, table_of_strategies
    from ponder.strategies import CATALOGUE, parse

    chosen = CATALOGUE if name is None else {type(parse(name)).name: type(parse(name))}
    if as_json:
        sys.stdout.write(json.dumps([explain(cls) for cls in chosen.values()], ensure_ascii=False) + "\n")
    else:
        out.print(table_of_strategies(chosen, whole=name is not None))


@app.command()
def models(as_json: AsJson = False) -> None:
    """List the models that `ponder pull` knows, and which of them are here."""
    from ponder import config
    from ponder.cli.show import models_here, table_of_models

    here = models_here(config.settings())
    if as_json:
        sys.stdout.write(json.dumps(here) + "\n")
    else:
        out.print(table_of_models(here))


@app.command()
def pull(
    name: Annotated[str, typer.Argument(help="A name from `ponder models`.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Fetch a model: resumable, verified, landed at once or not at all."""
    from ponder import config

    path = _model_file(name, config.settings(), yes=yes, quiet=False)
    sys.stdout.write(f"{path}\n")


@app.command()
def runs(
    as_json: AsJson = False,
    limit: Annotated[int, typer.Option("-n", help="How many, newest first.")] = 20,
) -> None:
    """List past runs, newest first."""
    from ponder import config
    from ponder.cli.show import past_runs, table_of_runs

    rows = past_runs(config.settings(), limit)
    if as_json:
        sys.stdout.write(json.dumps(rows, ensure_ascii=False) + "\n")
    elif rows:
        out.print(table_of_runs(rows))
    else:
        _say('No runs yet. Make one: ponder solve "What is 17 + 48 - 29?"')


@app.command()
def view(
    run: Annotated[
        str | None, typer.Argument(help="The run's id, or the start of it; the newest if left out.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Whole texts.")] = False,
) -> None:
    """Draw a run's tree: every sample, what it answered and cost, and the vote."""
    from ponder import config
    from ponder.cli.show import picture_of_run

    for line in picture_of_run(config.settings(), run, full=full, width=out.width):
        out.print(line, highlight=False, soft_wrap=full)


@app.command()
def doctor(model: Model = None) -> None:
    """Check what this machine and a model can do."""
    from ponder import config
    from ponder.cli.show import checkup

    settings = config.settings()
    table, fine = checkup(settings, model)
    out.print(table)
    if not fine:
        raise typer.Exit(3)


app.command("ask", hidden=True)(solve)  # what the field's other tools call it


def _version(value: bool) -> None:
    if value:
        sys.stdout.write(f"ponder {__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


def _fail(error: PonderError) -> NoReturn:
    while isinstance(error, AllFailed) and isinstance(error.errors[0], PonderError):
        error = error.errors[0]
    _say(str(error))
    if isinstance(error, UsageError):
        raise SystemExit(2)
    if isinstance(error, EngineError) and not isinstance(error, ModelFileError):
        raise SystemExit(4)
    raise SystemExit(3)


def main() -> None:
    """Run the command line; every error of ours is one sentence and an exit code."""
    try:
        app()
    except PonderError as error:
        _fail(error)
    except KeyboardInterrupt:
        _say("Stopped. What was fetched or finished is kept; the same command goes on from there.")
        raise SystemExit(130) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None
