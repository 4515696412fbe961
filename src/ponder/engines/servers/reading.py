"""What a server says in one event, whatever its dialect: JSON in, parts out. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from ponder.core.calls import Usage

Ended = Literal["eos", "stop", "length", "tool_calls", "filtered", "failed"]

_ENDS: dict[str, Ended] = {
    "stop": "eos",
    "eos": "eos",
    "length": "length",
    "limit": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "filtered",
    "word": "stop",
}


MOST_TOOLS = 128
"""Tool calls in one message."""


class Garbled(ValueError):
    """What a server said makes no sense."""


class Part(NamedTuple):
    """One piece of one choice.

    Args:
        choice: which of several this is a piece of.
        text: what was written.
        ids: its tokens, where they are told.
        pieces: the text of each.
        total: tokens written so far, where that is told.
        logprobs, tops: of each token.
        reasoning: what a reasoning model wrote before its answer.
        tools: pieces of tool calls.
        ended: how the choice ended, if it did. "eos" is also "stop" where nothing tells them apart.
        by: the stop string or id, where that is told.

    """

    choice: int = 0
    text: str = ""
    ids: tuple[int, ...] = ()
    pieces: tuple[str, ...] | None = None
    total: int | None = None
    logprobs: tuple[float, ...] | None = None
    tops: tuple[tuple[tuple[int, float], ...], ...] | None = None
    reasoning: str = ""
    tools: tuple[Mapping[str, Any], ...] = ()
    ended: Ended | None = None
    by: str | int | None = None

    @property
    def bare(self) -> bool:
        """Whether it carries no tokens."""
        return not (self.text or self.ids or self.reasoning or self.tools or self.logprobs)


class Said(NamedTuple):
    """What one event says. `usage` is of all choices together, and so are the tokens of `reasoning`, where they are told."""

    parts: tuple[Part, ...] = ()
    usage: Usage | None = None
    reasoning: int | None = None
    error: Any = None


def read(event: Any, told: str | None) -> Said:
    """An event of any of the three interfaces, streamed or whole.

    Raises:
        Garbled: it is none.

    """
    if not isinstance(event, dict):
        raise Garbled("an event is no object")
    if event.get("error"):
        return Said(error=event["error"])
    try:
        if "choices" in event:
            choices = tuple([_choice(choice, told) for choice in event["choices"]])
            usage = event.get("usage")
            return Said(choices, _usage(usage), _reasoning(usage)) if usage else Said(choices)
        return _native(event)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Garbled(f"an event has another form than it should ({str(error)[:80]})") from None


def _choice(choice: Mapping[str, Any], told: str | None) -> Part:
    said = choice.get("delta") or choice.get("message") or {}
    text = choice["text"] if "text" in choice else said.get("content")
    logprobs = choice.get("logprobs")
    ids, pieces, logs, tops = _logprobs(logprobs) if logprobs else ((), None, None, None)
    ids = _wholes(choice.get("token_ids") or ids)
    ended = choice.get("finish_reason")
    by = choice.get(told) if told else None
    by = by if by is not None and isinstance(by, str | int) else None
    how = _ENDS.get(ended, "failed") if ended else None
    if how == "eos" and isinstance(by, str):
        how = "stop"
    reasoning, tools = said.get("reasoning_content") or said.get("reasoning"), said.get("tool_calls")
    return Part(
        _whole(choice.get("index", 0)),
        _text(text),
        ids,
        pieces,
        None,
        logs,
        tops,
        _text(reasoning) if reasoning else "",
        _tools(tools) if tools else (),
        how,
        by,
    )


def _native(event: Mapping[str, Any]) -> Said:
    probs = event.get("completion_probabilities") or ()
    total = _whole(event["tokens_predicted"]) if "tokens_predicted" in event else None
    ended = event["stop_type"] if event.get("stop") else None
    part = Part(
        text=_text(event["content"]),
        ids=tuple(map(_whole, event.get("tokens") or ())),
        pieces=None,
        total=total,
        logprobs=tuple(_log(p["logprob"]) for p in probs) or None,
        tops=tuple(tuple((_whole(t["id"]), _log(t["logprob"])) for t in p["top_logprobs"]) for p in probs)
        or None,
        ended=_ENDS.get(ended, "failed") if ended else None,
        by=_text(event.get("stopping_word")) or None,
    )
    prompt = event.get("tokens_evaluated")
    timings = event.get("timings") or {}
    usage = None
    if prompt is not None and total is not None:
        usage = Usage(_whole(prompt), min(_whole(timings.get("cache_n", 0)), _whole(prompt)), total)
    return Said((part,), usage)


def _logprobs(
    told: Any,
) -> tuple[
    tuple[int, ...],
    tuple[str, ...] | None,
    tuple[float, ...] | None,
    tuple[tuple[tuple[int, float], ...], ...] | None,
]:
    """Ids, texts, log-probabilities and likeliest tokens, of a chat's or of raw completions' form."""
    if "content" in told:
        content = told["content"] or ()
        logs = tuple(_log(t["logprob"]) for t in content)
        likeliest = [t.get("top_logprobs") or () for t in content]
        tops = None
        if content and all(likeliest) and all("id" in top for tops in likeliest for top in tops):
            tops = tuple(tuple((_whole(top["id"]), _log(top["logprob"])) for top in one) for one in likeliest)
        return (), tuple(_text(t["token"]) for t in content), logs or None, tops
    tokens: Sequence[str] = told.get("tokens") or ()
    logs = tuple(0.0 if p is None else _log(p) for p in told.get("token_logprobs") or ())
    named = bool(tokens) and all(token.startswith("token_id:") for token in tokens)
    if not named:
        return (), tuple(map(_text, tokens)), logs or None, None
    ranked = tuple(
        tuple(sorted(((_id(token), _log(p)) for token, p in (top or {}).items()), key=lambda item: -item[1]))
        for top in told.get("top_logprobs") or ()
    )
    return tuple(map(_id, tokens)), None, logs or None, ranked or None


def _usage(told: Any) -> Usage:
    prompt, completion = _whole(told.get("prompt_tokens", 0)), _whole(told.get("completion_tokens") or 0)
    details = told.get("prompt_tokens_details") or {}
    cached = _whole(details.get("cached_tokens") or told.get("prompt_cache_hit_tokens") or 0)
    return Usage(prompt, min(cached, prompt), completion)


def _reasoning(told: Any) -> int | None:
    """OpenAI tells it among the details, SGLang beside them."""
    said = (told.get("completion_tokens_details") or {}).get("reasoning_tokens") or told.get(
        "reasoning_tokens"
    )
    return None if said is None else _whole(said)


def _id(token: str) -> int:
    return _whole(int(token.removeprefix("token_id:")))


def _whole(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 40:
        return value
    raise TypeError("not a whole number")


def _wholes(values: Sequence[Any]) -> tuple[int, ...]:
    """Checked together, for they are many."""
    found = tuple(values)
    if found and not ({*map(type, found)} == {int} and min(found) >= 0 and max(found) < 1 << 40):
        raise TypeError("not whole numbers")
    return found


def _log(value: Any) -> float:
    number = float(value)
    if math.isnan(number) or number == math.inf:
        raise ValueError("not a log-probability")
    return number


def _tools(told: Any) -> tuple[Mapping[str, Any], ...]:
    """Pieces of tool calls, of which each has the form that it should have."""
    for tool in told or ():
        said = tool.get("function") or {}
        index = tool.get("index")
        if _whole(0 if index is None else index) >= MOST_TOOLS or not isinstance(said, Mapping):
            raise TypeError("not a tool call")
        for key in ("name", "arguments"):
            _text(said.get(key))
    return tuple(told or ())


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    raise TypeError("not a text")
