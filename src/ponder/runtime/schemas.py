"""Whether an answer keeps to the JSON schema that was asked for, asked of processes that are killed when it takes long."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.lowlevel

from ponder.core.errors import UsageError
from ponder.runtime.worker import Worker, bare, put, twice

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT: Final = 2.0
"""Seconds for one value."""
WORKERS: Final = 2


class Schemas:
    """Says of values whether they keep to a schema. Workers start when first needed; `aclose` ends them.

    One instance serves any number of tasks of one event loop at a time.
    """

    def __init__(self, *, limit: float = LIMIT) -> None:
        self.limit = limit
        self._idle: list[Worker] = []
        self._slots: dict[object, anyio.Semaphore] = {}  # of the event loop that asks

    async def misfit(self, value: str | None, schema: Mapping[str, Any]) -> str | None:
        """Why a value, as JSON, does not keep to the schema; None where it does. Without a value the schema is looked at.

        Raises:
            UsageError: it is no JSON schema, or refers to what is not in it.

        """
        loop = anyio.lowlevel.current_token()
        if loop not in self._slots:
            self._slots = {loop: anyio.Semaphore(WORKERS)}
        question = {"schema": json.dumps(schema), "value": value}
        async with self._slots[loop]:
            reply = await twice(partial(put, question, self._idle, _worker, self.limit))
        if reply is None:
            if value is not None:
                return f"whether it does was not known within {self.limit:g} s"
            raise UsageError("The JSON schema takes too long to read. Make it simpler.")
        if "unusable" in reply:
            raise UsageError(f"The JSON schema cannot be used: {reply['unusable']}. Change it.")
        why = reply["why"]
        return None if why is None else str(why)

    async def aclose(self) -> None:
        """End the workers. A later question starts new ones."""
        while self._idle:
            self._idle.pop().kill()


def _worker() -> Worker:
    return Worker(["ponder.runtime._schemas"], bare())
