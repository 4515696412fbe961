"""Events as JSON text and back. What comes back is checked field by field: the file may be anyone's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from ponder.core import events as e
from ponder.core.errors import StoreError
from ponder.core.prefix import Segment
from ponder.core.reading import (
    SEGMENT,
    a_flag,
    a_number,
    a_row,
    a_text,
    a_whole_number,
    an_object,
    many,
    perhaps,
    usage,
)

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
        cls, given = KINDS[kind], an_object(json.loads(body))
        values = {name: read(given[name]) for name, read in _FIELDS[cls] if name in given}
        return cls(a_text(place), **values)
    except (LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise StoreError(f"An event of the kind {kind[:40]!r} cannot be read ({str(error)[:80]}).") from error


def segment(body: str) -> Segment:
    """What `dump` made of a Segment; the message of a server is not kept.

    Raises:
        StoreError: it is none.

    """
    try:
        given = an_object(json.loads(body))
        return Segment(**{name: read(given[name]) for name, read in SEGMENT.items()})
    except (LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise StoreError(f"A sample cannot be read ({str(error)[:80]}).") from error


def texts(value: Any) -> dict[str, str]:
    """An object whose values are all text."""
    return {key: a_text(x) for key, x in an_object(value).items()}


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)


READERS: dict[str, Callable[[Any], Any]] = {
    "str": a_text,
    "str | None": perhaps(a_text),
    "int": a_whole_number,
    "int | None": perhaps(a_whole_number),
    "float": a_number,
    "float | None": perhaps(a_number),
    "bool": a_flag,
    "Keeper": a_text,
    "Usage": usage,
    "dict[str, str]": texts,
    "dict[str, Any]": an_object,
    "tuple[int, ...] | None": perhaps(many(a_whole_number)),
    "tuple[str, ...]": many(a_text),
    "tuple[float, ...]": many(a_number),
    "tuple[int, ...]": many(a_whole_number),
    "tuple[tuple[str, float], ...]": many(a_row(a_text, a_number)),
    "tuple[tuple[str, str | None, str | None], ...]": many(a_row(a_text, perhaps(a_text), perhaps(a_text))),
}
"""By a field's annotation, how its value is read; a test holds the table complete."""


# Found once: a study of 100,000 attempts reads millions of events.
_FIELDS = {
    cls: tuple((f.name, READERS[str(f.type)]) for f in fields(cls) if f.name != "place")
    for cls in KINDS.values()
}
