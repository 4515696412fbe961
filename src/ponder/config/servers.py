"""Models on servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ponder.config.environment import secret
from ponder.config.roles import ROLE
from ponder.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ponder.config.setting import Settings
    from ponder.core.calls import Prices
    from ponder.core.protocols import Engine
    from ponder.engines.servers.found import Found
    from ponder.engines.servers.link import Link
    from ponder.engines.servers.upstream import Upstream


def remote(name: str | None, settings: Settings) -> Upstream | None:
    """The model on servers that a name means: one of ponder.toml, or http://127.0.0.1:8000/v1#model."""
    if name is None or not name.startswith(("http://", "https://")):
        return settings.upstreams.get(name or "")
    from ponder.engines.servers.upstream import Upstream

    return Upstream.at(name)


def prices(models: Sequence[str] | None, settings: Settings) -> Prices | None:
    """Those of the solver's model, if they are known."""
    named = [name for name in models or () if not ROLE.fullmatch(name) or name.startswith("solver=")]
    upstream = remote(named[0].removeprefix("solver=") if named else settings.model, settings)
    return upstream.prices if upstream else None


def open_remote(
    upstream: Upstream,
    settings: Settings,
    tell: Callable[[str], None] | None = None,
    *,
    afresh: bool = False,
) -> Engine:
    """The engine of a model on servers; the caller closes it.

    What each server can do is probed once and kept (`ponder doctor URL` probes again, as `afresh` does).

    Raises:
        UsageError: the extra is not installed, or the address or the key's reference makes no sense.
        EngineError: a server cannot be reached, or refuses.

    """
    return upstream.engine(ways(upstream, settings, tell, afresh=afresh))


def ways(
    upstream: Upstream,
    settings: Settings,
    tell: Callable[[str], None] | None = None,
    *,
    afresh: bool = False,
) -> list[tuple[Link, Found]]:
    """The servers of a model, each with what it can do; see `open_remote`."""
    import anyio

    from ponder.engines.servers.found import Found
    from ponder.engines.servers.probe import probe

    folder = settings.cache / "servers"
    found_ways = []
    for link in links(upstream):
        found = None if afresh else Found.load(folder, link.url, upstream.model)
        if found is None:
            if tell:
                tell(f"Asking {link.where} what it can do, once.")
            found = anyio.run(probe, link, upstream.model, upstream.dialect)
            found.save(folder, upstream.model)
        found_ways.append((link, found))
    return found_ways


def links(upstream: Upstream) -> list[Link]:
    """The ways to the servers of a model; see `open_remote` for errors."""
    try:
        import aiohttp  # noqa: F401
    except ImportError:
        raise UsageError(
            "Models on servers need an extra. Install it: pip install 'ponder[servers]'"
        ) from None
    from ponder.engines.servers.link import Link

    key = secret(upstream.key, f"key of the model {upstream.name}")
    return [Link(url, key, patience=upstream.patience, ca=upstream.ca) for url in upstream.urls]
