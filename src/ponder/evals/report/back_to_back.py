"""Right answers above the line and wrong ones below: one picture of how both are distributed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ponder.evals.report.figures import mirrored
from ponder.evals.report.page import NARROW, WIDE
from ponder.evals.report.plot import Axis, Plot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.evals.report.markup import Html
    from ponder.evals.report.measures import Findings


def back_to_back(
    f: Findings,
    right: Sequence[int],
    wrong: Sequence[int],
    bins: int,
    below: Axis,
    *,
    says: str,
    medians: tuple[float | None, float | None] = (None, None),
    counts: bool = False,
) -> list[Html]:
    """The picture, wide and narrow. `right` and `wrong` are the answers' bins; the last of `bins` holds all beyond.

    The bins divide the axis `below` evenly. `counts`: each is one whole number.
    """
    groups = (right, wrong)
    heights = [[0.0] * bins for _ in groups]
    for found, group in zip(heights, groups, strict=True):
        for i in group:
            found[min(i, bins - 1)] += 1 / len(group)
    top = max(map(max, heights)) * 1.18
    left = Axis(f.titled("Share of answers"), -top, top, lambda v: f"{100 * abs(v):.3g} %")
    return [
        mirrored(
            heights[0],
            heights[1],
            Plot(width, height, below, left),
            names=(f"right (n = {len(right):,})", f"wrong (n = {len(wrong):,})"),
            middles=medians,
            says=says,
            class_=name,
            counts=counts,
        )
        for name, width, height in (("wide", WIDE, 300.0), ("narrow", NARROW, 280.0))
    ]
