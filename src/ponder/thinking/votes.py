"""Deciding among candidates: votes over canonical keys, never over strings.

Every vote leaves out candidates without an answer and breaks ties by who was seen first (METHODS 19.3).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING, Literal, TypeAlias

from ponder.core.protocols import Candidate, Choice
from ponder.thinking.aggregation import unit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Selection: TypeAlias = Literal["naive", "weighted", "majority", "borda"]
"""How scores choose among solutions: the best one, the answer with the highest sum, not at all, or by their ranks."""


def majority(candidates: Sequence[Candidate]) -> Choice:
    """The answer with the largest total weight, as its first candidate gave it (Wang et al. 2022, section 2).

    With weights of 1 it is the plain majority; with scores as weights, weighted best-of-n.

    Raises:
        ValueError: there are no candidates.

    """
    if not candidates:
        raise ValueError("A vote needs candidates.")
    totals: dict[str, float] = {}
    first: dict[str, Candidate] = {}
    for candidate in candidates:
        if candidate.key is not None:
            totals[candidate.key] = totals.get(candidate.key, 0.0) + candidate.weight
            first.setdefault(candidate.key, candidate)
    if not totals:
        return Choice(candidates[0].path, None, tuple(candidates))
    winner = first[max(totals, key=totals.__getitem__)]
    ranked = sorted(totals, key=lambda key: -totals[key])
    votes = tuple((first[key].answer or "", totals[key]) for key in ranked)
    return Choice(winner.path, winner.answer, tuple(candidates), votes)


def best(candidates: Sequence[Candidate]) -> Choice:
    """The candidate with the highest weight, among those that have an answer if any has."""
    if not candidates:
        raise ValueError("A choice needs candidates.")
    able = [c for c in candidates if c.key is not None] or candidates
    winner = max(able, key=lambda c: c.weight)
    return replace(
        majority([replace(c, weight=1.0) for c in candidates]),
        path=winner.path,
        answer=winner.answer,
        candidates=tuple(candidates),
    )


def merge(
    candidates: Sequence[Candidate],
    same: Callable[[Candidate], str],
    agg: Literal["mean", "sum", "logsumexp"],
) -> list[Candidate]:
    """The candidates in their order, each with one weight for all that are the `same`.

    "sum" adds the weights, as the code of 2502.04404 does: where they are log-probabilities, which are negative,
    it puts back what was said more than once. "logsumexp" adds the probabilities, and "mean" is indifferent.
    """
    groups: dict[str, list[float]] = {}
    for candidate in candidates:
        groups.setdefault(same(candidate), []).append(candidate.weight)
    weights = {name: _AGGREGATED[agg](group) for name, group in groups.items()}
    return [replace(candidate, weight=weights[same(candidate)]) for candidate in candidates]


def _logsumexp(values: Sequence[float]) -> float:
    top = max(values)
    return top + math.log(math.fsum(math.exp(value - top) for value in values))


_AGGREGATED: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": fmean,
    "sum": math.fsum,
    "logsumexp": _logsumexp,
}


def select(candidates: Sequence[Candidate], values: Sequence[float], how: Selection = "weighted") -> Choice:
    """The choice among candidates that were scored, each of which counts as often as its weight says.

    "naive" takes the highest value; "weighted" sums the values of each answer (Snell et al. 2024, section 5.1),
    on the scale of probabilities, for sums of negative numbers favour the rare; "majority" counts; "borda" sums votes
    by rank (see `borda`). Where nobody has an answer, and in a sum of nothing, the highest value and the plain
    majority stand in.
    """
    if how == "naive" or all(c.key is None for c in candidates):
        return best([replace(c, weight=v) for c, v in zip(candidates, values, strict=True)])
    if how == "majority":
        return majority(candidates)
    if how == "borda":
        return borda([replace(c, weight=v) for c, v in zip(candidates, values, strict=True)])
    weighted = [replace(c, weight=c.weight * v) for c, v in zip(candidates, unit(values), strict=True)]
    return majority(weighted if any(c.weight for c in weighted if c.key is not None) else candidates)


def borda(candidates: Sequence[Candidate], p: float = 0.5) -> Choice:
    """A vote in which the rank by weight counts and not the weight itself (Kang et al. 2025, 2502.18581, section 4).

    Of N candidates that have an answer, the one of rank r (1 is the highest weight) has (N - r + 1)^p votes. p = 0 is
    the plain majority; large p is best-of-N. The released code takes p = 0.5; the paper fits p to N.

    Raises:
        ValueError: there are no candidates.

    """
    able = [c for c in candidates if c.key is not None]
    ranked = sorted(range(len(able)), key=lambda i: -able[i].weight)  # stable: the first seen ranks first
    votes = dict(zip(ranked, (float(n) ** p for n in range(len(able), 0, -1)), strict=True))
    choice = majority([replace(c, weight=votes[i]) for i, c in enumerate(able)] or candidates)
    return replace(choice, candidates=tuple(candidates))


def share(candidates: Sequence[Candidate]) -> float:
    """The part of the whole weight that the leading answer has; 0 where there is none."""
    votes = majority(candidates).votes if candidates else ()
    whole = math.fsum(weight for _, weight in votes)
    return votes[0][1] / whole if whole > 0 else 0.0


def entropy(candidates: Sequence[Candidate]) -> float:
    """The entropy of the answers, by that of as many different ones: 0 where all agree, 1 where none does, or one is
    all there is.
    """
    c = counts(candidates)
    n = sum(c)
    return -math.fsum(k / n * math.log(k / n) for k in c) / math.log(n) if n > 1 else 1.0


def counts(candidates: Sequence[Candidate]) -> list[int]:
    """How often each answer was given, most common first."""
    return [n for _, n in Counter(c.key for c in candidates if c.key is not None).most_common()]


def beta(candidates: Sequence[Candidate]) -> float:
    """Probability that the leading answer beats the second in the long run (Aggarwal et al. 2023, 2305.11860).

    With a and b votes for the two and a uniform prior: 1 - I_{1/2}(a+1, b+1).
    """
    a, b = ([*counts(candidates), 0, 0])[:2]
    n = a + b + 1
    return 1 - sum(math.comb(n, j) for j in range(a + 1, n + 1)) * 0.5**n


def dirichlet(candidates: Sequence[Candidate]) -> float:
    """Probability that the leading answer is the likeliest of the five most common (2305.11860, appendix).

    The Dirichlet(c + 1) posterior is that of independent Gamma(c + 1) variables divided by their sum, so the
    probability is the integral of the leader's density times the others' distribution functions: one exact
    integral in place of the paper's Monte Carlo. Below three distinct answers it is `beta`.
    """
    c = counts(candidates)[:5]
    if len(c) < 3:
        return beta(candidates)
    top = max(c) + 1
    end, steps = top + 12.0 * math.sqrt(top) + 12.0, 800
    h = end / steps

    def below(x: float, count: int) -> float:
        """P(Gamma(count + 1) < x)."""
        term = total = math.exp(-x)
        for k in range(1, count + 1):
            term *= x / k
            total += term
        return 1 - total

    def density(x: float) -> float:
        lead = math.exp(c[0] * math.log(x) - x - math.lgamma(c[0] + 1)) if x > 0 else float(c[0] == 0)
        return lead * math.prod(below(x, count) for count in c[1:])

    inner = sum((4 if i % 2 else 2) * density(i * h) for i in range(1, steps))  # Simpson's rule
    return (density(0) + inner + density(end)) * h / 3


def expected_samples(shares: Sequence[float], w: int, n: int) -> float:
    """How many samples early stopping draws in the mean, in windows of `w`, `n` at most (Li et al. 2024, section 3.3).

    `shares` are the probabilities of the answers. A window agrees with probability q = sum of their w-th powers, and
    the first that does is the last one drawn.
    """
    q, m = math.fsum(p**w for p in shares), max(1, n // w)
    return w * (math.fsum(q * (1 - q) ** i * (i + 1) for i in range(m - 1)) + (1 - q) ** (m - 1) * m)


def unanimous(candidates: Sequence[Candidate]) -> bool:
    """Whether every candidate has an answer, and all the same one (Li et al. 2024, 2401.10480)."""
    return bool(candidates) and len({c.key for c in candidates}) == 1 and candidates[0].key is not None
