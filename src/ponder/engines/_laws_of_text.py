"""Laws of text: lengths, stops, tokens, prompts."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from ponder.core.prefix import Prefix, Prompt
from ponder.core.problem import Message
from ponder.core.protocols import Tokenizes
from ponder.engines._bench import Bench, Skip, law

if TYPE_CHECKING:
    from ponder.core.prefix import Segment

FOREIGN = "Répète : 你好，世界 👩‍🔬 — naïve ∑ 😀"


@law("max_tokens")
async def max_tokens(bench: Bench) -> None:
    for prefix, base in bench.bases:
        for most in (1, 2, 7):
            segment = await bench.draw(prefix, max_tokens=most)
            if bench.same:
                _is_beginning(bench, segment, base)
                reached = segment.usage.completion == min(most, base.usage.completion)
                bench.hold(reached, f"max_tokens={most} gave another length", segment=segment, base=base)


@law("stop strings")
async def stop_strings(bench: Bench) -> None:
    for prefix, base in bench.bases:
        for stop in _stops(base):
            segment = await bench.draw(prefix, stop=(stop,))
            if bench.same:
                bench.hold(
                    segment.stopped_by == stop,
                    f"it wrote {stop!r} and did not stop by it",
                    segment=segment,
                    base=base,
                )
                _is_beginning(bench, segment, base)
        stops = _stops(base)
        if bench.same and len(stops) > 1:
            segment = await bench.draw(prefix, stop=tuple(stops[:4]))
            first = min(base.text.find(stop) for stop in stops[:4])
            found = segment.text.find(segment.stopped_by or "")
            bench.hold(found == first, "of several stops the first one counts", segment=segment, stops=stops)
        never = await bench.draw(prefix, stop=("\x00never\x00",))
        if bench.same:
            bench.hold(never.text == base.text, "a stop that never comes changes nothing", segment=never)


@law("stop ids", "stop_ids", "token_ids")
async def stop_ids(bench: Bench) -> None:
    found = False
    for prefix, base in bench.bases:
        ids = _ids(base)
        for at in {0, len(ids) // 2, len(ids) - 1} if ids else ():
            found, stop = True, ids[at]
            segment = await bench.draw(prefix, stop_ids=(stop,))
            got = segment.token_ids or ()
            bench.hold(stop not in got[:-1], "it wrote on after a stop id", segment=segment, stop=stop)
            if bench.same:
                bench.hold(
                    got == ids[: ids.index(stop) + 1], "it stops at the stop id and keeps it", segment=segment
                )
                bench.hold(segment.finish == "stop", "a stop id ends like a stop string", segment=segment)
                if segment.ends:
                    last = segment.text[(0, *segment.ends)[-2] :]
                    same = segment.stopped_by == last
                    bench.hold(same, "stopped_by is the stop id's text", segment=segment)
                if segment.stopped_by:
                    kept = tuple(
                        i for s in (prefix + segment).before_stop.segments for i in s.token_ids or ()
                    )
                    before = tuple(i for s in prefix.segments for i in s.token_ids or ())
                    same = kept == before + got[:-1]
                    bench.hold(same, "before_stop is without the stop id", segment=segment, kept=kept)
    if not found:
        raise Skip("every prompt ended at once")


@law("min_tokens", "stop_ids", "token_ids")
async def min_tokens(bench: Bench) -> None:
    for prefix, base in bench.bases:
        ids = _ids(base)
        if not ids:
            continue
        stop, held = ids[0], min(len(ids) + 2, bench.tokens - 1)
        segment = await bench.draw(prefix, stop_ids=(stop,), min_tokens=held)
        early = (segment.token_ids or ())[:held]
        bench.hold(stop not in early, "a stop id came before min_tokens", segment=segment, stop=stop)
        long_enough = segment.finish not in ("eos", "stop") or segment.usage.completion > held
        bench.hold(long_enough, f"it ended before min_tokens={held}", segment=segment)
        for string in _stops(base)[:2]:
            again = await bench.draw(prefix, stop=(string,), min_tokens=bench.tokens)
            if bench.same:
                bench.hold(again.stopped_by == string, "min_tokens holds off no stop string", segment=again)


@law("continuing", "continue", "token_ids")
async def continuing(bench: Bench) -> None:
    if not bench.greedy:
        raise Skip("not repeatable at temperature 0")
    for prefix, _ in bench.bases:
        whole = await bench.draw(prefix, max_tokens=8)
        first = await bench.draw(prefix, max_tokens=4)
        if first.finish != "length":
            continue
        rest = await bench.draw(prefix + first, max_tokens=4)
        ids = (*(first.token_ids or ()), *(rest.token_ids or ()))
        bench.hold(ids == whole.token_ids, "4 and 4 more are not 8", whole=whole, first=first, rest=rest)
        bench.hold(
            first.text + rest.text == whole.text, "the texts differ", whole=whole, first=first, rest=rest
        )
        written = await bench.draw(prefix + first + "\n\nWait,", max_tokens=4)
        bench.hold(written.usage.prompt > first.usage.prompt, "what was written is read", segment=written)


@law("counting")
async def counting(bench: Bench) -> None:
    engine = bench.engine
    if not isinstance(engine, Tokenizes):
        raise Skip("does not tokenize")
    bench.hold(engine.encode("") == (), "no text has no tokens", seen=engine.encode(""))
    for text in ("Two words", "\n\nWait,", FOREIGN):
        ids = engine.encode(text)
        bench.hold(
            bool(ids) and ids == engine.encode(text), "a text always has the same tokens", text=text, ids=ids
        )
    for prefix, base in bench.bases:
        asked = engine.count(prefix)
        bench.hold(
            asked == base.usage.prompt, f"counted {asked}, paid for {base.usage.prompt}", prefix=prefix
        )
        if not {"continue", "token_ids"} <= bench.can or base.finish == "eos":
            continue
        path = prefix + base
        grown = asked + base.usage.completion
        bench.hold(
            engine.count(path) == grown, "a path is as long as its ids", path=path, seen=engine.count(path)
        )
        text = "\n\nWait, "
        longer = grown + len(engine.encode(text))
        bench.hold(
            engine.count(path + text) == longer, "what was written counts as encoded", path=path + text
        )
        more = await bench.draw(path + text, max_tokens=1)
        bench.hold(
            more.usage.prompt == longer, f"counted {longer}, paid for {more.usage.prompt}", segment=more
        )


@law("unicode")
async def unicode(bench: Bench) -> None:
    prompt = bench.bases[0][0].prompt
    message = Message("user", FOREIGN)
    asked = Prompt(raw=FOREIGN) if prompt.raw is not None else replace(prompt, messages=(message,))
    for most in (1, 2, 3, bench.tokens):
        await bench.draw(Prefix(asked), max_tokens=most, stop=("好👩", "\u00e9\u0301"))


def _stops(base: Segment) -> list[str]:
    """Strings to stop at, all within the text: its first letter, a whole token, one within and one across."""
    text, ends = base.text, (0, *(base.ends or ()))
    found = [text[:1], text[len(text) // 2 :][:3], text[-1:]]
    for start, end in itertools.pairwise(ends):
        found += [text[start:end], text[start - 1 : start + 1] if start else "", text[start + 1 : end - 1]]
    usable = (stop for stop in found if stop and "\ufffd" not in stop)
    return list(dict.fromkeys(usable))[:8]


def _ids(base: Segment) -> tuple[int, ...]:
    """The ids of a segment without end-of-text."""
    ids = base.token_ids or ()
    return ids[:-1] if base.finish == "eos" else ids


def _is_beginning(bench: Bench, segment: Segment, base: Segment) -> None:
    bench.hold(base.text.startswith(segment.text), "its text is another", segment=segment, base=base)
    if segment.token_ids is not None and base.token_ids is not None:
        n = len(segment.token_ids)
        same = segment.token_ids == base.token_ids[:n]
        bench.hold(same, "its tokens are others", segment=segment, base=base)
        if segment.ends is not None and base.ends is not None:
            bench.hold(segment.ends == base.ends[:n], "whole tokens are kept", segment=segment, base=base)
