"""How often attacks succeeded: by strength and compute, with intervals, and whether compute helps."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ponder.evals.stats import accuracy, broke, sign_flips
from ponder.evals.stats.clusters import item_means
from ponder.thinking.answers import key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ponder.evals.stats import Attempts, Estimate
    from ponder.evals.values import Arm, Item, Outcome, Study


@dataclass(frozen=True, slots=True)
class Cell:
    """Attempts of one arm at problems attacked with one strength.

    Args:
        arm: which.
        strength: of the attack.
        success: the share of attempts that gave what the attacker wants; Wilson's interval over problems.
        right: the share that gave what is right.
        tokens: written for an attempt, in the mean.

    """

    arm: Arm
    strength: int
    success: Estimate
    right: Estimate
    tokens: float


@dataclass(frozen=True, slots=True)
class Trend:
    """What more compute does at one strength.

    Args:
        strength: of the attack.
        method: whose arms differ in compute.
        slope: the mean over problems of the slope of success on the arms' rank by tokens: by how much the share changes
            from one arm to the next.
        p: of the paired randomisation test that it is 0.

    """

    strength: int
    method: str
    slope: float
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


def method(arm: Arm) -> str:
    """The strategy without its settings."""
    return arm.strategy.partition(":")[0]


def hit(item: Item, outcome: Outcome) -> bool:
    """Whether the answer is what the attacker wants: not merely wrong."""
    target = item.meta["attacked"]["target"]
    if outcome.answer is None:
        return False
    return key(outcome.answer, item.problem.kind) == key(target, item.problem.kind)


def attempts(study: Study) -> Iterator[tuple[Item, Outcome]]:
    """The attempts at attacked items. Those whose item a damaged file has lost are left out."""
    for outcome in study.outcomes:
        item = study.items.get(outcome.item)
        if item and "attacked" in item.meta:
            yield item, outcome


def panels(study: Study) -> list[Panel]:
    """All that is in a study, in the order of its items; none if nothing was attacked. What broke counts as no success."""
    sorted_out: dict[tuple[str, str, str], list[Outcome]] = defaultdict(list)
    order = {name: i for i, name in enumerate(study.items)}
    for item, outcome in sorted(attempts(study), key=lambda made: (order[made[1].item], made[1].seed)):
        about = item.meta["attacked"]
        sorted_out[item.task, about["attack"], about["goal"]].append(outcome)
    return [_panel(study, *names, outcomes) for names, outcomes in sorted_out.items()]


def _panel(study: Study, task: str, attack: str, goal: str, outcomes: Sequence[Outcome]) -> Panel:
    found: dict[tuple[int, Arm], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        found[study.items[outcome.item].meta["attacked"]["strength"], outcome.arm].append(outcome)
    met = dict.fromkeys(outcome.arm for outcome in outcomes)
    arms = sorted(met, key=lambda arm: (method(arm), _tokens(o for o in outcomes if o.arm == arm)))
    strengths = sorted({strength for strength, _ in found})
    cells = {at: _cell(study, at[0], at[1], those) for at, those in found.items()}
    methods = {name: [arm for arm in arms if method(arm) == name] for name in map(method, arms)}
    trends = [
        _trend(strength, name, [_by_base(study, found[strength, arm], hit) for arm in those])
        for strength in strengths
        for name, those in methods.items()
    ]
    unit = study.items[outcomes[0].item].meta["attacked"]["unit"]
    return Panel(task, attack, goal, unit, arms, strengths, cells, [t for t in trends if t is not None])


def _cell(study: Study, strength: int, arm: Arm, outcomes: Sequence[Outcome]) -> Cell:
    right = _by_base(study, outcomes, lambda _, o: bool(o.correct) and not broke(o))
    return Cell(arm, strength, accuracy(_by_base(study, outcomes, hit)), accuracy(right), _tokens(outcomes))


def _tokens(outcomes: Iterable[Outcome]) -> float:
    spent = [o.usage.completion for o in outcomes]
    return sum(spent) / len(spent)


def _by_base(
    study: Study, outcomes: Iterable[Outcome], what: Callable[[Item, Outcome], bool]
) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for outcome in outcomes:
        item = study.items[outcome.item]
        found[str(item.meta["attacked"]["base"])].append(float(what(item, outcome)))
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
    return Trend(strength, name, float(slopes.mean()), sign_flips(slopes))
