"""Soft tokens: vectors in place of embeddings, found by gradient descent, that make a model give a wanted answer."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import islice
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from ponder.core.calls import Sampling
from ponder.core.problem import Message, Problem
from ponder.core.protocols import Engine
from ponder.evals.attacks.about import SOFT
from ponder.evals.attacks.sums import drawn
from ponder.runtime.tasks import side_by_side
from ponder.thinking.markers import FAMILIES, closing
from ponder.thinking.prompts import conditioned
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
THINKING = (16, 64)
"""Tokens of the chains where nobody says how long the model will think."""
ANEW = 8
"""Steps after which chains are drawn anew, with the vectors as they are by then."""
BETAS = 0.9, 0.999
"""Of Adam, as usual."""
TINY = 1e-8


class WhiteBox(Engine, Protocol):
    """An engine that lets a vector stand for a token and gives gradients, as `ponder.engines.transformers` does."""

    async def embeddings(self) -> tuple[int, float]: ...
    async def soften(self, vectors: Mapping[str, Vectors]) -> None: ...
    async def gradients(
        self, asked: Sequence[tuple[Prefix, str]], vectors: Mapping[str, Vectors]
    ) -> tuple[float, Vectors]: ...


class Reached(NamedTuple):
    """How far a search is: the vectors, Adam's two moments of them, and -log p of each step's batch in nats."""

    vectors: Vectors
    first: Vectors
    second: Vectors
    losses: NDArray[np.float64]

    @property
    def told(self) -> str:
        """How -log p changed, over the first and the last steps in which chains were the same."""
        begin, end = fmean(self.losses[:ANEW].tolist()), fmean(self.losses[-ANEW:].tolist())
        return (
            f"-log p of what is wanted went from {begin:.2f} to {end:.2f} nats in {len(self.losses):,} steps"
        )


@dataclass(frozen=True)
class SoftTokens:
    """The `tokens` vectors that maximise log p(target | problem under attack, chain of thought) over training problems.

    The chains are the model's own: written under the vectors as they are, at temperature 1, with as many tokens as one of
    `thinking` says, and closed as budget forcing closes them; every few steps there are new ones. The paper maximises
    log p(chain + target) (Zaremba et al. 2025, 2501.18841); of a chain that the model itself wrote under these vectors the
    gradient of log p(chain) is 0 in expectation, so it is left out. Adam for `steps` steps of `batch` chains; after each, a
    vector longer than the model's embeddings are in the mean is cut to that length.

    Args:
        operation, goal: what is asked and what is wanted.
        tokens: the strength of the attack.
        steps, batch: of the descent.
        rate: of the descent, as a share of what a number in an embedding is in the root mean square.
        seed: of the training problems, the first vectors, the chains and the batches.
        thinking: tokens of thinking, after which the answer is asked for.

    """

    operation: Operation
    goal: Goal
    tokens: int
    steps: int = STEPS
    batch: int = 4
    rate: float = 0.1
    seed: int = 0
    thinking: tuple[int, ...] = THINKING

    @property
    def search(self) -> str:
        """The search's name: that of no other."""
        return sha256(repr(self).encode()).hexdigest()[:8]

    @property
    def names(self) -> tuple[str, ...]:
        """How the tokens are written in a prompt. Another search has other names, so that no sample of it is reused."""
        return tuple(f"<soft {self.search} {i}>" for i in range(self.tokens))

    @property
    def training(self) -> list[Sum]:
        """The problems that are learnt from: the same for every goal and strength."""
        sums = drawn(self.operation, random.Random(f"{SOFT}/{self.operation}/{self.seed}"))
        return list(islice((one for one in sums if not one.coincides), LEARNT))

    async def find(
        self,
        engine: WhiteBox,
        reached: Reached | None = None,
        tell: Callable[[Reached], None] = lambda _: None,
    ) -> Reached:
        """Find the vectors and give them to the engine, from the beginning or from where an earlier search had come to.

        `tell` hears how far it is whenever it can be gone on from, and at the end.
        """
        width, most = await engine.embeddings()
        if reached is None:
            rng = np.random.default_rng(self.seed)
            zero = np.zeros((self.tokens, width), np.float32)
            begin = capped(rng.normal(0.0, most / width**0.5, zero.shape), most)
            reached = Reached(begin, zero, zero, np.zeros(0))
        while len(reached.losses) < self.steps:
            chains = await self._chains(engine, reached)
            chance = random.Random(f"{self.seed}/{len(reached.losses)}")
            for _ in range(min(ANEW, self.steps - len(reached.losses))):
                batch = chance.sample(chains, self.batch)
                loss, slope = await engine.gradients(batch, self._named(reached.vectors))
                reached = self._stepped(reached, loss, slope, most)
            tell(reached)
        await engine.soften(self._named(reached.vectors))
        return reached

    def _stepped(self, reached: Reached, loss: float, slope: Vectors, most: float) -> Reached:
        """One step of Adam, capped."""
        step, width = len(reached.losses) + 1, reached.vectors.shape[-1]
        first = BETAS[0] * reached.first + (1 - BETAS[0]) * slope
        second = BETAS[1] * reached.second + (1 - BETAS[1]) * slope**2
        ahead = first / (1 - BETAS[0] ** step)
        spread = np.sqrt(second / (1 - BETAS[1] ** step)) + TINY
        vectors = capped(reached.vectors - self.rate * most / width**0.5 * ahead / spread, most)
        return Reached(vectors, first, second, np.append(reached.losses, loss))

    async def _chains(self, engine: WhiteBox, reached: Reached) -> list[tuple[Prefix, str]]:
        """Problems that the model has thought about under the vectors as they are, with what is wanted after that."""
        await engine.soften(self._named(reached.vectors))
        chance = random.Random(f"{self.seed}/{len(reached.losses)}/chains")
        problems = chance.sample(self.training, 2 * self.batch)
        lengths = [self.thinking[i % len(self.thinking)] for i in range(len(problems))]
        seeds = [chance.getrandbits(32) for _ in problems]
        given = zip(problems, lengths, seeds, strict=True)
        return await side_by_side([partial(self._chain, engine, *one) for one in given])

    async def _chain(self, engine: WhiteBox, one: Sum, length: int, seed: int) -> tuple[Prefix, str]:
        """A problem under attack with a chain of thought, closed as budget forcing does it, and what is to be likely then."""
        markers = engine.capabilities.thinking or FAMILIES["text"]
        path = self.asked(one) + markers.start
        sampling = Sampling(max_tokens=length, temperature=1.0, seed=seed, **markers.stops)
        path += await engine.extend(path, sampling)
        thought = path.before_stop
        return thought + closing(markers, thought.text, cut=path.cut), answered(one.target(self.goal))

    def asked(self, one: Sum) -> Prefix:
        """A problem under attack, as budget forcing asks it."""
        asked = Message("user", ignoring(" ".join(self.names), one.question))
        return conditioned(Problem(one.question, (asked,), "math"))

    def _named(self, vectors: Vectors) -> dict[str, Vectors]:
        return dict(zip(self.names, vectors, strict=True))


def capped(vectors: NDArray[np.floating], most: float) -> Vectors:
    """Vectors of at most this norm; longer ones are cut to it."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors * np.minimum(1.0, most / np.maximum(norms, TINY)), np.float32)
