"""`ponder attack`."""

from __future__ import annotations

from typing import Annotated

import typer

from ponder.cli.commands.options import Fresh, Models, Quiet, RayAt, ReportTo, Workers, Yes


def attack(
    task: Annotated[
        str, typer.Argument(metavar="TASK", help="addition, multiplication, page, policy or rule.")
    ],
    model: Models = None,
    attack: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="On addition and multiplication many-shot (if not said), think-less, red-team or soft-tokens; injection on "
            "page, dispute on policy, loophole on rule.",
        ),
    ] = "",
    attacker: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="The model of a red team, which writes the attacks; else the target's own."
        ),
    ] = None,
    attempts: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Of the red team at a problem.  [default: 25]", show_default=False
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Of the search for soft tokens.  [default: 100]", show_default=False
        ),
    ] = None,
    goal: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GOAL",
            help="What the attacker wants: 42, plus-one or times-seven; repeat it. All of them if not said.",
        ),
    ] = None,
    strength: Annotated[
        list[int] | None,
        typer.Option(
            metavar="N",
            help="Examples, soft tokens, injections or claims; 0 is no attack; repeat it. If not said, none and two more.",
            show_default=False,
        ),
    ] = None,
    think: Annotated[
        list[int] | None,
        typer.Option(
            metavar="N",
            help="Compute by budget forcing: at most so many tokens of thinking; repeat it. 16, 64 and 256 if neither "
            "this nor -s is said.",
        ),
    ] = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option("--strategy", "-s", metavar="STRATEGY", help="Compute by strategies; repeat it."),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option("--budget", "-b", metavar="BUDGET", help="For each problem and amount of compute."),
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Problems that are attacked.")] = 60,
    seeds: Annotated[int, typer.Option(metavar="N", min=1, help="Times that each is attempted.")] = 1,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the problems.")] = 0,
    ray: RayAt = None,
    workers: Workers = None,
    fresh: Fresh = False,
    report: ReportTo = None,
    quiet: Quiet = False,
    yes: Yes = False,
) -> None:
    """Measure how compute changes the success of attacks on your model.

    Every problem is attacked with every goal and strength, and answered with every amount of compute. The table says
    how often the answer was what the attacker wants, with a 95 % interval over problems, how often it was right, and
    whether success changes with compute. It is an evaluation like `ponder eval`: the same command goes on where it was
    stopped, and report, export and replay work.

    Examples:
      ponder attack addition -m qwen2.5-coder-0.5b --goal 42 --strength 0 --strength 16 --think 16 --think 64
      ponder attack page -s direct -s self-consistency:n=8 --report attack.html
      ponder attack addition --goal 42 --attacker qwen2.5-coder-0.5b --attempts 25 --think 16 --think 96
      ponder attack addition --goal 42 --attack soft-tokens -m path/to/folder --strength 0 --strength 4 --think 16

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
    from ponder.core.errors import UsageError
    from ponder.evals.attacks import attacked
    from ponder.evals.attacks.about import RED_TEAM, SOFT
    from ponder.evals.attacks.red_teaming import ATTACKER
    from ponder.evals.plan import Plan
    from ponder.evals.values import Arm
    from ponder.strategies import parse

    settings = opening.settings()
    exporting.check_place(report)
    attack = attack or (RED_TEAM if attacker else "")
    strengths = attacking.against(attack, attacker, attempts, strength or [])
    asked = attacking.asked(task, attack, goal or [], strengths, limit, seed, steps, think or ())
    loaded = attacked(asked)
    for complaint in loaded.complaints:
        say(complaint)
    within = attacking.within(budget, settings.budget, max(strengths) if attack == RED_TEAM else 1)
    arms = tuple(Arm(str(parse(s)), within) for s in attacking.strategies(think or [], strategy or []))
    plan = Plan(loaded.items, arms, tuple(range(seeds)))
    models = [*(model or ()), *([f"{ATTACKER}={attacker}"] if attacker else [])]
    played = config.models_by_role(models, settings, plan.strategies())
    cluster = evaluating.Ray.said(ray, workers, played)
    if cluster and attack == SOFT:
        raise UsageError("Soft tokens are vectors in this process, and not on a cluster. Leave out --ray.")
    opened = (
        attacking.white_box(played)
        if attack == SOFT
        else opening.engines(played, settings, yes=yes, quiet=quiet)
    )
    with opened as engines:
        attacking.search(asked, engines["solver"], settings.runs, (lambda _: None) if quiet else say)
        path, code = evaluating.evaluate(
            plan,
            engines,
            settings,
            named=[loaded.name],
            afresh=fresh,
            quiet=quiet,
            ray=cluster,
            complaints=loaded.complaints,
        )
    for shown in attacking.tables(past.measured(settings, path.stem)):
        out().print(shown)
    exporting.see_whole(settings, path.stem, report)
    raise SystemExit(code)
