"""The verbs: what they promise is in `core.protocols.Run`, and what a call goes through in `runtime.calls`."""

from __future__ import annotations

import contextlib
import math
import random
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel

from ponder.core import events as e
from ponder.core.calls import Bill, Budget, Sampling, Usage
from ponder.core.errors import (
    AllFailed,
    BadScore,
    EngineError,
    OutOfBudget,
    PonderError,
    UnknownName,
    Unsupported,
    UsageError,
)
from ponder.core.prefix import Prefix
from ponder.core.protocols import Candidate, Choice
from ponder.runtime.behaviour import behaviours, executed
from ponder.runtime.calls import Call, Calls
from ponder.runtime.groups import draw_together
from ponder.runtime.ledger import Ledger
from ponder.runtime.place import at, derive, here, name
from ponder.runtime.preflight import (
    NO_MEMORY,
    NO_SANDBOX,
    find_policy,
    find_scorer,
    preflight,
    recorded,
    scored,
)
from ponder.runtime.tasks import before, side_by_side
from ponder.runtime.texts import think
from ponder.thinking.aggregation import aggregate
from ponder.thinking.aggregation import unit as to_unit
from ponder.thinking.called import canonical_calls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

    from anyio.lowlevel import EventLoopToken

    from ponder.core.executions import Execution, Input
    from ponder.core.markers import Markers
    from ponder.core.policy import Policy
    from ponder.core.protocols import Ability, Aggregation, Halt, Score, Scorer, Stop, Strategy
    from ponder.runtime.attempt import Attempt
    from ponder.runtime.place import Place

T = TypeVar("T")
R = TypeVar("R")


class _Enough(Exception):
    """Enough samples agree."""


