"""How a pull tells where it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called with (done, total, what): done and total count the bytes of the step that `what` names."""

Tick = Callable[[int, int], None]
"""The same for code that sees only one step: (done, total)."""


def step(progress: Progress, what: str) -> Tick:
    return lambda done, total: progress(done, total, what)
