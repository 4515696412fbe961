"""What `ponder analyze` reads off an evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio
import numpy as np
from rich.table import Table

from ponder.cli.past import opened
from ponder.evals.graders import Graders
from ponder.evals.underthinking import Response, responses, score
from ponder.runtime.equality import Equality

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ponder.config import Settings

COLUMNS: Final = {
    "strategy": "strategy",
    "responses": "answer",
    "n": "n",
    "tokens": "tokens",
    "switches": "switches",
    "median": "median",
    "nine_tenths": "nine tenths",
    "most": "most",
    "with_right_thought": "with a right thought",
    "score": "underthinking",
}


def underthinking(settings: Settings, run: str | None) -> list[dict[str, Any]]:
    """Two rows an arm: its right and its wrong responses."""
    found = anyio.run(_read, settings, run)
    arms: dict[tuple[str, str], list[Response]] = {}
    for response in found:
        arms.setdefault((response.strategy, response.budget), []).append(response)
    return [
        _row(arm, right, group)
        for arm, group_of_arm in arms.items()
        for right in (True, False)
        if (group := [r for r in group_of_arm if r.right == right])
    ]


async def _read(settings: Settings, run: str | None) -> list[Response]:
    equality = Equality()
    graders = Graders(equality)
    try:
        with opened(settings, run) as file:
            return await responses(file, graders)
    finally:
        with anyio.CancelScope(shield=True):
            await graders.aclose()
            await equality.aclose()


def _row(arm: tuple[str, str], right: bool, group: Sequence[Response]) -> dict[str, Any]:
    switches = np.array([r.switches for r in group])
    row: dict[str, Any] = {
        "strategy": arm[0],
        "budget": arm[1],
        "responses": "right" if right else "wrong",
        "n": len(group),
        "tokens": float(np.mean([r.tokens for r in group])),
        "switches": float(switches.mean()),
        "median": float(np.median(switches)),
        "nine_tenths": float(np.quantile(switches, 0.9)),
        "most": int(switches.max()),
        "with_right_thought": sum(r.first is not None for r in group) / len(group),
        "score": None,
        "interval": None,
    }
    if not right:
        value, interval = score(group)
        known = np.isfinite(interval.low)
        row |= {"score": value, "interval": [interval.low, interval.high] if known else None}
    return row


def table(rows: Sequence[dict[str, Any]]) -> Table:
    """The rows as a table."""
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for key, name in COLUMNS.items():
        drawn.add_column(
            name, justify="left" if key in ("strategy", "responses") else "right", overflow="fold"
        )
    for row in rows:
        drawn.add_row(*(_cell(row, key) for key in COLUMNS))
    return drawn


def _cell(row: dict[str, Any], key: str) -> str:
    value = row[key]
    if value is None:
        return "-"
    if key == "score":
        between = row["interval"]
        return f"{value:.3f}" + (f" ({between[0]:.3f} to {between[1]:.3f})" if between else "")
    if key == "with_right_thought":
        return f"{value:.0%}"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return str(value)


ANALYSES: Final[dict[str, Callable[[Settings, str | None], list[dict[str, Any]]]]] = {
    "underthinking": underthinking
}
"""By name: the rows of a run's analysis."""
