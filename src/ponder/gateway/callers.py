"""Who asks: each key with its ledger inside the server's, its rate, and its requests in flight."""

from __future__ import annotations

import time
from collections import OrderedDict
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio

from ponder.core.calls import NANO, Budget, Usage
from ponder.gateway.door import Door
from ponder.gateway.limits import QUEUE_SECONDS
from ponder.gateway.refusals import Refusal
from ponder.runtime.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ponder.gateway.keys import Key, Keys
    from ponder.gateway.options import Options

MOST_KNOWN: Final = 10_000


@dataclass
class Rate:
    """Requests a minute, as a bucket that fills evenly. On the loop's clock, which no one sets."""

    a_minute: int
    left: float = field(init=False)
    at: float | None = None

    def __post_init__(self) -> None:
        self.left = float(self.a_minute)

    def take(self, now: float) -> float:
        """Take one; 0, or the seconds until there is one."""
        if self.at is not None:
            self.left = min(float(self.a_minute), self.left + (now - self.at) * self.a_minute / 60)
        self.at = now
        if self.left < 1:
            return (1 - self.left) * 60 / self.a_minute
        self.left -= 1
        return 0.0


@dataclass
class Caller:
    """One key at work, or everyone, where no key is needed (`key` None)."""

    key: Key | None
    ledger: Ledger
    rate: Rate | None = None
    in_flight: int = 0
    recorded: Usage = field(default_factory=Usage)

    @property
    def id(self) -> str:
        return self.key.id if self.key else ""

    def headers(self) -> dict[str, str]:
        """What is left to this caller, as OpenAI's clients look for it."""
        found = {}
        if self.rate:
            found["x-ratelimit-limit-requests"] = str(self.rate.a_minute)
            found["x-ratelimit-remaining-requests"] = str(int(self.rate.left))
            found["x-ratelimit-reset-requests"] = f"{60 / self.rate.a_minute:.3f}s"
        if self.key and self.key.budget.tokens is not None:
            found["x-ratelimit-limit-tokens"] = str(self.key.budget.tokens)
            found["x-ratelimit-remaining-tokens"] = str(self.ledger.left.tokens or 0)
        return found


class Callers:
    """Every caller of this server. Their ledgers stand inside one, the server's own: at every instant, for each of them,
    spent + reserved <= limit.
    """

    def __init__(self, keys: Keys | None, options: Options) -> None:
        self.keys, self.options = keys, options
        self.ledger = Ledger(options.limit)
        self.day = Ledger(options.daily, self.ledger)
        self._today = ""
        self._roll()
        self.door = Door(options.requests, options.queue, QUEUE_SECONDS)
        self._open = Caller(None, Ledger(None, self.day))
        self._known: OrderedDict[str, Caller] = OrderedDict()

    def known(self, authorization: str | None) -> Caller:
        """Who says this.

        Raises:
            Refusal: nobody who may.

        """
        if self.keys is None or (authorization is None and not self.keys.any()):
            return self._open
        scheme, _, secret = (authorization or "").partition(" ")
        key = self.keys.find(secret.strip()) if scheme.lower() == "bearer" else None
        if key is None:
            if authorization is not None and not self.keys.any():
                return self._open  # clients send one whether it is wanted or not
            raise Refusal(
                "invalid_api_key",
                "This server needs a key, as `Authorization: Bearer pnd_...`, and this is none that it knows. Make one with "
                "`ponder keys create`.",
                headers={"www-authenticate": "Bearer"},
            )
        return self._caller(key)

    def _caller(self, key: Key) -> Caller:
        caller = self._known.get(key.id)
        if caller is None:
            ledger = Ledger(key.budget, self.day)
            ledger.spent = key.spent  # in earlier lives of this server
            rate = Rate(key.rate) if key.rate else None
            caller = self._known[key.id] = Caller(key, ledger, rate, recorded=key.spent)
            while len(self._known) > MOST_KNOWN and not next(iter(self._known.values())).in_flight:
                self._known.popitem(last=False)
        self._known.move_to_end(key.id)
        return caller

    @property
    def in_flight(self) -> int:
        """Requests that are served, or wait to be."""
        return self.door.inside + len(self.door.waiting)

    @asynccontextmanager
    async def admitted(self, caller: Caller) -> AsyncIterator[Ledger]:
        """Let one request in, with a ledger of what this caller may still spend; record what it spent at its end.

        Raises:
            Refusal: too many at once or a minute, or nothing is left.

        """
        self._check(caller)
        caller.in_flight += 1
        try:
            async with self.door.passed():
                ledger = Ledger(None, caller.ledger)
                try:
                    yield ledger
                finally:
                    if caller.key and self.keys:
                        self.keys.spend(caller.id, ledger.spent)
                    if self.keys and self.day.limit != Budget():
                        self.keys.spend_today(self._today, ledger.spent)
        finally:
            caller.in_flight -= 1

    def _roll(self) -> None:
        """A new day has its whole budget. What runs when it begins is set aside in it."""
        today = time.strftime("%Y-%m-%d", time.gmtime())
        if today != self._today:
            self._today = today
            self.day.spent = self.keys.spent_on(today) if self.keys else Usage()

    def _check(self, caller: Caller) -> None:
        """Raises a Refusal for who may not ask now."""
        self._roll()
        if self.keys and self.keys.paused():
            raise Refusal(
                "paused", "This server was told to serve nobody for now: `ponder keys resume` ends that."
            )
        if caller.key and caller.in_flight >= self.options.at_once:
            raise Refusal(
                "rate_limit_exceeded",
                f"This key has {caller.in_flight} requests in flight, as many as it may. Wait for one.",
            )
        if caller.rate and (wait := caller.rate.take(anyio.current_time())):
            raise Refusal(
                "rate_limit_exceeded",
                f"This key may make {caller.rate.a_minute} requests a minute. Try again in {wait:.1f} s.",
                headers={"retry-after": str(int(wait) + 1), "retry-after-ms": str(int(wait * 1000) + 1)},
            )
        if not caller.ledger.limited:
            return
        left = caller.ledger.left
        spent = [
            f.replace("_", " ")
            for f in ("tokens", "total_tokens", "calls", "dollars")
            if getattr(left, f) == 0
        ]
        if spent and not self._gives_back(caller):
            raise Refusal(
                "insufficient_quota", f"The budget of {' and '.join(spent)} is spent. Ask for more."
            )

    def _gives_back(self, caller: Caller) -> bool:
        """Whether requests in flight may still give back what they have set aside."""
        spent, limit = caller.ledger.spent, caller.key.budget if caller.key else Budget()
        return bool(caller.in_flight) and not (
            (limit.tokens is not None and spent.completion >= limit.tokens)
            or (limit.total_tokens is not None and spent.total >= limit.total_tokens)
            or (limit.calls is not None and spent.calls >= limit.calls)
            or (limit.dollars is not None and spent.nanodollars >= limit.dollars * NANO)
        )
