"""`ponder eval`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ponder.cli.commands.options import Fresh, MemoryOf, Models, Quiet, RayAt, ReportTo, Workers, Yes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from ponder.core.prefix import Segment
    from ponder.core.protocols import Engine


def eval_(
    tasks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TASK",
            help="Tasks by name (chain_sum:min_terms=3,max_terms=3), files (.jsonl, .parquet, .yaml), or hf:OWNER/NAME. "
            "See `ponder tasks`.",
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
    fresh: Fresh = False,
    replay: Annotated[
        str | None,
        typer.Option(
            "--replay",
            metavar="RUN",
            help="No model: vote, stop, choose and grade anew on the problems and samples of that run.",
        ),
    ] = None,
    ray: RayAt = None,
    workers: Workers = None,
    begin: Annotated[
        list[str] | None,
        typer.Option(
            "--from", metavar="RUN", help="An evaluation whose samples need not be sampled again; repeat it."
        ),
    ] = None,
    report: ReportTo = None,
    quiet: Quiet = False,
    yes: Yes = False,
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

    Exit codes:
      0 every attempt is made
      2 a wrong word on the command line
      3 a model file, a run file, a report or the configuration cannot be used
      4 the model failed
      5 every attempt is made, and some broke
      130 stopped; what was measured is kept, and the same command goes on
    """
    from ponder import config
    from ponder.cli import attacking, evaluating, exporting, opening, past
    from ponder.cli.terminal import out, say
    from ponder.core.calls import Budget
    from ponder.core.errors import UsageError
    from ponder.evals.plan import Plan
    from ponder.evals.successive import successive
    from ponder.evals.values import Arm
    from ponder.runtime.preflight import check_memory
    from ponder.strategies import parse

    settings = opening.settings()
    exporting.check_place(report)
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
    given: Mapping[tuple[str, int], Segment] | None = None
    cluster, complaints = None, []
    if ray is not None and replay is not None:
        say("A replay asks no model, so it is made here and not on the cluster.")
        ray = None
    if replay is None:
        loaded = evaluating.load(named, limit or [], sample_id or [], seed)
        complaints = [complaint for task in loaded for complaint in task.complaints]
        for complaint in complaints:
            say(complaint)
        items, its_seeds = tuple(item for task in loaded for item in task.items), tuple(range(seeds))
        by_role = config.models_by_role(model or (), settings, strategies)
        opened = opening.engines(by_role, settings, yes=yes, quiet=quiet)
        cluster = evaluating.Ray.said(ray, workers, by_role, memory)
    elif tasks or model or limit or sample_id or begin:
        raise UsageError("--replay has the tasks, the problems and the model of its run. Leave yours out.")
    else:
        named = [f"replay of {replay}"]
        items, its_seeds, opened, given = past.replayed(settings, replay)
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
    with opened as engines, past.samples(settings, begin or (), engines) as before:
        path, code = evaluating.evaluate(
            plan,
            engines,
            settings,
            named=named,
            afresh=fresh or replay is not None,
            quiet=quiet,
            given=before if given is None else given,
            memory=remembered,
            ray=cluster,
            complaints=complaints,
        )
    measured = past.measured(settings, path.stem)
    out().print(past.table(measured))
    for shown in attacking.tables(measured):
        out().print(shown)
    exporting.see_whole(settings, path.stem, report)
    raise SystemExit(code)
