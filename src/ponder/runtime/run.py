"""One attempt at one problem: places, pays for, seeds, runs, traces and cancels every call."""

from __future__ import annotations

import contextlib
import itertools
import math
import random
import threading
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

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
from ponder.core.protocols import BoundsPrompts, Candidate, Choice, Delta, Tokenizes
from ponder.runtime.ledger import Ledger
from ponder.runtime.place import at, derive, here, name
from ponder.runtime.preflight import NO_MEMORY, TOP, find_scorer, preflight, recorded
from ponder.runtime.tasks import before, side_by_side
from ponder.thinking import answers
from ponder.thinking.aggregation import aggregate
from ponder.thinking.markers import FAMILIES, closing, named
from ponder.thinking.markers import tokens as thinking_tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

    from anyio.lowlevel import EventLoopToken

    from ponder.core.markers import Markers
    from ponder.core.prefix import Segment
    from ponder.core.problem import Problem
    from ponder.core.protocols import (
        Ability,
        Aggregation,
        Engine,
        Halt,
        KeysOf,
        Memory,
        Score,
        Scorer,
        Stop,
        Strategy,
    )
    from ponder.runtime.ledger import Lease
    from ponder.runtime.place import Place

T = TypeVar("T")
R = TypeVar("R")

GRACE = 1.0
"""Seconds that a strategy has to decide after time or patience ended, before it is cut off itself."""


CHUNK = 64
"""Tokens between two questions to a rule that may end a text, where an engine tells nothing while it writes."""


@dataclass(slots=True)
class Attempt:
    """What all scopes of one attempt share."""

    problem: Problem
    engines: Mapping[str, Engine]
    scorers: Mapping[str, Scorer]
    equality: KeysOf
    seed: int
    watchers: Sequence[e.Watcher]
    live: Sequence[e.Watcher]
    memory: Memory | None = None
    usage: dict[str, Usage] = field(default_factory=dict)
    failed: int = 0
    overthought: int = 0  # calls whose thinking was longer than asked for
    degraded: bool = False  # it failed after something had been proposed
    keys: dict[str, str] = field(default_factory=dict)

    def emit(self, event: e.Event) -> None:
        for watcher in self.watchers:
            watcher(event)


class _Enough(Exception):
    """Enough samples agree."""


