"""The sandbox: hostile programs get nothing, end in time, and leave nothing."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import anyio
from sandbox.boxes import living

from ponder.core.executions import Call
from ponder.sandbox import Limits, Sandbox
from ponder.sandbox.strength import strength
from proofs import Figure, row

if TYPE_CHECKING:
    from pathlib import Path

    from proofs import Tier

MANY = 200


@row(
    "R32",
    "hostile programs (files, kernel, processes, network, floods, time, forged verdicts) get nothing in the sandbox, and "
    f"{MANY} that never end, in parallel, leave no process",
    "0 escapes, 0 writes on the host, 0 packets, each stopped within its limit + 1 s, 0 processes left",
)
def sandboxed(folder: Path, tier: Tier) -> Figure:
    del folder, tier
    found = anyio.run(strength)
    mark = 500 * (1 << 20) + os.getpid()
    began = time.monotonic()
    anyio.run(_many, Limits(seconds=1.0, cpu=1, memory=mark))
    took = time.monotonic() - began
    left = len(living(str(mark)))
    return Figure(
        f"{found}; the longest took {max(one.seconds for one in found.tried):.1f} s; {MANY} in parallel were gone after "
        f"{took:.0f} s and left {left} processes",
        held=found.held and not found.late and not left,
    )


async def _many(limits: Limits) -> None:
    sandbox = Sandbox(limits, at_once=MANY)
    async with anyio.create_task_group() as group:
        for _ in range(MANY):
            group.start_soon(sandbox.execute, "def f():\n    while True: pass", [Call("f")])
    await sandbox.aclose()
