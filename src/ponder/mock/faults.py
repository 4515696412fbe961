"""What goes wrong with which request of the mock server."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from ponder.core.errors import UnknownName, UsageError

FAULTS = {
    "400": "answers 400, as to a request that is wrong",
    "500": "answers 500",
    "503": "answers 503",
    "429": "answers 429 with Retry-After",
    "reset": "resets the connection before it answers",
    "break": "resets the connection after some tokens",
    "stall": "falls silent after some tokens",
    "malformed": "sends JSON that is none",
    "truncate": "ends the stream before its end, as if it were complete",
    "duplicate": "sends a piece twice",
    "late": "sends a piece after the last one",
    "usage": "counts its tokens wrongly",
}
"""By name, what the server does."""

USUAL = "500=5%,reset=5%,malformed=2%,stall=2%,429=2%,truncate=1%,duplicate=0.5%,late=0.5%,usage=1%"
"""A bad day, as the reliability matrix has it (R6)."""


@dataclass
class Faults:
    """Draws the fate of each request: first from `script`, in order ("ok" is no fault), then by `shares`.

    The same seed gives the same fate to the same request number.
    """

    shares: dict[str, float] = field(default_factory=dict)
    script: list[str] = field(default_factory=list)
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises UnknownName for a fault that does not exist, UsageError for shares of more than all."""
        for name in (*self.shares, *self.script):
            if name not in FAULTS and name != "ok":
                raise UnknownName("fault", name, FAULTS)
        if any(share < 0 for share in self.shares.values()) or sum(self.shares.values()) > 1:
            raise UsageError("The shares of faults are 0% or more, and 100% together at most.")

    @classmethod
    def parse(cls, text: str, seed: int = 0) -> Faults:
        """Read "500=5%,stall=2%"; "usual" is a bad day.

        Raises:
            UsageError: it cannot be read.

        """
        shares = {}
        for part in filter(None, (USUAL if text == "usual" else text).split(",")):
            name, _, share = part.strip().partition("=")
            try:
                shares[name] = float(share.removesuffix("%")) / 100
            except ValueError:
                raise UsageError(f"Cannot read the fault {part!r}. Example: 500=5%,stall=2%.") from None
        return cls(shares, seed=seed)

    def fate(self, request: int) -> tuple[str, random.Random]:
        """What befalls the request with this number, counted from 1, and chance for where in it."""
        rng = random.Random(f"{self.seed} {request}")
        if self.script:
            return self.script.pop(0), rng
        point = rng.random()
        for name, share in self.shares.items():
            point -= share
            if point < 0:
                return name, rng
        return "ok", rng
