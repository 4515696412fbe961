"""Tool calls: those that a server told apart, and those that a model wrote into its text."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from ponder.thinking.structured import last_call

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ponder.core.prefix import Prefix

_OPEN = re.compile(r"<tool_call>|^\s*[{\[]|```")


def tool_calls(path: Prefix, tools: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """The calls that a path ends with, as chat servers write them; none where it calls no tool that there is."""
    if not tools:
        return ()
    last = path.last
    told = last.payload.extra.get("tool_calls") if last is not None and last.payload is not None else None
    if told:
        return tuple(_named(i, call) for i, call in enumerate(told))
    text = path.text
    call = last_call(text) if _OPEN.search(text) else None
    if call is None:
        return ()
    found = json.loads(call)
    found = found if isinstance(found, list) else [found]
    known = {(tool.get("function") or tool).get("name") for tool in tools}
    if not all(one["name"] in known for one in found):
        return ()
    return tuple(
        _named(i, {"function": {"name": one["name"], "arguments": json.dumps(one["arguments"])}})
        for i, one in enumerate(found)
    )


def canonical_calls(path: Prefix, tools: Sequence[Mapping[str, Any]]) -> str | None:
    """The same as one text, equal for equal calls in whatever order; None where there are none."""
    calls = tool_calls(path, tools)
    return last_call(json.dumps({"tool_calls": calls})) if calls else None


def _named(i: int, call: Mapping[str, Any]) -> dict[str, Any]:
    """With an id: the server's, or one that says what is called."""
    function = dict(call["function"])
    own = hashlib.sha256(f"{i}{function}".encode("utf-8", "replace")).hexdigest()[:24]
    return {"id": call.get("id") or f"call_{own}", "type": "function", "function": function}
