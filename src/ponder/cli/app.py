"""The commands. Answers go to stdout, everything else to stderr.

Exit codes: 0 an answer; 1 no answer (the budget or the time ended first, or the model gave none); 2 a wrong word
on the command line; 3 a model file, a run file or the configuration cannot be used; 4 the model failed; 5 an
answer, but some samples failed; 130 interrupted, with the best answer so far.
"""

from __future__ import annotations

import inspect
import json
import sys
import warnings
from contextlib import contextmanager, nullcontext
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ponder import __version__
from ponder.core.errors import AllFailed, EngineError, ModelFileError, PonderError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from ponder.config import Settings
    from ponder.core.prefix import Segment
    from ponder.core.protocols import Engine

app = typer.Typer(
    name="ponder",
    help="Better answers from any language model, by spending compute at inference time under one exact budget.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help comes in half the time, and is the same in a pipe and in the docs
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)

Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME|FILE|URL",
        help="A name from `ponder models` or ponder.toml, the path of a GGUF file, or a server: http://host:8000/v1#model.",
        show_default=False,
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        metavar="[ROLE=]NAME|FILE|URL",
        help=(
            "A name from `ponder models` or ponder.toml, the path of a GGUF file, or a server: "
            "http://host:8000/v1#model. Repeat it with a role for each that has a model of "
            "its own: -m A -m feedback=B. The solver plays all others."
        ),
        show_default=False,
    ),
]
MemoryOf = Annotated[
    str | None,
    typer.Option(
        "--memory",
        metavar="FOLDER|FILE",
        help="Texts that the strategy may recall, found by words; embeddings:FOLDER finds them by meaning.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]


class AnswerKind(StrEnum):
    """How answers are read and compared."""

    auto = "auto"
    math = "math"
    choice = "choice"
    yesno = "yesno"
    json = "json"
    code = "code"
    open = "open"


class ExportForm(StrEnum):
    """What an evaluation is exported as."""

    jsonl = "jsonl"
    parquet = "parquet"
    inspect = "inspect"


def _command(f: Callable[..., None]) -> Callable[..., None]:
    """A command whose help is its docstring, with the line breaks of its examples and the list of exit codes kept."""
    about, _, examples = inspect.cleandoc(f.__doc__ or "").partition("\nExamples:\n")
    if examples:
        codes = " ".join((__doc__ or "").partition("Exit codes: ")[2].split()).rstrip(".").split("; ")
        listed = "\n".join(f"  {line}" for line in codes)
        about += f"\n\b\nExamples:\n{examples}\n\n\b\nExit codes:\n{listed}"
    app.command(f.__name__.rstrip("_"), help=about, short_help=about.partition("\n\n")[0])(f)
    return f


@_command
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
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Fetch the model without asking.")] = False,
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
    from ponder.core.calls import Budget
    from ponder.core.problem import Problem
    from ponder.strategies import parse

    settings = _settings()
    problem = Problem.of(_text(question), kind.value)
    chosen = parse(strategy or settings.strategy)
    limit = Budget.parse(budget or settings.budget)

    from ponder import config
    from ponder.cli import solving
    from ponder.runtime.preflight import check_memory

    models = config.models_by_role(model or (), settings, [chosen])
    check_memory(memory, chosen)
    remembered = None if memory is None else config.memory(memory)
    with _engines(models, settings, yes=yes, quiet=quiet) as engines:
        code = solving.solve(
            problem, chosen, engines, limit, seed, settings, memory=remembered, as_json=as_json, quiet=quiet
        )
    raise SystemExit(code)


@_command
def strategies(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One strategy, explained.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the strategies, or explain one."""
    from ponder.cli.show import explain, table_of_strategies
    from ponder.cli.terminal import out
    from ponder.strategies import CATALOGUE, parse

    one = None if name is None else type(parse(name))
    if as_json:
        _json(explain(one) if one else [explain(cls) for cls in CATALOGUE.values()])
    else:
        out().print(table_of_strategies([one] if one else list(CATALOGUE.values()), whole=one is not None))


@_command
def scorers(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One scorer, explained.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the scorers, which guide a search, or explain one."""
    from ponder import config
    from ponder.cli.show import explain_scorer, table_of_scorers
    from ponder.cli.terminal import out

    known = config.scorers()
    chosen = [type(known[by]) for by in ([name] if name else known)]
    if as_json:
        _json(explain_scorer(chosen[0]) if name else [explain_scorer(cls) for cls in chosen])
    else:
        out().print(table_of_scorers(chosen, whole=name is not None))


@_command
def models(as_json: AsJson = False) -> None:
    """List the models that `ponder pull` knows, and which of them are here."""
    from ponder.cli.show import models_here, table_of_models
    from ponder.cli.terminal import out

    here = models_here(_settings())
    if as_json:
        _json(here)
    else:
        out().print(table_of_models(here))


@_command
def pull(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name from `ponder models`.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Fetch a model: resumable, verified, landed at once or not at all."""
    from ponder.cli.fetching import model_file
    from ponder.cli.terminal import emit

    emit(str(model_file(name, _settings(), yes=yes, quiet=False)))


@_command
def runs(
    as_json: AsJson = False,
    limit: Annotated[int, typer.Option("-n", metavar="N", min=1, help="How many, newest first.")] = 20,
) -> None:
    """List past runs, newest first."""
    from ponder.cli.show import past_runs, table_of_runs
    from ponder.cli.terminal import out, say

    rows = past_runs(_settings(), limit)
    if as_json:
        _json(rows)
    elif rows:
        out().print(table_of_runs(rows))
    else:
        say('No runs yet. Make one: ponder solve "What is 17 + 48 - 29?"')


@_command
def view(
    run: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="The run's id, its beginning or its end; else the newest run."),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Whole texts.")] = False,
) -> None:
    """Draw a run's tree: every sample, what it answered and cost, and the vote."""
    from ponder.cli.show import picture_of_run
    from ponder.cli.terminal import out

    for line in picture_of_run(_settings(), run, full=full, width=out().width):
        out().print(line, highlight=False, soft_wrap=True)


@_command
def eval_(
    tasks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TASK]...",
            help="Tasks by name (chain_sum:min_terms=3,max_terms=3), files (.jsonl, .parquet, .yaml), or hf:OWNER/NAME.",
        ),
    ] = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            "--strategy", "-s", metavar="STRATEGY", help="A strategy with its parameters; repeat it for more."
        ),
    ] = None,
    model: Models = None,
    budget: Annotated[
        list[str] | None,
        typer.Option("--budget", "-b", metavar="BUDGET", help="For each problem; repeat it for more."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it costs at most, and ask no model.")
    ] = False,
    total_budget: Annotated[
        str | None,
        typer.Option(
            "--total-budget",
            metavar="BUDGET",
            help="Completion tokens for all problems together, in place of -b: spent where the vote gains most.",
        ),
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            "--limit",
            metavar="N|N-M|SHARE",
            help="Of each task the first N problems (50 if not said), those from N to M, or a share such as 0.1; "
            "or repeat it, one for each task.",
        ),
    ] = None,
    sample_id: Annotated[
        list[str] | None,
        typer.Option("--sample-id", metavar="ID", help="Only these problems; * stands for anything."),
    ] = None,
    seeds: Annotated[
        int, typer.Option("--seeds", "--epochs", metavar="N", min=1, help="Times that each is attempted.")
    ] = 1,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the problems that are made up.")] = 0,
    memory: MemoryOf = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure again what was measured before.")] = False,
    replay: Annotated[
        str | None,
        typer.Option(
            "--replay",
            metavar="RUN",
            help="No model: vote, stop, choose and grade anew on the problems and samples of that run.",
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="[HOST:PORT|auto|local]",
            help="Make the attempts on a Ray cluster: the one at that address, or without one that which runs here, "
            "else one of this machine alone.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            min=1,
            help="With --ray: each opens the model itself. One a machine if not said.",
        ),
    ] = None,
    begin: Annotated[
        list[str] | None,
        typer.Option(
            "--from", metavar="RUN", help="An evaluation whose samples need not be sampled again; repeat it."
        ),
    ] = None,
    report: Annotated[
        str | None, typer.Option("--report", metavar="FILE", help="Write the report there, as one HTML file.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Fetch the model without asking.")] = False,
) -> None:
    """Measure what inference compute buys: strategies and budgets on problems with known answers.

    Every strategy is tried within every budget on the same problems, and on the same samples where they draw the
    same. The same command goes on where an earlier one was stopped; nothing that was measured is measured again.

    Examples:
      ponder eval chain_sum -s cot -s self-consistency:n=8 -s self-consistency:n=16 -b 4k --limit 100
      ponder eval problems.jsonl -m file.gguf --seeds 4 --report report.html
      ponder eval chain_sum -s self-consistency:n=32 --total-budget 30k --limit 100
      ponder eval --replay 8ggu -s adaptive-consistency:n=16 -s self-consistency:n=5
      ponder eval chain_sum --limit 5000 -s self-consistency:n=64 -m vllm --ray head:6379
    """
    from ponder import config
    from ponder.cli import evaluating, exporting
    from ponder.cli.terminal import out, say
    from ponder.core.calls import Budget
    from ponder.core.errors import UsageError
    from ponder.evals.plan import Plan
    from ponder.evals.successive import successive
    from ponder.evals.values import Arm
    from ponder.runtime.preflight import check_memory
    from ponder.strategies import parse

    settings = _settings()
    named = tasks or ["chain_sum"]
    arms = tuple(
        Arm(str(parse(s)), str(Budget.parse(b)))
        for s in strategy or ["chain-of-thought", "self-consistency:n=8"][total_budget is not None :]
        for b in budget or [settings.budget]
    )
    strategies = [parse(arm.strategy) for arm in arms]
    check_memory(memory, *strategies)
    remembered = None if memory is None else config.memory(memory)
    opened: AbstractContextManager[Mapping[str, Engine]]
    given: dict[tuple[str, int], Segment] = {}
    cluster = None
    if ray is None and workers is not None:
        raise UsageError(
            "--workers says how many there are on a cluster. Say which with --ray, or leave it out."
        )
    if ray is not None and replay is not None:
        raise UsageError("--replay asks no model, so there is nothing for a cluster to do. Leave out --ray.")
    if replay is None:
        loaded = evaluating.load(named, limit or [], sample_id or [], seed)
        for complaint in (c for task in loaded for c in task.complaints):
            say(complaint)
        items, its_seeds = tuple(item for task in loaded for item in task.items), tuple(range(seeds))
        by_role = config.models_by_role(model or (), settings, strategies)
        opened = _engines(by_role, settings, yes=yes, quiet=quiet)
        if ray is not None:
            placed = {role: config.placed(name) for role, name in by_role.items()}
            cluster = evaluating.Ray(ray, workers, placed, config.placed(memory))
    elif tasks or model or limit or sample_id or begin:
        raise UsageError("--replay has the tasks, the problems and the model of its run. Leave yours out.")
    else:
        named = [f"replay of {replay}"]
        items, its_seeds, models, drawn = evaluating.replayed(settings, replay)
        given.update(drawn)
        opened = nullcontext(models)
    if dry_run and total_budget is None:
        out().print(evaluating.worst(Plan(items, arms, its_seeds), config.prices(model, settings)))
        return
    if total_budget is None:
        plan = Plan(items, arms, its_seeds)
    elif budget:
        raise UsageError(
            "Give a budget for each problem, -b, or one for all together, --total-budget; not both."
        )
    else:
        if ray is not None:
            raise UsageError(
                "--total-budget is spent round by round, each decided by the one before, and not on a cluster. "
                "Leave out --ray, or give each problem a budget with -b."
            )
        plan = successive(items, list(dict.fromkeys(arm.strategy for arm in arms)), total_budget, its_seeds)
    with opened as engines:
        for run in begin or ():
            given.update(evaluating.samples(settings, run, engines))
        path, code = evaluating.evaluate(
            plan,
            engines,
            settings,
            named=named,
            afresh=fresh or replay is not None,
            quiet=quiet,
            given=given,
            memory=remembered,
            ray=cluster,
        )
    measured = evaluating.measured(settings, path.stem)
    out().print(evaluating.table(measured))
    if report:
        exporting.write_report(settings, path.stem, report)
    else:
        say(f"See it whole: ponder report {path.stem}")
    raise SystemExit(code)


