"""The harness: every arm at every item with every seed, once, whatever happens in between."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

import anyio

from ponder.core.calls import Budget, Usage
from ponder.core.errors import AllFailed, EngineError, UsageError
from ponder.evals.attacks.red_teaming import played
from ponder.evals.plan import Shown
from ponder.evals.pool import Pool
from ponder.runtime.preflight import check_memory, check_roles, check_sandbox, preflight, recalls, roles
from ponder.runtime.solve import solve
from ponder.strategies import parse

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterable,
        AsyncIterator,
        Awaitable,
        Callable,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )

    from anyio.abc import TaskGroup

    from ponder.core.events import Event
    from ponder.core.executions import Executes
    from ponder.core.policy import Policy
    from ponder.core.prefix import Segment
    from ponder.core.protocols import Engine, KeysOf, Memory, Result, Scorer
    from ponder.evals.plan import Job, Plan
    from ponder.evals.pool import Drawn
    from ponder.evals.values import Item

AT_ONCE = 32
"""Calls in flight that are aimed at, where the engine does not say how many it runs side by side."""
CROWD = 4
"""Attempts at once, for each call aimed at: those that only read from the pool cost next to nothing."""
BEHIND = 256
"""Rows that may wait for the disk before samples do: on a slow one this bounds what a kill loses."""
IN_A_ROW = 8
"""Attempts that may break one after the other before the model is taken to be dead."""


class Recording(Protocol):
    """A watcher that keeps the events of the attempt with this id."""

    @property
    def id(self) -> int: ...
    def __call__(self, event: Event) -> None: ...


class Writer(Protocol):
    """Keeps what an evaluation makes: a `store.RunWriter`, or what sends it to one."""

    @property
    def id(self) -> str: ...
    @property
    def behind(self) -> int: ...
    def attempt(self, **labels: Any) -> Recording: ...
    def sample(self, key: str, nth: int, segment: Segment) -> None: ...
    def grade(self, attempt: int, place: str, correct: bool | None) -> None: ...


class Grader(Protocol):
    """Says whether an answer is right; None where nobody can tell."""

    async def grade(self, item: Item, answer: str | None) -> bool | None: ...


@dataclass(slots=True)
class Tally:
    """How far it is. `charged` is what ledgers were charged, `generated` what was really sampled, in tokens."""

    total: int
    done: int = 0
    failed: int = 0
    charged: Usage = field(default_factory=Usage)
    generated: int = 0
    right: dict[str, list[bool]] = field(default_factory=dict)  # by item

    def add(self, more: Tally) -> None:
        """What others did of the same plan."""
        self.done += more.done
        self.failed += more.failed
        self.charged += more.charged
        self.generated += more.generated
        for item, graded in more.right.items():
            self.right.setdefault(item, []).extend(graded)


def check(
    plan: Plan, engines: Mapping[str, Engine], scorers: Mapping[str, Scorer], memory: Memory | None = None
) -> None:
    """See that every arm can run on the engines, before the first token.

    Raises:
        UsageError: with what cannot and why; or nothing is to be attempted.

    """
    if not len(plan):
        raise UsageError(
            "There is nothing to evaluate: no problems or no strategies. Name a task that has some."
        )
    strategies = plan.strategies()
    check_roles(engines, strategies, scorers)
    check_memory(memory, *strategies)
    for strategy in strategies:
        preflight(strategy, engines, scorers)
    for arm in plan.arms:
        Budget.parse(arm.budget)


class Evaluation:
    """Runs a plan on engines and writes down all that comes of it.

    Args:
        plan: what to attempt.
        engines: on what, by role; "solver" plays every role that has no engine of its own.
        writer: of the run file; each attempt, sample and grade goes there as it comes.
        grader: of answers.
        equality: of answers, for votes.
        scorers: by name.
        policies: by name.
        known: samples kept by an earlier part of this run. They are only looked up, each when it is drawn again.
        look_up: the same, where looking takes time.
        finished: names of the jobs (`Job.name`) that are done already.
        shown: what came of those, for a plan that is made as it goes.
        at_once: calls in flight that are aimed at.
        memory: what the strategies recall from.
        sandbox: where they run programs.
        tell: called with the tally after each attempt.
        over: called with each problem that has no attempt left, and the names of the samples it drew.

    """

    def __init__(
        self,
        plan: Plan,
        engines: Mapping[str, Engine],
        *,
        writer: Writer,
        grader: Grader,
        equality: KeysOf,
        scorers: Mapping[str, Scorer] | None = None,
        policies: Mapping[str, Policy] | None = None,
        known: Mapping[tuple[str, int], Segment] | None = None,
        look_up: Callable[[str, int], Awaitable[Segment | None]] | None = None,
        finished: frozenset[tuple[str, str, str, int]] = frozenset(),
        shown: Mapping[tuple[str, str, str, int], Shown] | None = None,
        at_once: int | None = None,
        memory: Memory | None = None,
        sandbox: Executes | None = None,
        tell: Callable[[Tally], None] | None = None,
        over: Callable[[str, frozenset[tuple[str, int]]], None] | None = None,
    ) -> None:
        self.tally = Tally(len(plan), done=sum(job.name in finished for job in plan.jobs()))
        self._plan = plan
        self._engines = engines
        self._writer = writer
        self._grader = grader
        self._equality = equality
        self._scorers = scorers or {}
        self._policies = policies or {}
        self._memory = memory
        self._sandbox = sandbox
        self._known: dict[tuple[str, int], Segment] = {}
        self._kept = {} if known is None else known
        self._look_up = look_up
        self._finished = set(finished)
        self._at_once: int = at_once or sum(
            int(getattr(engine, "sequences", AT_ONCE))
            for engine in {id(engine): engine for engine in engines.values()}.values()
        )
        self._tell = tell or (lambda _: None)
        self._over = over or (lambda *_: None)
        self._jobs_left = Counter[str]()
        self._drawn: dict[str, set[tuple[str, int]]] = {}
        self._shown = dict(shown or {})
        self._ending = False
        self._in_a_row = 0
        self._last: Exception | None = None

    def end(self) -> None:
        """Begin no further attempt; those that run come to their end."""
        self._ending = True

    def had(
        self,
        finished: Iterable[tuple[str, str, str, int]],
        known: Mapping[tuple[str, int], Segment],
    ) -> None:
        """More that was done already, as at the beginning; before its item is reached."""
        self._finished.update(finished)
        self._known.update(known)

    async def run(self, items: AsyncIterable[Item] | None = None) -> None:
        """Make every attempt that is not finished, at the plan's items or at those that come.

        Raises:
            EngineError: the model broke so often in a row that it is taken to be dead; all else is kept.

        """
        if items is None:
            check(self._plan, self._engines, self._scorers, self._memory)
        check_sandbox(self._sandbox, *(parse(arm.strategy) for arm in self._plan.arms))
        async with anyio.create_task_group() as generating:
            pool = Pool(
                self._engines,
                generating,
                keep=self._keep,
                known=self._known,
                kept=self._kept,
                look_up=self._look_up,
            )
            for groups in self._rounds(items):
                async with anyio.create_task_group() as attempts:
                    await self._begin_all(pool, attempts, groups)
                if self._ending:
                    break
            generating.cancel_scope.cancel()  # samples that nobody waits for any more
        if self._in_a_row >= IN_A_ROW:
            raise EngineError(
                f"{IN_A_ROW} attempts in a row broke; the last said: {self._last} What was finished is kept: mend the "
                "model and run the same command again."
            )

    def _rounds(self, items: AsyncIterable[Item] | None) -> Iterator[AsyncIterable[Sequence[Job]]]:
        """What is begun together, item by item."""
        if items is not None:
            yield (list(self._plan.of(item)) async for item in items)
            return
        for jobs in self._plan.rounds(lambda job: self._shown.get(job.name)):
            yield _by_item(jobs)

    async def _begin_all(self, pool: Pool, attempts: TaskGroup, groups: AsyncIterable[Sequence[Job]]) -> None:
        turn = anyio.Semaphore(CROWD * self._at_once)
        async for group in groups:
            jobs = [job for job in group if job.name not in self._finished]
            self.tally.total = max(self.tally.total, self.tally.done + len(jobs))
            self._jobs_left.update(job.item.problem.id for job in jobs)
            for job in jobs:
                await pool.room(self._at_once)
                await turn.acquire()
                if self._ending:
                    return
                began = anyio.Event()
                attempts.start_soon(partial(self._attempt, job, began, pool, turn))
                await began.wait()  # only then is it known what it adds to the calls in flight

    async def _keep(self, key: str, nth: int, segment: Segment) -> None:
        self._writer.sample(key, nth, segment)
        while self._writer.behind > BEHIND:  # noqa: ASYNC110 - another thread writes, and has no event of ours
            await anyio.sleep(0.005)

    async def _attempt(self, job: Job, began: anyio.Event, pool: Pool, turn: anyio.Semaphore) -> None:
        strategy = played(parse(job.arm.strategy), job.item)
        parts = roles(strategy, self._scorers)
        drawn = pool.attempt(job.seed, began)
        part = {"part": [job.part.strategy, job.part.budget]} if job.part else {}
        recording = self._writer.attempt(oracle=job.arm.oracle, task=job.item.task, **part)
        events: list[Event] = []
        try:
            result = await solve(
                job.item.problem,
                strategy,
                {role: engine for role, engine in drawn.items() if parts is None or role in parts},
                equality=self._equality,
                scorers=self._scorers,
                policies=self._policies,
                budget=Budget.parse(job.arm.budget),
                seed=job.seed,
                memory=self._memory if recalls(strategy) else None,
                sandbox=self._sandbox,
                watchers=[recording, *([events.append] if self._plan.asks else [])],
                trace=self._writer.id,
            )
        except (EngineError, AllFailed) as error:
            self.tally.failed += 1
            self._in_a_row += 1
            self._last = error
            if self._in_a_row >= IN_A_ROW:
                self.end()
        else:
            self._in_a_row = 0
            await self._grade(job, recording.id, result)
            if self._plan.asks:
                self._shown[job.name] = Shown.of(events)
        finally:
            began.set()
            turn.release()
            self._forget(job, drawn.values(), pool)
        self.tally.done += 1
        self.tally.generated = pool.generated
        self._tell(self.tally)

    def _forget(self, job: Job, drawn: Iterable[Drawn], pool: Pool) -> None:
        """Once a problem has no attempt left, memory need not hold its samples."""
        problem = job.item.problem.id
        names = self._drawn.setdefault(problem, set())
        names.update(*(engine.names for engine in drawn))
        self._jobs_left[problem] -= 1
        if not self._jobs_left[problem] and not self._plan.asks:  # else a later round may want them
            drawn_of_it = frozenset(self._drawn.pop(problem))
            pool.forget(drawn_of_it)
            self._over(problem, drawn_of_it)

    async def _grade(self, job: Job, attempt: int, result: Result) -> None:
        """Grade the answer and those of the candidates; a grade in the file says that the attempt is complete."""
        candidates = result.choice.candidates if result.choice else ()
        answers = {"": result.answer} | {c.path.place: c.answer for c in candidates if c.path.place}
        known: dict[str | None, bool | None] = {}
        for answer in dict.fromkeys(answers.values()):
            known[answer] = await self._grader.grade(job.item, answer)
        for place, answer in answers.items():
            if place:
                self._writer.grade(attempt, place, known[answer])
        self._writer.grade(attempt, "", known[result.answer])
        self.tally.charged += result.usage
        if (right := known[result.answer]) is not None:
            self.tally.right.setdefault(job.item.problem.id, []).append(right)


async def _by_item(jobs: Iterable[Job]) -> AsyncIterator[Sequence[Job]]:
    for _, group in groupby(jobs, key=lambda job: job.item.problem.id):
        yield list(group)
