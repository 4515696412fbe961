"""`ponder calibrate`."""

from __future__ import annotations

from typing import Annotated

import typer

from ponder.cli.commands.options import Models, Quiet, ReportTo, Yes


def calibrate(
    tasks: Annotated[
        list[str] | None,
        typer.Argument(metavar="TASK", help="Tasks as `ponder eval` takes them: names or files."),
    ] = None,
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
    replay: Annotated[
        str | None,
        typer.Option(
            "--replay",
            metavar="RUN",
            help="No model: learn anew, by other bins or signs, from the run of an earlier calibration or its file.",
        ),
    ] = None,
    report: ReportTo = None,
    quiet: Quiet = False,
    yes: Yes = False,
) -> None:
    """Learn which strategy to use for which difficulty and budget, on your own problems.

    Strategies are tried within every budget, by themselves and after a few samples that tell how hard a problem is.
    The policy that comes of it is a small TOML file for `-s auto:policy=NAME`; under the name default it is the one
    that `-s auto` follows. Each half of the problems is judged by what the other half taught. The same command goes on
    where it was stopped. Without right answers a wide vote stands in for them, and the policy says so.

    Examples:
      ponder calibrate chain_sum -m qwen2.5-coder-0.5b -b 500 -b 1k -b 2k --limit 100
      ponder calibrate mine.jsonl -s self-consistency:n=32 -s chain-of-draft -o mine
      ponder calibrate --replay 8ggu --bins 5 -o mine
      ponder solve "What is 17 + 48 - 29?" -s auto:policy=mine -b 2k

    Exit codes:
      0 every attempt is made
      2 a wrong word on the command line
      3 a model file, a run file, a report or the configuration cannot be used
      4 the model failed
      5 every attempt is made, and some broke
      130 stopped; what was measured is kept, and the same command goes on
    """
    from ponder import config
    from ponder.cli import advice, calibrating, evaluating, exporting, opening, past
    from ponder.cli.terminal import emit, out, say
    from ponder.core.errors import UnknownName, UsageError
    from ponder.evals.calibration import Bins
    from ponder.strategies import parse
    from ponder.thinking.difficulty import Signs

    settings = opening.settings()
    exporting.check_place(report)
    divided = Bins.parse(bins)
    for sign in signs or ():
        if sign not in Signs._fields:
            raise UnknownName("sign of difficulty", sign, Signs._fields)
    told = signs or Signs._fields
    code, policy = 0, None
    if replay is not None:
        if tasks or model or budget or strategy or scorer or limit or begin:
            raise UsageError("--replay has the tasks, the model and all else of its run. Leave yours out.")
        asked, policy, judged, run = calibrating.again(settings, replay, divided, told, to)
    elif not tasks:
        raise UsageError(
            "Name a task to learn on, for example chain_sum, or an earlier calibration: --replay RUN"
        )
    else:
        by = None if scorer is None else str(config.scorers()[scorer])
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
        by_role = config.models_by_role(
            model or (), settings, [parse(arm.strategy) for arm in asked.plan().arms]
        )
        with (
            opening.engines(by_role, settings, yes=yes, quiet=quiet) as engines,
            past.samples(settings, [begin] if begin else [], engines) as given,
        ):
            policy, judged, code, run = calibrating.calibrate(
                asked,
                engines,
                settings,
                named=tasks,
                bins=divided,
                signs=told,
                quiet=quiet,
                name=to,
                given=given,
            )
    if policy is None:
        raise SystemExit(code)
    out().print(advice.table(judged, policy))
    for sentence in advice.sentences(judged, policy, asked.items, asked.wide):
        emit(sentence)
    if report:
        exporting.write_report(settings, run, report, (judged, advice.compute(judged)))
    say(
        f"Written: {calibrating.save(policy, policy.name, judged, settings)}. Use it: -s auto:policy={policy.name}"
    )
    raise SystemExit(code)
