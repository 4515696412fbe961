"""What stands behind the gateway, from the settings: names become served models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ponder import config
from ponder.gateway.served import Served

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ponder.config import Settings
    from ponder.core.protocols import Engine


def opened(
    names: Sequence[str],
    settings: Settings,
    embedded: Callable[[str | None], Engine],
    tell: Callable[[str], None] | None = None,
) -> dict[str, Served]:
    """The models to serve: those named, else those of ponder.toml, else the default model. `embedded` opens a model file.

    Raises:
        PonderError: one cannot be had; the message says what to do.

    """
    found: dict[str, Served] = {}
    wanted: Sequence[str | None] = names or list(settings.upstreams) or [None]
    for name in wanted:
        served = _opened(name, settings, embedded, tell)
        found[served.name] = served
    return found


def roles(
    settings: Settings,
    found: Mapping[str, Served],
    embedded: Callable[[str | None], Engine],
    tell: Callable[[str], None] | None = None,
) -> dict[str, Engine]:
    """The engines of the roles that the settings name, beside the solver's, which each request names itself."""
    engines = {}
    for role, name in settings.roles.items():
        engines[role] = (found.get(name) or _opened(name, settings, embedded, tell)).engine
    return engines


def _opened(
    name: str | None,
    settings: Settings,
    embedded: Callable[[str | None], Engine],
    tell: Callable[[str], None] | None,
) -> Served:
    if simulated := config.simulated(name):
        return Served(simulated.capabilities.name, simulated)
    if upstream := config.remote(name or settings.model, settings):
        return Served(upstream.name, config.open_remote(upstream, settings, tell))
    engine = embedded(name)
    return Served(engine.capabilities.name, engine)
