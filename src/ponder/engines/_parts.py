"""One call made in several parts: what joins their segments, and what seeds them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from ponder.core.calls import Usage
    from ponder.core.prefix import Segment

T = TypeVar("T")


def joined(before: Segment | None, part: Segment) -> Segment:
    """What was written before and the next part as one segment, which ends as that part does.

    It costs what one call would: the prompt counts once, though it may have been read for each part.
    """
    if before is None:
        return replace(part, usage=replace(part.usage, calls=1))
    ends = None
    if before.ends is not None and part.ends is not None:
        ends = (*before.ends, *(len(before.text) + end for end in part.ends))
    return replace(
        part,
        text=before.text + part.text,
        token_ids=_both(before.token_ids, part.token_ids),
        ends=ends,
        usage=_as_one(before.usage, part.usage),
        logprobs=_both(before.logprobs, part.logprobs),
        top_logprobs=_both(before.top_logprobs, part.top_logprobs),
        certainty=_both(before.certainty, part.certainty),
    )


def seeded(seed: int | None, number: int) -> int | None:
    """The seed of a part: with the call's own, every part would begin with the same chance."""
    if seed is None or not number:
        return seed
    told = hashlib.blake2b(f"{seed}|{number}".encode(), digest_size=8).digest()
    return int.from_bytes(told, "big") >> 33


def _both(before: tuple[T, ...] | None, after: tuple[T, ...] | None) -> tuple[T, ...] | None:
    return None if before is None or after is None else before + after


def _as_one(before: Usage, part: Usage) -> Usage:
    return replace(
        before,
        completion=before.completion + part.completion,
        seconds=before.seconds + part.seconds,
        estimated=before.estimated or part.estimated,
    )