@_command
def attack(
    task: Annotated[
        str, typer.Argument(metavar="TASK", help="addition, multiplication, page, policy or rule.")
    ],
    model: Models = None,
    attack: Annotated[
        str, typer.Option(metavar="NAME", help="many-shot, think-less, injection, dispute or loophole.")
    ] = "",
    goal: Annotated[
        list[str] | None,
        typer.Option(metavar="GOAL", help="What the attacker wants: 42, plus-one or times-seven; repeat it."),
    ] = None,
    strength: Annotated[
        list[int] | None,
        typer.Option(
            metavar="N", help="Examples, injections or claims; 0 is no attack; repeat it.", show_default=False
        ),
    ] = None,
    think: Annotated[
        list[int] | None,
        typer.Option(
            metavar="N", help="Compute by budget forcing: at most so many tokens of thinking; repeat it."
        ),
    ] = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option("--strategy", "-s", metavar="STRATEGY", help="Compute by strategies; repeat it."),
    ] = None,
    budget: Annotated[str | None, typer.Option("--budget", "-b", metavar="BUDGET", help="For each.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Problems that are attacked.")] = 60,
    seeds: Annotated[int, typer.Option(metavar="N", min=1, help="Times that each is attempted.")] = 1,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the problems.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure again what was measured before.")] = False,
    report: Annotated[
        str | None, typer.Option("--report", metavar="FILE", help="Write the report there, as one HTML file.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Fetch the model without asking.")] = False,
) -> None:
    """Measure how compute changes the success of attacks on your model.

    Every problem is attacked with every goal and strength, and answered with every amount of compute. It is an
    evaluation like `ponder eval`: the same command goes on where it was stopped, and report, export and replay work.

    Examples:
      ponder attack addition -m qwen2.5-coder-0.5b --goal 42 --strength 0 --strength 16 --think 16 --think 64
      ponder attack page -s direct -s self-consistency:n=8 --report attack.html
    """
    from ponder import config
    from ponder.cli import attacking, evaluating, exporting
    from ponder.cli.terminal import out, say
    from ponder.core.calls import Budget
    from ponder.evals.plan import Plan
    from ponder.evals.values import Arm
    from ponder.strategies import parse

    settings = _settings()
    loaded = attacking.load(task, attack, goal or [], strength or [], limit, seed)
    for complaint in loaded.complaints:
        say(complaint)
    within = str(Budget.parse(budget or settings.budget))
    arms = tuple(Arm(str(parse(s)), within) for s in attacking.strategies(think or [], strategy or []))
    strategies = [parse(arm.strategy) for arm in arms]
    plan = Plan(loaded.items, arms, tuple(range(seeds)))
    opened = _engines(
        config.models_by_role(model or (), settings, strategies), settings, yes=yes, quiet=quiet
    )
    with opened as engines:
        path, code = evaluating.evaluate(
            plan, engines, settings, named=[loaded.name], afresh=fresh, quiet=quiet
        )
    for shown in attacking.tables(evaluating.measured(settings, path.stem)):
        out().print(shown)
    if report:
        exporting.write_report(settings, path.stem, report)
    else:
        say(f"See it whole: ponder report {path.stem}")
    raise SystemExit(code)


