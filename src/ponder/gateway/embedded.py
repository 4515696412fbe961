"""The embedded engine in a child process, so that a model file is never parsed where keys live (decision 32).

`python -m ponder.gateway.embedded` is that child.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ponder import config
from ponder.config import Settings
from ponder.engines.child.engine import Child
from ponder.engines.child.serving import serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from ponder.core.protocols import Engine

OPENING = ("threads", "requantise", "deterministic", "engine")
"""The settings that say how a file is opened, beside `home` and `library`, which are paths."""


def open_in_child(path: Path, settings: Settings, tell: Callable[[str], None] | None = None) -> Engine:
    """`config.open_engine`, in a process that knows no secret.

    Raises:
        PonderError: what that raises.

    """
    if sys.platform == "win32":  # a child has no socket as its standard input there
        return config.open_engine(path, settings, tell)
    asked: dict[str, Any] = {name: getattr(settings, name) for name in OPENING}
    asked |= {name: str(value) for name in ("home", "library") if (value := getattr(settings, name))}
    command = [sys.executable, "-m", "ponder.gateway.embedded"]
    return Child(command, config.bare_environment(), {"path": str(path), "settings": asked}, tell)


def _opened(asked: Any, tell: Callable[[str], None]) -> Engine:
    given: dict[str, Any] = asked["settings"]
    given |= {name: Path(given[name]) for name in ("home", "library") if name in given}
    return config.open_engine(Path(asked["path"]), Settings(**given), tell)


if __name__ == "__main__":
    serve(_opened)
