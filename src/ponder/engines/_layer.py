"""What all layers share: the engine within, a name for each call, and segments shown again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ponder.core.protocols import (
    BoundsPrompts,
    ContinuationScores,
    Delta,
    Embeds,
    ExtendsMany,
    Tokenizes,
    TokenizesAfar,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from ponder.core.calls import Sampling
    from ponder.core.prefix import Prefix, Segment
    from ponder.core.protocols import Capabilities, Engine

T = TypeVar("T")


class Layer:
    """An engine that wraps an engine and can do whatever that can.

    The methods of the optional protocols are given to each layer as it is made, and only those that its engine
    has, so that `isinstance(layer, Tokenizes)` is exactly as true as it is of the engine. Calls that ask the
    model for something (`logprobs`, `embed`, `extend_many`) go through `aside`.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        offers = vars(self)
        if isinstance(engine, Tokenizes):
            offers |= {"encode": engine.encode, "count": engine.count}
        if isinstance(engine, TokenizesAfar):
            offers["tokens"] = partial(self.aside, "tokens", engine.tokens)
        if isinstance(engine, BoundsPrompts):
            offers["count_at_most"] = engine.count_at_most
        if isinstance(engine, ContinuationScores):
            offers["logprobs"] = partial(self.aside, "logprobs", engine.logprobs)
        if isinstance(engine, Embeds):
            offers["embed"] = partial(self.aside, "embed", engine.embed)
        if isinstance(engine, ExtendsMany):
            offers["extend_many"] = partial(self.aside, "extend_many", engine.extend_many)
        if pass_on := getattr(engine, "pass_on", None):  # see `engines.servers`
            offers["pass_on"] = partial(self.aside, "pass_on", pass_on)
        for name in ("aclose", "close"):
            if hasattr(engine, name):
                offers[name] = getattr(engine, name)

    @property
    def capabilities(self) -> Capabilities:
        return self.engine.capabilities

    @property
    def in_flight(self) -> int:
        """Calls that the engine works on, where it counts them."""
        return getattr(self.engine, "in_flight", 0)

    async def extend(
        self, prefix: Prefix, sampling: Sampling, watch: Callable[[Delta], bool | None] | None = None
    ) -> Segment:
        return await self.engine.extend(prefix, sampling, watch)

    async def aside(self, name: str, call: Callable[..., Awaitable[T]], *asked: Any) -> T:
        """Make a call other than `extend`."""
        del name
        return await call(*asked)


def key_of(*asked: Any) -> str:
    """A name for a call: equal for equal text, ids and sampling, wherever in a program it was drawn."""
    return hashlib.sha256(json.dumps(asked, default=_plain, sort_keys=True).encode()).hexdigest()


def shown(segment: Segment, watch: Callable[[Delta], bool | None] | None) -> Segment:
    """A segment written before, shown to a watch token by token; cut where it says False."""
    if watch is None:
        return segment
    if segment.ends is None:
        watch(Delta(segment.text, segment.usage.completion, segment.top_logprobs or ()))
        return segment
    start = 0
    for n, end in enumerate(segment.ends, 1):
        top = segment.top_logprobs[n - 1 : n] if segment.top_logprobs else ()
        if watch(Delta(segment.text[start:end], 1, top)) is False and n < len(segment.ends):
            return cut_to(segment, n)
        start = end
    return segment


def cut_to(segment: Segment, n: int) -> Segment:
    """Its first `n` tokens, as the text of a call that was ended there; all of it where its tokens are not known."""
    if segment.ends is None:
        return segment
    ends, ids = segment.ends or (), segment.token_ids
    return replace(
        segment,
        text=segment.text[: ends[n - 1]],
        token_ids=ids[:n] if ids is not None else None,
        ends=ends[:n],
        usage=replace(segment.usage, completion=n),
        finish="cancelled",
        stopped_by=None,
        logprobs=segment.logprobs[:n] if segment.logprobs is not None else None,
        top_logprobs=segment.top_logprobs[:n] if segment.top_logprobs is not None else None,
        certainty=segment.certainty[:n] if segment.certainty is not None else None,
    )


def _plain(value: Any) -> Any:
    """Values as JSON. Of a segment only what a model reads counts, not what it cost nor where it was drawn."""
    if isinstance(value, Mapping):
        return {str(k): v for k, v in value.items()}
    if hasattr(value, "segments"):
        return [value.prompt, [(s.text, s.token_ids) for s in value.segments]]
    if hasattr(value, "__dataclass_fields__"):
        told = {f.name: getattr(value, f.name) for f in fields(value)}
        # A field that came later is left out where it says nothing, so that samples of earlier runs keep their names.
        return {name: x for name, x in told.items() if name != "thinking" or x is not None}
    return repr(value)
