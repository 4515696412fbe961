"""Marks: eight colours times eight shapes, so that no two methods of up to 64 look alike, in grey neither."""

from __future__ import annotations

import math

from ponder.evals.report.markup import Html, tag

COLOURS = 8
"""`--c0` to `--c7` of the style sheet: after Okabe and Ito (2008), darkened or lightened until they stand out."""


def _polygon(corners: int, radius: float, turn: float = 0.0, inner: float | None = None) -> str:
    """A regular polygon, or with an inner radius a star, as a path."""
    count = corners if inner is None else 2 * corners
    radii = [radius if inner is None or i % 2 == 0 else inner for i in range(count)]
    around = [turn - math.pi / 2 + 2 * math.pi * i / count for i in range(count)]
    spots = [f"{r * math.cos(a):.1f} {r * math.sin(a):.1f}" for r, a in zip(radii, around, strict=True)]
    return f"M{'L'.join(spots)}Z"


SHAPES = (
    "M-4.5 0A4.5 4.5 0 1 1 4.5 0A4.5 4.5 0 1 1-4.5 0Z",  # disc
    "M-4-4H4V4H-4Z",  # square
    _polygon(3, 5.8),  # triangle
    _polygon(4, 5.6),  # diamond
    _polygon(3, 5.8, math.pi),  # triangle, point down
    _polygon(4, 7.4, math.pi / 4, 3.0),  # cross
    _polygon(5, 6.8, 0.0, 3.0),  # star
    _polygon(6, 5.2),  # hexagon
)


def colour(series: int) -> str:
    """The class that sets a series' colour."""
    return f"c{series % COLOURS}"


def shape(series: int) -> str:
    """The path of a series' mark, around the origin."""
    return SHAPES[(series + series // COLOURS) % len(SHAPES)]


def mark(series: int, x: float, y: float, *, oracle: bool = False) -> Html:
    """The mark of a series at a place; hollow for methods that look at what is right."""
    return tag(
        "path",
        class_=f"mark {colour(series)}" + (" oracle" if oracle else ""),
        d=shape(series),
        transform=f"translate({x:.1f} {y:.1f})",
    )


def sample(series: int, *, oracle: bool = False) -> Html:
    """The mark as a key shows it, in a line of text."""
    return tag(
        "svg",
        mark(series, 7, 7, oracle=oracle),
        class_="key-mark",
        viewBox="0 0 14 14",
        width=14,
        height=14,
        aria_hidden="true",
    )
