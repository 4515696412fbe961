"""The models behind the gateway: engines, and the ways to servers whose answers can be passed on as they are."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from ponder.core.protocols import Engine
    from ponder.engines.servers.link import Link

from contextlib import contextmanager


@dataclass
class Way:
    """One server of a model, the model as that server calls it, and the requests in flight there."""

    link: Link
    model: str
    in_flight: int = 0

    @contextmanager
    def taken(self) -> Iterator[Link]:
        """One request more, while it lasts."""
        self.in_flight += 1
        try:
            yield self.link
        finally:
            self.in_flight -= 1


@dataclass
class Served:
    """One model. `ways` is empty for a model that no server runs."""

    name: str
    engine: Engine
    ways: tuple[Way, ...] = ()
    created: int = field(default_factory=lambda: int(time.time()))

    def free_way(self) -> AbstractContextManager[Link]:
        """The server with the fewest of our requests in flight."""
        return self.least.taken()

    @property
    def least(self) -> Way:
        return min(self.ways, key=lambda way: way.in_flight)
