"""A task as it is written on a command line: `name`, or `name:option=value,option=(a,b)`, as strategies are."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ponder.core.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# The first colon that an option follows ends the name: names may hold colons themselves (hf:owner/name).
_SPEC = re.compile(r"(?P<name>.*?)(?::(?P<rest>\s*[A-Za-z_][\w-]*\s*=.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Spec:
    """A name and its options, not yet read as anything but text."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """The one spelling: options in the order of their names."""
        spelt = ",".join(f"{key}={value}" for key, value in sorted(self.options.items()))
        return self.name + (f":{spelt}" if spelt else "")

    def only(self, known: Sequence[str], what: str) -> None:
        """Refuse options that nobody reads.

        Raises:
            UnknownName: there is one; near names are suggested.

        """
        for key in self.options:
            if key not in known:
                raise UnknownName(f"option of {what}", key, known)


def read(text: str) -> Spec:
    """Take a spec apart.

    Raises:
        UsageError: an option has no value, stands twice, or parentheses do not match.

    """
    found = _SPEC.fullmatch(text.strip())
    name, rest = (found["name"].strip(), found["rest"] or "") if found else (text.strip(), "")
    start, colon, end = name.partition(":")
    if colon and start != "hf" and "/" not in start:
        raise UsageError(f"Write {start}:option=value,option=value; {end!r} is no option.")
    options: dict[str, str] = {}
    for part in _parts(rest):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        key = key.replace("-", "_")
        if not equals or not key or not value:
            raise UsageError(f"Write {name}:option=value,option=value; {part.strip()!r} is no option.")
        if key in options:
            raise UsageError(f"{name} is given {key} twice. Leave one of them out.")
        options[key] = value
    return Spec(name, options)


def _parts(text: str) -> Iterator[str]:
    """Cut at commas outside parentheses."""
    depth, start = 0, 0
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth < 0:
            break
        if char == "," and depth == 0:
            yield text[start:at]
            start = at + 1
    if depth:
        raise UsageError(f"The parentheses in {text!r} do not match.")
    if text[start:].strip():
        yield text[start:]
