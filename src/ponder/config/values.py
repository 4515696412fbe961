"""What a setting may be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ponder.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

ENGINES = ("llama.cpp", "openvino")


def text(where: str, value: Any) -> str:
    """The value of a setting that is text; `where` says which.

    Raises:
        UsageError: it is none.

    """
    if not isinstance(value, str):
        raise UsageError(f"{where} takes text in quotes, not {value!r}.")
    return value


def _whole(where: str, value: Any) -> int:
    said = str(value)
    if not said.isdecimal() or int(said) < 1:
        raise UsageError(f"{where} takes a whole number from 1 up, not {value!r}.")
    return int(said)


def _file(where: str, value: Any) -> Path:
    path = Path(text(where, value)).expanduser()
    if not path.is_file():
        raise UsageError(f"{where} names {path}, and there is no such file.")
    return path


def _engine(where: str, value: Any) -> str:
    if value not in ENGINES:
        raise UsageError(f"{where} takes one of {', '.join(ENGINES)}, not {value!r}.")
    return str(value)


def _yes_or_no(where: str, value: Any) -> bool:
    said = str(value).lower()
    if said not in {"true", "false", "1", "0"}:
        raise UsageError(f"{where} takes true or false, not {value!r}.")
    return said in {"true", "1"}


def _roles(where: str, value: Any) -> dict[str, str]:
    if isinstance(value, str):
        parts = (part.partition("=") for part in value.split(";"))
        value = {role.strip(): name.strip() for role, _, name in parts}
    if not isinstance(value, dict) or not all(
        isinstance(name, str) and name and role for role, name in value.items()
    ):
        raise UsageError(
            f"{where} takes models by role, for example feedback = 'smollm2-135m'; not {value!r}."
        )
    if "solver" in value:
        raise UsageError(f"{where} has no solver: the setting `model` names its model.")
    return value


READERS: dict[str, Callable[[str, Any], Any]] = {
    "threads": _whole,
    "requantise": _yes_or_no,
    "deterministic": _yes_or_no,
    "engine": _engine,
    "library": _file,
    "roles": _roles,
}
