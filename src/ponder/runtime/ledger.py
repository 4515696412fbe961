"""Who may spend what: money is set aside before it is spent, in slices.

At every instant and in every scope: spent + reserved <= limit. Scopes nest; a lease taken in one is taken in
all scopes around it. All of it stands under one lock, because an engine may renew a lease from its own thread;
nothing here waits while holding it.
"""

from __future__ import annotations

import bisect
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from ponder.core.calls import NANO, Budget, Usage
from ponder.core.errors import OutOfBudget

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from ponder.core.calls import Prices
    from ponder.runtime.place import Place

SLICE = 64
"""Completion tokens a lease sets aside at a time. Small enough that sixteen samples share a tight budget,
large enough that renewing costs nothing beside a decode step."""


KINDS = 1024
"""Kinds of calls whose lengths are remembered."""


@dataclass(slots=True)
class Lease:
    """The right of one call to sample `granted` tokens, renewed slice by slice up to `most`.

    `prompt` tokens may be read. One that samples nothing is a scorer's, and no call; or a program's, and then it is
    `counted` as one.
    """

    ledger: Ledger
    kind: Hashable
    prompt: int
    most: int
    expected: int
    granted: int
    prices: Prices | None = None
    counted: bool = False
    used: int = 0
    refused: bool = False
    settled: bool = False

    @property
    def calls(self) -> int:
        """Calls that it is."""
        return int(self.most > 0 or self.counted)

    @property
    def promise(self) -> int:
        """What the call is expected to ask for yet."""
        return max(0, self.expected - self.granted)

    @property
    def nanodollars(self) -> int:
        """The most that the call can cost with what it was granted."""
        return self.prices.most(self.prompt, self.granted) if self.prices else 0

    def use(self, tokens: int) -> bool:
        """Count sampled tokens; whether one more may be sampled. Callable from any thread."""
        self.used += tokens
        while self.used >= self.granted:
            if self.used >= self.most:
                return False
            if not self.ledger.renew(self):
                self.refused = True
                return False
        return True


@dataclass(order=True, slots=True)
class _Waiter:
    place: Place
    ask: _Ask = field(compare=False)
    ready: anyio.Event = field(compare=False)
    outcome: Lease | OutOfBudget | None = field(compare=False, default=None)


@dataclass(slots=True)
class _Ask:
    ledger: Ledger
    kind: Hashable
    most: int
    prompt: int
    whole: bool
    prices: Prices | None
    counted: bool = False


