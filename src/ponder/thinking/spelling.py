"""Values that can be written down, "best-of-n:n=8,scorer=self-certainty", and read again.

Strategies and scorers are such values, each in its own `Catalogue`. Text goes into parentheses where it holds a
comma, `scorer=(judge:mode=pairwise,samples=3)`, and so does a nested strategy.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Final, Generic, TypeVar

from ponder.core import protocols
from ponder.core.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
S = TypeVar("S")

DEEPEST = 64
"""Parentheses in one text. More are nobody's strategy, and would only exhaust the stack."""


@dataclasses.dataclass(frozen=True)
class Range:
    """The values a parameter may have: `low` and up to `high`, both included."""

    low: float
    high: float = math.inf

    def __str__(self) -> str:
        return f">= {self.low:g}" if self.high == math.inf else f"{self.low:g} to {self.high:g}"


_SPELLING: Final = " spelling"
"""Where a value keeps it, under a name that no parameter can have."""

Count = Annotated[int, Range(1)]
Natural = Annotated[int, Range(0)]
Temperature = Annotated[float, Range(0)]
Weight = Annotated[float, Range(0)]
Probability = Annotated[float, Range(0, 1)]


@typing.dataclass_transform(frozen_default=True)
def spelled(cls: type[S]) -> type[S]:
    """A frozen dataclass with a `name`, whose parameters keep to their ranges, and which `str` writes down.

    A `__post_init__` of the class's own comes after the check of the ranges.
    """
    own: Callable[[Any], None] | None = cls.__dict__.get("__post_init__")

    def check(value: Any) -> None:
        _check(value)
        if own is not None:
            own(value)

    def spelling(value: Any) -> str:
        """Written down once, for it cannot change."""
        known: dict[str, Any] = vars(value)
        if _SPELLING not in known:
            known[_SPELLING] = spell(value)
        found: str = known[_SPELLING]
        return found

    cls.__post_init__ = check  # type: ignore[attr-defined]
    cls.__str__ = spelling  # type: ignore[method-assign]
    return dataclasses.dataclass(frozen=True)(cls)


class Catalogue(Generic[T]):
    """Classes by name, and the values that texts mean.

    Args:
        what: they are, as a message calls them.
        classes: by name.
        aliases: other names.

    """

    def __init__(self, what: str, classes: dict[str, type[T]], aliases: dict[str, str]) -> None:
        self._what = what
        self._classes = classes
        self._aliases = aliases

    def add(self, cls: type[S]) -> type[S]:
        """Make a class `spelled`, and known by its `name` and `aliases`."""
        made: Any = spelled(cls)
        self._classes[made.name] = made
        self._aliases.update(dict.fromkeys(getattr(made, "aliases", ()), made.name))
        found: type[S] = made
        return found

    def parse(self, text: str) -> T:
        """Read `name`, `name:parameter=value,...`.

        Raises:
            UnknownName: it or a parameter does not exist; near names are suggested.
            UsageError: a value cannot be read or makes no sense.

        """
        if text.count("(") > DEEPEST:
            raise UsageError(f"A {self._what} with more than {DEEPEST} parentheses is not read.")
        name, _, rest = text.strip().partition(":")
        name = self._aliases.get(name, name)
        if name not in self._classes:
            raise UnknownName(self._what, name, [*self._classes, *self._aliases])
        cls: Any = self._classes[name]
        known = {f.name: f for f in _fields(cls)}
        hints = _hints(cls)
        given: dict[str, Any] = {}
        for part in _parts(rest):
            key, equals, value = part.partition("=")
            key = key.strip().replace("-", "_")
            if not equals:
                raise UsageError(
                    f"Write {name}:parameter=value, not {part!r}. Parameters: {', '.join(known) or 'none'}."
                )
            if key not in known:
                raise UnknownName(f"parameter of {name}", key, known)
            given[key] = self._value(f"{name}:{key}", value.strip(), hints[key])
        made: T = cls(**given)
        return made

    def _value(self, where: str, text: str, hint: Any) -> Any:
        """Read a value as the parameter's type has it."""
        origin, args = typing.get_origin(hint), typing.get_args(hint)
        if origin is Annotated:
            return self._value(where, text, args[0])
        if origin in (types.UnionType, typing.Union):
            if text == "none" and type(None) in args:
                return None
            options = [a for a in args if a is not type(None)]
            return self._value(where, text, str if str in options else options[0])
        if origin is typing.Literal:
            said = {str(a): a for a in args}
            if text in said:
                return said[text]
            raise UnknownName(f"value of {where}", text, said)
        if hint is bool:
            if text.lower() in ("true", "false"):
                return text.lower() == "true"
            raise UsageError(f"{where} takes true or false, not {text!r}.")
        if hint in (int, float):
            try:
                return hint(text)
            except ValueError:
                raise UsageError(
                    f"{where} takes {'a whole number' if hint is int else 'a number'}, not {text!r}."
                ) from None
        inner = text[1:-1] if _wrapped(text) else text
        return inner if hint is str else self.parse(inner)


