"""Keys of clients, in one SQLite file: random, stored as hashes, limited, and revoked at once.

A key is "pnd_" and the name by which it is found, then 256 random bits. Only the name and the SHA-256 of the whole key
are kept: with so much chance in it a slow hash would add nothing. Keys are compared in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from ponder.core.calls import Budget, Usage
from ponder.core.errors import StoreError, UnknownName, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Scope = Literal["inference", "metrics"]
SCOPES: Final[tuple[Scope, ...]] = ("inference", "metrics")

_KEY: Final = re.compile(r"(pnd_[0-9a-f]{12})_[\w-]{43}")
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS keys (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, hash BLOB NOT NULL, created REAL NOT NULL, expires REAL, revoked REAL,
  scopes TEXT NOT NULL, models TEXT NOT NULL, presets TEXT NOT NULL, strategy TEXT, budget TEXT, rate INTEGER,
  prompt INTEGER NOT NULL DEFAULT 0, cached INTEGER NOT NULL DEFAULT 0, completion INTEGER NOT NULL DEFAULT 0,
  scorer INTEGER NOT NULL DEFAULT 0, calls INTEGER NOT NULL DEFAULT 0, nanodollars INTEGER NOT NULL DEFAULT 0,
  requests INTEGER NOT NULL DEFAULT 0, old BLOB, old_until REAL
) STRICT;
CREATE TABLE IF NOT EXISTS days (
  day TEXT PRIMARY KEY, prompt INTEGER NOT NULL, cached INTEGER NOT NULL, completion INTEGER NOT NULL,
  scorer INTEGER NOT NULL, calls INTEGER NOT NULL, nanodollars INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS paused (since REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS replies (
  owner TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL, at REAL NOT NULL, status INTEGER NOT NULL,
  headers TEXT NOT NULL, answer BLOB NOT NULL, PRIMARY KEY (owner, name)
) STRICT;
"""
_ADDED: Final = {"old": "BLOB", "old_until": "REAL"}
"""Columns that files of earlier versions lack."""
MOST_REPLIES: Final = 1_000
"""Answers that are kept for one key."""
_SPENT: Final = ("prompt", "cached", "completion", "scorer", "calls", "nanodollars")
KEPT: Final = 24 * 3600.0
"""Seconds that answers are kept for their Idempotency-Key."""


@dataclass(frozen=True)
class Key:
    """One key, without its secret. Empty `models` or `presets` are all of them; `rate` is requests a minute."""

    id: str
    name: str
    created: float = 0.0
    expires: float | None = None
    revoked: float | None = None
    scopes: tuple[str, ...] = ("inference",)
    models: tuple[str, ...] = ()
    presets: tuple[str, ...] = ()
    strategy: str | None = None
    budget: Budget = Budget()
    rate: int | None = None
    spent: Usage = Usage()
    requests: int = 0

    def valid(self, now: float) -> bool:
        """Whether it may be used."""
        return self.revoked is None and (self.expires is None or now < self.expires)


