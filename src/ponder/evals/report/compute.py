"""Accuracy against what was spent: tokens, and seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ponder.evals.report import words
from ponder.evals.report.figures import Point, scatter
from ponder.evals.report.page import NARROW, WIDE, figure, key, named, none, section, table
from ponder.evals.report.plot import Axis, Plot
from ponder.evals.report.scales import shares, spread
from ponder.evals.stats import Point as Worth
from ponder.evals.stats import dominated

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ponder.evals.report.markup import Html
    from ponder.evals.report.measures import Findings, Measured


def spending(f: Findings) -> Html:
    """Figures 1 and 2."""
    title = "What compute buys"
    if not f.graded:
        return section("compute", title, none("Left out: no attempt has a grade."))
    tokens = _against(
        f,
        "Figure 1",
        lambda a: a.compute,
        "Tokens per problem",
        "Accuracy against tokens, on a logarithmic axis: tokens written, and tokens read by scorers, that were charged "
        "for an attempt. ",
    )
    seconds = _against(
        f,
        "Figure 2",
        lambda a: a.mean(lambda o: o.seconds),
        "Seconds per problem",
        "Accuracy against seconds, on a logarithmic axis: those that the longest chain of calls which had to wait for "
        "each other took, whatever else ran beside it. ",
    )
    return section("compute", title, tokens, seconds)


def _against(f: Findings, label: str, cost: Callable[[Measured], float], axis: str, says: str) -> Html:
    costs = {a.number: cost(a) for a in f.graded}
    extent = spread(costs.values())
    if extent is None:
        return none(f"{label} is left out: the study recorded no {axis.partition(' ')[0].lower()}.")
    free = [a.name for a in f.graded if costs[a.number] <= 0]
    beaten = dominated([Worth(costs[a.number], a.accuracy.value) for a in f.plain if a.accuracy])
    front = [a.number for a, by in zip(f.plain, beaten, strict=True) if by is None]
    points = [
        Point(
            costs[a.number],
            a.accuracy,
            a.series,
            str(a.number),
            f"{a.number} {a.name}: {words.estimate(a.accuracy)}, {words.number(costs[a.number])} {axis.lower()}",
            a.arm.oracle,
        )
        for a in f.graded
        if a.accuracy
    ]
    at = {a.number: i for i, a in enumerate(f.graded)}
    low, high = shares(end for p in points for end in (p.y.interval.low, p.y.interval.high))
    left = Axis(f.titled("Accuracy"), low, high, lambda v: f"{100 * v:.0f} %")
    below = Axis(f"{axis} (log)", *extent, words.compact, log=True)
    said = f"Accuracy against {axis.lower()}, {words.plural(len(points), 'arm')}; the same numbers are in the table below."
    note = "Bars are 95 % intervals"
    note += ", the dotted stair is the Pareto front of the arms' own values" if len(front) > 1 else ""
    note += ", hollow marks are oracles" if any(p.oracle for p in points) else ""
    note += f". At the left edge, for they spent none: {words.listed(free)}" if free else ""
    pictures = [
        scatter(
            points, Plot(width, height, below, left), says=said, front=[at[n] for n in front], class_=name
        )
        for name, width, height in (("wide", WIDE, 400.0), ("narrow", NARROW, 330.0))
    ]
    return figure(
        label,
        [says, note, "."],
        pictures,
        _table(f, label, axis, costs, frozenset(front)),
        simulated=f.simulated,
        key=key(f.graded),
    )


def _table(f: Findings, label: str, axis: str, costs: dict[int, float], front: frozenset[int]) -> Html:
    rows: Sequence[Sequence[Html | str]] = [
        [
            named(a),
            words.number(costs[a.number]),
            words.estimate(a.accuracy),
            "on the front" if a.number in front else "oracle" if a.arm.oracle else "",
        ]
        for a in f.graded
    ]
    heads = ["Arm", axis, "Accuracy (95 % interval)", "Pareto"]
    return table(label, ["The numbers drawn."], heads, rows, simulated=f.simulated)
