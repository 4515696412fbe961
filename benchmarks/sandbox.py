"""What a sandbox costs: its start, cold and out of the pool, and programs a second; beside a bare process and sandlock.

    python benchmarks/sandbox.py            sandlock too, after: python -m venv .peers/sandlock, and pip install sandlock there

Target: a program finds a sandbox ready, and has its first output at most 40 ms after it is given (median).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import anyio

from ponder.core.executions import Call
from ponder.sandbox import Limits, Sandbox
from ponder.sandbox.box import Box

ROUNDS, MANY = 15, 60
PROGRAM = "def f(): return 1"
PEER = Path(".peers/sandlock/bin/python")
PEER_SCRIPT = f"""
import sys, time, sandlock
took = []
box = sandlock.Sandbox(fs_readable=["/usr", "/lib", "/lib64", "/etc", sys.base_prefix, sys.prefix], max_processes=8)
for _ in range({ROUNDS}):
    began = time.perf_counter()
    result = box.run([sys.executable, "-I", "-S", "-c", "print(1)"])
    took.append(time.perf_counter() - began)
    assert result.success, result
print(sorted(took)[len(took) // 2])
"""


def bare() -> float:
    """Seconds until a process without any sandbox has printed."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-I", "-S", "-c", "print(1)"], check=True, capture_output=True)
    return time.perf_counter() - began


async def cold() -> float:
    """Seconds until a sandbox that nobody started before has given an output."""
    began = time.perf_counter()
    box = Box(Limits())
    try:
        await box.begin(program=PROGRAM)
        await box.send(**Call("f").message())
        await box.receive()
        return time.perf_counter() - began
    finally:
        box.kill()


async def pooled(sandbox: Sandbox) -> float:
    """Seconds until a sandbox out of the pool has given an output, and is gone."""
    began = time.perf_counter()
    await sandbox.execute(PROGRAM, [Call("f")])
    return time.perf_counter() - began


def peer() -> None:
    """Print what sandlock takes, where it is installed."""
    if PEER.exists():
        done = subprocess.run([PEER, "-c", PEER_SCRIPT], capture_output=True, text=True, check=False)
        told = f"{1000 * float(done.stdout):6.0f} ms" if done.returncode == 0 else done.stderr.strip()[-200:]
        print(f"{'sandlock':16} {told}")


async def main() -> None:
    sandbox = Sandbox()
    await sandbox.check()
    rows: dict[str, list[float]] = {"bare process": [], "cold": [], "out of the pool": []}
    for _ in range(ROUNDS):  # in turns, so that what else runs here weighs on all alike
        rows["bare process"].append(bare())
        rows["cold"].append(await cold())
        await anyio.sleep(0.25)  # as a model writes, meanwhile
        rows["out of the pool"].append(await pooled(sandbox))
    began = time.perf_counter()
    async with anyio.create_task_group() as group:
        for _ in range(MANY):
            group.start_soon(sandbox.execute, PROGRAM, [Call("f")])
    rate = MANY / (time.perf_counter() - began)
    await sandbox.aclose()
    for name, took in rows.items():
        print(f"{name:16} {1000 * statistics.median(took):6.0f} ms, at best {1000 * min(took):.0f}")
    print(f"{'throughput':16} {rate:6.1f} programs a second, {os.cpu_count()} cores")
    ready = statistics.median(rows["out of the pool"])
    print(f"{'target':16} at most 40 ms out of the pool: {'held' if ready <= 0.04 else 'MISSED'}")


if __name__ == "__main__":
    anyio.run(main)
    peer()
