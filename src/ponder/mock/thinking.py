"""How the mock server's model thinks: as it was told to, or not; in the text, or apart from it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ponder.core.calls import SHARES, Usage
from ponder.core.errors import UsageError
from ponder.thinking.markers import tokens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ponder.core.calls import Sampling
    from ponder.core.markers import Markers
    from ponder.core.prefix import Prefix, Segment

Manner = Literal["obeys", "ignores", "refuses"]
"""What it does with a thinking budget that it is sent."""

CAPS = {
    ("vllm", "chat"): "thinking_token_budget",
    ("vllm", "completions"): "thinking_token_budget",
    ("llama-server", "chat"): "thinking_budget_tokens",
    ("llama-server", "completion"): "reasoning_budget_tokens",
}
_NATIVE = ("reasoning_budget_start_tag", "reasoning_budget_end_tags", "reasoning_budget_message")


def budget(dialect: str, form: str, body: Mapping[str, Any], most: int) -> int | None:
    """The tokens that a request lets a model think: a cap, or an effort's share of its `most` tokens; None if it does
    not say.
    """
    cap = body.get(CAPS.get((dialect, form), ""))
    if form == "completion" and not all(field in body for field in _NATIVE):
        cap = None  # as the real one: it knows neither what to count nor what to close it with
    if isinstance(cap, int) and cap >= 0:
        return cap
    effort = body.get("reasoning_effort") if form == "chat" else None
    return int(SHARES[effort] * most) if effort in SHARES else None


def refused(body: Mapping[str, Any]) -> str | None:
    """The field that a server complains of that was started without its reasoning parser."""
    known = (*CAPS.values(), "reasoning_effort")
    return next((field for field in body if field in known), None)


class Writes(Protocol):
    """What is asked of the engine."""

    async def extend(self, prefix: Prefix, sampling: Sampling) -> Segment: ...
    def encode(self, text: str) -> tuple[int, ...]: ...


async def written(engine: Writes, prefix: Prefix, sampling: Sampling, markers: Markers, most: int) -> Segment:
    """What the engine writes, of which `most` tokens at most are thinking: the end of it is forced."""
    whole = await engine.extend(prefix, sampling)
    ids, ends = whole.token_ids or (), whole.ends or ()
    if tokens(markers, whole.text, whole.ends, len(ids)) <= most or markers.end in prefix.text:
        return whole
    at = whole.text.find(markers.start.strip()) if markers.start else -1
    begin = at + len(markers.start.strip()) if at >= 0 else 0
    kept = sum(start < begin for start in (0, *ends[:-1])) + most
    cut = ends[kept - 1] if kept else 0
    forced = engine.encode(markers.end)
    if kept + len(forced) >= sampling.max_tokens:
        return whole
    thought = replace(whole, text=whole.text[:cut], token_ids=ids[:kept], ends=ends[:kept], finish="length")
    rest = await engine.extend(
        prefix + thought + markers.end, replace(sampling, max_tokens=sampling.max_tokens - kept - len(forced))
    )
    said = markers.end + rest.text
    return replace(
        rest,
        text=thought.text + said,
        token_ids=(*ids[:kept], *forced, *(rest.token_ids or ())),
        ends=(
            *ends[:kept],
            *([cut + len(markers.end)] * len(forced)),
            *(cut + len(markers.end) + end for end in rest.ends or ()),
        ),
        usage=Usage(whole.usage.prompt, 0, kept + len(forced) + rest.usage.completion, calls=1),
        logprobs=_with(whole.logprobs, kept, (0.0,) * len(forced), rest.logprobs),
        top_logprobs=_with(whole.top_logprobs, kept, tuple(((i, 0.0),) for i in forced), rest.top_logprobs),
    )


def _with(
    before: Sequence[Any] | None, kept: int, forced: tuple[Any, ...], rest: Sequence[Any] | None
) -> Any:
    return None if before is None or rest is None else (*before[:kept], *forced, *rest)


def apart(markers: Markers, segment: Segment) -> tuple[int, int]:
    """From which token to which a chat server tells the text as reasoning: up to the end of its end marker."""
    close = segment.text.find(markers.end)
    if close < 0 and not segment.text.startswith(markers.start.strip() or "\0"):
        return 0, 0
    end = len(segment.text) if close < 0 else close + len(markers.end)
    return 0, sum(place <= end for place in segment.ends or ())


def complaint(field: str) -> UsageError:
    return UsageError(f"{field} is set, but the server was started without a reasoning parser.")
