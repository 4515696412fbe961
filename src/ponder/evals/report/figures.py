"""The report's pictures: pure functions from values to SVG. None of them computes a statistic."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from ponder.evals.report.marks import colour, mark
from ponder.evals.report.markup import Html, tag
from ponder.evals.report.plot import LETTER, Axis, Labels, Plot, drawing
from ponder.evals.report.words import percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ponder.evals.stats import Estimate


@dataclass(frozen=True, slots=True)
class Point:
    """A mark: where it stands, its interval, what is written beside it, and what it says when it is pointed at."""

    x: float
    y: Estimate
    series: int
    label: str
    says: str
    oracle: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """Estimates along the lower axis, drawn as a line in a band; `dashed` for what looks at what is right."""

    name: str
    series: int
    xs: Sequence[float]
    ys: Sequence[Estimate]
    says: Sequence[str]
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A group of estimates with its name: one mark for each series."""

    name: str
    marks: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Tile:
    """A field of a heat map: a share, and what it says when it is pointed at."""

    share: Estimate
    says: str


def tiles(
    grid: Sequence[Sequence[Tile | None]],
    width: float,
    *,
    left: tuple[str, Sequence[str]],
    below: tuple[str, Sequence[str], Sequence[str]],
    says: str,
    class_: str = "",
) -> Html:
    """A heat map of shares, the first row undermost: darker is more, and each field says its share and interval.

    `left` and `below` are a title and labels of rows and columns; `below` has a second line of labels.
    """
    edge, high, top = 44.0, 46.0, 22.0
    across = (width - edge - 8) / max(1, len(below[1]))
    floor = top + high * len(grid)
    drawn = [tag("text", left[0], class_="title", x=0, y=12)]
    for row, (name, fields) in enumerate(zip(left[1], grid, strict=True)):
        y = floor - high * (row + 1)
        drawn.append(tag("text", name, class_="tick end", x=edge - 8, y=y + high / 2 + 4))
        for column, field in enumerate(fields):
            if field is None:
                continue
            x, e = edge + across * column, field.share
            size = {"x": x + 1, "y": y + 1, "width": across - 2, "height": high - 2}
            dark = " dark" if e.value > 0.55 else ""
            middle = x + across / 2
            ends = f"{100 * e.interval.low:.0f} to {100 * e.interval.high:.0f}"
            drawn.append(
                tag(
                    "g",
                    tag("title", field.says),
                    tag("rect", class_="tile", fill_opacity=f"{0.06 + 0.94 * e.value:.3f}", **size),
                    tag(
                        "text", f"{100 * e.value:.0f} %", class_=f"share mid{dark}", x=middle, y=y + high / 2
                    ),
                    tag("text", ends, class_=f"span mid{dark}", x=middle, y=y + high / 2 + 14),
                )
            )
    for column, (name, also) in enumerate(zip(below[1], below[2], strict=True)):
        middle = edge + across * (column + 0.5)
        drawn.append(tag("text", also, class_="tick mid", x=middle, y=floor + 15))
        drawn.append(tag("text", name, class_="tick mid", x=middle, y=floor + 31))
    drawn.append(tag("text", below[0], class_="title end", x=width - 8, y=floor + 50))
    return drawing(width, floor + 58, drawn, says=says, class_=class_)


