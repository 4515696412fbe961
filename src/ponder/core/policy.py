"""Which strategy for which problem: a policy, learnt by `ponder calibrate` and followed by the strategy `auto`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT: Final = "default"
"""The name of the policy that is followed where no other is named, or the one that is named does not fit."""


@dataclass(frozen=True, slots=True)
class Rule:
    """From this budget and this difficulty on, this strategy; and what that was worth where it was learnt.

    Args:
        budget: completion tokens a question.
        above: difficulty, from 0 to 1; it holds up to that of the next rule.
        strategy: as it is written down. One that draws no more than the probe did decides with what is there.
        problems: that it was learnt on.
        right: the share of them that it got right, and the ends of its interval.
        tokens: completion tokens a question, the probe's among them.
        alone: within this budget the probe does not pay: the strategy begins at once, with all of it, whatever the
            difficulty.
        agreed: it is for problems whose samples all agree, and says that they are not believed from this difficulty on.

    """

    budget: int
    above: float
    strategy: str
    problems: int = 0
    right: tuple[float, float, float] | None = None
    tokens: float = 0.0
    alone: bool = False
    agreed: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """What to do with a problem once a few samples have shown how hard it looks.

    It belongs to a model and a scorer (Liu et al. 2025, 2502.06703, section 3): others need other strategies.

    Args:
        name: by which it is asked for.
        rules: at least one; for each budget one of difficulty 0.
        model: as its engine is called; None is any.
        scorer: as it is written down; None is none.
        probe: chains of thought that are sampled first.
        direct: direct answers that are sampled before them, and end it where all agree; 1 is only proposed, 0 is not
            asked for.
        weights: of the probe's signs, for the log-odds that its vote is wrong (`thinking.difficulty`).
        graded: what told right from wrong when it was learnt: right answers, or agreement with a wide vote.
        simulated: whether it was learnt on a simulated model.
        tasks: that it was learnt on.

    """

    name: str
    rules: tuple[Rule, ...]
    model: str | None = None
    scorer: str | None = None
    probe: int = 4
    direct: int = 0
    weights: Mapping[str, float] = field(default_factory=dict, hash=False)
    graded: Literal["gold", "agreement"] = "gold"
    simulated: bool = False
    tasks: tuple[str, ...] = ()

    def rule(self, difficulty: float, budget: int | None = None) -> Rule:
        """The rule for a problem: of the largest budget that is no more than this one, else of the smallest.

        None is without limit.
        """
        able = [rule for rule in self._within(budget) if rule.above <= difficulty and not rule.agreed]
        return max(able, key=lambda rule: rule.above)

    def doubts(self, budget: int | None = None, difficulty: float = 1.0) -> Rule | None:
        """The rule for a problem whose samples agree; None where they are believed."""
        able = [rule for rule in self._within(budget) if rule.above <= difficulty and rule.agreed]
        return max(able, key=lambda rule: rule.above, default=None)

    def _within(self, budget: int | None) -> list[Rule]:
        paid = [rule.budget for rule in self.rules if budget is None or rule.budget <= budget]
        level = max(paid) if paid else min(rule.budget for rule in self.rules)
        return [rule for rule in self.rules if rule.budget == level]

    def misfit(self, model: str, scorer: str | None) -> str | None:
        """Why it is not for this model and scorer; None where it is."""
        if self.model not in (None, model):
            return f"it was learnt on the model {self.model}, and this is {model}"
        if self.scorer != scorer:
            return f"it was learnt with the scorer {self.scorer or 'none'}, and this is {scorer or 'none'}"
        return None


PLAIN: Final = Policy(DEFAULT, (Rule(0, 0.0, "adaptive-consistency"),))
"""Where there is no policy at all: go on voting until the majority is settled."""
