"""What programs gave, shared by arms: each program is run once on the same inputs, and charged to each arm in full."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import anyio

from ponder.core import events as e
from ponder.core.executions import Execution

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ponder.core.executions import Executes, Input

Known = tuple[str, tuple[str, ...]]
"""A program and its inputs, as JSON."""


class Shared:
    """A sandbox whose executions are remembered, by program and inputs; so a replay needs none.

    Args:
        sandbox: where what is not known is run.
        known: what earlier parts of a run recorded (`recorded`).

    """

    def __init__(self, sandbox: Executes, known: Mapping[Known, list[Execution]] | None = None) -> None:
        self.name = sandbox.name
        self._sandbox = sandbox
        self._known = dict(known or {})
        self._running: dict[Known, anyio.Lock] = {}

    async def execute(self, program: str, inputs: Sequence[Input]) -> list[Execution]:
        """What the program gives, from memory if it was run on these inputs before."""
        name = program, tuple(json.dumps(one.message(), sort_keys=True) for one in inputs)
        async with self._running.setdefault(name, anyio.Lock()):
            if name not in self._known:
                self._known[name] = await self._sandbox.execute(program, inputs)
        self._running.pop(name, None)
        return self._known[name]


def recorded(events: Iterable[e.Event]) -> dict[Known, list[Execution]]:
    """What the events of attempts say that programs gave. How long each input took is not recorded, only the whole."""
    found: dict[Known, list[Execution]] = {}
    for event in events:
        if isinstance(event, e.Executed) and event.executions:
            each = event.usage.seconds / len(event.executions)
            name = event.program, tuple(given for given, _, _ in event.executions)
            found[name] = [Execution(output, error, each) for _, output, error in event.executions]
    return found
