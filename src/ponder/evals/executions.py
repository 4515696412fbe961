"""What programs gave, shared by arms: each program is run once on an input, and charged to each arm in full."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import anyio

from ponder.core import events as e
from ponder.core.executions import Execution

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ponder.core.executions import Executes, Input

Known = tuple[str, str]
"""A program and one input, as JSON."""


class Shared:
    """A sandbox whose executions are remembered, by program and input; so a replay needs none.

    A program that is asked for more inputs is run on those alone that are new.

    Args:
        sandbox: where what is not known is run.
        known: what earlier parts of a run recorded (`recorded`).

    """

    def __init__(self, sandbox: Executes, known: Mapping[Known, Execution] | None = None) -> None:
        self.name = sandbox.name
        self._sandbox = sandbox
        self._known = dict(known or {})
        self._running: dict[str, anyio.Lock] = {}

    async def execute(self, program: str, inputs: Sequence[Input]) -> list[Execution]:
        """What the program gives, from memory where it was run on an input before."""
        names = [(program, json.dumps(one.message(), sort_keys=True)) for one in inputs]
        async with self._running.setdefault(program, anyio.Lock()):
            new = {name: one for name, one in zip(names, inputs, strict=True) if name not in self._known}
            found = await self._sandbox.execute(program, list(new.values()))
            self._known.update(zip(new, found, strict=True))
        return [self._known[name] for name in names]


def recorded(events: Iterable[e.Event]) -> dict[Known, Execution]:
    """What the events of attempts say that programs gave. How long each input took is not recorded, only the whole."""
    found: dict[Known, Execution] = {}
    for event in events:
        if isinstance(event, e.Executed) and event.executions:
            each = event.usage.seconds / len(event.executions)
            for given, output, error in event.executions:
                found[event.program, given] = Execution(output, error, each)
    return found