def scatter(
    points: Sequence[Point],
    plot: Plot,
    *,
    says: str,
    front: Sequence[int] = (),
    class_: str = "",
) -> Html:
    """A mark with its interval for each point; a stair along `front`, and a thin line through each series."""
    x, y = plot.x, plot.y
    drawn = plot.frame()
    if front:
        stair = [points[i] for i in sorted(front, key=lambda i: points[i].x)]
        path = f"M{x(stair[0].x):.1f} {y(stair[0].y.value):.1f}"
        path += "".join(f"H{x(p.x):.1f}V{y(p.y.value):.1f}" for p in stair[1:])
        drawn.append(tag("path", class_="front", d=path + f"H{plot.width - 18:.1f}"))
    drawn += _joined(points, plot)
    boxes = [(x(p.x) - 5, y(p.y.value) - 5, x(p.x) + 5, y(p.y.value) + 5) for p in points]
    boxes += [(x(p.x) - 1, y(p.y.interval.high), x(p.x) + 1, y(p.y.interval.low)) for p in points]
    labels = Labels(boxes, (x.start - 4, 16, plot.width, plot.height - 48))
    for p in points:
        bar = tag(
            "path", class_="bar", d=f"M{x(p.x):.1f} {y(p.y.interval.low):.1f}V{y(p.y.interval.high):.1f}"
        )
        drawn.append(
            tag(
                "g",
                tag("title", p.says),
                bar,
                mark(p.series, x(p.x), y(p.y.value), oracle=p.oracle),
                class_=f"point {colour(p.series)}",
            )
        )
    drawn += [labels.place(p.label, x(p.x), y(p.y.value)) for p in points if p.label]
    return drawing(plot.width, plot.height, drawn, says=says, class_=class_)


def curves(lines: Sequence[Line], plot: Plot, *, says: str, class_: str = "") -> Html:
    """Lines with bands and marks, each named at its end."""
    x, y = plot.x, plot.y
    drawn = plot.frame()
    labels = Labels([], (x.start, 16, plot.width - 4, plot.height - 48))
    for line in lines:
        if len(line.xs) > 1:
            top = [f"{x(at):.1f} {y(e.interval.high):.1f}" for at, e in zip(line.xs, line.ys, strict=True)]
            bottom = [f"{x(at):.1f} {y(e.interval.low):.1f}" for at, e in zip(line.xs, line.ys, strict=True)]
            drawn.append(
                tag("path", class_=f"band {colour(line.series)}", d=f"M{'L'.join([*top, *bottom[::-1]])}Z")
            )
    for line in lines:
        through = [f"{x(at):.1f} {y(e.value):.1f}" for at, e in zip(line.xs, line.ys, strict=True)]
        drawn.append(
            tag(
                "path",
                class_=f"line {colour(line.series)}" + (" dashed" if line.dashed else ""),
                d=f"M{'L'.join(through)}",
            )
        )
        for at, e, said in zip(line.xs, line.ys, line.says, strict=True):
            put = mark(line.series, x(at), y(e.value), oracle=line.dashed)
            drawn.append(tag("g", tag("title", said), put, class_=f"point {colour(line.series)}"))
            labels.taken.append((x(at) - 5, y(e.value) - 5, x(at) + 5, y(e.value) + 5))
        spots = [(x(at), y(e.value)) for at, e in zip(line.xs, line.ys, strict=True)]
        for (x1, y1), (x2, y2) in pairwise(spots):  # labels keep off the line, too
            between = [(x1 + (x2 - x1) * i / 12, y1 + (y2 - y1) * i / 12) for i in range(1, 12)]
            labels.taken += [(px - 4, py - 3, px + 4, py + 3) for px, py in between]
    names = [labels.place(line.name, x(line.xs[-1]), y(line.ys[-1].value)) for line in lines if line.name]
    return drawing(plot.width, plot.height, [*drawn, *names], says=says, class_=class_)


