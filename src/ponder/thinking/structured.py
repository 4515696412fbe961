"""JSON values and tool calls: found in text, and written in one canonical way."""

from __future__ import annotations

import json
import re
from typing import Any, Final

MAX_WORK: Final = 2_000_000
"""Characters the search for a JSON value may read again; a hostile text gets no answer instead of more time."""

MAX_SEARCHED: Final = 200_000
DEEPEST: Final = 100
"""Levels of a JSON value; what is nested deeper is nobody's answer."""

MAX_FAILURES: Final = 2_000

PLAIN: Final = 30
"""Zeros, or digits after the point, that a number may have to be written without an exponent."""

_OPENING = re.compile(r"\{\s{0,100}[\"}]|\[\s{0,100}[\]\[\"{tfn\d-]")
_FENCE = re.compile(r"^[ \t]*```[ \t]*(\w*)[^\n]*\n(.*?)^[ \t]*```", re.DOTALL | re.MULTILINE)
_TAGGED_CALL = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)


def _refuse(name: str) -> Any:
    raise ValueError(name)


class _Literal(str):
    """A number as it was written."""

    __slots__ = ()


_DECODER: Final = json.JSONDecoder(parse_int=_Literal, parse_float=_Literal, parse_constant=_refuse)


def fences(text: str) -> list[tuple[str, str]]:
    """Fenced blocks in order: (language, content)."""
    return _FENCE.findall(text) if "```" in text else []


def last_value(text: str) -> Any | None:
    """The last JSON object or list in a text, fenced or bare, or a text that is one JSON scalar."""
    for candidate in [content for _, content in reversed(fences(text))] + [text]:
        try:
            return _shallow(_DECODER.decode(candidate.strip()))
        except (ValueError, RecursionError):
            continue
    values = _values(text)
    return values[-1] if values else None


def _values(text: str) -> list[Any]:
    """Every outermost JSON object and list, in order."""
    found: list[Any] = []
    text = text[-MAX_SEARCHED:]
    work = at = failures = 0
    while work < MAX_WORK and failures < MAX_FAILURES and (opening := _OPENING.search(text, at)):
        at = opening.start()
        try:
            value, at = _DECODER.raw_decode(text, at)
            found.append(_shallow(value))
        except json.JSONDecodeError as error:
            failures += 1  # each costs a count of all lines before it
            work += error.pos - at + 1
            at += 1
        except (ValueError, RecursionError):
            work += 5_000
            at += 1
    return [value for value in found if isinstance(value, (dict, list))]


def _shallow(value: Any) -> Any:
    """The value, if no recursion over it could be too deep; ValueError otherwise: it is nobody's answer."""
    inside, depth = [value], 0
    while inside:
        depth += 1
        if depth > DEEPEST:
            raise ValueError(f"JSON nested deeper than {DEEPEST} levels")
        inside = [
            part
            for outer in inside
            if isinstance(outer, (dict, list))
            for part in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return value


def canonical(value: Any) -> str:
    """Sorted keys, no spaces, exact numbers: 1, 1.0 and 1e0 are one value, and "1" is another."""
    if isinstance(value, dict):
        items = sorted((json.dumps(str(k)), canonical(v)) for k, v in value.items())
        return "{" + ",".join(f"{k}:{v}" for k, v in items) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, _Literal):
        return _number(value)
    return json.dumps(value)


def _number(literal: str) -> str:
    """A JSON number in one way, exact, and again JSON: `key` reads what `find` has written."""
    digits, _, exponent = literal.lower().partition("e")
    if len(exponent) > PLAIN:
        return literal
    whole, _, after = digits.lstrip("-").partition(".")
    kept = (whole + after).lstrip("0")
    bare = kept.rstrip("0")
    if not bare:
        return "0"
    sign = "-" if literal.startswith("-") else ""
    power = int(exponent or 0) - len(after) + len(kept) - len(bare)  # the value is bare * 10 ** power
    if 0 <= power <= PLAIN:
        return sign + bare + "0" * power
    if -PLAIN <= power < 0:
        padded = bare.rjust(1 - power, "0")
        return f"{sign}{padded[:power]}.{padded[power:]}"
    return f"{sign}{bare}e{power}"


def last_call(text: str) -> str | None:
    """The last tool call, canonical: `{"arguments":{...},"name":"..."}`; several side by side are a sorted list."""
    tagged = _TAGGED_CALL.findall(text) if "</tool_call>" in text else []
    if tagged:
        calls = [_call(last_value(content)) for content in tagged]
    else:
        value = last_value(text)
        if isinstance(value, dict) and isinstance(value.get("tool_calls"), list):
            value = value["tool_calls"]
        calls = [_call(item) for item in value] if isinstance(value, list) else [_call(value)]
    if not calls or None in calls:
        return None
    names = sorted(call for call in calls if call is not None)
    return names[0] if len(names) == 1 else "[" + ",".join(names) + "]"


def _call(value: Any) -> str | None:
    """One call as our ecosystem writes it: flat, under "function", arguments as an object or as JSON text."""
    if isinstance(value, dict) and isinstance(value.get("function"), dict):
        value = value["function"]
    if (
        not isinstance(value, dict)
        or not isinstance(value.get("name"), str)
        or isinstance(value["name"], _Literal)
    ):
        return None
    arguments: Any = next((value[k] for k in ("arguments", "parameters", "args", "input") if k in value), {})
    if isinstance(arguments, str) and not isinstance(arguments, _Literal):
        try:
            arguments = _shallow(_DECODER.decode(arguments.strip() or "{}"))
        except (ValueError, RecursionError):
            return None
    if not isinstance(arguments, dict):
        return None
    return canonical({"name": value["name"], "arguments": arguments})


def json_key(text: str) -> str | None:
    """The key of a JSON answer, None if it is no JSON."""
    try:
        return "json:" + canonical(_shallow(_DECODER.decode(text.strip())))
    except (ValueError, RecursionError):
        value = last_value(text)
        return None if value is None else "json:" + canonical(value)
