"""The paper that the report is set on: sections, figures with their tables, and the page around them."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from ponder.evals.report.marks import sample
from ponder.evals.report.markup import Html, join, tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.evals.report.markup import Child
    from ponder.evals.report.measures import Measured

WIDE, NARROW, PANEL = 640.0, 356.0, 312.0
"""Pixels: a figure on a screen, on a telephone, and one of two beside each other."""

SHORT = 8
"""Letters of a row's heading up to which it needs no column as wide as that of names."""

SIMULATION = "Simulation. "


@cache
def style() -> str:
    """The style sheet."""
    return resources.files(__package__).joinpath("style.css").read_text("utf-8")


def page(title: str, body: Sequence[Child]) -> str:
    """The whole file. It may load nothing, run nothing and send nothing, and says so to the browser."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Html(style())),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', tag('main', body)), lang='en')}\n"


def section(name: str, title: str, *children: Child) -> Html:
    """A part of the report with its heading."""
    return tag(
        "section",
        tag("h2", title, id=f"{name}-title"),
        join(children, "\n"),
        id=name,
        aria_labelledby=f"{name}-title",
    )


def none(sentence: str) -> Html:
    """What stands where the study has no data."""
    return tag("p", sentence, class_="none")


def figure(
    label: str,
    caption: Sequence[Child],
    pictures: Sequence[Html],
    table: Html,
    *,
    simulated: bool,
    key: Html | None = None,
) -> Html:
    """Pictures with their caption and key, and the same numbers as a table, folded."""
    return tag(
        "figure",
        tag("figcaption", _titled(label, simulated=simulated), caption),
        tag("div", pictures, class_="pictures"),
        tag("div", key, class_="key") if key else None,
        tag("details", tag("summary", f"{label} as a table"), table),
        id=label.lower().replace(" ", "-"),
    )


def table(
    label: str,
    caption: Sequence[Child],
    heads: Sequence[Child],
    rows: Sequence[Sequence[Child] | str],
    *,
    simulated: bool,
    texts: Sequence[int] = (),
) -> Html:
    """A table that scrolls within itself where it is too wide.

    Each row's first cell is its heading; a row that is a text is a heading over those that follow. Columns in
    `texts` hold words, and others numbers.
    """
    head = [
        tag("th", cell, scope="col", class_="text" if i == 0 or i in texts else None)
        for i, cell in enumerate(heads)
    ]
    body = []
    short = all(isinstance(row[0], str) and len(row[0]) <= SHORT for row in rows)
    for row in rows:
        if isinstance(row, str):
            body.append(tag("tr", tag("th", row, class_="set", colspan=len(heads), scope="rowgroup")))
            continue
        cells = [
            tag("td", cell, class_="text wide" if i in texts else None) for i, cell in enumerate(row[1:], 1)
        ]
        kind = "text" if short else "text name arm" if isinstance(row[0], Html) else "text name"
        body.append(tag("tr", tag("th", row[0], scope="row", class_=kind), cells))
    return tag(
        "div",
        tag(
            "table",
            tag("caption", tag("span", _titled(label, simulated=simulated), caption)),
            tag("thead", tag("tr", head)),
            "\n",
            tag("tbody", join(body, "\n")),
        ),
        class_="scroll",
        role="region",
        tabindex=0,
        aria_label=f"{label}, scrolls sideways",
    )


def key(rows: Sequence[Measured]) -> Html:
    """Which mark is which arm."""
    items = [
        tag(
            "li",
            tag("span", row.number, class_="num"),
            sample(row.series, oracle=row.arm.oracle),
            tag("span", row.name),
        )
        for row in rows
    ]
    return tag("ol", items)


def named(row: Measured) -> Html:
    """An arm as tables name it, with its number and mark."""
    mark = sample(row.series, oracle=row.arm.oracle)
    return join([tag("span", row.number, class_="num"), mark, tag("span", row.name)])


def _titled(label: str, *, simulated: bool) -> list[Html]:
    sign = [tag("span", SIMULATION, class_="sign")] if simulated else []
    return [tag("b", f"{label}. "), *sign]
