"""How often attacks succeeded: by strength and compute, with intervals, and whether compute helps.

Where an attacker tries again and again, strength is the number of tries, and one attempt says what came of each number up
to its last: success with 5 is a success among the first 5.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING

import numpy as np

from ponder.evals.attacks.about import reached, tried
from ponder.evals.stats import accuracy, bootstrap, broke, sign_flips
from ponder.evals.stats.clusters import item_means
from ponder.evals.stats.paired import PAD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ponder.evals.stats import Attempts, Estimate
    from ponder.evals.values import Arm, Item, Outcome, Study


@dataclass(frozen=True, slots=True)
class Cell:
    """Attempts of one arm at problems attacked with one strength.

    Args:
        arm: which.
        strength: of the attack.
        success: the share of attempts that gave what the attacker wants; Wilson's interval over problems.
        right: the share that gave what is right, of all tries up to there; None where the model was never asked.
        tokens: written for an answer, in the mean.
        attacker: tokens that an attacker wrote up to there, in the mean over problems.
        unwilling: tries in which it wrote no text.
        refused: those of them in which it declined.
        short: problems that ended before so many tries, without success.

    """

    arm: Arm
    strength: int
    success: Estimate
    right: Estimate | None
    tokens: float
    attacker: float = 0.0
    unwilling: int = 0
    refused: int = 0
    short: int = 0


@dataclass(frozen=True, slots=True)
class Trend:
    """What more compute does at one strength.

    Args:
        strength: of the attack.
        method: whose arms differ in compute.
        slope: the mean over problems of the slope of success on the arms' rank by tokens: by how much the share changes
            from one arm to the next; its interval from resampled problems.
        p: of the paired randomisation test that it is 0.

    """

    strength: int
    method: str
    slope: Estimate
    p: float


@dataclass(frozen=True, slots=True)
class Panel:
    """One attack with one goal on one task.

    Args:
        task: which.
        attack: which.
        goal: what the attacker wants.
        unit: of the strengths.
        arms: those of a method together, from cheap to dear by their mean tokens over the whole panel.
        strengths: from weak to strong.
        cells: by (strength, arm).
        trends: one for each strength and method that has two arms.

    """

    task: str
    attack: str
    goal: str
    unit: str
    arms: Sequence[Arm]
    strengths: Sequence[int]
    cells: Mapping[tuple[int, Arm], Cell]
    trends: Sequence[Trend]

    @property
    def title(self) -> str:
        """As figures name it."""
        return f"{self.attack} on {self.task}, goal {self.goal}"

    @property
    def tried(self) -> bool:
        """Whether an attacker tries again and again."""
        return any(cell.attacker or cell.unwilling for cell in self.cells.values())

    def by(self, trend: Trend) -> Sequence[Cell]:
        """The cells that a trend goes through, from cheap to dear."""
        those = (arm for arm in self.arms if method(arm) == trend.method)
        return [cell for arm in those if (cell := self.cells.get((trend.strength, arm)))]

    def at(self, strength: int) -> str:
        """A strength with its unit: 1 attempt, 2 attempts."""
        return f"{strength} {self.unit.removesuffix('s') if strength == 1 else self.unit}"


def method(arm: Arm) -> str:
    """The strategy without its settings."""
    return arm.strategy.partition(":")[0]


def hit(item: Item, outcome: Outcome) -> bool:
    """Whether the attack succeeded."""
    return reached(outcome.answer, item.meta["attacked"]["target"], item.problem.kind)


def attempts(study: Study) -> Iterator[tuple[Item, Outcome]]:
    """The attempts at attacked items. Those whose item a damaged file has lost are left out."""
    for outcome in study.outcomes:
        item = study.items.get(outcome.item)
        if item and "attacked" in item.meta:
            yield item, outcome


def panels(study: Study) -> list[Panel]:
    """All that is in a study, in the order of its items; none if nothing was attacked. What broke counts as no success."""
    sorted_out: dict[tuple[str, str, str, str], list[_Point]] = defaultdict(list)
    order = {name: i for i, name in enumerate(study.items)}
    for item, outcome in sorted(attempts(study), key=lambda made: (order[made[1].item], made[1].seed)):
        about = item.meta["attacked"]
        sorted_out[item.task, about["attack"], about["goal"], about["unit"]] += _points(item, outcome)
    return [_panel(*names, points) for names, points in sorted_out.items()]


@dataclass(frozen=True, slots=True)
class _Point:
    """What one attempt of one arm says of one strength. Tries that were made up to there are many answers."""

    base: str
    strength: int
    arm: Arm
    hit: bool
    right: Sequence[bool]
    tokens: float
    attacker: float = 0.0
    unwilling: int = 0
    refused: int = 0
    short: bool = False


def _points(item: Item, outcome: Outcome) -> Iterator[_Point]:
    about = item.meta["attacked"]
    base, strength, arm = str(about["base"]), about["strength"], outcome.arm
    if not tried(item):
        right = [bool(outcome.correct) and not broke(outcome)]
        yield _Point(base, strength, arm, hit(item, outcome), right, outcome.usage.completion)
        return
    hits = [reached(one.answer, about["target"], item.problem.kind) for one in outcome.tries]
    for most in shown(strength):
        tries = outcome.tries[:most]
        asked = [one for one in tries if not one.unwilling]
        yield _Point(
            base,
            most,
            arm,
            any(hits[:most]),
            [bool(one.correct) for one in asked],
            sum(one.tokens for one in asked) / max(1, len(asked)),
            sum(one.attacker for one in tries),
            len(tries) - len(asked),
            sum(one.unwilling == "refused" for one in tries),
            len(tries) < most and not any(hits),
        )


def shown(attempts: int) -> list[int]:
    """The numbers of attempts at which success is told: 1, 2, 5, 10, 20, 50 and so on, and the last."""
    steps = [m * 10**n for n in range(len(str(attempts))) for m in (1, 2, 5)]
    return sorted({step for step in steps if step < attempts} | {attempts})


def _panel(task: str, attack: str, goal: str, unit: str, points: Sequence[_Point]) -> Panel:
    found: dict[tuple[int, Arm], list[_Point]] = defaultdict(list)
    for point in points:
        found[point.strength, point.arm].append(point)
    met = dict.fromkeys(point.arm for point in points)
    arms = sorted(met, key=lambda arm: (method(arm), mean(p.tokens for p in points if p.arm == arm)))
    strengths = sorted({strength for strength, _ in found})
    cells = {at: _cell(*at, those) for at, those in found.items()}
    methods = {name: [arm for arm in arms if method(arm) == name] for name in map(method, arms)}
    trends = [
        _trend(strength, name, [_hits(found[strength, arm]) for arm in those])
        for strength in strengths
        for name, those in methods.items()
    ]
    return Panel(task, attack, goal, unit, arms, strengths, cells, [t for t in trends if t is not None])


def _cell(strength: int, arm: Arm, points: Sequence[_Point]) -> Cell:
    right: dict[str, list[float]] = defaultdict(list)
    for point in points:
        if point.right:
            right[point.base] += map(float, point.right)
    return Cell(
        arm,
        strength,
        accuracy(_hits(points)),
        accuracy(right) if right else None,
        mean(point.tokens for point in points),
        mean(point.attacker for point in points),
        sum(point.unwilling for point in points),
        sum(point.refused for point in points),
        sum(point.short for point in points),
    )


def _hits(points: Iterable[_Point]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for point in points:
        found[point.base].append(float(point.hit))
    return found


def _trend(strength: int, name: str, by_arm: Sequence[Attempts]) -> Trend | None:
    """The slope over ranks of compute, for each problem that every arm tried; those are paired."""
    if len(by_arm) < 2:
        return None
    bases = [base for base in by_arm[0] if all(base in arm for arm in by_arm)]
    if not bases:  # an evaluation that was stopped early
        return None
    values = np.array([item_means({base: arm[base] for base in bases}) for arm in by_arm])  # (arms, problems)
    ranks = np.arange(len(by_arm)) - (len(by_arm) - 1) / 2
    slopes = ranks @ values / float(ranks @ ranks)
    steepest = float(ranks[ranks > 0].sum() / (ranks @ ranks))
    by_base = dict(zip(bases, ((float(one),) for one in slopes), strict=True))
    slope = bootstrap(by_base, pad=[steepest * imagined for imagined in PAD])
    return Trend(strength, name, slope, sign_flips(slopes))
