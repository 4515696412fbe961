"""Events as JSON text and back. What comes back is checked field by field: the file may be anyone's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from ponder.core import events as e
from ponder.core.calls import Usage
from ponder.core.errors import StoreError
from ponder.core.prefix import Segment

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS: dict[str, type[e.Event]] = {
    c.kind: c for c in vars(e).values() if isinstance(c, type) and issubclass(c, e.Event) and c is not e.Event
}


def encode(event: e.Event) -> str:
    """The event's fields but its place, as an object; always valid UTF-8, even where the text is not."""
    return dump({name: getattr(event, name) for name, _ in _FIELDS[type(event)]})


def dump(value: Any) -> str:
    """Compact JSON. Only text with lone surrogates, which UTF-8 cannot hold, is escaped to ASCII."""
    text = json.dumps(value, default=_plain, ensure_ascii=False, separators=(",", ":"))
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return json.dumps(value, default=_plain, separators=(",", ":"))
    return text


def decode(kind: str, place: str, body: str) -> e.Event:
    """The event that `encode` wrote. Fields unknown here are left out.

    Raises:
        StoreError: it is no such event.

    """
    try:
        cls, given = KINDS[kind], _object(json.loads(body))
        values = {name: read(given[name]) for name, read in _FIELDS[cls] if name in given}
        return cls(_text(place), **values)
    except (LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise StoreError(f"An event of the kind {kind[:40]!r} cannot be read ({str(error)[:80]}).") from error


def usage(value: Any) -> Usage:
    """What `dump` made of a Usage."""
    given = _object(value)
    return Usage(**{name: read(given[name]) for name, read in _USAGE if name in given})


def segment(body: str) -> Segment:
    """What `dump` made of a Segment; the message of a server is not kept.

    Raises:
        StoreError: it is none.

    """
    try:
        given = _object(json.loads(body))
        return Segment(**{name: read(given[name]) for name, read in SEGMENT.items()})
    except (LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise StoreError(f"A sample cannot be read ({str(error)[:80]}).") from error


def texts(value: Any) -> dict[str, str]:
    """An object whose values are all text."""
    return {key: _text(x) for key, x in _object(value).items()}


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)


def _object(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise TypeError("not an object")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise TypeError("not a text")


def _whole(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise TypeError("not a whole number")


def _number(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise TypeError("not a number")


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise TypeError("not true or false")


def _maybe(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)


def _many(read: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    def all_of(value: Any) -> tuple[Any, ...]:
        if isinstance(value, list):
            return tuple(map(read, value))
        raise TypeError("not a list")

    return all_of


def _row(*reads: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    def each_of(value: Any) -> tuple[Any, ...]:
        if isinstance(value, list):
            return tuple(read(x) for read, x in zip(reads, value, strict=True))
        raise TypeError("not a list")

    return each_of


READERS: dict[str, Callable[[Any], Any]] = {
    "str": _text,
    "str | None": _maybe(_text),
    "int": _whole,
    "int | None": _maybe(_whole),
    "float": _number,
    "float | None": _maybe(_number),
    "bool": _flag,
    "Keeper": _text,
    "Usage": usage,
    "dict[str, str]": texts,
    "dict[str, Any]": _object,
    "tuple[int, ...] | None": _maybe(_many(_whole)),
    "tuple[str, ...]": _many(_text),
    "tuple[float, ...]": _many(_number),
    "tuple[int, ...]": _many(_whole),
    "tuple[tuple[str, float], ...]": _many(_row(_text, _number)),
    "tuple[tuple[str, str | None, str | None], ...]": _many(_row(_text, _maybe(_text), _maybe(_text))),
}
"""By a field's annotation, how its value is read; a test holds the table complete."""


def _readers(cls: type[e.Event | Usage]) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    return tuple((f.name, READERS[str(f.type)]) for f in fields(cls) if f.name != "place")


# Found once: a study of 100,000 attempts reads millions of events.
_FIELDS = {cls: _readers(cls) for cls in KINDS.values()}
_USAGE = _readers(Usage)

SEGMENT: dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "token_ids": _maybe(_many(_whole)),
    "ends": _maybe(_many(_whole)),
    "usage": usage,
    "sampled": _flag,
    "finish": _text,
    "stopped_by": _maybe(_text),
    "logprobs": _maybe(_many(_number)),
    "top_logprobs": _maybe(_many(_many(_row(_whole, _number)))),
    "certainty": _maybe(_many(_number)),
}
"""By a segment's field, how its value is read. Where it was drawn is another place for each arm."""
