"""Samples of one prompt in one request, where the engine draws several and nobody needs them one by one.

The prompt is read and paid for once. What is lost: each sample's own seed, its single cancellation, and whatever of it
was written when the request breaks. So it is done only for an attempt that may (`Attempt.together`), and only where the
budget can set aside all of every sample, for nobody can end one of them. A request that fails is recorded at a place of
its own, behind those of its samples, which are then drawn one by one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from ponder.core import events as e
from ponder.core.calls import Usage
from ponder.core.errors import EngineError, OutOfBudget
from ponder.core.protocols import ExtendsMany, Tokenizes
from ponder.runtime.calls import count, extended, formless, read, recording, schema, told, written
from ponder.runtime.place import name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.prefix import Prefix
    from ponder.runtime.calls import Call, Calls
    from ponder.runtime.ledger import Lease
    from ponder.runtime.place import Place


async def draw_together(
    calls: Calls, place: Place, prefix: Prefix, n: int, call: Call
) -> list[Prefix] | None:
    """`n` samples in one request, at the places below `place`; None where they are to be drawn one by one."""
    attempt, ledger, role = calls.attempt, calls.ledger, call.role
    engine, sampling = attempt.engine(role), call.sampling
    if (
        not (attempt.together and n > 1 and engine.capabilities.many)
        or call.halt
        or sampling.seed is not None
        or sampling.thinking is not None
        or not isinstance(engine, ExtendsMany)
    ):
        return None
    can, prices = engine.capabilities.can, engine.capabilities.prices
    if ledger.counts_money and prices is None:
        return None  # which is told where one is drawn
    leases = ledger.reserve_all(
        n,
        kind=(role, sampling.max_tokens, sampling.stop),
        most=sampling.max_tokens,
        prompt=read(engine, prefix) if ledger.counts_prompts else 0,
        prices=prices,
    )
    if leases is None:
        return None
    if role in calls.writers:
        sampling = recording(sampling, calls.recorded & can)
    wanted = schema(prefix, sampling)
    if "grammar" in can and wanted:
        sampling = replace(sampling, grammar=wanted)
    asked_of = formless(prefix) if attempt.schema is not None and wanted is None else prefix
    started = anyio.current_time()
    scope = anyio.CancelScope()
    try:
        with scope, calls.in_flight(scope):
            segments = await engine.extend_many(asked_of, sampling, n)
        if scope.cancelled_caught:
            raise OutOfBudget(f"The calls at {name(place)} were cut off: the run was ended ({calls.ended}).")
    except BaseException as error:
        cancelled = scope.cancelled_caught or not isinstance(error, Exception)
        spent = error.spent if isinstance(error, EngineError) else 0
        seconds = anyio.current_time() - started
        lost = Usage(count(engine, prefix), calls=1, estimated=not isinstance(engine, Tokenizes))
        usage = _lost(calls, leases, role, lost, None if cancelled else spent, seconds)
        attempt.failed += not cancelled
        said = "cancelled" if cancelled else str(error) or type(error).__name__
        attempt.emit(e.Failed(name((*place, n)), prefix.place, role, said, usage, cancelled))
        if isinstance(error, EngineError):
            return None
        raise
    paths, before, how = [], written(prefix), told(sampling)
    usages = [s.usage if s.usage.calls else replace(s.usage, calls=1) for s in segments]
    paid = calls.pay_all(list(zip(leases, usages, strict=True)), role)
    for i, (segment, usage) in enumerate(zip(segments, paid, strict=True)):
        at = name((*place, i))
        attempt.emit(e.Extending(at, prefix.place, before, role, how))
        placed = segment.at(at)
        attempt.emit(extended(at, prefix.place, before, role, placed, usage))
        paths.append(prefix + placed)
    return paths


def _lost(
    calls: Calls, leases: Sequence[Lease], role: str, each: Usage, spent: int | None, seconds: float
) -> Usage:
    """Pay for a request that gave nothing: `spent` tokens, or, where nobody knows, all that it was allowed to write."""
    total = Usage()
    for i, lease in enumerate(leases):
        part = lease.granted if spent is None else min(lease.granted, spent)
        left, spent = spent, None if spent is None else spent - part
        usage = replace(
            each,
            prompt=0 if i else lease.prompt or each.prompt,
            cached=0,
            completion=part,
            seconds=0.0 if i else seconds,
            estimated=each.estimated or left is None,
        )
        total += calls.pay(lease, role, usage)
    return total
