"""Soft tokens: vectors in place of embeddings, found by gradient descent, that make a model give a wanted answer."""

from __future__ import annotations

import random
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ponder.core.problem import Message, Problem
from ponder.evals.attacks.about import SOFT
from ponder.evals.attacks.sums import drawn
from ponder.thinking.prompts import ask
from ponder.thinking.prompts.attacking import answered, ignoring

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from ponder.core.prefix import Prefix
    from ponder.evals.attacks.sums import Operation, Sum
    from ponder.thinking.prompts.attacking import Goal

    Vectors = NDArray[np.float32]  # soft tokens, width

STEPS = 100
LEARNT = 64
"""Problems that the vectors are found on; they are attacked at others."""
BETAS = 0.9, 0.999
"""Of Adam, as usual."""
TINY = 1e-8


class WhiteBox(Protocol):
    """An engine that lets a vector stand for a token and gives gradients, as `ponder.engines.transformers` does."""

    async def embeddings(self) -> tuple[int, float]: ...
    async def soften(self, vectors: Mapping[str, Vectors]) -> None: ...
    async def gradients(
        self, asked: Sequence[tuple[Prefix, str]], vectors: Mapping[str, Vectors]
    ) -> tuple[float, Vectors]: ...


@dataclass(frozen=True)
class SoftTokens:
    """The `tokens` vectors that maximise log p(target | problem under attack) over training problems.

    Adam for `steps` steps of `batch` problems; after each, a vector longer than the model's embeddings are in the mean
    is cut to that length (Zaremba et al. 2025, 2501.18841). The target is the answer alone, where the paper has a chain of
    thought before it.

    Args:
        operation, goal: what is asked and what is wanted.
        tokens: the strength of the attack.
        steps, batch: of the descent.
        rate: of the descent, as a share of what a number in an embedding is in the root mean square.
        seed: of the training problems, the first vectors and the batches.

    """

    operation: Operation
    goal: Goal
    tokens: int
    steps: int = STEPS
    batch: int = 4
    rate: float = 0.1
    seed: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """How the tokens are written in a prompt. Another search has other names, so that no sample of it is reused."""
        search = sha256(repr(self).encode()).hexdigest()[:8]
        return tuple(f"<soft {search} {i}>" for i in range(self.tokens))

    @property
    def training(self) -> list[Sum]:
        """The problems that are learnt from: the same for every goal and strength."""
        sums = drawn(self.operation, random.Random(f"{SOFT}/{self.operation}/{self.seed}"))
        return list(islice((one for one in sums if not one.coincides), LEARNT))

    async def find(
        self, engine: WhiteBox, tell: Callable[[int, float], None] = lambda _step, _loss: None
    ) -> Vectors:
        """Find the vectors and give them to the engine. `tell` hears of each step -log p of its batch, in nats."""
        width, most = await engine.embeddings()
        rng, chance = np.random.default_rng(self.seed), random.Random(self.seed)
        vectors = capped(rng.normal(0.0, most / width**0.5, (self.tokens, width)), most)
        await engine.soften(self._named(vectors))
        training = [self._wanted(one) for one in self.training]
        first, second = np.zeros_like(vectors), np.zeros_like(vectors)
        for step in range(1, self.steps + 1):
            loss, slope = await engine.gradients(chance.sample(training, self.batch), self._named(vectors))
            first = BETAS[0] * first + (1 - BETAS[0]) * slope
            second = BETAS[1] * second + (1 - BETAS[1]) * slope**2
            ahead = first / (1 - BETAS[0] ** step)
            spread = np.sqrt(second / (1 - BETAS[1] ** step)) + TINY
            vectors = capped(vectors - self.rate * most / width**0.5 * ahead / spread, most)
            tell(step, loss)
        await engine.soften(self._named(vectors))
        return vectors

    def _named(self, vectors: Vectors) -> dict[str, Vectors]:
        return dict(zip(self.names, vectors, strict=True))

    def _wanted(self, one: Sum) -> tuple[Prefix, str]:
        """A problem under attack, and what is to be likely after it."""
        asked = Message("user", ignoring(" ".join(self.names), one.question))
        return ask(Problem(one.question, (asked,), "math")), answered(one.target(self.goal))


def capped(vectors: NDArray[np.floating], most: float) -> Vectors:
    """Vectors of at most this norm; longer ones are cut to it."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors * np.minimum(1.0, most / np.maximum(norms, TINY)), np.float32)
