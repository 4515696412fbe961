"""What the report says of each arm, and what it compares: taken from a study with `ponder.evals.stats` alone."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ponder.evals.stats import Point, accuracy, broke, compare, dominated, holm, right
from ponder.evals.stats.clusters import item_means

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ponder.evals.stats import Comparison, Estimate
    from ponder.evals.values import Arm, Outcome, Study

REFERENCE = "self-consistency"
"""The method that others are compared with at equal compute, where the study has it: the plain majority vote."""


@dataclass(frozen=True, slots=True)
class Measured:
    """An arm with what was measured of it.

    Args:
        arm: which.
        number: from 1; what names it in figures.
        series: the number of its method, which has a colour and a mark.
        outcomes: those that were graded, and those that broke though they would have been.
        ungraded: how many attempts nobody can grade.
        right: item -> 1 or 0 for each of these outcomes; what broke counts as wrong.
        spent: item -> `compute` of each of these outcomes.
        accuracy: of `right`; None where nothing was graded.
        without_errors: the accuracy with broken attempts left out; None where all broke.
        errors: outcomes that broke.
        alike: whether all arms have one budget, so that names need not say it.

    """

    arm: Arm
    number: int
    series: int
    outcomes: Sequence[Outcome]
    ungraded: int
    right: Mapping[str, Sequence[float]]
    spent: Mapping[str, Sequence[float]]
    accuracy: Estimate | None
    without_errors: Estimate | None
    errors: int
    alike: bool = False

    @property
    def name(self) -> str:
        """As tables name it; oracles are marked."""
        return str(self.arm).replace(f" @ {self.arm.budget}", "", 1) if self.alike else str(self.arm)

    @property
    def method(self) -> str:
        """The strategy without its settings."""
        return method(self.arm)

    @property
    def compute(self) -> float:
        """Tokens written and tokens read by scorers, charged for an attempt: mean over items of their means."""
        return float(item_means(self.spent).mean()) if self.spent else 0.0

    @property
    def samples(self) -> float:
        """How many candidates' worth of tokens an attempt was charged."""
        return self.mean(lambda o: o.usage.completion / o.length if o.length > 0 else 0.0)

    def mean(self, of: Callable[[Outcome], float]) -> float:
        """Mean over items of the mean over the attempts at each, like `accuracy`."""
        found = _by_item((o.item, of(o)) for o in self.outcomes)
        return float(item_means(found).mean()) if found else 0.0

    def over(self, items: Iterable[str]) -> Estimate | None:
        """Accuracy on some of the items; None where it tried none of them."""
        found = {item: self.right[item] for item in items if item in self.right}
        return accuracy(found) if found else None


@dataclass(frozen=True, slots=True)
class Pair:
    """One arm compared with another, and what is left of the p among all comparisons of the report."""

    arm: Measured
    other: Measured
    comparison: Comparison
    corrected: float

    @property
    def better(self) -> bool:
        """Whether the arm is better, and more than chance explains."""
        return self.corrected < 0.05 and self.comparison.difference.value > 0

    @property
    def worse(self) -> bool:
        """Whether it is worse, and more than chance explains."""
        return self.corrected < 0.05 and self.comparison.difference.value < 0


@dataclass(frozen=True, slots=True)
class Findings:
    """A study, measured.

    Args:
        study: what was measured.
        arms: oracles last, each part from cheap to dear.
        gains: every other arm that is no oracle against the cheapest of them.
        equals: every such arm of another method against the nearest in compute of the reference method's.
        front: numbers of the arms that no other beats at the same compute or less.

    """

    study: Study
    arms: Sequence[Measured]
    gains: Sequence[Pair] = ()
    equals: Sequence[Pair] = ()
    front: frozenset[int] = field(default_factory=frozenset)

    @property
    def simulated(self) -> bool:
        """Whether the model is a simulation."""
        return self.study.simulated

    @property
    def graded(self) -> Sequence[Measured]:
        """Arms with an accuracy."""
        return [a for a in self.arms if a.accuracy]

    @property
    def plain(self) -> Sequence[Measured]:
        """Those of them that are no oracles, cheap to dear."""
        return [a for a in self.graded if not a.arm.oracle]

    @property
    def items(self) -> Sequence[str]:
        """Items that some arm was graded on, in the study's order."""
        tried = {item for a in self.graded for item in a.right}
        known = [item for item in self.study.items if item in tried]
        return [*known, *sorted(tried - set(known))]

    @property
    def cheapest(self) -> Measured | None:
        """The arm that spends least, of those that did not break at every attempt; what others are measured by."""
        return _cheapest(self.plain) if self.plain else None

    @property
    def best(self) -> Measured | None:
        """The most accurate arm that is no oracle; of equals the cheapest."""
        return max(self.plain, key=_value, default=None)

    @property
    def shown(self) -> Sequence[Measured]:
        """At most six arms for figures with little room: the cheapest, the best, and the front between them."""
        front = [a for a in self.plain if a.number in self.front or a is self.cheapest]
        if len(front) <= 6:
            return front
        return [front[round(i * (len(front) - 1) / 5)] for i in range(6)]

    def titled(self, axis: str) -> str:
        """An axis' title, which says so if what is drawn comes from a simulation."""
        return f"{axis} (simulation)" if self.simulated else axis


