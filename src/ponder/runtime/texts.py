"""One text that may take several calls: a thinking budget kept by hand, a rule asked between chunks."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from ponder.core import events as e
from ponder.core.errors import OutOfBudget, Refused
from ponder.core.protocols import Delta
from ponder.runtime.calls import schema
from ponder.runtime.place import name
from ponder.thinking.markers import closing, thought

if TYPE_CHECKING:
    from ponder.core.markers import Markers
    from ponder.core.prefix import Prefix
    from ponder.runtime.calls import Call, Calls
    from ponder.runtime.place import Place

CHUNK = 64
"""Tokens between two questions to a rule that may end a text, where an engine tells nothing while it writes."""


async def think(calls: Calls, place: Place, prefix: Prefix, call: Call) -> Prefix:
    """One text, with as much thinking as it may have: kept by the engine where it can, else by hand, else hoped for.

    A server that took a budget when it was asked what it can do, and refuses it now, has written nothing: then it is
    kept by hand at once. However it is kept, it is counted here, and told.
    """
    attempt, sampling = calls.attempt, call.sampling
    most = sampling.thinking_tokens
    if most is None:
        return await write(calls, place, prefix, call)
    can, markers = attempt.engine(call.role).capabilities.can, attempt.markers("auto", call.role)
    if markers.end and markers.end in prefix.text:  # what goes on is an answer
        return await write(calls, place, prefix, call)
    by_hand = "continue" in can and bool(markers.end)
    by: e.Keeper = "engine" if "thinking_budget" in can else "continuation" if by_hand else "nobody"
    if by != "continuation":
        try:
            path = await write(calls, place, prefix, call)
        except Refused:
            by = "continuation" if by_hand else "nobody"
            if by == "nobody":
                path = await write(calls, (*place, 2), prefix, call)
    if by == "continuation":
        path, spent = await _by_hand(calls, place, prefix, call, most, markers)
    else:
        spent = thought(path.segments[len(prefix.segments) :], markers)
    obeyed = spent <= most
    attempt.overthought += not obeyed
    attempt.emit(e.Thought(name(place), path.place, most, spent, obeyed, by))
    return path


async def _by_hand(
    calls: Calls, place: Place, prefix: Prefix, call: Call, most: int, markers: Markers
) -> tuple[Prefix, int]:
    """A text whose thinking is cut, closed and continued, and the tokens of that thinking.

    Where the money ends before the answer, the thinking, which was paid for, is a text that was cut off.
    """
    sampling, stops = call.sampling, markers.stops
    how = replace(sampling, thinking=None)
    path = prefix if prefix.segments else prefix + markers.start
    if most:
        first = replace(
            how,
            max_tokens=most,
            stop=(*how.stop, *stops.get("stop", ())),
            stop_ids=(*how.stop_ids, *stops.get("stop_ids", ())),
        )
        path = await write(calls, (*place, 0), path, replace(call, sampling=first, visible=False))
    spent = path.tokens - prefix.tokens
    left = sampling.max_tokens - spent
    ended = bool(most) and path.stopped_by == markers.end
    whole = path.cut and spent >= most  # else the budget of the run, or a rule, cut it
    if left > 0 and (ended or whole or not most):
        said = path.before_stop
        rest = replace(call, sampling=replace(how, max_tokens=left))
        try:
            path = await write(calls, (*place, 1), said + closing(markers, said.text, cut=not ended), rest)
        except OutOfBudget:
            if not spent or calls.over:
                raise
            path = said.cut_off()
    return path, spent


async def write(calls: Calls, place: Place, prefix: Prefix, call: Call) -> Prefix:
    """One text in one call; or, where a rule may end it and the engine tells nothing while it writes, in chunks.

    Still in one where it asks for what depends on all that the call wrote. Where the money ends between two chunks,
    the text is what was written: cut off, as it would be in one call.
    """
    sampling, can = call.sampling, calls.attempt.engine(call.role).capabilities.can
    rule = call.halt() if call.halt else None
    whole = (
        sampling.stop
        or sampling.min_tokens
        or sampling.grammar
        or sampling.switch_penalty
        or schema(prefix, sampling)
    )
    if rule is None or whole or "streams" in can or "continue" not in can:
        return await calls.draw(place, prefix, call, rule)
    path, left = prefix, sampling.max_tokens
    for i in itertools.count():
        part = replace(sampling, max_tokens=min(CHUNK, left))
        try:
            path = await calls.draw((*place, i), path, replace(call, sampling=part))
        except OutOfBudget:
            if not i or calls.over:
                raise
            break
        new = path.segments[-1]
        left -= new.usage.completion
        if why := rule(Delta(new.text, new.usage.completion, new.top_logprobs or ())):
            return path.cut_off("cancelled", why)
        # What is shorter than it was asked to be has ended, or its budget has.
        if new.finish != "length" or new.usage.completion < part.max_tokens or left <= 0:
            break
    return path
