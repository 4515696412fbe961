"""One text that may take several calls: a thinking budget kept by hand, a rule asked between chunks."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from ponder.core import events as e
from ponder.core.errors import OutOfBudget
from ponder.core.protocols import Delta
from ponder.runtime.place import name
from ponder.thinking.markers import closing
from ponder.thinking.markers import tokens as thinking_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.markers import Markers
    from ponder.core.prefix import Prefix, Segment
    from ponder.runtime.calls import Call, Calls
    from ponder.runtime.place import Place

CHUNK = 64
"""Tokens between two questions to a rule that may end a text, where an engine tells nothing while it writes."""


async def think(calls: Calls, place: Place, prefix: Prefix, call: Call) -> Prefix:
    """One text; where a thinking budget has to be kept by hand it is cut, closed and continued.

    Where the money ends before the answer, the thinking, which was paid for, is a text that was cut off.
    """
    attempt, sampling = calls.attempt, call.sampling
    most = sampling.thinking_tokens
    if most is None:
        return await write(calls, place, prefix, call)
    can, markers = attempt.engine(call.role).capabilities.can, attempt.markers("auto", call.role)
    if markers.end and markers.end in prefix.text:  # what goes on is an answer
        return await write(calls, place, prefix, call)
    if "thinking_budget" in can or "continue" not in can or not markers.end:
        path = await write(calls, place, prefix, call)
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
            path = await write(calls, (*place, 0), path, replace(call, sampling=first, visible=False))
        spent = path.tokens - prefix.tokens
        left = sampling.max_tokens - spent
        ended = bool(most) and path.stopped_by == markers.end
        whole = path.cut and spent >= most  # else the budget of the run, or a rule, cut it
        if left > 0 and (ended or whole or not most):
            said = path.before_stop
            rest = replace(call, sampling=replace(how, max_tokens=left))
            try:
                path = await write(
                    calls, (*place, 1), said + closing(markers, said.text, cut=not ended), rest
                )
            except OutOfBudget:
                if not spent or calls.over:
                    raise
                path = said.cut_off()
    obeyed = spent <= most
    attempt.overthought += not obeyed
    attempt.emit(e.Thought(name(place), path.place, most, spent, obeyed))
    return path


async def write(calls: Calls, place: Place, prefix: Prefix, call: Call) -> Prefix:
    """One text in one call; or, where a rule may end it and the engine tells nothing while it writes, in chunks.

    Still in one where it asks for what depends on all that the call wrote. Where the money ends between two chunks,
    the text is what was written: cut off, as it would be in one call.
    """
    sampling, can = call.sampling, calls.attempt.engine(call.role).capabilities.can
    rule = call.halt() if call.halt else None
    whole = sampling.stop or sampling.min_tokens or sampling.grammar or sampling.switch_penalty
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
