"""The tree of a run: a pure function of its events, in whatever order they are given.

Nothing here looks at time. A run that was killed gives the tree as far as it got; events that cannot be, as
another's file may hold, still give a tree in which every node hangs from a root.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from ponder.core import events as e
from ponder.core.calls import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Status = Literal["ok", "failed", "cancelled", "running"]
"""A node is running while its end is not among the events; where the run was killed it stays so."""


@dataclass(frozen=True, slots=True)
class Node:
    """One call to an engine: what a strategy wrote before it, and the segment it sampled.

    Args:
        place, parent: of this call, and of the sampled segment before it; "" is the prompt. The parent may
            be missing from the events, and the node then hangs from the prompt all the same.
        within: where the strategy that made the call was delegated to; "" for the first strategy.
        logprob: of the whole segment, in nats, if recorded.
        scores: (scorer, value), each scorer's from its last place.
        value, visits: V and N of the search that went through it; None and 0 where none did.
        answer, key: the answer read off the path that ends here, and what it was voted under.
        chosen: whether it lies on the path that the attempt ended with.
        children: the places of the nodes that continue it, in order of place.

    """

    place: str
    parent: str = ""
    within: str = ""
    role: str = ""
    written: str = ""
    text: str = ""
    usage: Usage = Usage()
    status: Status = "running"
    finish: str | None = None
    stopped_by: str | None = None
    logprob: float | None = None
    error: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict, hash=False)
    scores: tuple[tuple[str, float], ...] = ()
    value: float | None = None
    visits: int = 0
    answer: str | None = None
    key: str | None = None
    chosen: bool = False
    children: tuple[str, ...] = ()

    @property
    def tokens(self) -> int:
        """Tokens sampled."""
        return self.usage.completion

    @property
    def mean_logprob(self) -> float | None:
        """Per token, in nats."""
        return None if self.logprob is None or not self.tokens else self.logprob / self.tokens


@dataclass(frozen=True, slots=True)
class Tree:
    """One attempt: its calls by place, in order of place, and how it began and ended.

    `roots` are the nodes that follow the prompt. `delegations` are (place, strategy, budget), `proposals` the
    different (path, answer) that were ever proposed, in order of place: which one was last, only time knows.
    """

    nodes: Mapping[str, Node] = field(default_factory=dict, hash=False)
    roots: tuple[str, ...] = ()
    started: e.Started | None = None
    finished: e.Finished | None = None
    delegations: tuple[tuple[str, str, str], ...] = ()
    proposals: tuple[tuple[str, str | None], ...] = ()

    def walk(self) -> Iterator[tuple[int, Node]]:
        """Every node after its parent, with its depth."""
        stack = [(0, place) for place in reversed(self.roots)]
        while stack:
            depth, place = stack.pop()
            node = self.nodes[place]
            yield depth, node
            stack += [(depth + 1, child) for child in reversed(node.children)]


def grow(events: Iterable[e.Event]) -> Tree:
    """The tree of one attempt's events. Any order of the same events gives the same tree."""
    nodes: dict[str, Node] = {}
    scores: dict[str, dict[str, float]] = {}
    visited: dict[str, tuple[int, float]] = {}
    answers: dict[str, tuple[str | None, str | None]] = {}
    delegations: list[tuple[str, str, str]] = []
    proposals: list[tuple[str, str | None]] = []
    started: e.Started | None = None
    finished: e.Finished | None = None
    for event in _ordered(events):
        match event:
            case e.Started():
                started = started or event
            case e.Finished():
                finished = event
            case e.Extending() | e.Extended() | e.Failed():
                nodes[event.place] = _told(nodes.get(event.place) or Node(event.place), event)
            case e.Scored():
                for path, value in zip(event.paths, event.values, strict=False):
                    scores.setdefault(path, {})[event.scorer] = value
            case e.Visited():
                for path, value, visits in zip(event.paths, event.values, event.visits, strict=False):
                    visited[path] = max(
                        (visits, value), visited.get(path, (0, 0.0))
                    )  # the last has most visits
            case e.Answered():
                for path, answer, key in event.answers:
                    if answer is not None or path not in answers:
                        answers[path] = (answer, key)
            case e.Delegated():
                delegations.append((event.place, event.strategy, event.budget))
            case e.Proposed():
                proposals.append((event.path, event.answer))
            case _:
                pass  # `Wrote` is shown, never kept; `Thought` is of a path and no node
    chosen = _line(nodes, finished.path) if finished else frozenset()
    roots, children = _hang(nodes)
    delegated = {place for place, _, _ in delegations}
    grown = {
        place: replace(
            nodes[place],
            within=next((at for at in _above(place) if at in delegated), ""),
            scores=tuple(sorted(scores.get(place, {}).items())),
            value=visited[place][1] if place in visited else None,
            visits=visited[place][0] if place in visited else 0,
            answer=answers.get(place, (None, None))[0],
            key=answers.get(place, (None, None))[1],
            chosen=place in chosen,
            children=children.get(place, ()),
        )
        for place in sorted(nodes, key=order)
    }
    return Tree(
        grown, roots, started, finished, tuple(dict.fromkeys(delegations)), tuple(dict.fromkeys(proposals))
    )