class Keys:
    """The file. Every question is asked of it anew, so that what one process revokes the next request of another sees.

    Raises:
        StoreError: it cannot be opened.

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
            self._db.row_factory = sqlite3.Row
            self._db.executescript(
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA trusted_schema=OFF;"
            )
            self._db.executescript(_SCHEMA)
            there = {row["name"] for row in self._db.execute("PRAGMA table_info(keys)")}
            for column in _ADDED.keys() - there:
                self._db.execute(f"ALTER TABLE keys ADD COLUMN {column} {_ADDED[column]}")
            self._db.execute("DELETE FROM replies WHERE at < ?", (time.time() - KEPT,))
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"The keys in {path} cannot be opened: {error}. Look at the file.") from None

    def close(self) -> None:
        self._db.close()

    def create(
        self,
        name: str,
        *,
        models: Sequence[str] = (),
        presets: Sequence[str] = (),
        scopes: Sequence[str] = ("inference",),
        strategy: str | None = None,
        budget: Budget | None = None,
        rate: int | None = None,
        expires: float | None = None,
    ) -> tuple[str, Key]:
        """A new key: the secret, which is never told again, and what is kept of it."""
        for scope in scopes:
            if scope not in SCOPES:
                raise UnknownName("scope", scope, SCOPES)
        ident = f"pnd_{secrets.token_hex(6)}"
        secret = _secret(ident)
        row = {
            "id": ident,
            "name": name,
            "hash": _hash(secret),
            "created": time.time(),
            "expires": expires,
            "scopes": json.dumps(list(scopes)),
            "models": json.dumps(list(models)),
            "presets": json.dumps(list(presets)),
            "strategy": strategy,
            "budget": str(budget) if budget else None,
            "rate": rate,
        }
        self._run(
            "INSERT INTO keys (id, name, hash, created, expires, scopes, models, presets, strategy, budget, rate) VALUES "
            "(:id, :name, :hash, :created, :expires, :scopes, :models, :presets, :strategy, :budget, :rate)",
            row,
        )
        return secret, self.named(ident)

    def any(self) -> bool:
        """Whether there is a key that may be used."""
        found = self._run(
            "SELECT 1 FROM keys WHERE revoked IS NULL AND (expires IS NULL OR expires > ?) LIMIT 1",
            (time.time(),),
        )
        return found.fetchone() is not None

    def all(self) -> list[Key]:
        return [_key(row) for row in self._run("SELECT * FROM keys ORDER BY created")]

    def named(self, said: str) -> Key:
        """The key with this id, or the only one of this name.

        Raises:
            UnknownName: there is none.
            UsageError: there are several.

        """
        found = [key for key in self.all() if said in (key.id, key.name)]
        if len(found) > 1:
            ids = ", ".join(key.id for key in found)
            raise UsageError(f"{len(found)} keys are named {said!r}: {ids}. Say which by its id.")
        if not found:
            raise UnknownName("key", said, [key.id for key in self.all()])
        return found[0]

    def find(self, secret: str) -> Key | None:
        """The key that a secret is, if it may be used."""
        read = _KEY.fullmatch(secret)
        if read is None:
            return None
        row = self._run("SELECT * FROM keys WHERE id = ?", (read[1],)).fetchone()
        now, given = time.time(), _hash(secret)
        same = hmac.compare_digest(given, bytes(row["hash"]) if row else bytes(32))
        if row and row["old"] and now < row["old_until"]:
            same |= hmac.compare_digest(given, bytes(row["old"]))
        key = _key(row) if row else None
        return key if key and same and key.valid(now) else None

    def rotate(self, said: str, grace: float = 0.0) -> tuple[str, Key]:
        """A new secret for a key, which keeps its limits and what it spent; the old one goes on for `grace` seconds.

        Raises:
            UnknownName: see `named`.
            UsageError: it was revoked.

        """
        key = self.named(said)
        if key.revoked is not None:
            raise UsageError(f"{key.id} is revoked. Make a new key: ponder keys create {key.name}")
        secret = _secret(key.id)
        self._run(
            "UPDATE keys SET old = hash, old_until = ?, hash = ? WHERE id = ?",
            (time.time() + grace, _hash(secret), key.id),
        )
        return secret, key

    def pause(self) -> None:
        """From now on no request is let in, whatever its key."""
        self._run("INSERT INTO paused SELECT ? WHERE NOT EXISTS (SELECT 1 FROM paused)", (time.time(),))

    def resume(self) -> None:
        """The end of `pause`."""
        self._run("DELETE FROM paused")

    def paused(self) -> float | None:
        """Since when nobody is let in, if so."""
        row = self._run("SELECT since FROM paused").fetchone()
        return row["since"] if row else None

    def revoke(self, said: str) -> Key:
        """From now on it is refused; see `named` for errors."""
        key = self.named(said)
        self._run("UPDATE keys SET revoked = ? WHERE id = ? AND revoked IS NULL", (time.time(), key.id))
        return self.named(key.id)

    def spend(self, ident: str, usage: Usage) -> None:
        """Record what a request of this key cost."""
        self._run(
            "UPDATE keys SET prompt = prompt + ?, cached = cached + ?, completion = completion + ?, scorer = scorer + ?, "
            "calls = calls + ?, nanodollars = nanodollars + ?, requests = requests + 1 WHERE id = ?",
            (
                usage.prompt,
                usage.cached,
                usage.completion,
                usage.scorer,
                usage.calls,
                usage.nanodollars,
                ident,
            ),
        )

    def spend_today(self, day: str, usage: Usage) -> None:
        """Record what a request cost in the budget of its day."""
        told = [getattr(usage, name) for name in _SPENT]
        more = ", ".join(f"{name} = {name} + excluded.{name}" for name in _SPENT)
        self._run(
            f"INSERT INTO days (day, {', '.join(_SPENT)}) VALUES (?, ?, ?, ?, ?, ?, ?) "  # noqa: S608 - our own names
            f"ON CONFLICT (day) DO UPDATE SET {more}",
            (day, *told),
        )

    def spent_on(self, day: str) -> Usage:
        """What was recorded of a day."""
        row = self._run("SELECT * FROM days WHERE day = ?", (day,)).fetchone()
        return Usage(**{name: row[name] for name in _SPENT}) if row else Usage()

    # -- answers that were given ---------------------------------------------------------------------------------

    def reply(self, owner: str, name: str) -> tuple[bytes, int, dict[str, str], bytes] | None:
        """What was answered under an Idempotency-Key: the hash of the body asked, status, headers, answer."""
        self._run("DELETE FROM replies WHERE at < ?", (time.time() - KEPT,))
        row = self._run("SELECT * FROM replies WHERE owner = ? AND name = ?", (owner, name)).fetchone()
        if row is None:
            return None
        return bytes(row["body"]), row["status"], json.loads(row["headers"]), bytes(row["answer"])

    def keep(
        self, owner: str, name: str, body: bytes, status: int, headers: dict[str, str], answer: bytes
    ) -> None:
        """Remember an answer."""
        told = (owner, name, body, time.time(), status, json.dumps(headers), answer)
        self._run("INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?, ?, ?, ?)", told)
        self._run(
            "DELETE FROM replies WHERE owner = ? AND name IN (SELECT name FROM replies WHERE owner = ? ORDER BY at DESC "
            "LIMIT -1 OFFSET ?)",
            (owner, owner, MOST_REPLIES),
        )

    def _run(self, statement: str, values: Any = ()) -> sqlite3.Cursor:
        try:
            return self._db.execute(statement, values)
        except sqlite3.Error as error:
            raise StoreError(f"The keys in {self.path} cannot be used: {error}. Look at the file.") from None


def _secret(ident: str) -> str:
    return f"{ident}_{secrets.token_urlsafe(32)}"


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _key(row: sqlite3.Row) -> Key:
    spent = {name: row[name] for name in _SPENT}
    return Key(
        row["id"],
        row["name"],
        row["created"],
        row["expires"],
        row["revoked"],
        _listed(row["scopes"]),
        _listed(row["models"]),
        _listed(row["presets"]),
        row["strategy"],
        Budget.parse(row["budget"]) if row["budget"] else Budget(),
        row["rate"],
        Usage(**spent),
        row["requests"],
    )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))