def spell(value: Any) -> str:
    """The inverse of `Catalogue.parse`: parameters at their defaults are left out."""
    parts = []
    kind: Any = type(value)
    for field in _fields(kind):
        given = getattr(value, field.name)
        if given != field.default:
            parts.append(f"{field.name}={_spell(given)}")
    name: str = value.name
    return name + (":" + ",".join(parts) if parts else "")


def parameters(cls: Any) -> list[tuple[str, str, Any]]:
    """Name, type and default of each parameter."""
    hints = _hints(cls)
    return [(f.name, _type(hints[f.name]), f.default) for f in _fields(cls)]


def schema(cls: Any) -> dict[str, Any]:
    """The JSON Schema of its parameters."""
    hints = _hints(cls)
    found = {f.name: _schema(hints[f.name]) | _default(f.default) for f in _fields(cls)}
    return {"type": "object", "properties": found, "additionalProperties": False}


def _default(value: Any) -> dict[str, Any]:
    return {"default": value if isinstance(value, bool | int | float | str | None) else str(value)}


def _schema(hint: Any) -> dict[str, Any]:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        limits = args[1]
        top = {} if limits.high == math.inf else {"maximum": limits.high}
        return _schema(args[0]) | {"minimum": limits.low} | top
    if origin is typing.Literal:
        return {"enum": list(args)}
    if origin in (types.UnionType, typing.Union):
        return {"anyOf": [{"type": "null"} if a is type(None) else _schema(a) for a in args]}
    named = {int: "integer", float: "number", bool: "boolean", str: "string"}
    return {"type": named.get(hint, "string")}


@cache
def _fields(cls: Any) -> tuple[dataclasses.Field[Any], ...]:
    """Its own parameters, then those that it shares with others."""
    above = [set(vars(c).get("__annotations__", ())) for c in cls.__mro__]
    nearest = {
        f.name: next(i for i, names in enumerate(above) if f.name in names) for f in dataclasses.fields(cls)
    }
    return tuple(sorted(dataclasses.fields(cls), key=lambda f: nearest[f.name]))


def _check(value: Any) -> None:
    kind: Any = type(value)
    for name, limits in _limits(kind):
        given = getattr(value, name)
        if limits and given is not None and not limits.low <= given <= limits.high:
            raise UsageError(f"{value.name} takes {name} {limits}, not {given}.")
        if isinstance(given, str):
            list(_parts(given))  # else it could not be written down


@cache
def _limits(cls: Any) -> tuple[tuple[str, Range | None], ...]:
    """What each parameter is to keep to."""
    about = [(f.name, getattr(_hints(cls)[f.name], "__metadata__", ())) for f in _fields(cls)]
    return tuple((name, next((x for x in more if isinstance(x, Range)), None)) for name, more in about)


@cache
def _hints(cls: Any) -> dict[str, Any]:
    # They import the protocols for the type checker only; their names are looked up here.
    return typing.get_type_hints(cls, localns=vars(protocols), include_extras=True)


def _spell(value: Any) -> str:
    if hasattr(value, "solve"):
        return f"({value})"
    if isinstance(value, bool | int | float | None):
        return str(value).lower()
    text = str(value)
    plain = text == text.strip() and "," not in text and not _wrapped(text) and text != "none"
    return text if plain else f"({text})"


def _type(hint: Any) -> str:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return f"{_type(args[0])} {args[1]}"
    if origin is typing.Literal:
        return " | ".join(map(str, args))
    if origin in (types.UnionType, typing.Union):
        if protocols.Scorer in args:
            return "scorer"
        return " | ".join("none" if a is type(None) else _type(a) for a in args)
    return str(getattr(hint, "__name__", hint))


def _wrapped(text: str) -> bool:
    """Whether a text stands in one pair of parentheses."""
    if not (text.startswith("(") and text.endswith(")")):
        return False
    depth = 0
    for i, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth == 0:
            return i == len(text) - 1
    return False


def _parts(text: str) -> Iterator[str]:
    """Split at commas outside parentheses.

    Raises:
        UsageError: the parentheses do not match.

    """
    depth, start = 0, 0
    for i, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth < 0:
            break
        if char == "," and depth == 0:
            yield text[start:i]
            start = i + 1
    if depth:
        raise UsageError(f"The parentheses in {text!r} do not match.")
    if text[start:].strip():
        yield text[start:]
