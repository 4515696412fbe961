"""`ponder eval`: an evaluation as a command, which the same command takes up again where it ended."""

from __future__ import annotations

import hashlib
import json
import shlex
import signal
import sys
from collections.abc import Mapping, Sequence  # noqa: TC003 - read at run time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from ponder import config
from ponder.cli.board import Board
from ponder.cli.terminal import say
from ponder.core.calls import Budget
from ponder.core.errors import PonderError, StoreError, UsageError
from ponder.core.events import Executed
from ponder.evals import tasks
from ponder.evals.cluster import Cluster
from ponder.evals.cluster.joining import answers
from ponder.evals.executions import Shared, recorded
from ponder.evals.graders import Graders
from ponder.evals.harness import Evaluation, check
from ponder.evals.plan import Plan, Shown
from ponder.evals.replay import told
from ponder.evals.simulated import Simulated
from ponder.evals.study import finished, item_body
from ponder.evals.tasks import Tasks
from ponder.evals.tasks.coding import GRADER as TESTS
from ponder.evals.tasks.parts import Part
from ponder.evals.tasks.parts import named as those_named
from ponder.runtime.equality import Equality
from ponder.runtime.preflight import executes, followed_by, misfits
from ponder.store import RunFile, RunWriter, Samples

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ponder.core.calls import Prices
    from ponder.core.prefix import Segment
    from ponder.core.protocols import Engine, Memory

STOPPED = 130
"""The exit code of what was stopped before its end."""
SAID = 10
"""Items whose tests are wrong that are named."""
MANY = 50
"""Problems of each task if nothing is said."""


class Ray(NamedTuple):
    """On which cluster, and what its workers open: models by role, and the memory, by their names."""

    address: str
    workers: int | None
    models: Mapping[str, str | None]
    memory: str | None

    @classmethod
    def said(
        cls,
        address: str | None,
        workers: int | None,
        models: Mapping[str, str | None],
        memory: str | None = None,
    ) -> Ray | None:
        """As a command says it; None: on no cluster.

        Raises:
            UsageError: there are to be workers, and no cluster.

        """
        if address is not None:
            placed = {role: config.placed(name) for role, name in models.items()}
            return cls(address, workers, placed, config.placed(memory))
        if workers is not None:
            raise UsageError(
                "--workers says how many there are on a cluster. Say which with --ray, or leave it out."
            )
        return None


def load(named: Sequence[str], limits: Sequence[str], ids: Sequence[str], seed: int) -> list[Tasks]:
    """The items of tasks, the part of each that is said (`Part.parse`), once for all or for each; then those named.

    Raises:
        UsageError: there is no such task or item, it cannot be read, or the limits make no sense.

    """
    parts = [Part.parse(limit) for limit in limits] or [Part() if ids else Part(stop=MANY)]
    if len(parts) not in (1, len(named)):
        raise UsageError(
            f"There are {len(named)} tasks and {len(parts)} limits. Give one for all, or one for each."
        )
    return those_named([_load(task, parts[i % len(parts)], seed) for i, task in enumerate(named)], ids)


def _load(task: str, part: Part, seed: int) -> Tasks:
    """Those of a simulated world, too, which are no use for a real model."""
    if task.partition(":")[0] == "simulated":
        world = Simulated.named(task).world
        return part.of(Tasks(task, world.items(part.limit or 2 * MANY, part.start)))
    return part.of(tasks.load(task, limit=part.limit, seed=seed, offset=part.start))


def worst(plan: Plan, prices: Prices | None) -> str:
    """What an evaluation costs at most; samples that arms share are made once, so that it will be less."""
    times = len(plan.items) * len(plan.seeds)
    said = f"{len(plan):,} attempts: {len(plan.items):,} problems, {len(plan.arms)} arms, {len(plan.seeds)} seeds."
    budgets = [Budget.parse(arm.budget) for arm in plan.arms]
    if any(b.tokens is None for b in budgets):
        return f"{said} Not every arm limits its tokens: give -b tokens to know what it costs at most."
    tokens = times * sum(b.tokens or 0 for b in budgets)
    said += f" At most {tokens:,} completion tokens"
    if prices is not None:
        said += f", ${tokens * prices.completion / 1e6:,.2f} at ${prices.completion:g} a million; what is read comes on top"
    return said + "."


