"""One call to an engine, from the lease to the receipt, in one scope of the budget."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import anyio

from ponder.core import events as e
from ponder.core.calls import Sampling, Usage
from ponder.core.errors import EngineError, OutOfBudget, PonderError, Refused, Unsupported
from ponder.core.protocols import BoundsPrompts, Tokenizes
from ponder.runtime.place import derive, name
from ponder.runtime.preflight import TOP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ponder.core.prefix import Prefix, Segment
    from ponder.core.protocols import Ability, Delta, Engine, Halt, Stop
    from ponder.runtime.attempt import Attempt
    from ponder.runtime.ledger import Lease, Ledger
    from ponder.runtime.place import Place


@dataclass(frozen=True, slots=True)
class Call:
    """Who is to write, and how."""

    role: str
    sampling: Sampling
    halt: Halt | None = None
    visible: bool = False


class Calls:
    """The calls that one scope makes: set aside, seeded, in flight, paid for, ended."""

    def __init__(self, attempt: Attempt, ledger: Ledger, outer: Calls | None = None) -> None:
        self.attempt = attempt
        self.ledger = ledger
        self.recorded: frozenset[Ability] = outer.recorded if outer else frozenset()
        self.writers: frozenset[str] = outer.writers if outer else frozenset({"solver"})  # of whom
        self.ended: Stop | None = None
        self._around: tuple[Calls, ...] = outer._scopes if outer else ()
        self._in_flight: set[anyio.CancelScope] = set()  # here and in scopes inside

    @property
    def _scopes(self) -> tuple[Calls, ...]:
        """This one and those around it. It does not hold itself: a run is gone as soon as it is over."""
        return (self, *self._around)

    @property
    def over(self) -> bool:
        """Whether this scope, or one around it, was ended."""
        return any(scope.ended for scope in self._scopes)

    def end(self, why: Stop) -> None:
        """Grant nothing more; calls in flight are cancelled and paid for."""
        self.ended = why
        self.ledger.close(f"the run was ended ({why})")
        for call in tuple(self._in_flight):
            call.cancel()

    @contextlib.contextmanager
    def in_flight(self, call: anyio.CancelScope) -> Iterator[None]:
        """What stands inside is cancelled where the scope, or one around it, ends."""
        if self.over:
            call.cancel()
        for scope in self._scopes:
            scope._in_flight.add(call)
        try:
            yield
        finally:
            for scope in self._scopes:
                scope._in_flight.discard(call)

    def pay(self, lease: Lease, role: str, usage: Usage) -> Usage:
        """Settle, and say what was paid: the usage with its price."""
        return self.pay_all([(lease, usage)], role)[0]

    def pay_all(self, due: Sequence[tuple[Lease, Usage]], role: str) -> list[Usage]:
        """Settle several calls of one role, all at once."""
        paid = [(lease, lease.prices.priced(usage) if lease.prices else usage) for lease, usage in due]
        usages = self.attempt.usage
        usages[role] = usages.get(role, Usage()) + self.ledger.settle_all(paid)
        return [usage for _, usage in paid]

    async def draw(
        self, place: Place, prefix: Prefix, call: Call, rule: Callable[[Delta], str | None] | None = None
    ) -> Prefix:
        """The prefix with what one call to an engine wrote; `rule` may end it where the engine tells what it writes."""
        attempt, ledger, at_place = self.attempt, self.ledger, name(place)
        role, sampling = call.role, call.sampling
        engine = attempt.engine(role)
        wanted = schema(prefix, sampling)
        asked_of = formless(prefix) if attempt.schema is not None and wanted is None else prefix
        can, prices = engine.capabilities.can, engine.capabilities.prices
        if ledger.counts_money and prices is None:
            raise Unsupported(
                f"A budget of dollars needs the prices of {engine.capabilities.name}. Write them in ponder.toml, or "
                "limit completion tokens instead, for example -b 4k."
            )
        prompt = read(engine, asked_of) if ledger.counts_prompts else 0
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
        if role in self.writers:
            sampling = recording(sampling, self.recorded & can)
        if "grammar" in can and wanted:
            sampling = replace(sampling, grammar=wanted)
        asked = sampling.max_tokens
        if "stoppable" not in can:
            sampling = replace(sampling, max_tokens=lease.granted)
        parent, before = prefix.place, written(prefix)
        live, shown = attempt.live, call.visible and attempt.schema is None
        why: str | None = None  # it was halted

        def watch(delta: Delta) -> bool:
            nonlocal why
            more = lease.use(delta.tokens)
            for watcher in live:
                watcher(e.Wrote(at_place, delta.text, delta.tokens, shown))
            said = rule(delta) if rule else None
            why = why or (said if more else None)
            return more and why is None

        started = anyio.current_time()
        scope = anyio.CancelScope()
        try:
            if attempt.watchers:
                attempt.emit(e.Extending(at_place, parent, before, role, told(sampling)))
            with scope, self.in_flight(scope):
                segment = await engine.extend(asked_of, sampling, watch if "streams" in can else None)
            if scope.cancelled_caught:
                raise OutOfBudget(f"The call at {at_place} was cut off: the run was ended ({self.ended}).")
        except BaseException as error:
            cancelled = scope.cancelled_caught or not isinstance(error, Exception)
            unseen = cancelled and "stoppable" not in can
            usage = Usage(
                prompt=lease.prompt or count(engine, asked_of),
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
            usage = self.pay(lease, role, usage)
            attempt.failed += not (cancelled or isinstance(error, Refused))
            said = "cancelled" if cancelled else str(error) or type(error).__name__
            attempt.emit(e.Failed(at_place, parent, role, said, usage, cancelled))
            raise
        # Attempts that failed on the way were paid for too; and a call is a call, whatever an engine says.
        usage = replace(
            segment.usage,
            completion=max(segment.usage.completion, lease.used),
            calls=max(segment.usage.calls, 1),
        )
        segment = segment.at(at_place)
        if segment.finish == "cancelled" and why is not None:
            segment = replace(segment, stopped_by=why)
        elif segment.finish == "cancelled" or (segment.finish == "length" and lease.granted < asked):
            ledger.refuse(lease)
            segment = replace(segment, finish="length")
        usage = self.pay(lease, role, usage)
        if attempt.watchers:
            attempt.emit(extended(at_place, parent, before, role, segment, usage))
        return prefix + segment


def read(engine: Engine, prefix: Prefix) -> int:
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


def count(engine: Engine, prefix: Prefix) -> int:
    """Tokens of the prefix, as far as the engine can still tell."""
    with contextlib.suppress(PonderError):
        return engine.count(prefix) if isinstance(engine, Tokenizes) else 0
    return 0


def schema(prefix: Prefix, sampling: Sampling) -> str | None:
    """The JSON schema that a text from the prompt on is to follow, as JSON; None where the prompt asks for none.

    Text that stops and goes on later cannot be held to it: an engine would begin anew each time.
    """
    wanted = prefix.prompt.response_format
    part = prefix.segments or sampling.min_tokens or sampling.stop or sampling.stop_ids
    if wanted is None or part or sampling.grammar:
        return None
    schema = (wanted.get("json_schema") or {}).get("schema") or {"type": "object"}
    return json.dumps(schema)


def formless(prefix: Prefix) -> Prefix:
    """The prefix as it is asked for where a text cannot be held to the form: no engine is to try it."""
    if prefix.prompt.response_format is None:
        return prefix
    return replace(prefix, prompt=replace(prefix.prompt, response_format=None))


def recording(sampling: Sampling, what: frozenset[Ability]) -> Sampling:
    """The sampling that also records what scorers are going to read."""
    least = TOP if "top_logprobs" in what else 0 if "logprobs" in what else None
    if least is not None:
        sampling = replace(sampling, logprobs=max(least, sampling.logprobs or 0))
    return replace(sampling, certainty=True) if "certainty" in what else sampling


def written(prefix: Prefix) -> str:
    """What a strategy wrote after the last sampled segment."""
    text = ""
    for segment in reversed(prefix.segments):
        if segment.sampled:
            break
        text = segment.text + text
    return text


def told(sampling: Sampling) -> dict[str, Any]:
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


_DEFAULT = {what: getattr(Sampling(), what) for what in Sampling.__dataclass_fields__}


def extended(place: str, parent: str, written: str, role: str, segment: Segment, usage: Usage) -> e.Extended:
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
