"""Rows out of files: JSON Lines, a JSON list, Parquet. A line that cannot be read is named, and the rest is read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ponder.core.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = frozenset({".jsonl", ".ndjson", ".json", ".parquet"})

Row = tuple[str, dict[str, Any]]
"""Where it stands ("line 7") and its fields."""


def rows(path: Path) -> tuple[list[Row], list[str]]:
    """Every row of a file, and one complaint for each that cannot be read.

    Decimal numbers come as text, as they are written: 3.10 is not rounded on its way to a grader.

    Raises:
        UsageError: the file is missing, empty, no text in UTF-8 (or no Parquet), or has no row that can be read.

    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}. Check the path.") from error
    if not content.strip():
        raise UsageError(f"{path} is empty. Give a file with one JSON object on each line.")
    found, complaints = _parquet(path) if path.suffix.lower() == ".parquet" else _json(path, content)
    if not found:
        raise UsageError(f"{path} has no row that can be read. {' '.join(complaints[:1])}".strip())
    return found, complaints


def _json(path: Path, content: bytes) -> tuple[list[Row], list[str]]:
    text = _text(path, content)
    if path.suffix.lower() == ".json":
        return _listed(path, text)
    found: list[Row] = []
    complaints: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = _decoded(line)
        except (ValueError, RecursionError) as error:
            complaints.append(f"{path}, line {number}: this is no JSON ({_why(error)}).")
            continue
        if isinstance(value, dict):
            found.append((f"line {number}", value))
        else:
            complaints.append(f"{path}, line {number}: an object with fields is wanted, not {_form(value)}.")
    return found, complaints


def _text(path: Path, content: bytes) -> str:
    if content[:4] == b"PAR1":
        raise UsageError(f"{path} is a Parquet file. Give it a name that ends in .parquet.")
    if b"\x00" in content[:65_536]:
        raise UsageError(f"{path} is no text. Save it as JSON Lines in UTF-8, one object on each line.")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{path} is not UTF-8: line {line} has the byte 0x{content[error.start]:02x}. Save it as UTF-8."
        ) from error


def _listed(path: Path, text: str) -> tuple[list[Row], list[str]]:
    try:
        values = _decoded(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{path} is no JSON ({_why(error)}). If it has one object on each line, name it .jsonl."
        ) from error
    if not isinstance(values, list):
        raise UsageError(f"{path} holds {_form(values)}. Give a list of objects, or JSON Lines.")
    found = [(f"item {number}", value) for number, value in enumerate(values, 1) if isinstance(value, dict)]
    complaints = [
        f"{path}, item {number}: an object with fields is wanted, not {_form(value)}."
        for number, value in enumerate(values, 1)
        if not isinstance(value, dict)
    ]
    return found, complaints


def _decoded(text: str) -> Any:
    return json.loads(text, parse_float=str)


def _why(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error).partition(";")[0]


def _form(value: object) -> str:
    if value is None:
        return "null"
    forms = {dict: "an object", list: "a list", str: "a text", bool: "a truth value", int: "a number"}
    return forms.get(type(value), "a value")


def _parquet(path: Path) -> tuple[list[Row], list[str]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UsageError(
            "Reading Parquet needs pyarrow: pip install 'ponder[evals]', or save the file as JSON Lines."
        ) from error
    try:
        table = pq.ParquetFile(path).read()
        values = table.to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UsageError(
            f"{path} is no Parquet file that can be read ({str(error).splitlines()[0]}). Make it again."
        ) from error
    return [(f"row {number}", value) for number, value in enumerate(values, 1)], []