class Run:
    """The verbs of `core.protocols.Run`, in one scope of the budget."""

    def __init__(
        self, attempt: Attempt, ledger: Ledger, outer: Run | None = None, given: Sequence[Prefix] = ()
    ) -> None:
        self.proposal: Choice | None = None
        self._attempt = attempt
        self._ledger = ledger
        self._calls: Calls = Calls(attempt, ledger, outer._calls if outer else None)
        self._given = list(given)
        self._place: Place = ()  # where the strategy begins
        self._strategy: anyio.CancelScope | None = None
        self._inner: Run | None = None  # who was delegated to last
        self._first: Choice | None = None  # the first answer that was read
        self._home: tuple[EventLoopToken | None, int] = (None, 0)  # where it runs

    @property
    def budget(self) -> Ledger:
        return self._ledger

    @property
    def rng(self) -> random.Random:
        now = here()
        if now.rng is None:
            now.rng = random.Random(derive(self._attempt.seed, self._attempt.problem.id, (*now.place, -1)))
        return now.rng

    # -- the verbs ------------------------------------------------------------------------------------------

    def policy(self, name: str | None, scorer: Scorer | str | None = None) -> Policy:
        model = self._attempt.engine("solver").capabilities.name
        return find_policy(name, scorer, model, self._attempt.policies)[0]

    def markers(self, name: str = "auto", role: str = "solver") -> Markers:
        return self._attempt.markers(name, role)

    async def encode(self, texts: Sequence[str], role: str = "solver") -> list[tuple[int, ...]]:
        return await self._attempt.encode(texts, role)

    def can(self, ability: Ability, role: str = "solver") -> bool:
        return ability in self._attempt.engine(role).capabilities.can

    async def extend(
        self,
        prefix: Prefix,
        *,
        role: str = "solver",
        visible: bool = False,
        halt: Halt | None = None,
        **sampling: Any,
    ) -> Prefix:
        call = Call(role, _sampling(sampling), halt, visible)
        return await think(self._calls, here().next(), prefix, call)

    async def sample(
        self,
        prefix: Prefix | Sequence[Prefix],
        n: int = 1,
        *,
        until: Callable[[Sequence[Candidate]], bool] | None = None,
        role: str | Sequence[str] = "solver",
        halt: Halt | None = None,
        **sampling: Any,
    ) -> list[Prefix]:
        roles = [role] if isinstance(role, str) else list(role)
        if n < 1 or not roles:
            raise UsageError(f"sample needs n of at least 1 and a role, not n={n} and role={role!r}.")
        calls = [Call(who, _sampling(sampling), halt) for who in roles]
        place = here().next()
        prefixes = [prefix] if isinstance(prefix, Prefix) else list(prefix)
        starts = [p for p in prefixes for _ in range(n)]
        if not starts:
            return []
        # Handed out before anything runs, like the places: tasks start in any order.
        drawn: dict[int, Prefix | PonderError] = {
            i: p for i, start in enumerate(starts) if (p := self._take(start))
        }
        if until is None and len(prefixes) == len(calls) == 1 and not drawn:
            drawn.update(enumerate(await draw_together(self._calls, place, prefixes[0], n, calls[0]) or ()))
        seen: list[Candidate] = []
        asked = 0
        asking = False

        async def one(i: int) -> None:
            nonlocal asked, asking
            try:
                if i not in drawn:
                    drawn[i] = await think(self._calls, (*place, i), starts[i], calls[i % len(calls)])
            except (EngineError, OutOfBudget) as error:
                drawn[i] = error
            # In order of index, not of time: the first to end are the shortest, and a vote among those is biased.
            # One task asks at a time, and nobody after a yes: it leaves `asking` set.
            if asking or until is None:
                return
            asking = True
            while asked in drawn:
                path = drawn[asked]
                asked += 1
                if isinstance(path, Prefix):
                    seen.extend(await self.read([path]))
                    if until(tuple(seen)):
                        raise _Enough
            asking = False

        with contextlib.suppress(_Enough):
            await side_by_side([partial(one, i) for i in range(len(starts)) if until or i not in drawn])
        outcomes = [drawn[i] for i in sorted(drawn)][: asked if until else None]
        paths = [path for path in outcomes if isinstance(path, Prefix)]
        if paths:
            return paths
        errors = [error for error in outcomes if isinstance(error, PonderError)]
        failed = [error for error in errors if not isinstance(error, OutOfBudget)]
        raise AllFailed(failed) if failed else errors[0]

    async def each(self, f: Callable[[T], Awaitable[R]], items: Iterable[T]) -> list[R]:
        place = here().next()

        async def one(i: int, item: T) -> R:
            with at((*place, i)):
                return await f(item)

        jobs = [partial(one, i, item) for i, item in enumerate(items)]
        return await side_by_side(jobs, patient=(OutOfBudget,))

    async def score(
        self,
        paths: Sequence[Prefix],
        *,
        by: Scorer | str | None = None,
        how: Aggregation | None = None,
        unit: bool = False,
    ) -> list[float]:
        scorer = self._scorer(by)
        scale = getattr(scorer, "scale", None) if unit else None
        place = here().next()
        with at(place):
            scope = Run(self._attempt, Ledger(None, self._ledger), self)
            scores: list[Score] = await scorer.score(self._attempt.problem, paths, scope)
        if len(scores) != len(paths):
            raise BadScore(f"The scorer {scorer.name} gave {len(scores)} scores for {len(paths)} paths.")
        of_paths = [score.steps if how and score.steps else (score.value,) for score in scores]
        values = [aggregate(to_unit(of, scale) if scale else of, how or "last") for of in of_paths]
        if any(math.isnan(value) for value in values):
            raise BadScore(
                f"The scorer {scorer.name} gave a score that is not a number; "
                "perhaps the engine records no log-probabilities."
            )
        if scale and (wrong := [value for value in values if not 0 <= value <= 1]):
            raise BadScore(f"The scorer {scorer.name} gives a {scale}, and one came to {wrong[0]:.4g}.")
        unread = sum(score.unread for score in scores)
        places = tuple(p.place for p in paths)
        self._attempt.emit(e.Scored(name(place), scorer.name, places, tuple(values), unread))
        return values

    @contextlib.asynccontextmanager
    async def charge(self, tokens: int) -> AsyncIterator[Bill]:
        if tokens < 0:
            raise UsageError(f"A scorer cannot read {tokens} tokens.")
        lease = await self._ledger.reserve(here().next(), kind="scorer", most=0, prompt=tokens)
        bill, scope, started = Bill(tokens), anyio.CancelScope(), anyio.current_time()
        try:
            with scope, self._calls.in_flight(scope):
                yield bill
            if scope.cancelled_caught:
                raise OutOfBudget(f"The scorer was cut off: the run was ended ({self.ended}).")
        finally:
            read = min(tokens, max(0, bill.tokens))  # no more than was granted, whatever a server says
            self._calls.pay(lease, "scorer", Usage(scorer=read, seconds=anyio.current_time() - started))

    async def read(self, paths: Sequence[Prefix]) -> list[Candidate]:
        problem, known = self._attempt.problem, self._attempt.keys
        called = {canonical_calls(path, problem.tools) for path in paths} if problem.tools else set()
        await self._attempt.check(a for a in map(self._attempt.found, paths) if a not in called)
        found = [self._attempt.found(path) for path in paths]
        if self._first is None:
            able = ((path, answer) for path, answer in zip(paths, found, strict=True) if answer is not None)
            self._first = next((Choice(p, answer, (Candidate(p, answer),)) for p, answer in able), None)
        new = dict.fromkeys(a for a in found if a is not None and a not in known)
        calls, others = [a for a in new if a in called], [a for a in new if a not in called]
        if calls:
            known.update(zip(calls, await self._attempt.equality.keys(calls, "tool"), strict=True))
        by_behaviour = self._attempt.kind == "code" and self._attempt.sandbox is not None
        keys = behaviours(self._attempt, others, here().place) if by_behaviour else None
        found_keys = await (keys or self._attempt.equality.keys(others, self._attempt.kind))
        known.update(zip(others, found_keys, strict=True))
        candidates = [
            Candidate(path, answer, None if answer is None else known[answer])
            for path, answer in zip(paths, found, strict=True)
        ]
        self._attempt.emit(
            e.Answered(name(here().place), tuple((c.path.place, c.answer, c.key) for c in candidates))
        )
        return candidates

    async def recall(self, query: str, k: int) -> list[str]:
        memory = self._attempt.memory
        if memory is None:
            raise Unsupported(NO_MEMORY)
        if k < 1:
            raise UsageError(f"recall needs k of at least 1, not {k}.")
        place = here().next()
        texts = (await memory.recall(query, k))[:k]
        self._attempt.emit(e.Recalled(name(place), memory.name, query, tuple(texts)))
        return texts

    async def execute(self, program: str, inputs: Sequence[Input]) -> list[Execution]:
        sandbox = self._attempt.sandbox
        if sandbox is None:
            raise Unsupported(NO_SANDBOX)
        place = here().next()
        lease = await self._ledger.reserve(place, kind="sandbox", most=0, counted=True)
        scope, started = anyio.CancelScope(), anyio.current_time()
        executions: list[Execution] = []
        took: float | None = None
        try:
            with scope, self._calls.in_flight(scope):
                executions = await sandbox.execute(program, inputs)
                took = sum(one.seconds for one in executions)
            if scope.cancelled_caught:
                raise OutOfBudget(f"A program was cut off: the run was ended ({self.ended}).")
        finally:
            seconds = anyio.current_time() - started if took is None else took
            usage = self._calls.pay(lease, "sandbox", Usage(calls=1, seconds=seconds))
        self._attempt.emit(executed(place, program, inputs, executions, usage))
        return executions

    async def delegate(
        self, strategy: Strategy, budget: Budget | None = None, given: Sequence[Prefix] = ()
    ) -> Choice:
        preflight(strategy, self._attempt.engines, self._attempt.scorers)
        place = here().next()
        child = Run(self._attempt, Ledger(budget, self._ledger), self, given)
        self._attempt.emit(e.Delegated(name(place), str(strategy), str(budget or "")))
        self._inner = child
        return await child.decide(strategy, place)

    def visited(self, nodes: Iterable[tuple[Prefix, float, int]]) -> None:
        paths, values, visits = zip(*nodes, strict=True)
        self._attempt.emit(e.Visited(name(here().place), tuple(p.place for p in paths), values, visits))

    def propose(self, choice: Choice | Prefix) -> None:
        new = self._attempt.choice(choice)
        if new.answer is None and self.proposal is not None and self.proposal.answer is not None:
            return
        self.proposal = new
        self._attempt.emit(e.Proposed(name(here().place), new.path.place, new.answer))

    # -- from the first verb to the choice ------------------------------------------------------------------

    @property
    def ended(self) -> Stop | None:
        """Why the spending was ended, if it was."""
        return self._calls.ended

    async def decide(self, strategy: Strategy, place: Place = ()) -> Choice:
        """What the strategy chooses, or its last proposal where money, time or the model ended it.

        Raises:
            PonderError: it ended before anything was proposed.

        """
        ends = self._ledger.start(anyio.current_time())
        self._calls.recorded |= recorded(strategy, self._attempt.scorers)
        self._calls.writers |= frozenset(scored(strategy))
        self._home = anyio.lowlevel.current_token(), threading.get_ident()
        self._place = place

        async def solve() -> Choice:
            with at(place):
                return self._attempt.choice(await strategy.solve(self._attempt.problem, self))

        with anyio.CancelScope() as scope:
            self._strategy = scope
            if self.ended:
                scope.deadline = anyio.current_time() + self._attempt.grace
            try:
                return await before(ends, solve, then=lambda: self.end("deadline"))
            except (OutOfBudget, EngineError, AllFailed) as error:
                if self.proposal is None:
                    raise
                if not isinstance(error, OutOfBudget):
                    self._attempt.degraded = True
                return self.proposal
            finally:
                self._strategy = None  # to end what is over does nothing
        if (best := self._so_far()) is None:
            raise OutOfBudget("The run was ended before any answer was ready.")
        return best

    def _so_far(self) -> Choice | None:
        """The last proposal, or that of who was delegated to, or the first answer that was read."""
        return self.proposal or (self._inner._so_far() if self._inner else None) or self._first

    def end(self, why: Stop) -> None:
        """End the spending now: calls in flight are cancelled and paid for, the strategy decides with what it has.

        It gets the attempt's grace for that, a second as a rule; then its last proposal counts. May be called from any thread.
        """
        home, thread = self._home
        if home is not None and thread != threading.get_ident():
            with contextlib.suppress(RuntimeError):  # its event loop is gone, and so is the run
                anyio.from_thread.run_sync(self.end, why, token=home)
        elif self.ended is None:
            self._calls.end(why)
            if self._strategy is not None:
                self._strategy.deadline = anyio.current_time() + self._attempt.grace

    def _take(self, start: Prefix) -> Prefix | None:
        """A given path that continues `start` by one segment, if there is one left.

        The branches of an `each` get none: it would be chance who came first.
        """
        if here().place != self._place:
            return None
        n = len(start.segments)
        for path in self._given:
            if (
                path.prompt == start.prompt
                and len(path.segments) == n + 1
                and path.segments[:n] == start.segments
            ):
                self._given.remove(path)
                return path
        return None

    def _scorer(self, by: Scorer | str | None) -> Scorer:
        if by is None:
            raise UsageError("Say what to score by, for example score(paths, by='mean-logprob').")
        return find_scorer(by, self._attempt.scorers)


def _sampling(given: dict[str, Any]) -> Sampling:
    for field_name in given:
        if field_name not in Sampling.__dataclass_fields__:
            raise UnknownName("sampling parameter", field_name, Sampling.__dataclass_fields__)
    return Sampling(**given)