def method(arm: Arm) -> str:
    """The strategy without its settings."""
    return arm.strategy.partition(":")[0]


def compute(outcome: Outcome) -> int:
    """What two attempts must have spent alike to be compared at equal compute, in tokens.

    Tokens read by the model are left out: a prompt is read in one go, and often once for many samples.
    """
    return outcome.usage.completion + outcome.usage.scorer


def find(study: Study) -> Findings:
    """Measure a study."""
    by_arm: dict[Arm, list[Outcome]] = defaultdict(list)
    for outcome in study.outcomes:
        by_arm[outcome.arm].append(outcome)
    raw = [_measure(study, arm, outcomes) for arm, outcomes in by_arm.items()]
    raw.sort(key=lambda a: (a.arm.oracle, a.compute, a.arm))
    series = {name: i for i, name in enumerate(dict.fromkeys(a.method for a in raw))}
    alike = len(raw) > 1 and len({a.arm.budget for a in raw}) == 1
    arms = [
        replace(a, number=number, series=series[a.method], alike=alike) for number, a in enumerate(raw, 1)
    ]
    plain = [a for a in arms if a.accuracy and not a.arm.oracle]
    beaten = dominated([Point(a.compute, _value(a)) for a in plain])
    front = frozenset(a.number for a, by in zip(plain, beaten, strict=True) if by is None)
    gains, equals = _pairs(plain)
    return Findings(study, arms, gains, equals, front)


def _measure(study: Study, arm: Arm, outcomes: Sequence[Outcome]) -> Measured:
    golden = [o for o in outcomes if o.item not in study.items or study.items[o.item].gold is not None]
    counted = [o for o in golden if o.correct is not None or broke(o)]
    tried, whole = right(counted), right(counted, "left out")
    return Measured(
        arm=arm,
        number=0,
        series=0,
        outcomes=counted or outcomes,
        ungraded=len(outcomes) - len(counted),
        right=tried,
        spent=_by_item((o.item, float(compute(o))) for o in counted or outcomes),
        accuracy=accuracy(tried) if tried else None,
        without_errors=accuracy(whole) if whole else None,
        errors=sum(map(broke, outcomes)),
    )


def _pairs(plain: Sequence[Measured]) -> tuple[list[Pair], list[Pair]]:
    """The comparisons of the report, with one correction over all of them (Holm 1979)."""
    if len(plain) < 2:
        return [], []
    cheapest = _cheapest(plain)
    gains = [(a, cheapest) for a in plain if a is not cheapest]
    by = REFERENCE if any(a.method == REFERENCE for a in plain) else cheapest.method
    references = [a for a in plain if a.method == by]
    equals = [(a, min(references, key=lambda r: _apart(a, r))) for a in plain if a.method != by]
    wanted = [p for p in [*gains, *equals] if p[0].right.keys() & p[1].right.keys()]
    compared = {(a.number, b.number): compare(a.right, b.right, (a.spent, b.spent)) for a, b in wanted}
    corrected = dict(zip(compared, holm([c.p for c in compared.values()]), strict=True))

    def made(pairs: Sequence[tuple[Measured, Measured]]) -> list[Pair]:
        keys = [(a, b, (a.number, b.number)) for a, b in pairs if (a.number, b.number) in compared]
        return [Pair(a, b, compared[key], corrected[key]) for a, b, key in keys]

    return made(gains), made(equals)


def _cheapest(plain: Sequence[Measured]) -> Measured:
    return next((a for a in plain if a.without_errors and a.compute), plain[0])


def _apart(one: Measured, other: Measured) -> float:
    """How many times the tokens the dearer of two spends."""
    low, high = sorted((one.compute, other.compute))
    return high / low if low else float("inf") if high else 1.0


def _by_item(values: Iterable[tuple[str, float]]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for item, value in values:
        found[item].append(value)
    return dict(found)


def _value(arm: Measured) -> float:
    return arm.accuracy.value if arm.accuracy else float("nan")
