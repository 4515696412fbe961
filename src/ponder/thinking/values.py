"""Python values of builtin types as JSON, so that programs can be given inputs and asked for outputs.

This file also stands inside the sandbox, alone: it needs the standard library and nothing else of ours. There it reads
values that a hostile program made, so it asks no value's own methods: a list that compares equal to everything is
written down as the list that it holds.

A value is JSON as it is where JSON has it: null, true, whole and decimal numbers, texts, lists. Everything else is an
object with one key: {"tuple": [...]}, {"set": [...]}, {"dict": [[key, value], ...]}, {"float": "nan"}, {"int": "123..."},
{"bytes": "hex"}, {"complex": [re, im]}.
"""

from __future__ import annotations

import json
import math
from typing import Any

LONGEST = 4_000
"""Digits of a whole number at most: what has more takes seconds to write down."""


class NotPlain(ValueError):
    """A value of no builtin type, or one that holds itself."""


def pack(value: object) -> str:
    """The value as JSON, in one way for equal values of equal types.

    Raises:
        NotPlain: it holds something that is of no builtin type, is nested too deeply, or has too many digits.

    """
    try:
        return json.dumps(_packed(value), ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    except (RecursionError, ValueError) as error:
        if isinstance(error, NotPlain):
            raise
        raise NotPlain("a value that is nested too deeply") from None


def unpack(text: str) -> Any:
    """The value that `pack` wrote.

    Raises:
        ValueError: this is no such text.

    """
    try:
        return _unpacked(json.loads(text))
    except (TypeError, KeyError, IndexError, RecursionError, OverflowError) as error:
        raise ValueError(f"this is no value: {text[:80]}") from error


def literal(text: str, most: int = 400) -> str:
    """A packed value as Python writes it; of a long one the middle is left out."""
    try:
        written = repr(unpack(text))
    except (ValueError, RecursionError):
        written = text
    return written if len(written) <= most else f"{written[: most // 2]}...{written[-most // 2 :]}"


def key(text: str) -> str:
    """What equal values have in common, as Python's == has it: 1, 1.0 and True are one value, [1] and (1,) are two.

    Decimal numbers are rounded to 12 digits, for two right programs may add in another order; NaN equals itself, so that
    programs which give it can agree.
    """
    try:
        return json.dumps(_keyed(json.loads(text)), separators=(",", ":"))
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, OverflowError):
        return text


def _packed(value: object) -> Any:
    if value is None or value is True or value is False:
        return value
    if isinstance(value, int):
        whole = int.__add__(value, 0)  # of a subclass the number that it is
        if int.bit_length(whole) > 3.33 * LONGEST:
            raise NotPlain(f"a whole number of more than {LONGEST} digits")
        return whole if -(1 << 53) < whole < 1 << 53 else {"int": str(whole)}
    if isinstance(value, float):
        number = float.__add__(value, 0.0)
        return number if math.isfinite(number) else {"float": repr(number)}
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, list):
        return [_packed(part) for part in list.__iter__(value)]
    if isinstance(value, tuple):
        return {"tuple": [_packed(part) for part in tuple.__iter__(value)]}
    if isinstance(value, (set, frozenset)):
        kind = set if isinstance(value, set) else frozenset
        parts = [_packed(part) for part in kind.__iter__(value)]  # type: ignore[arg-type]
        return {"set": sorted(parts, key=json.dumps)}
    if isinstance(value, dict):
        return {"dict": [[_packed(k), _packed(v)] for k, v in dict.items(value)]}
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": bytes(value).hex()}
    if isinstance(value, complex):
        return {"complex": [_packed(value.real), _packed(value.imag)]}
    if isinstance(value, range):
        return {"range": [value.start, value.stop, value.step]}
    raise NotPlain(f"a value of the type {type(value).__name__}, which is no builtin one")


def _unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpacked(part) for part in value]
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "tuple":
        return tuple(_unpacked(part) for part in inner)
    if kind == "set":
        return {_unpacked(part) for part in inner}
    if kind == "dict":
        return {_unpacked(k): _unpacked(v) for k, v in inner}
    if kind == "float":
        return float(inner)
    if kind == "int":
        return int(inner)
    if kind == "bytes":
        return bytes.fromhex(inner)
    if kind == "complex":
        return complex(*(_unpacked(part) for part in inner))
    if kind == "range":
        return range(*inner)
    raise ValueError(f"there is no kind of value {kind!r}")


def _keyed(value: Any) -> Any:
    """The value with numbers by their size, and what has no order in one order."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 1 << 53 else float(f"{value:.12g}")
    if isinstance(value, list):
        return [_keyed(part) for part in value]
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "int":
        return {"int": inner}
    if kind in ("set", "dict"):
        return {kind: sorted((_keyed(part) for part in inner), key=json.dumps)}
    return {kind: _keyed(inner) if isinstance(inner, list) else inner}
