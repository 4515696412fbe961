"""How many requests are served at once, and how many wait for one of those to end."""

from __future__ import annotations

from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from ponder.gateway.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass
class Door:
    """Lets in `most` at once, and `line` more wait, in the order in which they came, `patience` seconds at most."""

    most: int
    line: int
    patience: float
    inside: int = 0
    waiting: deque[anyio.Event] = field(default_factory=deque)

    @asynccontextmanager
    async def passed(self) -> AsyncIterator[None]:
        """Inside, while it lasts.

        Raises:
            Refusal: the line is full, or does not move.

        """
        if self.inside < self.most:
            self.inside += 1
        else:
            await self._in_line()
        try:
            yield
        finally:
            self._left()

    def widen(self, most: int, line: int) -> None:
        """Let in so many from now on."""
        self.most, self.line = most, line
        while self.waiting and self.inside < most:
            self.inside += 1
            self.waiting.popleft().set()

    def check(self) -> None:
        """Raises a Refusal where the next one would find the line full: it can be told before it is read."""
        if self.inside >= self.most and len(self.waiting) >= self.line:
            raise Refusal(
                "overloaded", f"{self.inside} requests are served and {len(self.waiting)} wait. Try again."
            )

    async def _in_line(self) -> None:
        self.check()
        turn = anyio.Event()
        self.waiting.append(turn)
        try:
            with anyio.move_on_after(self.patience) as patience:
                await turn.wait()
        except BaseException:  # the client left
            self._lost(turn)
            raise
        if patience.cancelled_caught:
            self._lost(turn)
            raise Refusal(
                "overloaded", f"No request of {self.inside} ended for {self.patience:g} s. Try again."
            )

    def _lost(self, turn: anyio.Event) -> None:
        """Who waited comes no more; a turn that was given already is the next one's."""
        if turn.is_set():
            self._left()
        else:
            self.waiting.remove(turn)

    def _left(self) -> None:
        if self.waiting and self.inside <= self.most:
            self.waiting.popleft().set()
        else:
            self.inside -= 1
