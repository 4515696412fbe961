"""A result that one thread gives and a task on some event loop awaits."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import anyio
from anyio.lowlevel import current_token

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Reply(Generic[T]):
    """Made and awaited in a task, under asyncio or trio; answered from any thread, without ever waiting."""

    def __init__(self) -> None:
        self._ready = anyio.Event()
        self._soon = _soon()
        self._outcome: T | Exception | None = None

    def answer(self, outcome: T | Exception) -> bool:
        """Give the result, or the error to raise. False: the event loop is gone, and so is whoever asked."""
        self._outcome = outcome
        with contextlib.suppress(RuntimeError):  # asyncio's closed loop; trio's RunFinishedError is one too
            self._soon(self._ready.set)
            return True
        return False

    async def wait(self) -> T:
        await self._ready.wait()
        outcome = self._outcome
        if isinstance(outcome, Exception):
            raise outcome
        return outcome  # type: ignore[return-value]  # set before the event


def _soon() -> Callable[[Callable[[], object]], object]:
    """The thread-safe call of the running event loop, whichever it is."""
    loop: Any = current_token().native_token
    soon: Callable[[Callable[[], object]], object] = (
        getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon
    )
    return soon
