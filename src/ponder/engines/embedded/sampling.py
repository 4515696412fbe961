"""One token drawn from one row of logits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ponder.core.calls import Sampling
    from ponder.engines.embedded.grammar import Grammar

Row = "NDArray[np.float32]"
WIDTH = 12.0
"""Nats below the best within which the candidates of a truncation are sought first: mostly a few hundred of a
vocabulary, and then only those are sorted. Where they do not suffice, the search widens."""
BLOCK = 256


class Drawn(NamedTuple):
    """A token with its log-probability under the model's own distribution, and the likeliest tokens with theirs.

    `certainty` is how far that distribution is from uniform, in nats.
    """

    token: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()
    certainty: float | None = None


class Sampler:
    """Draws for one sequence, with a generator of its own: neighbours do not change what it draws.

    Each draw takes exactly one number from the generator, a greedy one none.
    """

    def __init__(self, sampling: Sampling, banned: NDArray[np.intp], grammar: Grammar | None = None) -> None:
        """`banned` are the tokens that `min_tokens` holds off."""
        self.how = sampling
        self._banned = banned
        self._grammar = grammar
        penalty = sampling.switch_penalty
        self._switches = np.array(penalty.tokens if penalty else (), np.intp)
        self._thought = penalty.since if penalty else 0
        seed = None if sampling.seed is None else sampling.seed % (1 << 128)
        self._rng = np.random.Generator(np.random.PCG64(seed))
        self._biased = np.fromiter(sampling.logit_bias.keys(), np.intp, len(sampling.logit_bias))
        self._bias = np.fromiter(sampling.logit_bias.values(), np.float32, len(sampling.logit_bias))

    def draw(self, row: NDArray[np.float32], drawn: int) -> Drawn:
        """A token from the logits `row`, which stays as it is; `drawn` tokens came before it."""
        how, logits = self.how, self._processed(row, drawn)
        if how.temperature == 0:
            token = int(logits.argmax())
        elif how.top_k or how.top_p < 1 or how.min_p > 0:
            token = self._among(logits, *_kept(logits, how))
        else:
            token = self._any(logits)
        if how.switch_penalty:
            self._thought = 1 if token in how.switch_penalty.tokens else self._thought + 1
        if self._grammar:
            self._grammar.read(token)
        if how.logprobs is None and not how.certainty:
            return Drawn(token)
        total = log_total(row)
        certainty = total - math.log(row.size) - float(row.mean(dtype=np.float64)) if how.certainty else None
        if how.logprobs is None:
            return Drawn(token, certainty=certainty)
        return Drawn(token, float(row[token]) - total, top(row, how.logprobs, total), certainty)

    def _processed(self, row: NDArray[np.float32], drawn: int) -> NDArray[np.float32]:
        """The logits to draw from: biased, penalised, and without what may not come now."""
        how, penalty = self.how, self.how.switch_penalty
        early = drawn < how.min_tokens and self._banned.size > 0
        switching = penalty is not None and self._thought < penalty.beta
        if not (early or switching or self._biased.size or self._grammar):
            return row
        logits = row.copy()
        logits[self._biased] += self._bias
        if penalty and switching:
            logits[self._switches] -= np.float32(penalty.alpha)
        if early:
            logits[self._banned] = -np.inf
        if self._grammar:
            logits[~self._grammar.allowed()] = -np.inf
        return logits

    def _any(self, logits: NDArray[np.float32]) -> int:
        """From all tokens: the block is found by its sum, then the token in the block."""
        weights = np.subtract(logits, logits.max())
        weights *= np.float32(1 / self.how.temperature)
        np.exp(weights, out=weights)
        whole = weights.size - weights.size % BLOCK
        sums = np.append(
            weights[:whole].reshape(-1, BLOCK).sum(axis=1, dtype=np.float64), weights[whole:].sum()
        )
        edges = np.cumsum(sums)
        aim = self._rng.random() * edges[-1]
        block = int(np.searchsorted(edges, aim, side="right"))
        begin = block * BLOCK
        inside = weights[begin : begin + BLOCK] if block < sums.size - 1 else weights[whole:]
        before = edges[block - 1] if block else 0.0
        return begin + _find(inside, aim - before)

    def _among(self, logits: NDArray[np.float32], ids: NDArray[np.intp], best: float) -> int:
        weights = np.exp((logits[ids].astype(np.float64) - best) / self.how.temperature)
        return int(ids[_find(weights, self._rng.random() * weights.sum())])


def _find(weights: NDArray[np.floating], aim: float) -> int:
    """The first index whose cumulative weight exceeds `aim`, never one of weight 0."""
    edges = np.cumsum(weights, dtype=np.float64)
    at = int(np.searchsorted(edges, aim, side="right"))
    # The sums of the blocks and of their elements differ in the last digit.
    return at if at < edges.size else int(np.flatnonzero(weights)[-1])


def _kept(logits: NDArray[np.float32], how: Sampling) -> tuple[NDArray[np.intp], float]:
    """The ids that top_k, top_p and min_p leave, likeliest first, and the best logit. Ties go to the lower id."""
    best = float(logits.max())
    ids = likeliest(logits, best, how.top_k) if how.top_k else None
    if how.top_p < 1:
        ids = _nucleus(logits, best, how.top_p, ids)
    if how.min_p > 0:
        least = best + math.log(how.min_p)
        ids = np.flatnonzero(logits >= least) if ids is None else ids[logits[ids] >= least]
    assert ids is not None  # noqa: S101 - one of the three is on, else the caller draws from all
    return ids, best


def _nucleus(
    logits: NDArray[np.float32], best: float, mass: float, ids: NDArray[np.intp] | None
) -> NDArray[np.intp]:
    """The fewest likeliest tokens that hold `mass` of the distribution, or of that over `ids`."""
    if ids is not None:
        shares = np.exp(logits[ids].astype(np.float64) - best)
        return ids[: _reaching(shares, mass * shares.sum())]
    wanted = mass * math.exp(log_total(logits) - best)
    width = WIDTH
    while True:
        ids = _descending(logits, np.flatnonzero(logits >= best - width))
        shares = np.exp(logits[ids].astype(np.float64) - best)
        if shares.sum() >= wanted or width > 100:  # e**-100 of the best adds nothing
            return ids[: _reaching(shares, wanted)]
        width *= 2


def _reaching(shares: NDArray[np.float64], wanted: float) -> int:
    return int(np.searchsorted(np.cumsum(shares), wanted, side="left")) + 1


def likeliest(logits: NDArray[np.float32], best: float, k: int) -> NDArray[np.intp]:
    """The `k` likeliest ids, in order; ties go to the lower id. Fewer if the rest is impossible."""
    width = WIDTH
    while True:
        ids = np.flatnonzero(logits >= best - width)
        if ids.size >= k or width > 1e4:
            break
        width *= 2
    if ids.size > 4 * k + 64:  # then a partition pays; whatever ties with the k-th stays in
        least = np.partition(logits[ids], ids.size - k)[ids.size - k]
        ids = ids[logits[ids] >= least]
    return _descending(logits, ids)[:k]


def _descending(logits: NDArray[np.float32], ids: NDArray[np.intp]) -> NDArray[np.intp]:
    return ids[np.argsort(-logits[ids], kind="stable")]


def log_total(row: NDArray[np.float32]) -> float:
    """The logarithm of the sum of exponentials of a row of logits."""
    best = row.max()
    shifted = np.subtract(row, best)
    np.exp(shifted, out=shifted)
    return float(best) + math.log(float(shifted.sum()))


def top(row: NDArray[np.float32], k: int, total: float) -> tuple[tuple[int, float], ...]:
    """The `k` likeliest tokens with their log-probabilities, likeliest first."""
    if k < 1:
        return ()
    ids = likeliest(row, float(row.max()), min(k, row.size))
    return tuple((int(i), float(row[i]) - total) for i in ids)
