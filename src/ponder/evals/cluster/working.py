"""A worker: an actor of Ray's that makes the attempts at the items it is given, as the harness makes them."""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ponder.core.errors import PonderError, UsageError
from ponder.evals.cluster.relaying import Broke, Counted, Misjudged, Missed, Opened, Over, Relay, Took
from ponder.evals.executions import Shared
from ponder.evals.graders import Graders
from ponder.evals.harness import Evaluation, Tally
from ponder.runtime.equality import Equality

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from ponder.core.policy import Policy
    from ponder.core.prefix import Segment
    from ponder.core.protocols import Engine, Memory, Scorer
    from ponder.evals.cluster.relaying import Row
    from ponder.evals.plan import Plan
    from ponder.evals.values import Item
    from ponder.sandbox import Sandbox

PAUSE = 0.05
"""Seconds for which rows are gathered before they are sent: as long as the run file gathers what it commits."""


class Outfit(NamedTuple):
    """What attempts are made with. `at_once` is of servers, which do not say how many calls they take."""

    engines: Mapping[str, Engine]
    scorers: Mapping[str, Scorer]
    policies: Mapping[str, Policy]
    memory: Memory | None
    sandbox: Sandbox
    at_once: int | None
    close: Callable[[], None]


class Portion(NamedTuple):
    """An item to attempt, and what is done of it already."""

    item: Item
    finished: frozenset[tuple[str, str, str, int]]
    known: Mapping[tuple[str, int], Segment]


class Begins(NamedTuple):
    """Who a worker is."""

    host: str
    process: int
    versions: Mapping[str, str]


class Worker:
    """See the module. Its methods run in one event loop, `open` aside.

    Args:
        outfit: makes what attempts are made with, on the worker's machine.
        versions: of ponder there.
        plan: with the arms and the seeds; the items come one by one.
        run: the id of the run.

    """

    def __init__(
        self, outfit: Callable[[], Outfit], versions: Callable[[], Mapping[str, str]], plan: Plan, run: str
    ) -> None:
        self._outfit, self._versions, self._plan = outfit, versions, plan
        self._relay = Relay(run)
        self._given: asyncio.Queue[Portion | None] = asyncio.Queue()
        self._missed: dict[tuple[str, int], asyncio.Future[Segment | None]] = {}
        self._evaluation: Evaluation | None = None
        self._generated = 0
        self._ending = False

    async def begin(self) -> Begins:
        """Who it is; asked before anything is opened, for a worker of another version may not even know how."""
        return Begins(socket.gethostname(), os.getpid(), self._versions())

    async def give(self, portion: Portion | None) -> None:
        """One item more, or none any more."""
        self._given.put_nowait(portion)

    async def end(self) -> None:
        """Begin no further attempt."""
        self._ending = True
        if self._evaluation is not None:
            self._evaluation.end()
        self._given.put_nowait(None)

    async def hear(self, key: str, nth: int, segment: Segment | None) -> None:
        """What was kept of a sample that it `Missed`; None: nothing."""
        self._missed.pop((key, nth)).set_result(segment)

    async def attempts(self, *, begun: bool) -> AsyncIterator[list[Row]]:
        """Make the attempts at all items that are given; rows come while it works. The last may say that it broke.

        `begun`: samples were kept by an earlier part of the run, and are asked for.
        """
        task = asyncio.ensure_future(self._work(self._miss if begun else None))
        try:
            while not task.done():
                await asyncio.wait([task], timeout=PAUSE)
                if rows := self._relay.take():
                    yield rows
            try:
                task.result()
            except PonderError as error:
                yield [Broke(str(error), isinstance(error, UsageError))]
        finally:
            task.cancel()

    async def _miss(self, key: str, nth: int) -> Segment | None:
        self._missed[key, nth] = asyncio.get_running_loop().create_future()
        self._relay.add(Missed(key, nth))
        return await self._missed[key, nth]

    async def _work(self, look_up: Callable[[str, int], Awaitable[Segment | None]] | None) -> None:
        outfit = await asyncio.to_thread(self._outfit)  # where it may run a loop of its own
        equality = Equality()
        graders = Graders(equality, sandbox=outfit.sandbox)
        try:
            self._evaluation = Evaluation(
                self._plan,
                outfit.engines,
                writer=self._relay,
                grader=graders,
                equality=equality,
                scorers=outfit.scorers,
                policies=outfit.policies,
                memory=outfit.memory,
                sandbox=Shared(outfit.sandbox),
                at_once=outfit.at_once,
                look_up=look_up,
                tell=self._told,
                over=lambda problem, samples: self._over(graders, problem, samples),
            )
            if self._ending:
                return
            self._relay.add(Opened())
            await self._evaluation.run(self._items(self._evaluation))
        finally:
            await graders.aclose()
            await equality.aclose()
            await asyncio.to_thread(outfit.close)

    async def _items(self, evaluation: Evaluation) -> AsyncIterator[Item]:
        while (portion := await self._given.get()) is not None:
            self._relay.add(Took())
            evaluation.had(portion.finished, portion.known)
            yield portion.item

    def _over(self, graders: Graders, problem: str, samples: frozenset[tuple[str, int]]) -> None:
        if problem in graders.programs.wrong:
            self._relay.add(Misjudged(problem, graders.programs.wrong[problem]))
        self._relay.add(Over(problem, samples))

    def _told(self, tally: Tally) -> None:
        """Send what is new, and begin to count anew."""
        self._relay.add(Counted(replace(tally, generated=tally.generated - self._generated)))
        self._generated = tally.generated
        if self._evaluation is not None:
            self._evaluation.tally = Tally(0)
