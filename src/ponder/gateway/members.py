"""The members of a JSON object as they stand in its text, so that one can be replaced and the rest stay as they are."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


class Member(NamedTuple):
    """One member: its key, and its text from the key to the end of its value."""

    key: str
    text: str


def members(text: str) -> list[Member]:
    """The members of an object, in order; of a text that `json.loads` reads as an object."""
    at = _after_space(text, 0) + 1
    found = []
    while text[(at := _after_space(text, at))] != "}":
        if text[at] == ",":
            at = _after_space(text, at + 1)
        start = at
        key, at = _DECODER.raw_decode(text, at)
        at = _after_space(text, _after_space(text, at) + 1)
        _, at = _DECODER.raw_decode(text, at)
        found.append(Member(key, text[start:at]))
    return found


def replaced(text: str, new: Mapping[str, Any], without: Collection[str] = ()) -> str:
    """The object with some members replaced or added, and without some; all others stay letter by letter."""
    kept = [m for m in members(text) if m.key not in without]
    told = {key: f"{json.dumps(key)}:{json.dumps(value)}" for key, value in new.items()}
    parts = [told.get(m.key, m.text) for m in kept]
    there = {m.key for m in kept}
    return "{" + ",".join([*parts, *(text for key, text in told.items() if key not in there)]) + "}"


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
