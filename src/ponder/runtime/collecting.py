"""Python's garbage collector in a process that serves."""

from __future__ import annotations

import gc
from typing import Final

RARELY: Final = (20_000, 10, 10)
"""When it looks through what is new, what is not old, and all; Python's own are 700, 10 and 10."""


def collect_rarely() -> None:
    """Call it when all is loaded. What is there stays: to look through it again would halt everyone for a tenth of a second.

    Nor is what comes then looked through, unless there is a lot of it: requests leave nothing that only the collector finds,
    and to look through those that are in flight was a twelfth of the time of a vote.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*RARELY)
