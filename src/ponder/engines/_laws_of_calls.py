"""Laws of calls: watching, cancelling, side by side, closing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from ponder.core.calls import Sampling
from ponder.core.errors import ContextOverflow, EngineClosed
from ponder.core.prefix import Prefix, Prompt
from ponder.core.problem import Message
from ponder.engines._bench import Bench, Skip, law

if TYPE_CHECKING:
    from ponder.core.prefix import Segment
    from ponder.core.protocols import Delta

_PATIENCE = 10.0


@law("abilities")
async def abilities(bench: Bench) -> None:
    for ability, other in (
        ("stoppable", "streams"),
        ("top_logprobs", "logprobs"),
        ("stop_ids", "token_ids"),
        ("switch_penalty", "token_ids"),
    ):
        fits = ability not in bench.can or other in bench.can
        bench.hold(fits, f"{ability!r} needs {other!r}", can=sorted(bench.can))
    bench.hold(bool(bench.engine.capabilities.name), "an engine has a name")


@law("watching", "streams")
async def watching(bench: Bench) -> None:
    for prefix, base in bench.bases:
        enough = 3
        if base.usage.completion <= enough:
            continue
        deltas: list[Delta] = []
        segment = await bench.draw(prefix, deltas=deltas, enough=enough)
        if "stoppable" in bench.can and bench.same:
            ended = segment.finish == "cancelled" and segment.usage.completion == enough
            bench.hold(ended, f"it was to end after {enough} tokens", segment=segment, deltas=deltas)
        late = [d for i, d in enumerate(deltas) if sum(x.tokens for x in deltas[:i]) >= enough]
        bench.hold(not late, "the watch was called again after it said False", late=late)
        short = await bench.draw(prefix, max_tokens=2, enough=2)
        bench.hold(short.finish != "cancelled", "what ended by itself was not cancelled", segment=short)


@law("side by side")
async def side_by_side(bench: Bench) -> None:
    calls = bench.crowd(6, [prefix for prefix, _ in bench.bases])
    alone = [await call() for call in calls]
    together = await bench.together(calls)
    if bench.same and bench.exact:
        for one, other in zip(alone, together, strict=True):
            _alike(bench, one, other, "a call gives beside others what it gives alone")


@law("cancelling")
async def cancelling(bench: Bench) -> None:
    calls = bench.crowd(5, [prefix for prefix, _ in bench.bases])
    alone = [await call() for call in calls] if bench.same and bench.exact else []
    deltas: list[list[Delta]] = [[] for _ in calls]
    scopes = [anyio.CancelScope() for _ in calls]
    done: dict[int, Segment] = {}
    left: dict[int, int] = {}
    errors: list[Exception] = []

    async def one(i: int) -> None:
        try:
            with scopes[i]:
                done[i] = await calls[i](deltas=deltas[i])
        except Exception as error:  # noqa: BLE001 - raised below, as itself
            errors.append(error)
        left[i] = len(deltas[i])

    scopes[2].cancel()
    async with anyio.create_task_group() as group:
        for i in range(len(calls)):
            group.start_soon(one, i)
        with anyio.move_on_after(_PATIENCE):
            # Looked for again and again: a watch may be called from a thread, where no event can be set.
            while not deltas[1] and 1 not in left:  # noqa: ASYNC110
                await anyio.sleep(0.001)
        scopes[1].cancel()
    if errors:
        raise errors[0]
    again = await calls[1]()
    bench.hold(2 not in done, "a call that was cancelled before it began came to an end", segment=done.get(2))
    bench.hold(not deltas[2], "a call that was cancelled before it began wrote something", deltas=deltas[2])
    bench.hold(left[1] == len(deltas[1]), "a cancelled call wrote on", deltas=deltas[1])
    for i in (0, 3, 4):
        bench.hold(i in done, "cancelling one call took another with it", call=i)
    if alone:
        for i, segment in {**done, 1: again}.items():
            _alike(bench, alone[i], segment, "cancelling one call changed another")


@law("context")
async def context(bench: Bench) -> None:
    room = bench.engine.capabilities.context
    if room is None:
        raise Skip("its context is not known")
    prompt, flood = bench.bases[0][0].prompt, "word " * (room + 1)
    long = (
        Prompt(raw=flood) if prompt.raw is not None else replace(prompt, messages=(Message("user", flood),))
    )
    deltas: list[Delta] = []
    try:
        segment = await bench.draw(Prefix(long), deltas=deltas)
    except ContextOverflow:
        bench.hold(not deltas, "it sampled before it found the prompt too long", deltas=deltas)
    else:
        bench.hold(False, f"{room + 1} words fit a context of {room} tokens", segment=segment)
    await bench.draw(bench.bases[0][0], max_tokens=1)


async def closing(bench: Bench) -> None:
    """Not among `LAWS`: it ends the engine, so it is asked for and comes last."""
    close = getattr(bench.engine, "aclose", None) or getattr(bench.engine, "close", None)
    if close is None:
        return
    for _ in range(2):  # closing twice is no error
        closed = close()
        if hasattr(closed, "__await__"):
            await closed
    try:
        segment = await bench.engine.extend(bench.bases[0][0], Sampling(max_tokens=1))
    except EngineClosed:
        return
    bench.hold(False, "a closed engine raises EngineClosed", segment=segment)


def _alike(bench: Bench, one: Segment, other: Segment, said: str) -> None:
    alike = one.text == other.text and one.token_ids == other.token_ids and one.finish == other.finish
    bench.hold(alike, said, alone=one, beside=other)
