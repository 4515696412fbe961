"""ponder.toml as a text: read, and the lines where its settings stand."""

from __future__ import annotations

import re
import tomllib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ponder.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FILE = "ponder.toml"

_HEADER = re.compile(r"\s*\[([^\[\]]+)\]\s*(?:#.*)?$")
_NAME = r"""(?:[\w-]+|"[^"]*"|'[^']*')"""
_SET = re.compile(rf"\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*=")


def read(path: Path) -> dict[str, Any]:
    """What the file says; nothing where there is none.

    Raises:
        UsageError: it cannot be read.

    """
    raw = b""
    try:
        raw = path.read_bytes() if path.is_file() else b""
        return tomllib.loads(raw.decode("utf-8").replace("\r\n", "\n"))
    except UnicodeDecodeError as error:
        at = raw.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path.name} cannot be read: line {at} is not in UTF-8.") from None
    except (tomllib.TOMLDecodeError, OSError) as error:
        last = raw.count(b"\n") + 1
        said = str(error).replace("at end of document", f"at its end, line {last}")
        raise UsageError(f"{path.name} cannot be read: {said}.") from None


@contextmanager
def in_file(path: Path | None) -> Iterator[None]:
    """Whoever says inside that a setting makes no sense says also in which line of the file it stands."""
    try:
        yield
    except UsageError as error:
        if error.setting and path is not None and path.is_file():
            at = line_of(path.read_text("utf-8"), error.setting)
            where = f"{'.'.join(error.setting)}, line {at} of {path.name}"
            error.args = (f"{error} Look at {where}.",) if at else error.args
        raise


def line_of(text: str, setting: Sequence[str]) -> int | None:
    """The line of a TOML text where a setting stands, or else the table or the key that it stands in."""
    table: tuple[str, ...] = ()
    found, depth = None, 0
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _names(header[1])
            there: tuple[str, ...] = ()
        elif key := _SET.match(line):
            there = _names(key[1])
        else:
            continue
        here = (*table, *there)
        if len(here) > depth and here == tuple(setting[: len(here)]):
            found, depth = number, len(here)
    return found


def _names(dotted: str) -> tuple[str, ...]:
    return tuple(name.strip("\"'") for name in re.findall(_NAME, dotted))
