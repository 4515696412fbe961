"""The models behind the gateway."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Any

    from ponder.core.protocols import Engine
    from ponder.engines.servers.link import Link, Passed


@runtime_checkable
class PassesOn(Protocol):
    """An engine on a server, whose answers can be passed on as they are: see `engines.servers.engine.Server`."""

    async def pass_on(
        self,
        path: str,
        body: Callable[[Mapping[str, Any]], bytes],
        take: Callable[[Passed, Link], Awaitable[None]],
        spent: Callable[[], int],
    ) -> None: ...


@dataclass
class Served:
    """One model."""

    name: str
    engine: Engine
    created: int = field(default_factory=lambda: int(time.time()))
    passes_on: PassesOn | None = field(init=False)

    def __post_init__(self) -> None:
        """To ask for a protocol takes a while, and an engine does not change."""
        self.passes_on = self.engine if isinstance(self.engine, PassesOn) else None
