"""Wider or deeper by Thompson sampling: what is believed of a node's scores, and the tree of AB-MCTS-A.

Inoue et al. 2025, 2503.04412, section 3.3, with the priors of its released code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

T = TypeVar("T")


class Belief(Protocol):
    """What is believed of the mean of a score."""

    def see(self, score: float) -> None:
        """The posterior after one score more."""

    def draw(self, rng: random.Random) -> float:
        """A mean from the posterior."""


@dataclass(slots=True)
class Gaussian:
    """Normal-inverse-gamma, conjugate to a normal with unknown variance.

    sigma^2 ~ inverse-gamma(nu / 2, nu tau2 / 2) and mu | sigma^2 ~ normal(m, sigma^2 / kappa). The defaults are
    the priors of AB-MCTS-A (2503.04412, appendix; released code).
    """

    m: float = 0.0
    kappa: float = 1.0
    nu: float = 1.0
    tau2: float = 0.1

    def see(self, score: float) -> None:
        """The posterior after one score more: the batch formulas, one observation at a time."""
        kappa, nu = self.kappa + 1, self.nu + 1
        self.tau2 = (self.nu * self.tau2 + self.kappa * (score - self.m) ** 2 / kappa) / nu
        self.m = (self.kappa * self.m + score) / kappa
        self.kappa, self.nu = kappa, nu

    def draw(self, rng: random.Random) -> float:
        """A mean from the posterior."""
        variance = self.nu * self.tau2 / (2 * rng.gammavariate(self.nu / 2, 1))
        return rng.gauss(self.m, math.sqrt(variance / self.kappa))


@dataclass(slots=True)
class Beta:
    """Beta, for scores in [0, 1], with Jeffreys' prior by default."""

    a: float = 0.5
    b: float = 0.5

    def see(self, score: float) -> None:
        """The posterior after one score more."""
        self.a += score
        self.b += 1 - score

    def draw(self, rng: random.Random) -> float:
        """A mean from the posterior."""
        return rng.betavariate(self.a, self.b)


PRIORS: dict[str, Callable[[], Belief]] = {"gaussian": Gaussian, "beta": Beta}


@dataclass(eq=False, slots=True)
class Branch(Generic[T]):
    """A node of the tree: what stands there, and three beliefs.

    `gen` is of the scores of new children, `cont` of those below its children (one belief for all of them), and
    `own`, which its parent asks, of its own score and of all below it.
    """

    state: T
    prior: Callable[[], Belief]
    parent: Branch[T] | None = field(default=None, repr=False)
    children: list[Branch[T]] = field(default_factory=list, repr=False)
    own: Belief = field(init=False)
    gen: Belief = field(init=False)
    cont: Belief = field(init=False)

    def __post_init__(self) -> None:
        self.own, self.gen, self.cont = self.prior(), self.prior(), self.prior()

    def add(self, state: T, score: float) -> Branch[T]:
        """A new child, and what all above learn from its score.

        The parent's GEN does, and the child itself; then, upwards, every node gone through, and its parent's CONT.
        """
        child = Branch(state, self.prior, self)
        self.children.append(child)
        child.own.see(score)
        self.gen.see(score)
        node = self
        while node.parent is not None:
            node.own.see(score)
            node.parent.cont.see(score)
            node = node.parent
        return child


def wider_or_deeper(root: Branch[T], rng: random.Random) -> Branch[T]:
    """The node that is to get a new child: at each, GEN against CONT, then one child against the others.

    A leaf can only GEN.
    """
    node = root
    while node.children:
        gen, cont = node.gen.draw(rng), node.cont.draw(rng)
        if gen >= cont:
            break
        draws = [child.own.draw(rng) for child in node.children]
        node = node.children[draws.index(max(draws))]
    return node
