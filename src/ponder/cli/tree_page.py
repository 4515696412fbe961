"""`ponder view --html`: the trees of a run as one page, which loads nothing and runs nothing, to be opened call by call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ponder.evals.report.markup import block, clip, foreign, join, tag
from ponder.evals.report.page import page, section
from ponder.runtime.draw import label
from ponder.runtime.tree import grow, spent_below

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ponder.evals.report.markup import Html
    from ponder.runtime.tree import Node, Tree
    from ponder.store import RunFile

MOST = 100
"""Attempts on a page: an evaluation has thousands, and its report chooses those worth reading."""
TEXT = 4_000
"""Characters of a text, if it is not asked for whole."""
WHOLE = 1_000_000
LEGEND = (
    "★ the path that was chosen; ■ ended by itself, ▪ at a stop string, … at a limit, ⊖ cancelled, ✗ failed; "
    "× valued and not gone on with; Σ spent below; V and N what a tree search makes of it, and its visits."
)


def tree_page(file: RunFile, ending: Callable[[Any], str], *, full: bool = False) -> str:
    """The page of a run, as far as it got. `ending` says in one line how an attempt ended."""
    attempts = file.attempts()
    shown = attempts[:MOST]
    parts: list[Html] = [
        tag("header", tag("p", f"Run {file.id}", class_="over"), tag("p", LEGEND, class_="note"))
    ]
    for i, attempt in enumerate(shown):
        tree = grow(file.events(attempt.id))
        about = f"{attempt.strategy} · {', '.join(attempt.models.values())} · budget {attempt.budget}"
        parts.append(
            section(
                f"attempt-{i + 1}",
                clip(" ".join(attempt.question.split()), 200) or "An empty question",
                tag("p", foreign(about, 400), class_="note"),
                tag("p", foreign(ending(attempt), 400), class_="note"),
                *(
                    [tag("details", tag("summary", "The whole question"), block(attempt.question, WHOLE))]
                    if len(attempt.question) > 200
                    else []
                ),
                _votes(tree),
                tag("div", drawn(tree, WHOLE if full else TEXT), class_="tree"),
            )
        )
    if len(attempts) > MOST:
        parts.append(tag("p", f"Of {len(attempts):,} attempts the first {MOST} are here.", class_="none"))
    if not attempts:
        parts.append(tag("p", "Nothing was attempted in this run yet.", class_="none"))
    return page(f"Run {file.id}", parts)


def drawn(tree: Tree, most: int) -> Html:
    """The tree: what branches stands in lists, and a path without branches in one of their items."""
    below: dict[str, Html] = {}
    spent = spent_below(tree)
    for _, node in reversed(list(tree.walk())):  # children before their parents
        after = [below.pop(child) for child in node.children]
        below[node.place] = join(
            [_call(node, spent[node.place], most), _list(after) if len(after) > 1 else join(after)]
        )
    roots = [below[place] for place in tree.roots]
    return _list(roots) if roots else tag("p", "No call was made.", class_="none")


def _list(items: list[Html]) -> Html:
    return tag("ol", [tag("li", item) for item in items])


def _call(node: Node, below: tuple[int, int], most: int) -> Html:
    """One call, open where it lies on the chosen path."""
    text = node.written + node.text
    start = foreign(text, 80) if text else None
    return tag(
        "details",
        tag("summary", tag("span", label(node, below), class_="call"), " ", start),
        tag("p", "Written by the strategy:", class_="note") if node.written.strip() else None,
        block(node.written, most) if node.written.strip() else None,
        tag("p", "Sampled:", class_="note") if node.written.strip() and node.text else None,
        block(node.text, most) if node.text else None,
        class_="call chosen" if node.chosen else "call",
        open=node.chosen,
    )


def _votes(tree: Tree) -> Html | None:
    votes = sorted(tree.finished.votes if tree.finished else (), key=lambda vote: -vote[1])
    if not votes:
        return None
    rows = [tag("li", foreign(answer, 60), f": {weight:.3g}") for answer, weight in votes[:10]]
    more = [tag("li", f"and {len(votes) - 10} more")] if len(votes) > 10 else []
    return tag("ul", rows, more, class_="answers", aria_label="Votes")