def evaluate(
    plan: Plan,
    engines: Mapping[str, Engine],
    settings: config.Settings,
    *,
    named: Sequence[str],
    afresh: bool,
    quiet: bool,
    given: Mapping[tuple[str, int], Segment] | None = None,
    memory: Memory | None = None,
    ray: Ray | None = None,
    complaints: Sequence[str] = (),
) -> tuple[Path, int]:
    """Make the attempts that are not made yet; the run file, and the exit code. `given` are samples to begin with,
    `complaints` what the report is to say of problems that were left out.

    With `ray` they are made on a cluster, on engines of its own; these say only what the model can do.

    Raises:
        UsageError: an arm cannot run on these engines.
        StoreError: the run file cannot be written.

    """
    policies = config.policies(settings)
    strategies = plan.strategies()
    for told_of in misfits(strategies, engines, policies):
        say(told_of)
    runs = any(map(executes, strategies)) or any(item.grader == TESTS for item in plan.items)
    known: Mapping[tuple[str, int], Segment] | None = given
    done = frozenset[tuple[str, str, str, int]]()
    ran: dict[Any, Any] = {}
    shown: dict[tuple[str, str, str, int], Shown] = {}
    followed = {name: policies.text(name) for name in followed_by(strategies, engines, policies)}
    about = _about(plan, engines, named, followed, memory) | (
        {"complaints": list(complaints)} if complaints else {}
    )
    path = None if afresh else _begun(settings.runs, about["fingerprint"])
    if path is not None:
        with RunFile.open(path) as before:
            done = finished(before)
            if runs:
                ran = recorded(
                    event for row in before.attempts() for event in before.events(row.id, kinds=(Executed,))
                )
            shown = _shown(before, done) if plan.asks else {}
        if plan.over(done):
            say(f"The run {path.stem} is complete already; --fresh measures again.")
            return path, 0
        of = "" if plan.asks else f" of {len(plan):,}"
        say(f"Going on with the run {path.stem}: {len(done):,}{of} attempts are finished.")
    if ray is not None:
        answers(ray.address)
    if runs:
        anyio.run(_sees_a_sandbox)
    board = Board(plan)
    equality = Equality()
    graders = Graders(equality, sandbox=config.sandbox())
    writer: RunWriter | None = None
    files = ExitStack()
    try:
        if path is None:
            check(plan, engines, config.scorers(), memory)  # nothing is laid out before
            writer = RunWriter.create(
                settings.runs, command=sys.argv[1:], versions=config.versions(), meta={"evaluation": about}
            )
            for item in plan.items:
                writer.item(item.problem.id, item_body(item))
            writer.flush()
        else:
            writer = RunWriter.resume(path)
            before = files.enter_context(RunFile.open(path))
            known = Samples(before, known)
        tell = None if quiet else board.tell
        evaluation: Evaluation | Cluster
        if ray is not None:
            outfit = partial(
                config.outfit, ray.models, settings, {name: policies[name] for name in followed}, ray.memory
            )
            evaluation = Cluster(
                plan,
                partial(partial, outfit),
                address=ray.address,
                workers=ray.workers,
                versions=config.code,
                writer=writer,
                known=known,
                finished=done,
                wrong=graders.programs.wrong,
                tell=tell,
                say=say,
            )
        else:
            evaluation = Evaluation(
                plan,
                engines,
                writer=writer,
                grader=graders,
                equality=equality,
                scorers=config.scorers(),
                policies=policies,
                known=known,
                finished=done,
                shown=shown,
                memory=memory,
                sandbox=Shared(config.sandbox(), ran) if runs else None,
                tell=tell,
            )
        with board:
            ended = anyio.run(_interruptible, evaluation, graders, equality)
        for told_of in _wrong_tests(graders):
            say(told_of)
    finally:
        files.close()  # first, for a writer that is alone leaves one file
        if writer is not None:
            writer.close()
    if plan.asks and not evaluation.tally.done:
        say(
            "The total budget does not pay for one attempt at any problem. Give some hundred tokens a problem."
        )
    if ended:
        of = "" if plan.asks else f" of {len(plan):,}"
        say(f"Stopped after {evaluation.tally.done:,}{of} attempts. Go on: {_command()}")
        return writer.path, STOPPED
    return writer.path, 5 if evaluation.tally.failed else 0


