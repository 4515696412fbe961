"""What a person sees while an evaluation goes on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.live import Live
from rich.text import Text

from ponder.cli.terminal import err, say
from ponder.evals.stats import accuracy

if TYPE_CHECKING:
    from ponder.evals.harness import Tally
    from ponder.evals.plan import Plan

PAINTED = 0.3
"""Seconds between two paintings of the progress."""
EVERY = 30.0
"""Seconds between two lines of progress where there is no terminal."""


class Board:
    """Progress: a line that is painted again on a terminal, one now and then elsewhere."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._began = self._said = time.monotonic()
        self._first: int | None = None
        self._live = Live(console=err(), refresh_per_second=4, transient=True) if err().is_terminal else None

    def __enter__(self) -> None:
        if self._live:
            self._live.start()
            self._live.update(Text(self._announced()))
        else:
            say(self._announced())

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def tell(self, tally: Tally) -> None:
        """After each attempt."""
        now = time.monotonic()
        self._first = tally.done - 1 if self._first is None else self._first
        if self._live and now - self._said > PAINTED:
            self._said = now
            self._live.update(Text(self._line(tally, now - self._began)))
        elif not self._live and now - self._said > EVERY:
            self._said = now
            say(self._line(tally, now - self._began))

    def _announced(self) -> str:
        """What is begun, before there is anything to count."""
        plan = self._plan
        problems = f"{len(plan.items):,} problem{'' if len(plan.items) == 1 else 's'}"
        arms = f"{len(plan.arms)} arm{'' if len(plan.arms) == 1 else 's'}"
        return f"Measuring {arms} on {problems}. Ctrl-C keeps what is finished."

    def _line(self, tally: Tally, seconds: float) -> str:
        rate = tally.generated / seconds if seconds else 0.0
        here = tally.done - (self._first or 0)
        left = seconds / here * (tally.total - tally.done) if here else 0.0
        parts = [
            f"{tally.done:,} of {tally.total:,} attempts",
            f"{tally.generated:,} tokens generated, {tally.charged.completion:,} charged",
            f"{rate:,.0f} tok/s",
            *([f"{_told(left)} left"] if here else []),
        ]
        if tally.right:
            about = accuracy(tally.right)
            parts.append(f"right {about.value:.0%} [{about.interval.low:.0%}, {about.interval.high:.0%}]")
        if tally.failed:
            parts.append(f"{tally.failed} broke")
        return " · ".join(parts)


def _told(seconds: float) -> str:
    """A time to wait, as coarse as it is known."""
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes / 60:.0f} h"
