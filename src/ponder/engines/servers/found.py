"""What a probe found out about a server, and the file that remembers it."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, get_args

from ponder.core.errors import UsageError
from ponder.core.markers import Markers
from ponder.core.protocols import Ability
from ponder.engines.servers.dialects import DIALECTS, Dialect, Wire
from ponder.engines.servers.effort import Asks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

VERSION = 2


@dataclass(frozen=True, slots=True)
class Found:
    """What a server does. Everything here was seen, except where `dialect` was given.

    Args:
        url: where its interface begins, without /v1.
        model: as the server calls it.
        dialect: see `DIALECTS`.
        can: abilities.
        wire: where conversations go.
        raw: where raw text goes; None where it cannot.
        context: tokens that prompt and answer may have together.
        tokenizer: a fingerprint of its tokens.
        max_tokens: its name of that limit.
        keeps_stop: it leaves stop strings in and says which it was; otherwise we look for them.
        exact: it never sends more pieces than it counts tokens, so that a piece too many is an error.
        counts: it counts its tokens, also where it streams.
        many: it draws several choices of one prompt.
        overhead: tokens at most that its template adds to a conversation of one message.
        asks: what it takes that says how long to think; whether it obeys a cap is among its abilities.
        markers: how its model marks its thinking; None where it does not think, or keeps that apart.
        opened: what its template has written of these already.
        notes: what a person should know.

    """

    url: str
    model: str
    dialect: str = "openai"
    can: frozenset[Ability] = frozenset()
    wire: Wire = "chat"
    raw: Wire | None = None
    context: int | None = None
    tokenizer: str | None = None
    max_tokens: str = "max_tokens"
    keeps_stop: bool = False
    exact: bool = False
    counts: bool = False
    many: bool = False
    overhead: int = 64
    asks: Asks | None = None
    markers: Markers | None = None
    opened: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def words(self) -> Dialect:
        return DIALECTS[self.dialect]

    def save(self, folder: Path, asked: str | None = None) -> Path:
        """Write it, whole or not at all, for whoever asks for the model by the name `asked`, or by none."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / name(self.url, asked)
        body = asdict(self) | {"can": sorted(self.can), "version": VERSION}
        with tempfile.NamedTemporaryFile("w", dir=folder, encoding="utf-8", delete=False) as file:
            json.dump(body, file, indent=1)
        os.replace(file.name, path)  # noqa: PTH105 - Path.replace would say the same in more words
        return path

    @classmethod
    def load(cls, folder: Path, url: str, model: str | None = None) -> Found | None:
        """What was saved for this server; None if nothing was, or by another version of ponder."""
        try:
            body = json.loads((folder / name(url, model)).read_text("utf-8"))
            return cls.of(body)
        except (OSError, ValueError, KeyError, TypeError, UsageError):
            return None

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Found:
        """From its JSON.

        Raises:
            KeyError, TypeError, ValueError: it is none of this version.

        """
        if body["version"] != VERSION or (body["url"], body["model"]) == ("", ""):
            raise ValueError("another version")
        known = {f.name: body[f.name] for f in fields(cls)}
        for key, read in _READ.items():
            known[key] = read(known[key])
        return cls(**known)


def name(url: str, model: str | None) -> str:
    """The name of the file for a server's model."""
    return hashlib.sha256(f"{url}#{model or ''}".encode()).hexdigest()[:16] + ".json"


def _abilities(given: Any) -> frozenset[Ability]:
    return frozenset(a for a in get_args(Ability) if a in set(given))


def _one_of(known: Any) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if value not in known:
            raise ValueError(str(value))
        return value

    return read


_READ: dict[str, Callable[[Any], Any]] = {
    "can": _abilities,
    "dialect": _one_of(DIALECTS),
    "wire": _one_of(get_args(Wire)),
    "raw": _one_of((None, *get_args(Wire))),
    "overhead": int,
    "asks": _one_of((None, *get_args(Asks))),
    "markers": lambda value: None if value is None else Markers(**value),
    "notes": tuple,
}
