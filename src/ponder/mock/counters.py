"""What the mock server sees of its clients, live."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Abort:
    """A client that left: which request, after how many of its tokens, and when on the monotonic clock."""

    request: int
    tokens: int
    at: float


@dataclass
class Counters:
    """Counts since the start. `writing` are the requests in which tokens are being written right now."""

    requests: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    writing: int = 0
    finished: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    aborted: list[Abort] = field(default_factory=list)

    def began(self) -> int:
        """A request came; returns its number."""
        self.requests += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        return self.requests

    def left(self, request: int, tokens: int) -> None:
        """The client of this request left while it was being answered."""
        self.aborted.append(Abort(request, tokens, time.monotonic()))

    def body(self) -> dict[str, Any]:
        return asdict(self)