@_command
def calibrate(
    tasks: Annotated[
        list[str],
        typer.Argument(metavar="TASK...", help="Tasks as `ponder eval` takes them: names or files."),
    ],
    model: Models = None,
    budget: Annotated[
        list[str] | None,
        typer.Option(
            "--budget",
            "-b",
            metavar="BUDGET",
            help="Completion tokens a question; repeat it. Else 500 to 8k.",
        ),
    ] = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            "--strategy", "-s", metavar="STRATEGY", help="What to try; repeat it. Else a good part."
        ),
    ] = None,
    scorer: Annotated[
        str | None,
        typer.Option(
            metavar="SCORER", help="That searches go by, and that helps to tell how hard a problem is."
        ),
    ] = None,
    limit: Annotated[
        list[str] | None, typer.Option("--limit", metavar="N|N-M|SHARE", help="As `ponder eval` takes it.")
    ] = None,
    bins: Annotated[
        str,
        typer.Option(
            metavar="N|absolute", help="Of difficulty: so many of equal numbers, or the paper's three."
        ),
    ] = "3",
    signs: Annotated[
        list[str] | None,
        typer.Option(
            "--sign",
            metavar="SIGN",
            help="That difficulty is told by: agreement, confidence, length or score; repeat it. Else all.",
        ),
    ] = None,
    probe: Annotated[
        int, typer.Option(metavar="N", min=2, help="Samples that tell how hard a problem is.")
    ] = 4,
    wide: Annotated[
        int, typer.Option(metavar="N", min=2, help="Samples of the vote that all else is compared with.")
    ] = 64,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the problems that are made up.")] = 0,
    to: Annotated[
        str | None,
        typer.Option(
            "--to", "-o", metavar="NAME|FILE", help="The policy's name, or its file; else the model's name."
        ),
    ] = None,
    begin: Annotated[
        str | None,
        typer.Option("--from", metavar="RUN", help="An evaluation whose samples need not be sampled again."),
    ] = None,
    report: Annotated[
        str | None, typer.Option("--report", metavar="FILE", help="Write the report there, as one HTML file.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Fetch the model without asking.")] = False,
) -> None:
    """Learn which strategy to use for which difficulty and budget, on your own problems.

    Strategies are tried within every budget, by themselves and after a few samples that tell how hard a problem is.
    The policy that comes of it is a small TOML file for `-s auto:policy=NAME`; under the name default it is the one
    that `-s auto` follows. Each half of the problems is judged by what the other half taught. The same command goes on
    where it was stopped. Without right answers a wide vote stands in for them, and the policy says so.

    Examples:
      ponder calibrate chain_sum -m qwen2.5-coder-0.5b -b 500 -b 1k -b 2k --limit 100
      ponder calibrate mine.jsonl -s self-consistency:n=32 -s chain-of-draft -o mine
      ponder solve "What is 17 + 48 - 29?" -s auto:policy=mine -b 2k
    """
    from ponder import config
    from ponder.cli import calibrating, evaluating, exporting
    from ponder.cli.terminal import emit, out, say
    from ponder.core.errors import UnknownName
    from ponder.evals.calibration import Bins
    from ponder.strategies import parse
    from ponder.thinking.difficulty import Signs

    settings = _settings()
    by = None if scorer is None else str(config.scorers()[scorer])
    divided = Bins.parse(bins)
    for sign in signs or ():
        if sign not in Signs._fields:
            raise UnknownName("sign of difficulty", sign, Signs._fields)
    loaded = evaluating.load(tasks, limit or [], [], seed)
    for complaint in (c for task in loaded for c in task.complaints):
        say(complaint)
    asked = calibrating.Calibration(
        [item for task in loaded for item in task.items],
        budget or calibrating.BUDGETS,
        strategy or calibrating.strategies(by, wide),
        probe,
        by,
        wide,
    )
    played = [parse(arm.strategy) for arm in asked.plan().arms]
    with _engines(
        config.models_by_role(model or (), settings, played), settings, yes=yes, quiet=quiet
    ) as engines:
        name = to or calibrating.named_after(engines["solver"].capabilities.name)
        given = None if begin is None else evaluating.samples(settings, begin, engines)
        policy, judged, code, run = calibrating.calibrate(
            asked,
            engines,
            settings,
            named=tasks,
            bins=divided,
            signs=signs or Signs._fields,
            quiet=quiet,
            name=name,
            given=given,
        )
    if policy is None:
        raise SystemExit(code)
    out().print(calibrating.table(judged, policy))
    for sentence in calibrating.sentences(judged, policy, asked.items, wide):
        emit(sentence)
    if report:
        exporting.write_report(settings, run, report, (judged, calibrating.enough(judged)))
    say(f"Written: {calibrating.save(policy, name, judged, settings)}. Use it: -s auto:policy={name}")
    raise SystemExit(code)


