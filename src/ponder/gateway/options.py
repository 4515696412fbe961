"""How the gateway is set up: [gateway], [presets.NAME] and [effort] of ponder.toml."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from ponder.core.calls import Budget
from ponder.core.errors import UnknownName, UsageError, about
from ponder.gateway.limits import AT_ONCE, QUEUE
from ponder.strategies import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ponder.core.protocols import Strategy

NONE: Final = "none"
"""The strategy that is none: the model's own answer, as it is."""

EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

UsageMode = Literal["openai", "billed"]


@dataclass(frozen=True)
class Preset:
    """A strategy with a name, listed as model@NAME. `strategy` None is `none`."""

    name: str
    strategy: Strategy | None
    budget: Budget | None = None

    @classmethod
    def of(cls, name: str, body: Any) -> Preset:
        """From a table of ponder.toml, or the text of a strategy.

        Raises:
            UsageError: it makes no sense.

        """
        where = f"[presets.{name}] in ponder.toml"
        if not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
            raise UsageError(f"A preset is named by letters, digits, - and _, not {name!r}.")
        body = {"strategy": body} if isinstance(body, str) else body
        if not isinstance(body, dict) or not isinstance(body.get("strategy"), str):
            raise UsageError(f'{where} needs a strategy, for example strategy = "self-consistency:n=16".')
        for key in body:
            with about(key):
                if key not in ("strategy", "budget"):
                    raise UnknownName(f"setting in {where}", key, ("strategy", "budget"))
        said = body["strategy"]
        with about("budget"):
            budget = None if body.get("budget") is None else Budget.parse(str(body["budget"]))
        with about("strategy"):
            return cls(name, None if said == NONE else parse(said), budget)


PRESETS: Final = {
    "think": "chain-of-thought",
    "majority8": "self-consistency:n=8",
    "majority16": "self-consistency:n=16",
    "best8": "best-of-n:n=8",
}
"""Where ponder.toml has none."""


@dataclass(frozen=True)
class Options:
    """How the gateway is set up.

    Args:
        host, port: where it listens.
        strategy: of a request that names none; a preset or a strategy.
        budget: of a request that names none.
        most: what a request may ask for at most.
        limit: what all requests together may spend, until the next start.
        daily: what they may spend in one day of UTC, over starts too.
        requests: served at once.
        queue: requests that wait for one of those to end, 30 seconds at most; more get a 503.
        at_once: requests of one key in flight; more get a 429.
        hosts: names that clients may use for this server, beside localhost, its address and any bare address.
        origins: pages that may call it from a browser, "https://chat.example.org".
        usage_mode: "openai" counts the prompt once, "billed" as often as it was read.
        salt: keep apart, for each key, what servers keep of the prompts they have read (vLLM, SGLang). Without it a beginning
            that all clients share is read once, and the time of an answer tells who has asked before.
        drain: seconds that requests in flight have to end, once the server is told to.
        presets: by name.
        effort: a preset or strategy for each `reasoning_effort`.

    """

    host: str = "127.0.0.1"
    port: int = 8080
    strategy: str = NONE
    budget: Budget = Budget(tokens=16_000, seconds=300.0)
    most: Budget = Budget(tokens=1_000_000, seconds=1_800.0)
    limit: Budget = Budget()
    daily: Budget = Budget()
    requests: int = 256
    queue: int = QUEUE
    at_once: int = AT_ONCE
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    usage_mode: UsageMode = "openai"
    salt: bool = True
    drain: float = 30.0
    presets: Mapping[str, Preset] = field(default_factory=dict, hash=False)
    effort: Mapping[str, str] = field(default_factory=dict, hash=False)

    @classmethod
    def of(cls, tables: Mapping[str, Any]) -> Options:
        """From the tables of ponder.toml.

        Raises:
            UsageError: a value makes no sense; UnknownName: a key does not exist.

        """
        for name, value in tables.items():
            with about(name):
                if not isinstance(value, dict):
                    raise UsageError(f"{name} in ponder.toml is a table: [{name}].")
        found = {}
        for key, value in tables.get("gateway", {}).items():
            with about("gateway", key):
                if key not in _READ:
                    raise UnknownName("setting in [gateway] of ponder.toml", key, _READ)
                found[key] = _READ[key](key, value)
        presets = {}
        for name, body in tables.get("presets", PRESETS).items():
            with about("presets", name):
                presets[name] = Preset.of(name, body)
        effort = dict(tables.get("effort", {}))
        options = cls(**found, presets=presets, effort=effort)
        for level, name in effort.items():
            with about("effort", level):
                if level not in EFFORTS:
                    raise UnknownName("effort in [effort] of ponder.toml", level, EFFORTS)
                options.preset(_named(f"{level} in [effort]", name))
        with about("gateway", "strategy"):
            options.preset(options.strategy)
        return options

    def preset(self, name: str) -> Preset:
        """The preset, or else the strategy, that a name means.

        Raises:
            UnknownName: it means nothing; near names are suggested.
            UsageError: a parameter in it makes no sense.

        """
        if name in self.presets:
            return self.presets[name]
        if name == NONE:
            return Preset(NONE, None)
        try:
            strategy = _parsed(name)
        except UnknownName:
            if ":" in name:
                raise
            from ponder.strategies import CATALOGUE

            raise UnknownName("preset or strategy", name, [NONE, *self.presets, *CATALOGUE]) from None
        return Preset(str(strategy), strategy)

    def bound(self, host: str | None, port: int | None) -> Options:
        """With another address."""
        return replace(self, host=host or self.host, port=self.port if port is None else port)


@lru_cache(256)
def _parsed(name: str) -> Strategy:
    """Requests name the same ones again and again."""
    return parse(name)


def _text(key: str, value: Any) -> str:
    return _named(f"{key} in [gateway]", value)


def _named(where: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError(f"{where} of ponder.toml takes text in quotes, not {value!r}.")
    return value


def _texts(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise UsageError(f"{key} in [gateway] of ponder.toml takes a list of texts, not {value!r}.")
    return tuple(value)


def _whole(key: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise UsageError(f"{key} in [gateway] of ponder.toml takes a whole number, not {value!r}.")
    return value


def _flag(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{key} in [gateway] of ponder.toml is true or false, not {value!r}.")
    return value


def _budget(key: str, value: Any) -> Budget:
    return Budget.parse(str(value) if isinstance(value, int) else _text(key, value))


def _seconds(key: str, value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
        raise UsageError(f"{key} in [gateway] of ponder.toml takes seconds, not {value!r}.")
    return float(value)


def _mode(key: str, value: Any) -> str:
    if value not in get_args(UsageMode):
        raise UsageError(f"{key} in [gateway] of ponder.toml is openai or billed, not {value!r}.")
    return str(value)


_READ: Final[dict[str, Any]] = {
    "host": _text,
    "port": _whole,
    "strategy": _text,
    "budget": _budget,
    "most": _budget,
    "limit": _budget,
    "daily": _budget,
    "requests": _whole,
    "queue": _whole,
    "at_once": _whole,
    "hosts": _texts,
    "origins": _texts,
    "usage_mode": _mode,
    "salt": _flag,
    "drain": _seconds,
}
