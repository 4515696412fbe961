"""Which node a tree search goes to next, and what it learns from where it went.

UCT, with values backed up as visit-weighted means.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from ponder.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

T = TypeVar("T")


def uct(value: float, visits: int, above: int, w: float) -> float:
    """V + w sqrt(ln N_p / N): the upper confidence bound of a child, in a tree (Kocsis & Szepesvari 2006).

    Args:
        value: V, in [0, 1]; `w` means nothing where it is on another scale.
        visits: N, of the child; one that was never visited comes before all that were.
        above: N_p, of its parent.
        w: 0.7 sqrt(2) in ReST-MCTS*, 2 in rStar on the mean reward Q / N, 1 in CoAT.

    """
    if visits == 0:
        return math.inf
    return value + w * math.sqrt(math.log(max(above, 1)) / visits)


def bounded(values: Sequence[float], scorer: str) -> list[float]:
    """The values, of which every one is in [0, 1], as UCT, roll-outs and Thompson sampling ask for.

    Raises:
        UsageError: one is not, and the scorer does not say on what scale it is (docs/decisions/0012-scales.md).

    """
    for value in values:
        if not 0 <= value <= 1:
            raise UsageError(
                f"This search needs values from 0 to 1, and the scorer {scorer} gave {value:.4g}. "
                "Name one that gives probabilities, for example scorer=mean-probability; or one of your own says what "
                "its values are: scale = 'logit'."
            )
    return list(values)


@dataclass(slots=True, eq=False)
class Node(Generic[T]):
    """A node of a search tree: what it stands for, its value V and its visits N."""

    state: T
    value: float = 0.0
    visits: int = 0
    parent: Node[T] | None = field(default=None, repr=False)
    children: list[Node[T]] = field(default_factory=list, repr=False)

    def add(self, state: T, value: float = 0.0) -> Node[T]:
        """A new child, not visited yet."""
        child = Node(state, value, parent=self)
        self.children.append(child)
        return child

    @property
    def depth(self) -> int:
        """Steps below the root."""
        return sum(1 for _ in self.line()) - 1

    def line(self) -> Iterator[Node[T]]:
        """The node, its parent, and so on up to the root."""
        node: Node[T] | None = self
        while node is not None:
            yield node
            node = node.parent

    def walk(self) -> Iterator[Node[T]]:
        """The node and all below it, parents first, in the order in which they were added."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack += reversed(node.children)


def descend(root: Node[T], w: float, width: int = 1) -> Node[T]:
    """The node to expand: from the root by UCT, down to one with fewer than `width` children.

    Among children never visited, the one with the highest value comes first; ties go to the first added.
    """
    node = root
    while node.children and len(node.children) >= width:
        node = best_child(node, w)
    return node


def best_child(node: Node[T], w: float) -> Node[T]:
    """The child with the highest UCT."""
    above = node.visits
    return max(node.children, key=lambda child: (uct(child.value, child.visits, above, w), child.value))


def back_up(node: Node[T]) -> None:
    """One visit more for the node and all above it, whose values become the visit-weighted means of their children's.

    V(p) = sum_c N(c) V(c) / sum_c N(c) (ReST-MCTS*, 2406.03816, algorithm 2; CoAT, 2502.02390, section 3.2). The
    value of a node without visited children stays as it is.
    """
    for above in node.line():
        above.visits += 1
        visits = sum(child.visits for child in above.children)
        if visits:
            above.value = math.fsum(child.visits * child.value for child in above.children) / visits


def reward_up(node: Node[T], reward: float) -> None:
    """One visit more for the node and all above it, whose values become their mean rewards, Q / N (rStar, 2408.06195)."""
    for above in node.line():
        above.visits += 1
        above.value += (reward - above.value) / above.visits