@_command
def report(
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="An evaluation's id; else the newest.")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", "-o", metavar="FILE", help="Where to write; else RUN.html here.")
    ] = None,
) -> None:
    """Write an evaluation's report: one HTML file that opens offline."""
    from ponder.cli.exporting import write_report
    from ponder.cli.terminal import emit

    emit(write_report(_settings(), run, to))


class Analysis(StrEnum):
    """What can be read off an evaluation."""

    underthinking = "underthinking"


@_command
def analyze(
    what: Annotated[Analysis, typer.Argument(metavar="underthinking", help="What to look at.")],
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="An evaluation's id; else the newest.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look into the traces of an evaluation, without a model.

    underthinking: switches of thought in right and in wrong responses, how many wrong ones hold a right thought, and
    the underthinking score (arXiv 2501.18585): the share of a wrong response that comes after its first right thought.
    """
    from ponder.cli import analyzing
    from ponder.cli.terminal import out

    found = analyzing.ANALYSES[what.value](_settings(), run)
    if as_json:
        _json(found)
    else:
        out().print(analyzing.table(found))


@_command
def export(
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="An evaluation's id; else the newest.")
    ] = None,
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
    from ponder.cli.exporting import export
    from ponder.cli.terminal import emit

    for name in export(_settings(), run, to, form.value if form else None):
        emit(name)


@_command
def doctor(
    server: Annotated[
        str | None,
        typer.Argument(metavar="[SERVER]", help="The address of a server, or its name in ponder.toml."),
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
    from ponder.cli.terminal import out, say

    settings = _settings()
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


@_command
def mock(
    dialect: Annotated[
        str, typer.Option(metavar="NAME", help="vllm, sglang, llama-server or openai: whose words it speaks.")
    ] = "vllm",
    model: Annotated[
        str, typer.Option("--model", "-m", metavar="NAME", help="The simulated model that answers.")
    ] = "simulated",
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="0 is any free one.")] = 8000,
    latency: Annotated[float, typer.Option(metavar="S", min=0, help="Seconds before the first token.")] = 0.0,
    pace: Annotated[float, typer.Option(metavar="S", min=0, help="Seconds for each token.")] = 0.0,
    faults: Annotated[
        str,
        typer.Option(metavar="FAULTS", help="What goes wrong how often: usual, or 500=5%,reset=1%,stall=1%."),
    ] = "",
    seed: Annotated[int, typer.Option(metavar="N", help="Of the faults.")] = 0,
) -> None:
    """Serve a simulated model, with faults on demand, for tests and demonstrations.

    It answers on this machine only. GET /mock/counters tells what it sees of its clients.

    Examples:
      ponder mock --dialect llama-server --port 8080
      ponder mock --faults usual --pace 0.02
    """
    from ponder.cli import mocking

    mocking.serve(dialect, model, port, latency, pace, faults, seed)


@_command
def serve(
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME|FILE|URL",
            help="A model to serve; repeat it for more. Else those of ponder.toml, else the default model.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Where it listens; 127.0.0.1 by default.", show_default=False),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, max=65535, help="8080 by default; 0 is any free one.", show_default=False
        ),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="In the place of ponder.toml in the working folder.", show_default=False
        ),
    ] = None,
    insecure_no_auth: Annotated[
        bool, typer.Option("--insecure-no-auth", help="Ask nobody for a key, wherever it listens.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Fetch the model without asking.")] = False,
) -> None:
    """Serve models with every strategy, to any client of OpenAI's API.

    A strategy is chosen by `ponder` in the body, by X-Ponder-Strategy, or by the name of the model: MODEL@PRESET. Ctrl-C and
    SIGTERM let running requests end; SIGHUP reads the settings again. Without a key only this machine can reach it; see `ponder keys`.

    Examples:
      ponder serve -m qwen2.5-coder-0.5b
      ponder serve --config ponder.toml --port 9000
    """
    from ponder.cli import serving

    settings = _settings(config)
    engines: dict[str, Engine] = {}
    serving.serve(
        model or [],
        settings,
        lambda name, open_file: _engine(name, settings, engines, open_file, yes=yes, quiet=False),
        host=host,
        port=port,
        insecure=insecure_no_auth,
        given=config is not None,
    )


class KeyAction(StrEnum):
    """What is done with keys."""

    create = "create"
    list = "list"
    rotate = "rotate"
    revoke = "revoke"
    pause = "pause"
    resume = "resume"


@_command
def keys(
    action: Annotated[KeyAction, typer.Argument(help="create, list, rotate, revoke, pause or resume.")],
    name: Annotated[
        str | None,
        typer.Argument(
            help="Whose key it is to be; to rotate or revoke one, its name or id.", show_default=False
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option("--budget", "-b", metavar="BUDGET", help="All it may ever spend: 10m tokens, '$5'."),
    ] = None,
    rate: Annotated[int | None, typer.Option(metavar="N", min=1, help="Requests a minute.")] = None,
    expires: Annotated[str | None, typer.Option(metavar="TIME", help="After 30d, 12h, 45min.")] = None,
    grace: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="How long the old secret works after rotate; not at all by default."
        ),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", metavar="NAME", help="Only this model; repeat it.")
    ] = None,
    preset: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this preset, or none; repeat it.")
    ] = None,
    strategy: Annotated[
        str | None, typer.Option("--strategy", "-s", metavar="NAME", help="Where a request names none.")
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="What it is for: inference (by default) or metrics; repeat it."),
    ] = None,
) -> None:
    """Make, list and revoke the keys that clients of `ponder serve` bring. As soon as there is one, each needs one.

    A key is printed once, when it is made; only its hash is kept. rotate gives it a new secret, and the old one may go on
    for a while. pause lets no request in, whatever its key, until resume. All of it holds for a running server's next
    request.

    Examples:
      ponder keys create notebook --budget 1m --expires 30d
      ponder keys rotate notebook --grace 24h
      ponder keys revoke notebook
      ponder keys pause
    """
    from ponder.cli import serving

    told = {
        "budget": budget,
        "rate": rate,
        "expires": expires,
        "grace": grace,
        "models": model or [],
        "presets": preset or [],
        "strategy": strategy,
        "scopes": scope,
    }
    serving.keys(action.value, name, _settings(), told)


app.command("ask", hidden=True)(solve)  # what the field's other tools call it


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


@contextmanager
def _engines(
    models: Mapping[str, str | None], settings: Settings, *, yes: bool, quiet: bool
) -> Iterator[dict[str, Engine]]:
    """The engines of models by role, closed at the end. Roles with the same model share one engine."""
    from ponder import config

    opened: dict[str, Engine] = {}
    try:
        yield {role: _engine(name, settings, opened, yes=yes, quiet=quiet) for role, name in models.items()}
    finally:
        for engine in opened.values():
            config.close(engine)


def _engine(
    model: str | None,
    settings: Settings,
    opened: dict[str, Engine],
    open_file: Callable[..., Engine] | None = None,
    *,
    yes: bool,
    quiet: bool,
) -> Engine:
    """The engine of a model, which is fetched first if need be; one that is `opened` already, or will be.

    `open_file` opens a model file; in this process by default.
    """
    from ponder import config
    from ponder.cli.fetching import model_file
    from ponder.cli.terminal import leave_at_once_on_ctrl_c, say

    key = model or settings.model or ""
    if key not in opened and (simulated := config.simulated(key)):
        opened[key] = simulated
    if key not in opened and (upstream := config.remote(key, settings)):
        opened[key] = config.open_remote(upstream, settings, None if quiet else say)
    if key not in opened:
        path = model_file(model, settings, yes=yes, quiet=quiet)
        key = str(path.resolve())
        if key not in opened:
            leave_at_once_on_ctrl_c()  # until the run listens itself
            opened[key] = (open_file or config.open_engine)(path, settings, None if quiet else say)
    return opened[key]


def _settings(file: str | None = None) -> Settings:
    from pathlib import Path

    from ponder import config
    from ponder.cli.terminal import say

    try:
        return config.settings(file=Path(file) if file else None)
    except UsageError as error:
        say(str(error))
        raise SystemExit(3) from None


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


def _json(values: Any) -> None:
    from ponder.cli.terminal import emit

    emit(json.dumps(values, ensure_ascii=False, default=str))


def _code(error: PonderError) -> int:
    if isinstance(error, UsageError):
        return 2
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
    if code == 130:  # typer's word for KeyboardInterrupt
        from ponder.cli.terminal import STOPPED, say

        say(STOPPED)
    raise SystemExit(code or 0)