def _wrong_tests(graders: Graders) -> Iterator[str]:
    """What to say of tests by which nobody could be graded."""
    wrong = graders.programs.wrong
    for name, why in list(wrong.items())[:SAID]:
        yield f"{name}: its tests are wrong, and nobody is graded by them; {why}."
    if len(wrong) > SAID:
        yield f"So are those of {len(wrong) - SAID} more."


async def _sees_a_sandbox() -> None:
    """See that programs can be run, before anything is asked of a model.

    Raises:
        NoSandbox: they cannot.

    """
    try:
        await config.sandbox().check()
    finally:
        await config.sandbox().aclose()


async def _interruptible(evaluation: Evaluation | Cluster, graders: Graders, equality: Equality) -> bool:
    """Run to the end; True: it was asked to stop before. Asked once it finishes what runs, asked twice it stops."""
    asked = False

    async def listen(scope: anyio.CancelScope) -> None:
        nonlocal asked
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                if asked:
                    scope.cancel()
                    return
                asked = True
                evaluation.end()
                say("Finishing the attempts that run. Ctrl-C again stops at once; what is finished is kept.")

    try:
        async with anyio.create_task_group() as group:
            if sys.platform != "win32":
                group.start_soon(listen, group.cancel_scope)
            await evaluation.run()
            group.cancel_scope.cancel()
    except BaseExceptionGroup as errors:
        error: BaseException = errors
        only_told = errors.split(PonderError)[1] is None  # then the first says what they all say
        while isinstance(error, BaseExceptionGroup) and (only_told or len(error.exceptions) == 1):
            error = error.exceptions[0]
        raise error from None
    finally:
        with anyio.CancelScope(shield=True):
            await graders.aclose()
            await equality.aclose()
            await config.sandbox().aclose()
    return asked


def _about(
    plan: Plan,
    engines: Mapping[str, Engine],
    named: Sequence[str],
    policies: Mapping[str, str],
    memory: Memory | None,
) -> dict[str, Any]:
    """What makes two commands the same evaluation, and its name."""
    models = told(engines)
    able = {what: models.pop(what) for what in ("can", "context")}  # of newer versions it may be more
    about: dict[str, Any] = {
        "tasks": list(named),
        **models,
        "arms": [[arm.strategy, arm.budget] for arm in plan.arms],
        "seeds": list(plan.seeds),
        **({"total": True} if plan.asks else {}),
        **({"policies": dict(policies)} if policies else {}),
        **({"memory": [memory.name, _digest(getattr(memory, "texts", ()))]} if memory else {}),
    }
    items = {item.problem.id: item_body(item) for item in plan.items}
    return about | able | {"fingerprint": _digest([about, items])}


def _digest(whole: Any) -> str:
    text = json.dumps(whole, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _shown(
    run: RunFile, done: frozenset[tuple[str, str, str, int]]
) -> dict[tuple[str, str, str, int], Shown]:
    """What came of the jobs that are finished, by name."""
    rows = {(row.strategy, row.budget, row.problem, row.seed): row.id for row in run.attempts()}
    return {name: Shown.of(run.events(rows[name])) for name in done}


def _begun(runs: Path, fingerprint: str) -> Path | None:
    """The newest run file of the same evaluation."""
    for path in sorted(runs.glob("*.sqlite"), reverse=True):
        try:
            with RunFile.open(path) as run:
                if run.meta().get("evaluation", {}).get("fingerprint") == fingerprint:
                    return path
        except StoreError:
            continue
    return None


def _command() -> str:
    return shlex.join(["ponder", *sys.argv[1:]])
