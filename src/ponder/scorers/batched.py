"""Concurrent calls of all branches and problems, joined into batches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio
import anyio.lowlevel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

A = TypeVar("A")
V = TypeVar("V")


@dataclass(eq=False, slots=True)
class _Call(Generic[A, V]):
    asked: Sequence[A]
    done: anyio.Event = field(default_factory=anyio.Event)
    values: Sequence[V] | None = None
    error: Exception | None = None


class Batched(Generic[A, V]):
    """A function of many things at once, called by many at once.

    While one batch is computed, those who ask meanwhile wait, and then are the next: nobody waits for a clock, and a
    caller alone is served at once. One of the waiting computes for all. If it is cancelled, another one takes over, so
    that who leaves harms nobody; an error is for everyone who was in the batch. Values are those of the function
    unbatched, which must not depend on what stands beside.

    Args:
        values: of things, in their order.
        most: things in a batch, but a single call is never cut.

    """

    def __init__(self, values: Callable[[Sequence[A]], Awaitable[Sequence[V]]], most: int = 64) -> None:
        self._values = values
        self._most = most
        # For each event loop, for an event cannot be waited for in another.
        self._of_loop: anyio.lowlevel.RunVar[tuple[list[_Call[A, V]], anyio.Lock]] = anyio.lowlevel.RunVar(
            f"batched-{id(self)}"
        )

    async def __call__(self, asked: Sequence[A]) -> list[V]:
        """The values of these things, in their order."""
        try:
            waiting, turn = self._of_loop.get()
        except LookupError:
            waiting, turn = [], anyio.Lock()
            self._of_loop.set((waiting, turn))
        call: _Call[A, V] = _Call(asked)
        waiting.append(call)
        try:
            await anyio.lowlevel.checkpoint()  # who asks in the same tick comes along
            async with turn:
                if call.values is None and call.error is None:
                    await self._serve(waiting, call)
        finally:
            if call in waiting:
                waiting.remove(call)
        if call.error is not None:
            raise call.error
        return list(call.values or ())

    async def _serve(self, waiting: list[_Call[A, V]], own: _Call[A, V]) -> None:
        batch, size = [own], len(own.asked)
        for call in waiting:
            if call is not own and size + len(call.asked) <= self._most:
                batch.append(call)
                size += len(call.asked)
        try:
            values = await self._values([thing for call in batch for thing in call.asked])
        except Exception as error:  # noqa: BLE001 - it is raised by everyone who asked
            for call in batch:
                call.error = error
        else:
            at = 0
            for call in batch:
                call.values = values[at : at + len(call.asked)]
                at += len(call.asked)
        for call in batch:
            if call in waiting:
                waiting.remove(call)
