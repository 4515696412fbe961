"""What passes between a process and the child that runs its engine: lines of JSON, nothing that could be code.

The child is not trusted: what it says is read part by part, and what does not fit is a TypeError or a ValueError.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final, get_args

from ponder.core.calls import Sampling, SwitchPenalty
from ponder.core.errors import (
    ContextOverflow,
    EngineClosed,
    EngineError,
    ModelFileError,
    PonderError,
    TransientError,
    Unsupported,
    UsageError,
)
from ponder.core.markers import Markers
from ponder.core.prefix import Finish, Prefix, Prompt, Segment
from ponder.core.problem import Message
from ponder.core.protocols import Ability, Capabilities, Delta
from ponder.core.reading import (
    SEGMENT,
    a_number,
    a_row,
    a_text,
    a_whole_number,
    an_object,
    many,
    perhaps,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST: Final = 64 << 20
"""Bytes of one line, at most."""
_SAID: Final = 2_000  # characters of an error

_ERRORS: Final[Mapping[str, type[PonderError]]] = {
    c.__name__: c
    for c in (
        UsageError,
        Unsupported,
        EngineError,
        ModelFileError,
        ContextOverflow,
        EngineClosed,
        TransientError,
    )
}


def line(message: Mapping[str, Any]) -> bytes:
    """A message as a line."""
    return json.dumps(message, separators=(",", ":"), default=dict).encode("ascii") + b"\n"


# -- what is asked ----------------------------------------------------------------------------------------------------


def told_prefix(prefix: Prefix) -> dict[str, Any]:
    """A prefix: of its segments only what a model reads."""
    prompt = prefix.prompt
    return {
        "messages": [[m.role, m.content, m.extra] for m in prompt.messages],
        "raw": prompt.raw,
        "tools": prompt.tools,
        "response_format": prompt.response_format,
        "segments": [[s.text, s.token_ids, s.sampled] for s in prefix.segments],
    }


def prefix(value: Any) -> Prefix:
    """What `told_prefix` made of one."""
    messages = tuple(
        Message(role, content if isinstance(content, str) else tuple(content), extra)
        for role, content, extra in value["messages"]
    )
    prompt = Prompt(messages, value["raw"], tuple(value["tools"]), value["response_format"])
    segments = tuple(
        Segment(text, None if ids is None else tuple(ids), sampled=sampled)
        for text, ids, sampled in value["segments"]
    )
    return Prefix(prompt, segments)


def told_sampling(sampling: Sampling) -> dict[str, Any]:
    """A sampling. JSON's keys are texts, so a bias is a list of pairs."""
    return asdict(replace(sampling, logit_bias={})) | {"logit_bias": [*sampling.logit_bias.items()]}


def sampling(value: Mapping[str, Any]) -> Sampling:
    """What `told_sampling` made of one."""
    penalty = value["switch_penalty"]
    if penalty is not None:
        penalty = SwitchPenalty(**{**penalty, "tokens": tuple(penalty["tokens"])})
    return Sampling(
        **{
            **value,
            "stop": tuple(value["stop"]),
            "stop_ids": tuple(value["stop_ids"]),
            "logit_bias": dict(value["logit_bias"]),
            "switch_penalty": penalty,
        }
    )


# -- what is answered -------------------------------------------------------------------------------------------------


def told_segment(segment: Segment) -> dict[str, Any]:
    """A segment."""
    return {name: getattr(segment, name) for name in SEGMENT} | {"usage": asdict(segment.usage)}


def segment(value: Any) -> Segment:
    """What `told_segment` made of one."""
    given = an_object(value)
    found = Segment(**{name: read(given[name]) for name, read in SEGMENT.items()})
    if found.finish not in get_args(Finish):
        raise ValueError("no way to finish")
    return found


_tops = many(many(a_row(a_whole_number, a_number)))


def delta(value: Any) -> Delta:
    """The list that a Delta is in JSON."""
    return Delta(*a_row(a_text, a_whole_number, _tops)(value))


ids = many(a_whole_number)
logprobs = many(a_number)
vectors = many(many(a_number))


def told_capabilities(capabilities: Capabilities) -> dict[str, Any]:
    """What an engine can do. A model that somebody runs himself has no prices."""
    return {
        "name": capabilities.name,
        "can": sorted(capabilities.can),
        "context": capabilities.context,
        "tokenizer": capabilities.tokenizer,
        "thinking": None if capabilities.thinking is None else asdict(capabilities.thinking),
    }


def capabilities(value: Any) -> Capabilities:
    """What `told_capabilities` made of them."""
    given = an_object(value)
    can = frozenset(many(a_text)(given["can"]))
    if not can <= set(get_args(Ability)):
        raise ValueError("an ability that there is not")
    markers = given["thinking"]
    if markers is not None:
        texts = {name: a_text(markers[name]) for name in ("start", "end", "answer")}
        markers = Markers(**texts, token=perhaps(a_whole_number)(markers["token"]))
    return Capabilities(
        a_text(given["name"]),
        can,
        perhaps(a_whole_number)(given["context"]),
        perhaps(a_text)(given["tokenizer"]),
        thinking=markers,
    )


def told_error(error: Exception) -> dict[str, Any]:
    """An error: the next class above it that both sides know, and what it says."""
    kind = next((c.__name__ for c in type(error).__mro__ if c.__name__ in _ERRORS), None)
    said = str(error)[:_SAID]
    if kind is None:
        kind, said = "EngineError", f"The engine failed ({type(error).__name__}: {said})."
    return {
        "kind": kind,
        "said": said,
        "after": getattr(error, "retry_after", None),
        "spent": getattr(error, "spent", 0),
    }


def error(value: Any) -> PonderError:
    """What `told_error` made of one."""
    given = an_object(value)
    cls, said = _ERRORS[a_text(given["kind"])], a_text(given["said"])[:_SAID]
    if cls is TransientError:
        return TransientError(said, perhaps(a_number)(given["after"]), spent=a_whole_number(given["spent"]))
    found = cls(said)
    if isinstance(found, EngineError):
        found.spent = a_whole_number(given["spent"])
    return found
