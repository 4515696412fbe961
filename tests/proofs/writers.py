"""Two writers of one run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from store.test_store import CHILD

from ponder.core.errors import StoreError
from ponder.store import RunWriter
from proofs import Figure, row

if TYPE_CHECKING:
    from proofs import Tier


@row(
    "R34",
    "A second writer of a run file is refused and told who the first is; the lock of one that was killed is no obstacle",
    "every second writer refused with process and host, every stale lock recognised",
)
def two(folder: Path, tier: Tier) -> Figure:
    rounds = 50 if tier == "N" else 10
    refused = resumed = 0
    host = os.uname().nodename
    for n in range(rounds):
        child = subprocess.Popen([sys.executable, CHILD, folder / str(n)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        path = Path(child.stdout.readline().strip())
        try:
            RunWriter.resume(path).close()
        except StoreError as error:
            refused += f"process {child.pid} on {host}" in str(error)
        child.kill()
        child.stdout.read()
        child.wait()
        child.stdout.close()
        with RunWriter.resume(path):
            resumed += 1
    return Figure(
        f"{refused} of {rounds} second writers refused with process and host; {resumed} of {rounds} resumed after a kill",
        held=refused == resumed == rounds,
    )
