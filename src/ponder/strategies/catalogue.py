"""Strategies by name, as values that can be written down: parse("self-consistency:n=16") and its inverse."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

from ponder.core import protocols
from ponder.core.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ponder.core.protocols import Strategy

CATALOGUE: dict[str, type[Strategy]] = {}
ALIASES: dict[str, str] = {}

S = TypeVar("S")


@dataclasses.dataclass(frozen=True)
class Range:
    """The values a parameter may have: `low` and up to `high`, both included."""

    low: float
    high: float = math.inf

    def __str__(self) -> str:
        return f">= {self.low:g}" if self.high == math.inf else f"{self.low:g} to {self.high:g}"


Count = Annotated[int, Range(1)]
Natural = Annotated[int, Range(0)]
Temperature = Annotated[float, Range(0)]
Probability = Annotated[float, Range(0, 1)]


@typing.dataclass_transform(frozen_default=True)
def method(cls: type[S]) -> type[S]:
    """Make a class a strategy: a frozen dataclass whose parameters keep to their ranges, in the catalogue under its
    `name` and `aliases`, and written by `str` as `parse` reads it. Where it lists no `roles`, it is all "solver".
    """
    if not hasattr(cls, "roles"):
        cls.roles = ("solver",)  # type: ignore[attr-defined]
    cls.__post_init__ = _check  # type: ignore[attr-defined]
    cls.__str__ = spell  # type: ignore[method-assign]
    made = dataclasses.dataclass(frozen=True)(cls)
    name: str = made.name  # type: ignore[attr-defined]
    CATALOGUE[name] = cast("type[Strategy]", made)
    ALIASES.update(dict.fromkeys(getattr(made, "aliases", ()), name))
    return made


def _check(strategy: Any) -> None:
    for name, hint in _hints(type(strategy)).items():
        limits = next((x for x in getattr(hint, "__metadata__", ()) if isinstance(x, Range)), None)
        value = getattr(strategy, name)
        if limits and not limits.low <= value <= limits.high:
            raise UsageError(f"{strategy.name} takes {name} {limits}, not {value}.")


def parse(text: str) -> Strategy:
    """Read `name`, `name:parameter=value,...`; a nested strategy stands in parentheses.

    Raises:
        UnknownName: the strategy or a parameter does not exist; near names are suggested.
        UsageError: a value cannot be read or makes no sense.

    """
    name, _, rest = text.strip().partition(":")
    name = ALIASES.get(name, name)
    if name not in CATALOGUE:
        raise UnknownName("strategy", name, [*CATALOGUE, *ALIASES])
    cls: Any = CATALOGUE[name]
    known = {f.name: f for f in _fields(cls)}
    hints = _hints(cls)
    given: dict[str, Any] = {}
    for part in _parts(rest):
        key, equals, value = part.partition("=")
        key = key.strip().replace("-", "_")
        if not equals:
            raise UsageError(f"Write {name}:parameter=value, not {part!r}. Parameters: {', '.join(known)}.")
        if key not in known:
            raise UnknownName(f"parameter of {name}", key, known)
        given[key] = _value(f"{name}:{key}", value.strip(), hints[key])
    strategy: Strategy = cls(**given)
    return strategy


def spell(strategy: Any) -> str:
    """The inverse of `parse`: parameters at their defaults are left out."""
    parts = []
    for field in _fields(type(strategy)):
        value = getattr(strategy, field.name)
        if value != field.default:
            nested = dataclasses.is_dataclass(value) and hasattr(value, "solve")
            parts.append(f"{field.name}={f'({value})' if nested else _spell(value)}")
    name: str = strategy.name
    return name + (":" + ",".join(parts) if parts else "")


def parameters(cls: type[Strategy]) -> list[tuple[str, str, Any]]:
    """Name, type and default of each parameter."""
    hints = _hints(cls)
    return [(f.name, _type(hints[f.name]), f.default) for f in _fields(cls)]


def _fields(cls: Any) -> list[dataclasses.Field[Any]]:
    """A method's own parameters, then those that it shares with others."""
    return sorted(dataclasses.fields(cls), key=lambda field: field.name not in cls.__annotations__)


def _hints(cls: Any) -> dict[str, Any]:
    # Strategies import the protocols for the type checker only; their names are looked up here.
    return typing.get_type_hints(cls, localns=vars(protocols), include_extras=True)


def _spell(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool | None) else str(value)


def _type(hint: Any) -> str:
    if typing.get_origin(hint) is Annotated:
        kind, limits = typing.get_args(hint)
        return f"{_type(kind)} {limits}"
    if typing.get_origin(hint) is typing.Literal:
        return " | ".join(map(str, typing.get_args(hint)))
    return getattr(hint, "__name__", str(hint)) if not isinstance(hint, types.UnionType) else str(hint)


def _parts(text: str) -> Iterator[str]:
    """Split at commas outside parentheses."""
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


def _value(where: str, text: str, hint: Any) -> Any:
    """Read a value as the parameter's type has it."""
    if typing.get_origin(hint) is Annotated:
        hint = typing.get_args(hint)[0]
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if text.startswith("(") and text.endswith(")"):
        return parse(text[1:-1])
    if origin is typing.Literal:
        if text in args:
            return text
        raise UnknownName(f"value of {where}", text, args)
    if origin in (types.UnionType, typing.Union):
        if text == "none" and type(None) in args:
            return None
        options = [a for a in args if a is not type(None)]
        return _value(where, text, options[0])
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
    return text