def spent_below(tree: Tree) -> dict[str, tuple[int, int]]:
    """By place, the calls below a node and the tokens that they sampled; the node itself does not count."""
    found = dict.fromkeys(tree.nodes, (0, 0))
    for _, node in reversed(list(tree.walk())):  # children before their parents
        for child in node.children:
            (calls, tokens), (more, sampled) = found[node.place], found[child]
            found[node.place] = (calls + 1 + more, tokens + tree.nodes[child].tokens + sampled)
    return found


def identity(tree: Tree) -> tuple[tuple[str, str, str], ...]:
    """(place, place of the parent, text) of every finished call: what the same seed gives again.

    Texts alone would hide a path that was continued from the wrong one.
    """
    return tuple((n.place, n.parent, n.text) for n in tree.nodes.values() if n.status == "ok")


def order(place: str) -> tuple[tuple[int, str], ...]:
    """The sort key of a place: by numbers, "0.9" before "0.10"."""
    return tuple((int(p), "") if _is_number(p) else (-1, p) for p in place.split(".")) if place else ()


def _is_number(part: str) -> bool:
    return len(part) < 20 and part.isascii() and part.isdigit()


_RANK = {kind: i for i, kind in enumerate(("extending", "failed", "extended"))}


def _ordered(events: Iterable[e.Event]) -> Iterator[e.Event]:
    """By place; at one place the beginning before the ends. What still ties is ordered by its content."""

    def rank(event: e.Event) -> tuple[tuple[tuple[int, str], ...], int, str]:
        return order(event.place), _RANK.get(event.kind, -1), event.kind

    for _, group in groupby(sorted(events, key=rank), rank):
        tied = list(group)
        yield from sorted(tied, key=repr) if len(tied) > 1 else tied


def _told(node: Node, event: e.Extending | e.Extended | e.Failed) -> Node:
    """The node with what one more of its events tells."""
    node = replace(node, parent=event.parent, role=event.role)
    match event:
        case e.Extending():
            return replace(node, written=event.written, sampling=event.sampling)
        case e.Failed():
            if event.cancelled:
                return replace(node, status="cancelled", usage=event.usage)
            return replace(node, status="failed", usage=event.usage, error=event.error)
        case e.Extended():
            return replace(
                node,
                written=event.written,
                text=event.text,
                usage=event.usage,
                status="ok",
                finish=event.finish,
                stopped_by=event.stopped_by,
                logprob=event.logprob,
                error=None,
            )


def _line(nodes: Mapping[str, Node], place: str) -> frozenset[str]:
    """A node and all before it."""
    line: set[str] = set()
    while place in nodes and place not in line:
        line.add(place)
        place = nodes[place].parent
    return frozenset(line)


def _hang(nodes: Mapping[str, Node]) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """The roots, and the children of each node. A circle, which no run makes, is cut at its least place."""
    above = {place: node.parent if node.parent in nodes else "" for place, node in nodes.items()}
    known: set[str] = {""}
    for place in sorted(nodes, key=order):
        line = []
        while place not in known:
            known.add(place)
            line.append(place)
            place = above[place]  # noqa: PLW2901 - climbs
        if place in line:
            above[min(line[line.index(place) :], key=order)] = ""
    below: dict[str, list[str]] = {}
    for place in sorted(nodes, key=order):
        below.setdefault(above[place], []).append(place)
    return tuple(below.pop("", ())), {place: tuple(children) for place, children in below.items()}


def _above(place: str) -> Iterator[str]:
    """The places around a place, nearest first."""
    while "." in place:
        place = place.rpartition(".")[0]
        yield place