class Run:
    """The verbs of `core.protocols.Run`, in one scope of the budget."""

    def __init__(
        self, attempt: Attempt, ledger: Ledger, outer: Run | None = None, given: Sequence[Prefix] = ()
    ) -> None:
        self._attempt = attempt
        self._ledger = ledger
        self._outer = outer
        self._given = list(given)
        self._calls: set[anyio.CancelScope] = set()  # in flight, here and in scopes inside
        self._strategy: anyio.CancelScope | None = None
        self._inner: Run | None = None  # who was delegated to last
        self._first: Choice | None = None  # the first answer that was read
        self._recorded: frozenset[Ability] = outer._recorded if outer else frozenset()
        self._home: tuple[EventLoopToken | None, int] = (None, 0)  # where it runs
        self._writers: frozenset[str] = outer._writers if outer else frozenset({"solver"})  # of whom
        self.proposal: Choice | None = None
        self.ended: Stop | None = None

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

    def markers(self, name: str = "auto", role: str = "solver") -> Markers:
        engine = self._engine(role)
        found = named(name, engine.capabilities.thinking or FAMILIES["text"])
        ids = engine.encode(found.end) if found.end and isinstance(engine, Tokenizes) else ()
        one = len(ids) == 1 and "stop_ids" in engine.capabilities.can
        return replace(found, token=ids[0] if one else None)

    def encode(self, text: str, role: str = "solver") -> tuple[int, ...]:
        engine = self._engine(role)
        if not isinstance(engine, Tokenizes):
            raise Unsupported(
                f"This needs an engine that knows its tokens, and {engine.capabilities.name} does not. "
                "Use a model file (-m file.gguf), whose engine does."
            )
        return engine.encode(text)

    async def extend(
        self,
        prefix: Prefix,
        *,
        role: str = "solver",
        visible: bool = False,
        halt: Halt | None = None,
        **sampling: Any,
    ) -> Prefix:
        how = _sampling(sampling)
        return await self._think(here().next(), prefix, role, how, halt, visible=visible)

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
        if n < 1:
            raise UsageError(f"sample needs n of at least 1, not {n}.")
        how = _sampling(sampling)
        parts = [role] if isinstance(role, str) else list(role)
        place = here().next()
        prefixes = [prefix] if isinstance(prefix, Prefix) else list(prefix)
        starts = [p for p in prefixes for _ in range(n)]
        if not starts:
            return []
        # Handed out before anything runs, like the places: tasks start in any order.
        drawn: dict[int, Prefix | PonderError] = {
            i: p for i, start in enumerate(starts) if (p := self._take(start))
        }
        seen: list[Candidate] = []
        asked = 0
        asking = False

        async def one(i: int) -> None:
            nonlocal asked, asking
            try:
                if i not in drawn:
                    drawn[i] = await self._think((*place, i), starts[i], parts[i % len(parts)], how, halt)
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
            await side_by_side([partial(one, i) for i in range(len(starts))])
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
        self, paths: Sequence[Prefix], *, by: Scorer | str | None = None, how: Aggregation | None = None
    ) -> list[float]:
        scorer = self._scorer(by)
        place = here().next()
        with at(place):
            scope = Run(self._attempt, Ledger(None, self._ledger), self)
            scores: list[Score] = await scorer.score(self._attempt.problem, paths, scope)
        if len(scores) != len(paths):
            raise BadScore(f"The scorer {scorer.name} gave {len(scores)} scores for {len(paths)} paths.")
        values = [aggregate(score.steps, how) if how and score.steps else score.value for score in scores]
        if any(math.isnan(value) for value in values):
            raise BadScore(
                f"The scorer {scorer.name} gave a score that is not a number; "
                "perhaps the engine records no log-probabilities."
            )
        unread = sum(score.unread for score in scores)
        places = tuple(p.place for p in paths)
        self._attempt.emit(e.Scored(name(place), scorer.name, places, tuple(values), unread))
        return values

    @contextlib.asynccontextmanager
    async def charge(self, tokens: int) -> AsyncIterator[Bill]:
        if tokens < 0:
            raise UsageError(f"A scorer cannot read {tokens} tokens.")
        lease = await self._ledger.reserve(here().next(), kind="scorer", most=0, prompt=tokens)
        bill, call, started = Bill(tokens), anyio.CancelScope(), anyio.current_time()
        try:
            with call, self._in_flight(call):
                yield bill
            if call.cancelled_caught:
                raise OutOfBudget(f"The scorer was cut off: the run was ended ({self.ended}).")
        finally:
            read = min(tokens, max(0, bill.tokens))  # no more than was granted, whatever a server says
            self._pay(lease, "scorer", Usage(scorer=read, seconds=anyio.current_time() - started))

    def can(self, ability: Ability, role: str = "solver") -> bool:
        return ability in self._engine(role).capabilities.can

    async def read(self, paths: Sequence[Prefix]) -> list[Candidate]:
        found = [self._found(path) for path in paths]
        if self._first is None:
            self._first = next(
                (self._choice(p) for p, a in zip(paths, found, strict=True) if a is not None), None
            )
        kind = self._attempt.problem.kind
        known = self._attempt.keys
        new = list(dict.fromkeys(a for a in found if a is not None and a not in known))
        for answer, key in zip(new, await self._attempt.equality.keys(new, kind), strict=True):
            known[answer] = key
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

    async def delegate(
        self, strategy: Strategy, budget: Budget | None = None, given: Sequence[Prefix] = ()
    ) -> Choice:
        preflight(strategy, self._attempt.engines, self._attempt.scorers)
        place = here().next()
        child = Run(self._attempt, Ledger(budget, self._ledger), self, given)
        self._attempt.emit(e.Delegated(name(place), str(strategy), str(budget or "")))
        self._inner = child
        return await child.decide(strategy, place)

    def propose(self, choice: Choice | Prefix) -> None:
        new = self._choice(choice)
        if new.answer is None and self.proposal is not None and self.proposal.answer is not None:
            return
        self.proposal = new
        self._attempt.emit(e.Proposed(name(here().place), self.proposal.path.place, self.proposal.answer))

    # -- beneath them ---------------------------------------------------------------------------------------

    async def decide(self, strategy: Strategy, place: Place = ()) -> Choice:
        """What the strategy chooses, or its last proposal where money, time or the model ended it.

        Raises:
            PonderError: it ended before anything was proposed.

        """
        ends = self._ledger.start(anyio.current_time())
        self._recorded |= recorded(strategy, self._attempt.scorers)
        self._home = anyio.lowlevel.current_token(), threading.get_ident()
        self._writers |= frozenset(getattr(strategy, "roles", ()))

        async def solve() -> Choice:
            with at(place):
                return self._choice(await strategy.solve(self._attempt.problem, self))

        with anyio.CancelScope() as scope:
            self._strategy = scope
            if self.ended:
                scope.deadline = anyio.current_time() + GRACE
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

        It gets `GRACE` seconds for that; then its last proposal counts. May be called from any thread.
        """
        home, thread = self._home
        if home is not None and thread != threading.get_ident():
            with contextlib.suppress(RuntimeError):  # its event loop is gone, and so is the run
                anyio.from_thread.run_sync(self.end, why, token=home)
        elif self.ended is None:
            self.ended = why
            self._ledger.close(f"the run was ended ({why})")
            for call in tuple(self._calls):
                call.cancel()
            if self._strategy is not None:
                self._strategy.deadline = anyio.current_time() + GRACE

    async def _think(
        self,
        place: Place,
        prefix: Prefix,
        role: str,
        sampling: Sampling,
        halt: Halt | None = None,
        *,
        visible: bool = False,
    ) -> Prefix:
        """A call, or two where a thinking budget has to be kept by hand: cut, close, continue."""
        most = sampling.thinking_tokens
        if most is None:
            return await self._write(place, prefix, role, sampling, halt, visible=visible)
        can, markers = self._engine(role).capabilities.can, self.markers(role=role)
        if markers.end and markers.end in prefix.text:  # what goes on is an answer
            return await self._write(place, prefix, role, sampling, halt, visible=visible)
        if "thinking_budget" in can or "continue" not in can or not markers.end:
            path = await self._write(place, prefix, role, sampling, halt, visible=visible)
            spent = _thinking(path.segments[len(prefix.segments) :], markers)
        else:
            how, stops = replace(sampling, thinking=None), markers.stops
            path = prefix if prefix.segments else prefix + markers.start
            if most:
                first = replace(
                    how,
                    max_tokens=most,
                    stop=(*how.stop, *stops.get("stop", ())),
                    stop_ids=(*how.stop_ids, *stops.get("stop_ids", ())),
                )
                path = await self._write((*place, 0), path, role, first, halt, visible=False)
            spent = path.tokens - prefix.tokens
            left = sampling.max_tokens - spent
            ended = bool(most) and path.stopped_by == markers.end
            whole = path.cut and spent >= most  # else the budget of the run, or a rule, cut it
            if left > 0 and (ended or whole or not most):
                said = path.before_stop
                path = said + closing(markers, said.text, cut=not ended)
                rest = replace(how, max_tokens=left)
                path = await self._write((*place, 1), path, role, rest, halt, visible=visible)
        obeyed = spent <= most
        self._attempt.overthought += not obeyed
        self._attempt.emit(e.Thought(name(place), path.place, most, spent, obeyed))
        return path

    async def _write(
        self,
        place: Place,
        prefix: Prefix,
        role: str,
        sampling: Sampling,
        halt: Halt | None,
        *,
        visible: bool,
    ) -> Prefix:
        """One call; or, where a rule may end the text and the engine tells nothing while it writes, several.

        Still one where it asks for what depends on all that the call wrote.
        """
        can = self._engine(role).capabilities.can
        rule = halt() if halt else None
        whole = sampling.stop or sampling.min_tokens or sampling.grammar or sampling.switch_penalty
        if rule is None or whole or "streams" in can or "continue" not in can:
            return await self._draw(place, prefix, role, sampling, rule, visible=visible)
        path, left = prefix, sampling.max_tokens
        for i in itertools.count():
            part = replace(sampling, max_tokens=min(CHUNK, left))
            path = await self._draw((*place, i), path, role, part, None, visible=visible)
            new = path.segments[-1]
            left -= new.usage.completion
            if why := rule(Delta(new.text, new.usage.completion, new.top_logprobs or ())):
                return Prefix(
                    path.prompt, (*path.segments[:-1], replace(new, finish="cancelled", stopped_by=why))
                )
            # What is shorter than it was asked to be has ended, or its budget has.
            if new.finish != "length" or new.usage.completion < part.max_tokens or left <= 0:
                break
        return path

    async def _draw(
        self,
        place: Place,
        prefix: Prefix,
        role: str,
        sampling: Sampling,
        rule: Callable[[Delta], str | None] | None,
        *,
        visible: bool,
    ) -> Prefix:
        """One call to an engine, from the lease to the receipt."""
        attempt, ledger, at_place = self._attempt, self._ledger, name(place)
        engine = self._engine(role)
        can, prices = engine.capabilities.can, engine.capabilities.prices
        if ledger.counts_money and prices is None:
            raise Unsupported(
                f"A budget of dollars needs the prices of {engine.capabilities.name}. Write them in ponder.toml, or "
                "limit completion tokens instead, for example -b 4k."
            )
        prompt = _read(engine, prefix) if ledger.counts_prompts else 0
        lease = await ledger.reserve(
            place,
            kind=(role, sampling.max_tokens, sampling.stop),
            most=sampling.max_tokens,
            prompt=prompt,
            whole="stoppable" not in can,
            prices=prices,
        )
        if sampling.seed is None and "seed" in can:
            sampling = replace(sampling, seed=derive(attempt.seed, attempt.problem.id, place))
        if role in self._writers:
            sampling = _recording(sampling, self._recorded & can)
        asked = sampling.max_tokens
        if "stoppable" not in can:
            sampling = replace(sampling, max_tokens=lease.granted)
        parent, written = prefix.place, _written(prefix)
        live = attempt.live
        why: str | None = None  # it was halted

        def watch(delta: Delta) -> bool:
            nonlocal why
            more = lease.use(delta.tokens)
            for watcher in live:
                watcher(e.Wrote(at_place, delta.text, delta.tokens, visible))
            said = rule(delta) if rule else None
            why = why or (said if more else None)
            return more and why is None

        started = anyio.current_time()
        call = anyio.CancelScope()
        try:
            if attempt.watchers:
                attempt.emit(e.Extending(at_place, parent, written, role, _told(sampling)))
            with call, self._in_flight(call):
                segment = await engine.extend(prefix, sampling, watch if "streams" in can else None)
            if call.cancelled_caught:
                raise OutOfBudget(f"The call at {at_place} was cut off: the run was ended ({self.ended}).")
        except BaseException as error:
            cancelled = call.cancelled_caught or not isinstance(error, Exception)
            unseen = cancelled and "stoppable" not in can
            usage = Usage(
                prompt=lease.prompt or _count(engine, prefix),
                # What a cancelled call wrote unseen is not known: all it was allowed to is charged.
                completion=lease.granted if unseen else lease.used,
                calls=1,
                seconds=anyio.current_time() - started,
                estimated=unseen or not isinstance(engine, Tokenizes),
            )
            if isinstance(error, EngineError):
                # What it says that it wrote unseen.
                usage = replace(usage, completion=max(usage.completion, min(error.spent, lease.granted)))
                if len(attempt.engines) > 1:
                    error.who = f"{engine.capabilities.name}, as {role}"
            usage = self._pay(lease, role, usage)
            attempt.failed += not cancelled
            said = "cancelled" if cancelled else str(error) or type(error).__name__
            attempt.emit(e.Failed(at_place, parent, role, said, usage, cancelled))
            raise
        # Attempts that failed on the way were paid for too; and a call is a call, whatever an engine says.
        usage = replace(
            segment.usage,
            completion=max(segment.usage.completion, lease.used),
            calls=max(segment.usage.calls, 1),
        )
        segment = replace(segment, place=at_place)
        if segment.finish == "cancelled" and why is not None:
            segment = replace(segment, stopped_by=why)
        elif segment.finish == "cancelled" or (segment.finish == "length" and lease.granted < asked):
            ledger.refuse(lease)
            segment = replace(segment, finish="length")
        usage = self._pay(lease, role, usage)
        if attempt.watchers:
            attempt.emit(_extended(at_place, parent, written, role, segment, usage))
        return prefix + segment

    def _pay(self, lease: Lease, role: str, usage: Usage) -> Usage:
        """Settle, and say what was paid: the usage with its price."""
        if lease.prices:
            money = lease.prices.nanodollars(usage.prompt, usage.completion, usage.cached)
            usage = replace(usage, nanodollars=money)
        self._ledger.settle(lease, usage)
        self._attempt.usage[role] = self._attempt.usage.get(role, Usage()) + usage
        return usage

    @contextlib.contextmanager
    def _in_flight(self, call: anyio.CancelScope) -> Iterator[None]:
        scopes, run = [], cast("Run | None", self)
        while run is not None:
            scopes.append(run)
            run = run._outer
        if any(run.ended for run in scopes):
            call.cancel()
        for run in scopes:
            run._calls.add(call)
        try:
            yield
        finally:
            for run in scopes:
                run._calls.discard(call)

    def _take(self, start: Prefix) -> Prefix | None:
        """A given path that continues `start` by one segment, if there is one left."""
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

    def _engine(self, role: str) -> Engine:
        engines = self._attempt.engines
        if role not in engines and role != "solver" and "solver" in engines:
            role = "solver"  # one model plays all parts until another is named
        if role not in engines:
            raise UnknownName("model for the role", role, engines)
        return engines[role]

    def _scorer(self, by: Scorer | str | None) -> Scorer:
        if by is None:
            raise UsageError("Say what to score by, for example score(paths, by='mean-logprob').")
        return find_scorer(by, self._attempt.scorers)

    def _found(self, path: Prefix) -> str | None:
        """The answer on a path.

        A text that was cut off has only the answer it declared, not its last number; and where the cut is, "42"
        may have become "4".
        """
        text, problem = path.text, self._attempt.problem
        found = answers.find(text, problem.kind, choices=problem.choices)
        if found is None or (path.cut and (not found.declared or text.endswith(found.text))):
            return None
        return found.text

    def _choice(self, choice: Choice | Prefix) -> Choice:
        if isinstance(choice, Choice):
            return choice
        answer = self._found(choice)
        return Choice(choice, answer, (Candidate(choice, answer),))


def _read(engine: Engine, prefix: Prefix) -> int:
    """Tokens of the prefix, or the most that they can be.

    Raises:
        Unsupported: the engine knows neither.

    """
    if isinstance(engine, Tokenizes):
        return engine.count(prefix)
    if isinstance(engine, BoundsPrompts):
        return engine.count_at_most(prefix)
    raise Unsupported(
        f"A budget of total tokens or dollars needs an engine that counts prompts, and {engine.capabilities.name} "
        "cannot. Limit completion tokens instead, for example -b 4k."
    )


def _thinking(segments: Sequence[Segment], markers: Markers) -> int:
    """Tokens of these segments that are thinking; about, where a server keeps its reasoning apart or tells no ends."""
    sampled = [s for s in segments if s.sampled]
    written = sum(s.usage.completion for s in sampled)
    reasoning = "".join(str(s.payload.extra.get("reasoning", "")) for s in sampled if s.payload)
    text = "".join(s.text for s in sampled)
    if reasoning:
        return thinking_tokens(
            replace(markers, end=markers.end or "\0"),
            f"{reasoning}{markers.end or chr(0)}{text}",
            None,
            written,
        )
    return thinking_tokens(markers, text, sampled[0].ends if len(sampled) == 1 else None, written)


def _count(engine: Engine, prefix: Prefix) -> int:
    """Tokens of the prefix, as far as the engine can still tell."""
    with contextlib.suppress(PonderError):
        return engine.count(prefix) if isinstance(engine, Tokenizes) else 0
    return 0


_SAMPLING_FIELDS = frozenset(Sampling.__dataclass_fields__)


def _sampling(given: dict[str, Any]) -> Sampling:
    for field_name in given:
        if field_name not in _SAMPLING_FIELDS:
            raise UnknownName("sampling parameter", field_name, _SAMPLING_FIELDS)
    return Sampling(**given)


def _recording(sampling: Sampling, what: frozenset[Ability]) -> Sampling:
    """The sampling that also records what scorers are going to read."""
    least = TOP if "top_logprobs" in what else 0 if "logprobs" in what else None
    if least is not None:
        sampling = replace(sampling, logprobs=max(least, sampling.logprobs or 0))
    return replace(sampling, certainty=True) if "certainty" in what else sampling


def _written(prefix: Prefix) -> str:
    """What a strategy wrote after the last sampled segment."""
    text = ""
    for segment in reversed(prefix.segments):
        if segment.sampled:
            break
        text = segment.text + text
    return text


def _told(sampling: Sampling) -> dict[str, Any]:
    """The sampling as the trace tells it."""
    told: dict[str, Any] = {"max_tokens": sampling.max_tokens, "temperature": sampling.temperature}
    for what in (
        "top_p",
        "top_k",
        "min_p",
        "stop",
        "stop_ids",
        "min_tokens",
        "logit_bias",
        "switch_penalty",
        "grammar",
        "depth",
        "thinking",
        "seed",
    ):
        value = getattr(sampling, what)
        if value != _DEFAULT[what]:
            told[what] = value
    return told


_DEFAULT = {what: getattr(Sampling(), what) for what in _SAMPLING_FIELDS}


def _extended(place: str, parent: str, written: str, role: str, segment: Segment, usage: Usage) -> e.Extended:
    logprob = sum(segment.logprobs) if segment.logprobs else None
    return e.Extended(
        place,
        parent,
        written,
        role,
        segment.text,
        segment.token_ids,
        segment.finish,
        segment.stopped_by,
        usage,
        logprob,
    )
