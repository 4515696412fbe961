"""The driver: gives items to workers, keeps what they send, and gives out again what a dead one had."""

from __future__ import annotations

import sys
from collections import Counter, deque
from contextlib import redirect_stdout
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio

from ponder.core.errors import EngineError, UsageError
from ponder.evals.cluster.joining import joined, left
from ponder.evals.cluster.relaying import (
    Attempt,
    Broke,
    Counted,
    Drawn,
    Graded,
    Happened,
    Misjudged,
    Missed,
    Opened,
    Over,
    Received,
    Took,
)
from ponder.evals.cluster.working import Portion, Worker
from ponder.evals.harness import BEHIND, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from ponder.core.prefix import Segment
    from ponder.evals.cluster.relaying import Row
    from ponder.evals.cluster.working import Begins, Outfit
    from ponder.evals.plan import Plan
    from ponder.evals.values import Item
    from ponder.store import RunWriter

AHEAD = 2
"""Items that a worker has before it asks, so that it need not wait for one."""
DEATHS = 2
"""Workers that may die with a problem; the second has nothing else, and then it is left out."""


class Cluster:
    """Runs a plan as `harness.Evaluation` does, on the workers of a Ray cluster.

    Each item's attempts are made by one worker, so that its arms share their samples; each worker has an outfit of
    its own. All that they make comes here, to the one writer. A worker that dies is replaced, and its items are given
    out again, behind all others, with the attempts and samples that came from it. One that dies before its model
    was open is not replaced: it would only die again. Samples of an earlier part of the run stay in its file until a
    worker misses one.

    Args:
        plan: what to attempt; it was checked.
        outfit: makes a worker's outfit, on its machine; how many workers there are is told.
        address: see `joining.joined`.
        workers: how many; None is one for each machine of the cluster.
        versions: of ponder, asked here and on every worker: they must be the same.
        writer: of the run file.
        known, finished: as `Evaluation` has them.
        wrong: where items whose tests are wrong are put, and why (`graders.programs.Programs`).
        tell: called with the tally after each attempt.
        say: called with what a person should know: who works, who died.

    """

    def __init__(
        self,
        plan: Plan,
        outfit: Callable[[int], Callable[[], Outfit]],
        *,
        address: str,
        workers: int | None,
        versions: Callable[[], Mapping[str, str]],
        writer: RunWriter,
        known: Mapping[tuple[str, int], Segment] | None = None,
        finished: frozenset[tuple[str, str, str, int]] = frozenset(),
        wrong: dict[str, str] | None = None,
        tell: Callable[[Tally], None] | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.tally = Tally(len(plan), done=sum(job.name in finished for job in plan.jobs()))
        self._wrong = {} if wrong is None else wrong
        self._plan, self._outfit, self._address, self._workers = plan, outfit, address, workers
        self._versions, self._writer, self._known, self._finished = (
            versions,
            writer,
            known,
            set(finished),
        )
        self._tell = tell or (lambda _: None)
        self._say = say or (lambda _: None)
        self._waiting = deque(
            item for item in plan.items if any(job.name not in finished for job in plan.of(item))
        )
        self._open = {item.problem.id for item in self._waiting}
        self._deaths: Counter[str] = Counter()
        self._left_out: list[str] = []
        self._again: dict[str, Mapping[tuple[str, int], Segment]] = {}
        self._hands: list[_Hand] = []
        self._ending = False
        self._last: EngineError | None = None

    def end(self) -> None:
        """Begin no further attempt; those that run come to their end."""
        self._ending = True
        self._waiting.clear()
        for hand in self._hands:
            hand.actor.end.remote()

    async def run(self) -> None:
        """Make every attempt that is not finished.

        Raises:
            UsageError: the cluster cannot be joined or has no room, or a worker cannot do this, for example because
                its ponder is another one.
            EngineError: no worker is left that could go on, or problems were left out; what was finished is kept.

        """
        with redirect_stdout(sys.stderr):  # Ray's own threads print there, and stdout is for the answer
            ray = joined(self._address, workers=self._workers)
            try:
                workers = self._counted(ray)
                async with anyio.create_task_group() as group:
                    for _ in range(workers):
                        group.start_soon(self._place, ray, workers)
            finally:
                left(ray)
        if self._open and not self._ending:
            raise EngineError(
                f"No worker is left. The last one said: {self._last} What was finished is kept: mend it and run the same "
                "command again."
            )
        if self._left_out:
            raise EngineError(
                f"Workers died with these problems again and again, so they were left out: {', '.join(self._left_out)}. "
                "Everything else is kept."
            )

    def _counted(self, ray: ModuleType) -> int:
        """How many workers there are to be.

        Raises:
            UsageError: more than there are processors free.

        """
        free = int(ray.available_resources().get("CPU", 0))
        wanted = self._workers or sum(node["Alive"] for node in ray.nodes())
        if wanted > free:
            raise UsageError(
                f"{wanted} workers need a processor each, and the cluster has {free} free. Ask for fewer (--workers), "
                "or wait until others are done."
            )
        return min(wanted, max(1, len(self._waiting)))

    async def _place(self, ray: ModuleType, workers: int) -> None:
        """One worker after the other, until all is done or one dies before its model was open."""
        kind = ray.remote(num_cpus=1, max_restarts=0, max_concurrency=1000, scheduling_strategy="SPREAD")(
            Worker
        )
        while self._open and not self._ending:
            actor = kind.remote(
                self._outfit(workers), self._versions, replace(self._plan, items=()), self._writer.id
            )
            hand = _Hand(actor, Received(self._writer))
            try:
                await self._employ(hand)
            except ray.exceptions.RayActorError as error:
                self._say(f"A worker{hand.where} died. What it had is given out again.")
                if not hand.opened:
                    self._last = EngineError(
                        f"A worker{hand.where} died before its model was open: {_short(error)}"
                    )
                    return
            except EngineError as error:
                self._say(f"The worker{hand.where} ended: {error}")
                self._last = error
                return
            else:
                return
            finally:
                if hand in self._hands:
                    self._hands.remove(hand)
                hand.received.break_off()
                self._take_back(hand)
                ray.kill(actor)

    async def _employ(self, hand: _Hand) -> None:
        begins = await self._begin(hand)
        hand.process = begins.process
        hand.where = f" on {begins.host} (process {begins.process})"
        if self._ending or not self._open:
            return
        self._hands.append(hand)
        stream = hand.actor.attempts.options(num_returns="streaming").remote(begun=self._known is not None)
        async for rows in stream:
            for row in await rows:
                self._receive(hand, row)
            while self._writer.behind > BEHIND:  # noqa: ASYNC110 - another thread writes, and has no event of ours
                await anyio.sleep(0.005)

    async def _begin(self, hand: _Hand) -> Begins:
        """Who the worker is.

        Raises:
            UsageError: its ponder is another one, or it has none.

        """
        try:
            begins: Begins = await hand.actor.begin.remote()
        except Exception as error:
            if "No module named" in str(error) and "ponder" in str(error):
                raise UsageError(
                    "A worker has no ponder, or another version of it. Install the same one on every machine of the "
                    "cluster."
                ) from None
            raise
        here = self._versions()
        if begins.versions != here:
            theirs = ", ".join(f"{name} {version}" for name, version in begins.versions.items())
            ours = ", ".join(f"{name} {version}" for name, version in here.items())
            raise UsageError(
                f"The worker on {begins.host} runs {theirs}, and this is {ours}. Install the same on every machine of the "
                "cluster: what they measure goes into one table."
            )
        return begins

    def _receive(self, hand: _Hand, row: Row) -> None:
        match row:
            case Attempt() | Happened() | Graded() | Drawn():
                hand.received.write(row)
            case Opened() | Took():
                hand.asked += 1 if hand.opened else AHEAD
                hand.opened = True
                self._feed(hand)
            case Missed(key, nth):
                kept = None if self._known is None else self._known.get((key, nth))
                hand.actor.hear.remote(key, nth, kept)
            case Counted(more):
                self.tally.add(more)
                self._tell(self.tally)
            case Misjudged(problem, why):
                self._wrong[problem] = why
            case Over(problem):
                hand.received.forget(row)
                hand.portions.pop(problem, None)
                self._close(problem)
                self._feed(hand)
            case Broke(said, usage):
                raise UsageError(said) if usage else EngineError(said)

    def _feed(self, hand: _Hand) -> None:
        """As many items as it has asked for, as far as there are some for it."""
        while hand.asked and (item := self._next(hand)):
            hand.asked -= 1
            name = item.problem.id
            done = frozenset(job.name for job in self._plan.of(item) if job.name in self._finished)
            hand.portions[name] = Portion(item, done, self._again.pop(name, {}))
            hand.actor.give.remote(hand.portions[name])

    def _next(self, hand: _Hand) -> Item | None:
        """An item for a worker. One that a worker died with is attempted alone, so that it drags no other along."""
        if not self._waiting or any(self._deaths[name] for name in hand.portions):
            return None
        if self._deaths[self._waiting[0].problem.id] and hand.portions:  # and so are all that wait behind it
            return None
        return self._waiting.popleft()

    def _close(self, problem: str) -> None:
        """A problem is done with; after the last, no worker waits for another."""
        self._open.discard(problem)
        if not self._open:
            for hand in self._hands:
                hand.actor.give.remote(None)

    def _take_back(self, hand: _Hand) -> None:
        """What a worker had and did not finish waits again, behind all others."""
        for name, portion in hand.portions.items():
            self._finished |= hand.received.finished.get(name, set())
            self._again[name] = {**portion.known, **hand.received.samples}
            self._deaths[name] += 1
            if self._deaths[name] >= DEATHS:
                self._left_out.append(name)
                self._close(name)
            elif not self._ending:
                self._waiting.append(portion.item)
        for other in self._hands:
            self._feed(other)


class _Hand:
    """A worker as the driver has it: its actor, what it has, and how many items it waits for."""

    def __init__(self, actor: Any, received: Received) -> None:
        self.actor = actor
        self.received = received
        self.portions: dict[str, Portion] = {}
        self.opened = False
        self.asked = 0
        self.process = 0
        self.where = ""


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
