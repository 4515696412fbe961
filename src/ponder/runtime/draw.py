"""The tree as lines of plain text, for a terminal of any width.

    ├─ ★ 0.0  = 36  61 tokens  prm 0.93 ■  The total is 17 + 48
    └─   0.1  = 35  58 tokens  prm 0.41 …  First we add
    votes  36: 2   35: 1

Only children stand below their parent in its own column (↳): a path of fifty steps stays readable. A step that was
valued and not gone on with is pruned (×). A node with others below it tells what was spent below (Σ), and one that a
tree search went through what it is worth to it (V) and how often it was there (N). What models write is not trusted
with a terminal: control characters, escapes among them, never reach a line.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from ponder.runtime.tree import spent_below

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ponder.runtime.tree import Node, Tree

CHOSEN, PRUNED = "★", "×"
FINISHES = {
    "eos": "■",
    "stop": "▪",
    "length": "…",
    "tool_calls": "⚙",
    "filtered": "⊘",
    "cancelled": "⊖",
}
STATUSES = {"failed": "✗ failed", "cancelled": "⊖ cancelled", "running": "⋯ running"}
VOTES = 8
"""Votes shown, the largest."""

TOGETHER = 3
"""Ends of one kind that are drawn below a node, one by one; the rest stand in one line."""


def lines(tree: Tree, width: int = 100, max_text: int = 60, *, fold: bool = False) -> list[str]:
    """Draw a tree: a line for every node, after its parent, and one for the votes.

    With `fold`, a line for all calls of one role that is not the solver's below a node, and one for all but the best
    `TOGETHER` of the solver's that nothing follows: hundreds of nodes stay readable.

    No line is wider than `width` cells. At most `max_text` cells are the beginning of what the node holds, and
    those are given up first where there is no room.
    """
    drawn = []
    # (place, what stands before its branch, its branch, what stands before the branches below it)
    below = spent_below(tree)
    stack = _branches(_grouped(tree, tree.roots, fold=fold), "", width, only_is_chain=False)
    while stack:
        group, before, branch, stem = stack.pop()
        if len(group) > 1:
            drawn.append(_fit(f"{before}{branch}{_together([tree.nodes[p] for p in group])}", width))
            continue
        node = tree.nodes[group[0]]
        drawn.append(_fit(f"{before}{branch}{_line(node, max_text, below[node.place])}", width))
        stack += _branches(_grouped(tree, node.children, fold=fold), stem, width, only_is_chain=True)
    return [*drawn, *([_fit(votes, width)] if (votes := _votes(tree)) else [])]


def _grouped(tree: Tree, places: Sequence[str], *, fold: bool) -> list[tuple[str, ...]]:
    """The places, each by itself or with those that share its line. Those come last."""
    kinds: dict[str, list[str]] = {}
    for place in places if fold else ():
        node = tree.nodes[place]
        if not node.children and not node.chosen and node.status == "ok":
            kinds.setdefault(node.role, []).append(place)
    folded = []
    for role, ends in kinds.items():
        alone = TOGETHER if role in ("solver", "") else 0
        ranked = sorted(ends, key=lambda place: -max([v for _, v in tree.nodes[place].scores], default=0))
        if len(ends) > alone + 1:
            rest = set(ranked[alone:])
            folded.append(tuple(place for place in ends if place in rest))
    hidden = {place for group in folded for place in group}
    return [*((place,) for place in places if place not in hidden), *folded]


def _branches(
    places: Sequence[tuple[str, ...]], stem: str, width: int, *, only_is_chain: bool
) -> list[tuple[tuple[str, ...], str, str, str]]:
    """The lines that come next, last first."""
    if only_is_chain and len(places) == 1:
        return [(places[0], stem, "↳ ", stem)]
    deeper = len(stem) + 3 <= width // 2  # beyond that, places alone tell who hangs where
    made = [(place, stem, "├─ ", stem + "│  " if deeper else stem) for place in places[:-1]] + [
        (place, stem, "└─ ", stem + "   " if deeper else stem) for place in places[-1:]
    ]
    return made[::-1]


def _together(nodes: Sequence[Node]) -> str:
    """Several calls in one line: how many, whose, what they cost, and the best of their scores."""
    role = nodes[0].role
    whose = "more ends" if role in ("solver", "") else f"calls of the {_clean(role)}"
    values = [value for node in nodes for _, value in node.scores]
    best = [f"best {max(values):.3g}"] if values else []
    return "  ".join([f"  {len(nodes)} {whose}", f"{sum(n.tokens for n in nodes)} tokens", *best])


def label(node: Node, below: tuple[int, int]) -> str:
    """What is said of a call beside its text: its mark, place, answer, tokens, scores and end. `below`: see `spent_below`."""
    return _line(node, 0, below)


def _line(node: Node, max_text: int, below: tuple[int, int] = (0, 0)) -> str:
    answer = "" if node.answer is None else f"= {_cut(_clean(node.answer), 24)}"
    pruned = node.scores and not node.children and node.finish in ("stop", "length")
    mark = CHOSEN if node.chosen else PRUNED if pruned else " "
    parts: list[str] = [f"{mark} {_clean(node.place)}", answer]
    if node.role not in ("solver", ""):
        parts.append(_clean(node.role))
    if node.tokens or node.status == "ok":
        parts.append(f"{node.tokens} token{'' if node.tokens == 1 else 's'}")
    if node.scores:
        parts += [f"{_clean(scorer)} {value:.3g}" for scorer, value in node.scores]
    elif node.mean_logprob is not None:
        parts.append(f"logprob {node.mean_logprob:.2f}")
    if node.value is not None:
        parts.append(f"V {node.value:.3g}  N {node.visits}")
    if node.status == "ok":
        why = f" {_clean(node.stopped_by or '')}" if node.finish == "cancelled" else ""
        parts.append(FINISHES.get(node.finish or "", "") + why)
    else:
        parts.append(STATUSES[node.status] + (f": {_clean(node.error)}" if node.error else ""))
    if len(node.children) > 1:
        parts.append(f"Σ {below[0]} calls {below[1]} tokens")
    parts.append(_cut(_clean(node.written + node.text), max_text))
    return "  ".join(filter(None, parts))


def _votes(tree: Tree) -> str:
    votes = tree.finished.votes if tree.finished else ()
    if not votes:
        return ""
    ranked = sorted(votes, key=lambda vote: -vote[1])  # stable: ties stay as the strategy has them
    shown = [f"{_cut(_clean(key), 24)}: {weight:.3g}" for key, weight in ranked[:VOTES]]
    more = [f"and {len(ranked) - VOTES} more"] if len(ranked) > VOTES else []
    return "votes  " + "   ".join([*shown, *more])


def _clean(text: str) -> str:
    """On one line, without anything that a terminal would obey or could not print."""
    return "".join(_safe(" ".join(text.split())))


def _safe(text: str) -> Iterable[str]:
    for char in text:
        kind = unicodedata.category(char)
        if kind in ("Cf", "Cc"):
            continue
        yield "\ufffd" if kind[0] == "C" else char


def _cut(text: str, cells: int) -> str:
    """The first words that fit, with a mark where some do not; within a word if the first is too long."""
    if _cells(text) <= cells:
        return text
    kept = _fit(text, cells)
    at_word = kept[:-1].rpartition(" ")[0]
    return f"{at_word}…" if len(at_word) * 2 > len(kept) else kept


def _fit(text: str, cells: int) -> str:
    """As much as fits, with a mark where some does not."""
    if _cells(text) <= cells:
        return text
    room = cells - 1
    for i, char in enumerate(text):
        room -= _cells(char)
        if room < 0:
            return text[:i] + "…" if cells > 0 else ""
    return text


def _cells(text: str) -> int:
    """How wide a terminal shows it."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )
