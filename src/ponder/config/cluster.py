"""What a worker on a cluster makes attempts with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ponder.config.model_files import model_path, open_engine
from ponder.config.parts import close, memory, sandbox, scorers, simulated
from ponder.config.servers import open_remote, remote
from ponder.config.setting import default_home

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ponder.config.setting import Settings
    from ponder.core.policy import Policy
    from ponder.core.protocols import Engine
    from ponder.evals.cluster import Outfit


def placed(name: str | None) -> str | None:
    """The name of a model, or a memory, as any folder has it: a file by its whole path."""
    if name is None:
        return None
    how = "embeddings:" if name.startswith("embeddings:") else ""
    path = Path(name.removeprefix(how)).expanduser()
    return how + str(path.resolve()) if path.exists() else name


def outfit(
    models: Mapping[str, str | None],
    settings: Settings,
    policies: Mapping[str, Policy],
    memory_at: str | None,
    workers: int,
) -> Outfit:
    """What one of so many workers on a cluster makes attempts with; what a server takes at once is shared among them.

    Names mean there what they mean here, but for the home: where there is no folder of that name, it is the worker's.

    Raises:
        PonderError: a model cannot be opened, or the memory not be read, on this machine.

    """
    from ponder.evals.cluster import Outfit

    shares = {
        name: replace(upstream, at_once=max(1, upstream.at_once // workers))
        for name, upstream in settings.upstreams.items()
    }
    home = settings.home if settings.home.is_dir() else default_home()
    settings = replace(settings, home=home, upstreams=shares)
    opened: dict[str, Engine] = {}
    at_once = 0
    for name in dict.fromkeys(named or settings.model or "" for named in models.values()):
        if engine := simulated(name):
            opened[name] = engine
        elif upstream := remote(name, settings):
            opened[name] = open_remote(upstream, settings)
            at_once += upstream.at_once
        else:
            opened[name] = open_engine(model_path(name or None, settings), settings)
    engines = {role: opened[name or settings.model or ""] for role, name in models.items()}

    def close_all() -> None:
        for engine in opened.values():
            close(engine)

    recalled = memory(memory_at) if memory_at else None
    return Outfit(engines, scorers(), policies, recalled, sandbox(), at_once or None, close_all)
