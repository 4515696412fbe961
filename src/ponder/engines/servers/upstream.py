"""A model that runs on servers, as a person configures it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ponder.core.calls import Prices
from ponder.core.errors import UnknownName, UsageError, about
from ponder.engines.layers import Adaptive, Balanced, Breaking, Penalising, Retrying
from ponder.engines.servers.dialects import DIALECTS
from ponder.engines.servers.engine import Server

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from ponder.core.protocols import Engine
    from ponder.engines.servers.found import Found
    from ponder.engines.servers.link import Link

MADE_OF = {
    "url": "where the server's interface begins, or a list of such: http://127.0.0.1:8000/v1",
    "model": "as the server calls it; its first by default",
    "key": "${env:NAME} or file:/path; never the key itself",
    "dialect": f"one of {', '.join(DIALECTS)}, where the signs of the server mislead",
    "prompt": "dollars per million tokens read",
    "completion": "dollars per million tokens written",
    "cached": "dollars per million tokens read from a cache",
    "patience": "seconds of silence after which a call is given up; 120 by default",
    "attempts": "tries of a call in all; 4 by default",
    "replay": "true: try again even where that pays for tokens twice",
    "at_once": "calls in flight at most; 256 by default, and fewer where the server complains",
    "ca": "a file of certificates to trust instead of the system's",
}
"""What stands below [models.NAME] in ponder.toml."""


@dataclass(frozen=True)
class Upstream:
    """See `MADE_OF`. `key` is a reference to a secret, not the secret."""

    name: str
    urls: tuple[str, ...]
    model: str | None = None
    key: str | None = None
    dialect: str | None = None
    prices: Prices | None = None
    patience: float = 120.0
    attempts: int = 4
    replay: bool = False
    at_once: int = 256
    ca: Path | None = None

    @classmethod
    def at(cls, address: str) -> Upstream:
        """The server at "http://127.0.0.1:8000/v1#model"; the model may be left out."""
        url, _, model = address.partition("#")
        return cls(model or _base(url).partition("//")[2], (_base(url),), model or None)

    @classmethod
    def of(cls, name: str, body: Mapping[str, Any]) -> Upstream:
        """From a table of ponder.toml.

        Raises:
            UsageError: a value makes no sense; UnknownName: a key does not exist.

        """
        where = f"[models.{name}] in ponder.toml"
        for key in body:
            with about(key):
                if key not in MADE_OF:
                    raise UnknownName(f"setting in {where}", key, MADE_OF)
        urls = body.get("url")
        urls = [urls] if isinstance(urls, str) else urls
        if not isinstance(urls, list) or not urls or not all(isinstance(url, str) for url in urls):
            with about("url"):
                raise UsageError(f'{where} needs a url, for example url = "http://127.0.0.1:8000/v1".')
        texts = {key: _text(where, key, body.get(key)) for key in ("model", "key", "dialect", "ca")}
        if (dialect := texts["dialect"]) is not None and dialect not in DIALECTS:
            with about("dialect"):
                raise UnknownName(f"dialect, of {where},", dialect, DIALECTS)
        prices = {key: _number(where, key, body.get(key)) for key in ("prompt", "completion", "cached")}
        if (prices["prompt"] is None) != (prices["completion"] is None):
            raise UsageError(f"{where} needs both prices, prompt and completion, or none.")
        most = {
            key: _number(where, key, body.get(key, given))
            for key, given in (("attempts", 4), ("at_once", 256))
        }
        return cls(
            name,
            tuple(map(_base, urls)),
            texts["model"],
            texts["key"],
            dialect,
            None
            if prices["prompt"] is None
            else Prices(prices["prompt"], prices["completion"] or 0.0, prices["cached"]),
            _number(where, "patience", body.get("patience", 120.0)) or 120.0,
            max(1, int(most["attempts"] or 4)),
            body.get("replay") is True,
            max(1, int(most["at_once"] or 256)),
            Path(texts["ca"]).expanduser() if texts["ca"] else None,
        )

    def engine(self, ways: Sequence[tuple[Link, Found]]) -> Engine:
        """The model as one engine: each server limited and guarded, the next try at whichever is free.

        TIP's penalty is outermost, so that each of its parts is a call of its own, tried again by itself.
        """
        start = min(16, self.at_once)
        each = [
            Breaking(Adaptive(Server(link, found, name=self.name, prices=self.prices), start, self.at_once))
            for link, found in ways
        ]
        return Penalising(Retrying(Balanced(each), self.attempts, replay=self.replay))


def _base(url: str) -> str:
    """Without the /v1 that people write, for not all of a server's interface is below it."""
    return url.rstrip("/").removesuffix("/v1")


def _text(where: str, key: str, value: object) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    with about(key):
        raise UsageError(f"{key} of {where} takes text in quotes, not {value!r}.")


def _number(where: str, key: str, value: object) -> float | None:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and value >= 0):
        return value
    with about(key):
        raise UsageError(f"{key} of {where} takes a number of 0 or more, not {value!r}.")
