"""JSON that anyone may have written, read as our values: each part is checked, and what does not fit is a TypeError."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from ponder.core.calls import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Reads = Callable[[Any], Any]


def an_object(value: Any) -> dict[str, Any]:
    """A JSON object."""
    if isinstance(value, dict):
        return value
    raise TypeError("not an object")


def a_text(value: Any) -> str:
    """A text."""
    if isinstance(value, str):
        return value
    raise TypeError("not a text")


def a_whole_number(value: Any) -> int:
    """A whole number, of any sign."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise TypeError("not a whole number")


def a_number(value: Any) -> float:
    """A number."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise TypeError("not a number")


def a_flag(value: Any) -> bool:
    """True or false."""
    if isinstance(value, bool):
        return value
    raise TypeError("not true or false")


def perhaps(read: Reads) -> Reads:
    """Reads null, too, as None."""
    return lambda value: None if value is None else read(value)


def many(read: Reads) -> Callable[[Any], tuple[Any, ...]]:
    """Reads a list of such as a tuple."""

    def all_of(value: Any) -> tuple[Any, ...]:
        if isinstance(value, list):
            return tuple(map(read, value))
        raise TypeError("not a list")

    return all_of


def a_row(*reads: Reads) -> Callable[[Any], tuple[Any, ...]]:
    """Reads a list that has one of each."""

    def each_of(value: Any) -> tuple[Any, ...]:
        if isinstance(value, list):
            return tuple(read(x) for read, x in zip(reads, value, strict=True))
        raise TypeError("not a list")

    return each_of


def usage(value: Any) -> Usage:
    """A Usage; fields that are not there are 0."""
    given = an_object(value)
    return Usage(**{name: read(given[name]) for name, read in _USAGE if name in given})


_KINDS: Final[Mapping[str, Reads]] = {"int": a_whole_number, "float": a_number, "bool": a_flag}
_USAGE: Final = tuple((f.name, _KINDS[str(f.type)]) for f in fields(Usage))

SEGMENT: Final[Mapping[str, Reads]] = {
    "text": a_text,
    "token_ids": perhaps(many(a_whole_number)),
    "ends": perhaps(many(a_whole_number)),
    "usage": usage,
    "sampled": a_flag,
    "finish": a_text,
    "stopped_by": perhaps(a_text),
    "logprobs": perhaps(many(a_number)),
    "top_logprobs": perhaps(many(many(a_row(a_whole_number, a_number)))),
    "certainty": perhaps(many(a_number)),
}
"""By a segment's field, how its value is read. Where it was drawn is another place for each arm."""
