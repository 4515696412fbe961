"""Laws of chance: seeds, log-probabilities, biases, truncations."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ponder.core.calls import SwitchPenalty
from ponder.core.errors import UsageError
from ponder.core.protocols import ContinuationScores, Embeds, Tokenizes
from ponder.engines._bench import SLACK, Bench, Skip, law

if TYPE_CHECKING:
    from collections.abc import Sequence

_SEEDS = 32
_ALIKE = -14.0
"""Nats. Equal texts in a row of a lower log-probability than this are no coincidence."""


@law("seeds", "seed")
async def seeds(bench: Bench) -> None:
    for prefix, base in bench.bases:
        texts: set[str] = set()
        for seed in range(_SEEDS):
            if seed > 2 and len(texts) > 1:
                break
            one = await bench.draw(prefix, temperature=1.0, seed=seed)
            two = await bench.draw(prefix, temperature=1.0, seed=seed) if seed < 3 else one
            alike = one.text == two.text and one.token_ids == two.token_ids
            bench.hold(alike, f"seed {seed} gave two texts", one=one, two=two)
            texts.add(one.text)
        if len(texts) > 1 or not base.text:
            continue
        if "logprobs" in bench.can:
            told = await bench.draw(prefix, temperature=1.0, seed=0, logprobs=0)
            if sum(told.logprobs or ()) * (_SEEDS - 1) > _ALIKE:
                continue  # the model is all but sure of this text
        bench.hold(False, f"{_SEEDS} seeds gave the same text", texts=texts)


@law("temperature 0")
async def temperature_0(bench: Bench) -> None:
    if not bench.greedy:
        raise Skip("not repeatable at temperature 0")
    for prefix, base in bench.bases:
        other: dict[str, Any] = {"seed": 7} if "seed" in bench.can else {}
        again = await bench.draw(prefix, **other)
        bench.hold(again.text == base.text, "temperature 0 leaves nothing to chance", again=again, base=base)
        nucleus = await bench.draw(prefix, temperature=1.0, top_p=1e-6)
        bench.hold(
            nucleus.text == base.text, "a tiny top_p leaves the likeliest token", seen=nucleus, base=base
        )


@law("logprobs", "logprobs")
async def logprobs(bench: Bench) -> None:
    for prefix, base in bench.bases:
        segment = await bench.draw(prefix, logprobs=0)
        if bench.same:
            bench.hold(segment.text == base.text, "to record changes nothing", segment=segment, base=base)
        if not bench.greedy or segment.token_ids is None:
            continue
        ways: list[dict[str, Any]] = [
            {"temperature": 0.5, "top_k": 1},
            {"temperature": 2.0, "top_p": 1e-6},
            {"temperature": 1.0, "min_p": 0.999},
        ]
        if "logit_bias" in bench.can:
            ways.append({"logit_bias": {segment.token_ids[0]: 3.0}})
        for way in ways:
            other = await bench.draw(prefix, logprobs=0, **way)
            n = _common(segment.token_ids, other.token_ids or ())
            apart = _apart((segment.logprobs or ())[:n], (other.logprobs or ())[:n])
            bench.hold(
                apart <= bench.tolerance,
                f"they are of the model itself, whatever {', '.join(way)}",
                apart=apart,
                plain=segment,
                other=other,
            )


@law("top_logprobs", "logprobs", "top_logprobs")
async def top_logprobs(bench: Bench) -> None:
    for (prefix, _), chance in itertools.product(bench.bases, (0.0, 1.0)):
        segment = await bench.draw(prefix, logprobs=3, temperature=chance)
        tops = segment.top_logprobs
        if tops is None or len(tops) != segment.usage.completion:
            bench.hold(False, "there are the likeliest for each token", segment=segment)
            continue
        sampled = zip(segment.token_ids or (), segment.logprobs or (), tops, strict=False)
        for i, value, top in sampled:
            values = [v for _, v in top]
            bench.hold(1 <= len(top) <= 3, "as many as were asked for, at most", top=top)
            bench.hold(values == sorted(values, reverse=True), "the likeliest is first", top=top)
            bench.hold(all(v <= SLACK for v in values), "log-probabilities are at most 0", top=top)
            if i in dict(top):
                bench.hold(
                    abs(dict(top)[i] - value) <= bench.tolerance,
                    "the sampled token's is its own",
                    top=top,
                    of=value,
                )
            else:
                bench.hold(
                    value <= values[-1] + bench.tolerance, "a likelier token is left out", top=top, of=value
                )
            if chance == 0:
                bench.hold(
                    value >= values[0] - bench.tolerance, "greedy takes the likeliest", top=top, of=value
                )


@law("logit_bias", "logit_bias", "token_ids")
async def logit_bias(bench: Bench) -> None:
    for prefix, base in bench.bases:
        banned = dict.fromkeys((base.token_ids or ())[:2], -100.0)
        segment = await bench.draw(prefix, logit_bias=banned)
        said = set(banned) & set(segment.token_ids or ())
        bench.hold(not said, "-100 bans a token", banned=sorted(banned), segment=segment)


@law("switch_penalty", "switch_penalty", "token_ids")
async def switch_penalty(bench: Bench) -> None:
    for prefix, base in bench.bases:
        ids = base.token_ids or ()
        for at in (0, len(ids) // 2):
            held_off = SwitchPenalty((ids[at],), alpha=100.0, beta=at + 1)
            segment = await bench.draw(prefix, switch_penalty=held_off)
            early = (segment.token_ids or ())[: at + 1]
            bench.hold(
                ids[at] not in early, "a large penalty holds a switch off for beta tokens", segment=segment
            )
            if not bench.same:
                continue
            for free in (replace(held_off, beta=0), replace(held_off, alpha=0.0)):
                again = await bench.draw(prefix, switch_penalty=free)
                bench.hold(again.text == base.text, "without a window a penalty changes nothing", of=free)
            late = await bench.draw(prefix, switch_penalty=replace(held_off, since=at + 1))
            until = ids.index(ids[at]) + 1  # where the first switch begins a window
            alike = (late.token_ids or ())[:until] == ids[:until]
            bench.hold(alike, "beyond its window a penalty changes nothing", late=late, base=base)
            if at and ids[at] != ids[0] and ids[0] not in ids[1:]:
                # The first token is a switch, too: the window begins anew with it, and ends a token later.
                both = SwitchPenalty((ids[0], ids[at]), alpha=100.0, beta=at + 1, since=at + 1)
                segment = await bench.draw(prefix, switch_penalty=both)
                bench.hold(
                    ids[at] not in (segment.token_ids or ())[1 : at + 1],
                    "a switch begins a window",
                    segment=segment,
                )


@law("certainty", "certainty")
async def certainty(bench: Bench) -> None:
    for prefix, base in bench.bases:
        segment = await bench.draw(prefix, certainty=True)
        if bench.same:
            bench.hold(segment.text == base.text, "to record changes nothing", segment=segment, base=base)
        mean = sum(segment.certainty or ()) / max(1, segment.usage.completion)
        bench.hold(mean > 0.1, "no model of language is all but uniform", mean=mean)


@law("grammar", "grammar")
async def grammar(bench: Bench) -> None:
    colours = ["red", "green", "blue"]
    schema = json.dumps({"enum": colours})
    said: set[str] = set()
    for (prefix, _), chance in itertools.product(bench.bases, (0.0, 1.5)):
        segment = await bench.draw(prefix, grammar=schema, temperature=chance)
        fits = segment.finish == "eos" and json.loads(segment.text) in colours
        bench.hold(fits, "the text follows the schema, and ends where it is complete", segment=segment)
        said.add(segment.text)
    for schema in ("{", '{"type": "no such type"}'):
        try:
            segment = await bench.draw(bench.bases[0][0], grammar=schema)
        except UsageError:
            continue
        bench.hold(False, "what is no schema is refused with UsageError", schema=schema, segment=segment)


@law("scores", "scores")
async def scores(bench: Bench) -> None:
    engine = bench.engine
    if not isinstance(engine, ContinuationScores):
        bench.hold(False, 'an engine that has "scores" implements ContinuationScores', engine=engine)
        return
    for prefix, base in bench.bases:
        bench.hold(await engine.logprobs(prefix, "") == (), "no text has no log-probabilities")
        found = await engine.logprobs(prefix, base.text)
        bench.hold(all(p <= SLACK for p in found), "log-probabilities are at most 0", found=found)
        if not isinstance(engine, Tokenizes) or base.token_ids is None or "logprobs" not in bench.can:
            continue
        ids = engine.encode(base.text)
        bench.hold(len(found) == len(ids), "one for each token", found=found, ids=ids)
        sampled = await bench.draw(prefix, logprobs=0)
        n = _common(ids, sampled.token_ids or ())
        apart = _apart(found[:n], (sampled.logprobs or ())[:n])
        bench.hold(
            apart <= bench.tolerance, "read and written they differ", apart=apart, read=found, written=sampled
        )


@law("embeddings", "embeddings")
async def embeddings(bench: Bench) -> None:
    engine = bench.engine
    if not isinstance(engine, Embeds):
        bench.hold(False, 'an engine that has "embeddings" implements Embeds', engine=engine)
        return
    one, two, three = await engine.embed(["a cat", "the stock market", "a cat"])
    bench.hold(len(one) == len(two) == len(three) > 0, "vectors of one model have one length")
    bench.hold(_apart(one, three) <= 1e-3, "the same text has the same vector", apart=_apart(one, three))
    bench.hold(_apart(one, two) > 0, "different texts have different vectors")
    bench.hold(await engine.embed([]) == [], "no texts, no vectors")


def _common(one: Sequence[int], two: Sequence[int]) -> int:
    """How many tokens two texts begin with alike."""
    return next(
        (n for n, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two))
    )


def _apart(one: Sequence[float], two: Sequence[float]) -> float:
    return max((abs(a - b) for a, b in zip(one, two, strict=False)), default=0.0)