@dataclass(slots=True)
class _Root:
    """What all scopes of one run share."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    waiting: list[_Waiter] = field(default_factory=list)
    lengths: dict[Hashable, tuple[int, int]] = field(default_factory=dict)  # kind -> (calls, tokens)


class Ledger:
    """One scope of a budget.

    A call waits while calls in flight may still give something back, and grants go in order of place. A call
    is let in when what it can be expected to need is there beside what the calls in flight can be expected to
    need; so a tight budget pays for a few whole samples rather than for many that are all cut off. What a call
    needs is expected from the finished calls of its kind, before the first of those from its `max_tokens`.
    """

    def __init__(self, limit: Budget | None = None, parent: Ledger | None = None) -> None:
        self.limit = limit or Budget()
        self.parent = parent
        self.spent = Usage()
        self._reserved = 0  # completion tokens
        self._reserved_prompt = 0
        self._reserved_money = 0  # nanodollars
        self._live = 0  # leases held here and in scopes inside
        self._calls = 0  # those of them that are calls to an engine
        self._promised = 0
        self._root: _Root = parent._root if parent else _Root()
        self._started: float | None = None
        self._closed: str | None = None
        self._refused = False

    # -- asking ---------------------------------------------------------------------------------------------

    async def reserve(
        self,
        place: Place,
        *,
        kind: Hashable,
        most: int,
        prompt: int = 0,
        whole: bool = False,
        prices: Prices | None = None,
        counted: bool = False,
    ) -> Lease:
        """Set aside the first slice for a call, or all of it where the engine cannot be stopped (`whole`).

        A scorer that only reads asks for a `most` of 0, and for what it reads as its `prompt`; so does a program that is
        run, which is `counted` as a call. Where dollars are
        limited (`counts_money`), `prices` must be those of the call.

        Raises:
            OutOfBudget: nothing is left and no call in flight can give anything back.

        """
        ask = _Ask(self, kind, most, prompt, whole, prices, counted)
        with self._root.lock:
            if not self._limited():
                return _lease(self._grant(ask))
            waiter = _Waiter(place, ask, anyio.Event())
            bisect.insort(self._root.waiting, waiter)
        try:
            await anyio.lowlevel.checkpoint()  # who asks in the same tick is served in order of place
            with self._root.lock:
                self._serve()
            await waiter.ready.wait()
        except BaseException:
            with self._root.lock:
                # Not what is equal: runs that share a ledger have the same places.
                self._root.waiting[:] = [other for other in self._root.waiting if other is not waiter]
            if isinstance(waiter.outcome, Lease):  # granted while being cancelled: give it back unused
                self.settle(waiter.outcome, Usage())
            raise
        return _lease(waiter.outcome)

    def reserve_all(
        self, n: int, *, kind: Hashable, most: int, prompt: int = 0, prices: Prices | None = None
    ) -> list[Lease] | None:
        """Set aside all of `n` calls at once, without waiting; None where that is not there, or others wait for theirs."""
        with self._root.lock:
            if self._root.waiting:
                return None
            for scope in self._scopes():
                limit = scope.limit
                short = limit.calls is not None and limit.calls - scope.spent.calls - scope._calls < n
                tokens = limit.tokens is not None and n * most > (
                    limit.tokens - scope.spent.completion - scope._reserved - scope._promised
                )
                both = limit.total_tokens is not None and n * (most + prompt) > (
                    limit.total_tokens - scope._read() - scope._promised
                )
                cost = n * prices.most(prompt, most) if prices else 0
                if (
                    scope._closed
                    or short
                    or tokens
                    or both
                    or (limit.dollars is not None and cost > scope._money())
                ):
                    return None
            leases = [Lease(self, kind, prompt, most, most, most, prices) for _ in range(n)]
            self._take(leases)
            return leases

    def renew(self, lease: Lease) -> bool:
        """Grant one slice more; False if there is nothing. Callable from any thread."""
        with self._root.lock:
            if lease.settled or any(scope._closed for scope in self._scopes()):
                return False
            self._add([lease], -1)
            free = min(scope._free(lease.prompt, lease.prices) for scope in self._scopes()) - lease.granted
            more = min(SLICE, lease.most - lease.granted, free)
            lease.granted += max(more, 0)
            self._add([lease], +1)
            return more > 0

    def settle(self, lease: Lease, usage: Usage) -> None:
        """Pay for a call and give back the rest. Ordinary code, so that no cancellation can land inside."""
        self.settle_all([(lease, usage)])

    def settle_all(self, paid: Sequence[tuple[Lease, Usage]]) -> Usage:
        """Pay for several calls, all at once; what they cost together."""
        with self._root.lock:
            total, calls = Usage(), 0
            for lease, usage in paid:
                lease.settled = True  # an engine's thread may still use it
                total, calls = total + usage, calls + lease.calls
                if usage.completion:
                    self._learn(lease.kind, usage.completion)
            self._add([lease for lease, _ in paid], -1)
            for scope in self._scopes():
                scope.spent += total
                scope._live -= len(paid)
                scope._calls -= calls
            if self._root.waiting:
                self._serve()
            return total

    def refuse(self, lease: Lease) -> None:
        """Note that a segment ended for want of money, in the scopes that had no more."""
        with self._root.lock:
            for scope in self._scopes():
                free = scope._free(0, lease.prices) if lease.refused else 0
                if free <= 0 and scope.limit != Budget():
                    self._end_within(scope)

    def close(self, why: str) -> None:
        """Nothing more is granted here; who waits gets OutOfBudget. Calls in flight settle as they end."""
        with self._root.lock:
            self._closed = self._closed or why
            self._serve()

    # -- looking --------------------------------------------------------------------------------------------

    @property
    def left(self) -> Budget:
        """What is neither spent nor set aside, in the tightest scope."""
        scopes = list(self._scopes())
        now = anyio.current_time()
        limits = [(s.limit, s) for s in scopes]
        tokens = [b.tokens - s.spent.completion - s._reserved for b, s in limits if b.tokens is not None]
        total = [b.total_tokens - s._read() for b, s in limits if b.total_tokens is not None]
        calls = [b.calls - s.spent.calls - s._calls for b, s in limits if b.calls is not None]
        money = [s._money() for b, s in limits if b.dollars is not None]
        seconds = [
            b.seconds - (now - s._started)
            for b, s in limits
            if b.seconds is not None and s._started is not None
        ]
        return Budget(
            max(0, min(tokens)) if tokens else None,
            max(0, min(total)) if total else None,
            max(0.0, min(seconds)) if seconds else None,
            max(0, min(calls)) if calls else None,
            max(0, min(money)) / NANO if money else None,
        )

    @property
    def held(self) -> tuple[int, int]:
        """The leases that are not settled, and the tokens, read and written, that they set aside."""
        return self._live, self._reserved + self._reserved_prompt

    @property
    def refused(self) -> bool:
        """Whether its budget, or one around it, ever ended something in this scope."""
        return self._refused

    @property
    def limited(self) -> bool:
        """Whether tokens, calls or dollars are limited here or in a scope around."""
        return self._limited()

    @property
    def counts_prompts(self) -> bool:
        """Whether some scope limits prompt tokens, or their price, so that they must be known before a call."""
        return self.counts_money or any(scope.limit.total_tokens is not None for scope in self._scopes())

    @property
    def counts_money(self) -> bool:
        """Whether some scope limits dollars, so that prices must be known."""
        return any(scope.limit.dollars is not None for scope in self._scopes())

    def start(self, now: float) -> float | None:
        """Start this scope's clock; returns when it ends."""
        self._started = now
        return None if self.limit.seconds is None else now + self.limit.seconds

    # -- inside, under the lock -----------------------------------------------------------------------------

    def _scopes(self) -> Iterator[Ledger]:
        scope: Ledger | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def _end_within(self, short: Ledger) -> None:
        """The budget of `short` ended something here: so it says, and every scope between the two."""
        for scope in self._scopes():
            scope._refused = True
            if scope is short:
                return

    def _limited(self) -> bool:
        return any(
            limit is not None
            for s in self._scopes()
            for limit in (s.limit.tokens, s.limit.total_tokens, s.limit.calls, s.limit.dollars)
        )

    def _read(self) -> int:
        return self.spent.total + self._reserved + self._reserved_prompt

    def _money(self) -> int:
        """Nanodollars that are neither spent nor set aside."""
        return round((self.limit.dollars or 0) * NANO) - self.spent.nanodollars - self._reserved_money

    def _free(self, prompt: int = 0, prices: Prices | None = None) -> int:
        """Completion tokens this scope could grant now to a call with such a prompt, at such prices."""
        limit = self.limit
        free = 1 << 60
        if limit.tokens is not None:
            free = limit.tokens - self.spent.completion - self._reserved
        if limit.total_tokens is not None:
            free = min(free, limit.total_tokens - self._read() - prompt)
        if limit.dollars is not None:
            free = min(free, prices.affords(self._money(), prompt) if prices else 0)
        return free

    def _add(self, leases: Sequence[Lease], sign: int) -> None:
        granted = sign * sum([lease.granted for lease in leases])
        prompt = sign * sum([lease.prompt for lease in leases])
        money = sign * sum([lease.nanodollars for lease in leases])
        promise = sign * sum([lease.promise for lease in leases])
        for scope in self._scopes():
            scope._reserved += granted
            scope._reserved_prompt += prompt
            scope._reserved_money += money
            scope._promised += promise

    def _take(self, leases: Sequence[Lease]) -> None:
        calls = sum([lease.calls for lease in leases])
        for scope in self._scopes():
            scope._live += len(leases)
            scope._calls += calls
        self._add(leases, +1)

    def _learn(self, kind: Hashable, completion: int) -> None:
        """One call of this kind more, and what it wrote."""
        lengths = self._root.lengths
        if len(lengths) > KINDS:  # a server's ledger outlives many runs
            lengths.clear()
        calls, tokens = lengths.get(kind, (0, 0))
        lengths[kind] = (calls + 1, tokens + completion)

    def _grant(self, ask: _Ask) -> Lease | OutOfBudget | Ledger:
        """A lease, OutOfBudget, or the scope to wait for."""
        root = self._root
        if closed := next((scope._closed for scope in ask.ledger._scopes() if scope._closed), None):
            return OutOfBudget(f"Nothing more is paid for: {closed}.")
        calls, tokens = root.lengths.get(ask.kind, (0, 0))
        expected = ask.most if ask.whole or not calls else min(ask.most, tokens * 3 // (2 * calls) + 1)
        room = 1 << 60
        for scope in ask.ledger._scopes():
            free = scope._free(ask.prompt, ask.prices)
            limit = scope.limit.calls
            called = (
                (ask.most or ask.counted)
                and limit is not None
                and limit - scope.spent.calls - scope._calls < 1
            )
            if called or free < min(1, ask.most):
                if scope._live:
                    return scope
                ask.ledger._end_within(scope)
                return OutOfBudget(
                    f"The budget of {scope.limit} is spent: {scope.spent.completion} completion tokens, "
                    f"{scope.spent.total} tokens in all, {scope.spent.calls} calls. Give more with -b."
                )
            if ask.most and scope._live and free - scope._promised < expected:
                return scope
            room = min(room, free)
        first = min(ask.most, room) if ask.whole else min(SLICE, ask.most, room)
        most = first if ask.whole else ask.most
        lease = Lease(ask.ledger, ask.kind, ask.prompt, most, expected, first, ask.prices, ask.counted)
        ask.ledger._take([lease])
        return lease

    def _serve(self) -> None:
        """Grant to who waits, in order of place."""
        waiting, still = self._root.waiting, []
        short: set[Ledger] = set()  # nobody overtakes an earlier place that waits for the same scope
        for waiter in waiting:
            scopes = list(waiter.ask.ledger._scopes())
            if not (short.isdisjoint(scopes) or any(scope._closed for scope in scopes)):
                still.append(waiter)
            elif isinstance(outcome := self._grant(waiter.ask), Ledger):
                still.append(waiter)
                short.add(outcome)
            else:
                waiter.outcome = outcome
                waiter.ready.set()
        waiting[:] = still


def _lease(outcome: Lease | OutOfBudget | Ledger | None) -> Lease:
    if isinstance(outcome, Lease):
        return outcome
    raise outcome if isinstance(outcome, OutOfBudget) else OutOfBudget("Nothing was granted.")
