"""The policy that was best on what was measured: how difficult a problem is, and what is best there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from ponder.core.errors import UsageError
from ponder.core.policy import Rule
from ponder.evals.calibration.cascades import cheaper, outcome
from ponder.evals.stats.clusters import share
from ponder.thinking.difficulty import Signs, difficulty

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ponder.evals.calibration.measured import Level

    Array = NDArray[np.float64]

LEAST: Final = 20
"""Problems that a bin of difficulty needs."""
SLACK: Final = 0.005
"""The share of right answers that is given for a cheaper strategy: half a point."""
EDGES: Final = (0.0, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Quantiles of difficulty among problems whose samples agree, from which on they may be doubted."""
RIDGE: Final = 1.0
"""Of the regression, in its standardised signs: as one observation's worth of doubt about each."""


@dataclass(frozen=True, slots=True)
class Bins:
    """How difficulty is divided: into so many bins of equal numbers, or, at 0, where 2502.06703 does.

    That is: the vote is right in half of the cases or more, in a tenth or more, in less.
    """

    many: int = 3

    @classmethod
    def parse(cls, text: str) -> Bins:
        """Read "3" or "absolute".

        Raises:
            UsageError: it is neither.

        """
        if text == "absolute":
            return cls(0)
        if not text.isdecimal() or int(text) < 1:
            raise UsageError(f"Bins are a number from 1 up, or the word absolute, not {text!r}.")
        return cls(int(text))

    def edges(self, difficulties: Array) -> list[float]:
        """Where bins begin, the first at 0."""
        if not self.many:
            return [0.0, 0.5, 0.9]
        many = max(1, min(self.many, len(difficulties) // LEAST))
        inner = np.quantile(difficulties, np.arange(1, many) / many).tolist() if many > 1 else []
        return sorted({0.0, *(round(edge, 4) for edge in inner)})


@dataclass(frozen=True, slots=True)
class Learnt:
    """A policy's weights and rules, and whether direct answers come before the probe."""

    weights: Mapping[str, float]
    rules: tuple[Rule, ...]
    direct: bool = False

    def choose(self, level: Level) -> NDArray[np.int_]:
        """The index of the strategy for each item of a level, after the probe; where that is believed, the first."""
        hard = difficulties(level, self.weights)
        chosen = np.zeros(len(level.items), dtype=np.int_)
        for rule in sorted(self._within(level), key=lambda rule: rule.above):
            able = level.probed & ~level.contested if rule.agreed else level.contested
            chosen[able & (hard >= rule.above)] = level.arms.index(rule.strategy)
        return chosen

    def outcome(self, level: Level) -> tuple[Array, Array]:
        """Of each item of a level, whether following the rules is right, and its tokens."""
        level = level.after_direct() if self.direct else level
        for rule in self._within(level):
            if rule.alone:
                return outcome(level, rule.strategy)
        rows, chosen = np.arange(len(level.items)), self.choose(level)
        return level.right[rows, chosen], level.tokens[rows, chosen]

    def _within(self, level: Level) -> list[Rule]:
        return [rule for rule in self.rules if rule.budget == level.budget]


def learn(levels: Sequence[Level], bins: Bins, signs: Sequence[str] = Signs._fields) -> Learnt:
    """Weights from all budgets together, then for each budget and bin the best strategy that follows the probe.

    `signs` are those that difficulty is estimated from: agreement alone means the same of every model.
    Where that does not earn the probe within a budget, the best strategy by itself takes their place.
    """
    if direct := direct_pays(levels[-1]):
        levels = [level.after_direct() for level in levels]
    weights = fit(levels, signs)
    found: list[Rule] = []
    for level in levels:
        probing = (*_rules(level, weights, bins), *_doubts(level, weights))
        found += _alone(level, Learnt(weights, probing)) or probing
    return Learnt(weights, tuple(found), direct)


def direct_pays(level: Level) -> bool:
    """Whether direct answers before the probe cost fewer tokens and lose no more problems than they win.

    Told by the second arm, the widest vote after the probe.
    """
    after = level.after_direct()
    vote = min(1, level.follow - 1)
    won = after.right[:, vote].sum() >= level.right[:, vote].sum()
    return bool(won and after.tokens[:, vote].mean() < level.tokens[:, vote].mean())


def _doubts(level: Level, weights: Mapping[str, float]) -> list[Rule]:
    """From which difficulty on samples that agree are not believed, and what is done instead; where that is better."""
    agreed, hard = level.probed & ~level.contested, difficulties(level, weights)
    found: list[tuple[float, float, int]] = []
    for edge in np.quantile(hard[agreed], EDGES) if agreed.any() else ():
        above = min(1.0, round(float(edge), 4))
        inside = agreed & (hard >= above)
        if inside.sum() < LEAST:
            continue
        arm = best(level, inside, usual=0)
        gain = level.right[inside, arm] - level.right[inside, 0]
        if beyond_chance(gain):
            found.append((float(gain.sum()), above, arm))
    if not found:
        return []
    _, above, arm = max(found, key=lambda pair: (pair[0], pair[1]))
    return [replace(_rule(level, above, arm, agreed & (hard >= above)), agreed=True)]


def _alone(level: Level, probing: Learnt) -> list[Rule]:
    """The rule that asks no probe, unless the probe earns it: better by more than the standard error, or as good and
    cheaper. For rules are chosen from many, and what is the best of many looks better than it is.

    It is the best single strategy, or a cascade that ends in it and is as good and cheaper.
    """
    every = np.ones(len(level.items), dtype=np.bool_)
    rows, chosen = np.arange(len(level.items)), probing.choose(level)
    arm = best(level, every, arms=range(level.follow, len(level.arms)))
    strategy = cheaper(level, arm, LEAST) or level.arms[arm]
    right, tokens = outcome(level, strategy)
    gain = level.right[rows, chosen] - right
    if beyond_chance(gain) or (gain.mean() >= 0 and level.tokens[rows, chosen].mean() < tokens.mean()):
        return []
    return [replace(_told(level.budget, 0.0, strategy, right, tokens), alone=True)]


def beyond_chance(gain: Array) -> bool:
    """Whether the mean of paired differences is more than its standard error above 0."""
    return len(gain) > 1 and bool(gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)))