def rows(groups: Sequence[Row], width: float, axis: Axis, *, says: str, class_: str = "") -> Html:
    """Groups below each other, in each a line per mark: its interval along a shared axis."""
    step, head = 15.0, 20.0
    tall = sum(head + step * len(g.marks) + 12 for g in groups)
    x, drawn = axis.scale(50, width - 20), []
    for value in x.ticks(6):
        drawn.append(tag("path", class_="grid", d=f"M{x(value):.1f} 8V{tall + 12:.1f}"))
        drawn.append(tag("text", axis.label(value), class_="tick mid", x=x(value), y=tall + 28))
    drawn.append(tag("text", axis.title, class_="title end", x=width - 12, y=tall + 48))
    at = 16.0
    for group in groups:
        drawn.append(tag("text", group.name, class_="label group", x=0, y=at + 4))
        at += head
        for p in group.marks:
            bar = tag(
                "path", class_="bar", d=f"M{x(p.y.interval.low):.1f} {at:.1f}H{x(p.y.interval.high):.1f}"
            )
            put = mark(p.series, x(p.y.value), at, oracle=p.oracle)
            drawn.append(tag("g", tag("title", p.says), bar, put, class_=f"point {colour(p.series)}"))
            drawn.append(tag("text", p.label, class_="label end", x=34, y=at + 4))
            at += step
        at += 12
    return drawing(width, tall + 56, drawn, says=says, class_=class_)


def mirrored(
    above: Sequence[float],
    below: Sequence[float],
    plot: Plot,
    *,
    names: tuple[str, str],
    middles: tuple[float | None, float | None],
    says: str,
    class_: str = "",
    counts: bool = False,
) -> Html:
    """Two histograms back to back, their bins dividing the lower axis evenly: `above` upwards, `below` downwards.

    `middles` are the two medians, drawn as lines. `counts`: each bin is one whole number.
    """
    x, y, drawn = plot.x, plot.y, plot.frame()
    size = (plot.below.high - plot.below.low) / max(len(above), 1)
    for series, sign, heights in ((0, 1, above), (1, -1, below)):
        for i, height in enumerate(heights):
            left, right = x(plot.below.low + i * size) + 0.5, x(plot.below.low + (i + 1) * size) - 0.5
            if height:
                path = f"M{left:.1f} {y(0):.1f}V{y(sign * height):.1f}H{right:.1f}V{y(0):.1f}Z"
                ends = f"{plot.below.label(plot.below.low + i * size)} to " + plot.below.label(
                    plot.below.low + (i + 1) * size
                )
                what = f"{i}" if counts else f"{ends} tokens"
                said = tag("title", f"{names[series]}, {what}: {percent(height)}")
                drawn.append(tag("path", said, class_=f"fill {colour(series)}", d=path))
    drawn.append(tag("path", class_="axis", d=f"M{x.start:.1f} {y(0):.1f}H{x.end:.1f}"))
    for series, middle, edge in ((0, middles[0], plot.left.high), (1, middles[1], plot.left.low)):
        if middle is not None:
            drawn.append(tag("path", class_="median", d=f"M{x(middle):.1f} {y(0):.1f}V{y(edge):.1f}"))
            text = f"median {plot.below.label(middle)}"
            right = x(middle) + 6 + len(text) * LETTER < plot.width
            put = x(middle) + (5 if right else -5)
            at = y(edge) + (10 if series == 0 else -3)
            drawn.append(tag("text", text, class_="label" + ("" if right else " end"), x=put, y=at))
    for name, at in zip(names, (y(plot.left.high) + 10, y(plot.left.low) - 3), strict=True):
        drawn.append(tag("text", name, class_="label end", x=plot.width - 12, y=at))
    return drawing(plot.width, plot.height, drawn, says=says, class_=class_)


def _joined(points: Sequence[Point], plot: Plot) -> list[Html]:
    """A thin line through the marks of each series that has several."""
    by_series: dict[tuple[int, bool], list[Point]] = {}
    for p in points:
        by_series.setdefault((p.series, p.oracle), []).append(p)
    through: Mapping[tuple[int, bool], list[str]] = {
        key: [f"{plot.x(p.x):.1f} {plot.y(p.y.value):.1f}" for p in sorted(found, key=lambda p: p.x)]
        for key, found in by_series.items()
        if len(found) > 1
    }
    return [
        tag("path", class_=f"thread {colour(series)}", d=f"M{'L'.join(spots)}")
        for (series, _), spots in through.items()
    ]