def difficulties(level: Level, weights: Mapping[str, float]) -> Array:
    """Of each item; 0 where there is nothing to decide."""
    return np.array(
        [
            difficulty(Signs(*map(float, signs)), weights) if probed else 0.0
            for signs, probed in zip(level.signs, level.probed, strict=True)
        ]
    )


def fit(levels: Sequence[Level], signs: Sequence[str] = Signs._fields) -> dict[str, float]:
    """A ridge logistic regression of whether the probe's vote was wrong on its signs, by Newton's method.

    The first arm of a level is the probe's own vote. Where there was too little to learn from there are no weights,
    and difficulty is disagreement.
    """
    x = np.concatenate([level.signs[level.probed] for level in levels])
    wrong = np.concatenate([1 - level.right[level.probed, 0] for level in levels])
    if len(x) < LEAST or not 0 < wrong.mean() < 1:
        return {}
    mean, spread = x.mean(axis=0), x.std(axis=0)
    spread[[name not in signs for name in Signs._fields]] = np.inf
    spread[spread < 1e-9] = np.inf  # a sign that is always the same says nothing
    z = np.column_stack([np.ones(len(x)), (x - mean) / spread])
    penalty = np.diag([0.0, *[RIDGE] * x.shape[1]])
    beta = np.zeros(z.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(z @ beta, -30, 30)))
        step = np.linalg.solve(
            (z * (p * (1 - p))[:, None]).T @ z + penalty + 1e-9 * np.eye(len(beta)),
            z.T @ (wrong - p) - penalty @ beta,
        )
        beta += np.clip(step, -5, 5)
        if np.abs(step).max() < 1e-8:
            break
    slopes = beta[1:] / spread
    return {
        "bias": float(beta[0] - slopes @ mean),
        **dict(zip(Signs._fields, map(float, slopes), strict=True)),
    }


def _rules(level: Level, weights: Mapping[str, float], bins: Bins) -> list[Rule]:
    hard = difficulties(level, weights)
    overall = best(level, level.contested)
    edges = bins.edges(hard[level.contested])
    rules: list[Rule] = []
    for low, high in zip(edges, [*edges[1:], np.inf], strict=True):
        inside = level.contested & (hard >= low) & (hard < high)
        arm = best(level, inside, overall) if inside.sum() >= LEAST else overall
        told = inside if inside.any() else level.contested
        rules.append(_rule(level, low, arm, told))
    return rules


def _rule(level: Level, above: float, arm: int, told: NDArray[np.bool_]) -> Rule:
    return _told(level.budget, above, level.arms[arm], level.right[told, arm], level.tokens[told, arm])


def _told(budget: int, above: float, strategy: str, right: Array, tokens: Array) -> Rule:
    """A rule with what it was worth on the problems that taught it."""
    n = len(right)
    about = share(right, n, n, 0.95) if n else None
    return Rule(
        budget,
        round(above, 4),
        strategy,
        n,
        (about.value, about.interval.low, about.interval.high) if about else None,
        float(tokens.mean()) if n else 0.0,
    )


def best(level: Level, inside: NDArray[np.bool_], usual: int | None = None, arms: range | None = None) -> int:
    """The best arm for some items: of those about as good, the cheapest.

    One that is not the `usual` one must be better than it by more than its standard error, or as good and cheaper:
    the best of many is mostly luck where few items tell. `arms` are those to choose from, those that follow the probe
    if not said.
    """
    arms = arms or range(level.follow)
    if not inside.any():
        return usual or arms[0]
    means, spent = level.right[inside].mean(axis=0), level.tokens[inside].mean(axis=0)
    top = max(arms, key=lambda arm: float(means[arm]))
    if usual is not None and not beyond_chance(level.right[inside, top] - level.right[inside, usual]):
        top = usual
    return min((arm for arm in arms if means[arm] >= means[top] - SLACK), key=lambda arm: float(spent[arm]))
