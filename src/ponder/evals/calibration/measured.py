"""What was measured within one budget: a table of items by strategies, and what the probe showed of each item."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ponder.core import events as e
from ponder.core.calls import Budget
from ponder.core.errors import UsageError
from ponder.strategies import Auto, parse
from ponder.thinking.difficulty import Signs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from ponder.store import AttemptRow, RunFile

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """All that was measured within one budget.

    Args:
        budget: completion tokens a question.
        items: problem ids, those that every strategy has tried.
        arms: strategies: first those that may follow the probe, then those that were tried by themselves.
        follow: how many of them follow the probe.
        right: shape (items, arms), 1 for right. Of those that follow, the probe is part of the attempt.
        tokens: likewise, completion tokens.
        contested: of each item, whether the probe's samples differed.
        signs: shape (items, 4), `Signs` of each item's probe; 0 where there was none, and nothing to decide.
        easy: of each item, the share of samples that were right: an oracle, for it knows the answers; NaN: not known.
        quick: shape (items, 3), of direct answers before the probe: whether they agreed and ended it, whether they were
            right then, and their tokens; None where they were not tried.
        values: shape (items, arms), the value that a strategy by itself gave the path that it chose; NaN where its own
            scorer gave none.

    """

    budget: int
    items: tuple[str, ...]
    arms: tuple[str, ...]
    follow: int
    right: Array
    tokens: Array
    contested: NDArray[np.bool_]
    signs: Array
    easy: Array
    quick: Array | None = None
    values: Array = field(kw_only=True)

    @property
    def probed(self) -> NDArray[np.bool_]:
        """Of each item, whether its probe left something to decide."""
        return np.asarray(np.any(self.signs, axis=1), dtype=np.bool_)

    def after_direct(self) -> Level:
        """What it would have been with direct answers before the probe: all that follow it end where those agree.

        The probe and all after it draw the same samples either way, with those few tokens less.
        """
        if self.quick is None:
            return self
        ended, right, tokens = self.quick[:, 0].astype(np.bool_), self.quick[:, 1], self.quick[:, 2:]
        follow = np.arange(len(self.arms)) < self.follow
        instead = ended[:, None] & follow
        return replace(
            self,
            right=np.where(instead, right[:, None], self.right),
            tokens=np.where(instead, tokens, self.tokens + np.where(follow, tokens, 0)),
            contested=self.contested & ~ended,
            signs=np.where(ended[:, None], 0.0, self.signs),
        )

    def alone(self, strategy: str) -> int:
        """The index of a strategy that was tried by itself."""
        return self.arms.index(strategy, self.follow)

    def among(self, arms: Collection[str]) -> Level:
        """The part with some of the strategies, after the probe and by themselves."""
        kept = [j for j, arm in enumerate(self.arms) if arm in arms]
        return replace(
            self,
            arms=tuple(self.arms[j] for j in kept),
            follow=sum(j < self.follow for j in kept),
            right=self.right[:, kept],
            tokens=self.tokens[:, kept],
            values=self.values[:, kept],
        )

    def only(self, chosen: NDArray[np.bool_]) -> Level:
        """The part with some of the items."""
        return replace(
            self,
            items=tuple(item for item, is_in in zip(self.items, chosen, strict=True) if is_in),
            right=self.right[chosen],
            tokens=self.tokens[chosen],
            contested=self.contested[chosen],
            signs=self.signs[chosen],
            easy=self.easy[chosen],
            quick=None if self.quick is None else self.quick[chosen],
            values=self.values[chosen],
        )


def levels(
    run: RunFile,
    budgets: Sequence[str],
    follow: Mapping[str, str],
    alone: Sequence[str],
    agreed: Mapping[tuple[str, str | None], bool] | None = None,
    quick: Mapping[str, tuple[bool, bool, int]] | None = None,
) -> list[Level]:
    """What a run file holds, for each budget.

    Args:
        run: of an evaluation with all these arms.
        budgets: as texts.
        follow: strategy -> the arm that has it follow the probe.
        alone: strategies that are arms by themselves.
        agreed: (problem, answer) -> whether it counts as right, where no answer is known to be.
        quick: of direct answers, see `direct_answers`.

    Raises:
        UsageError: no item was tried by every arm.

    """
    grades = run.grades()
    rows: dict[tuple[str, str], dict[str, AttemptRow]] = defaultdict(dict)
    for row in run.attempts():
        if row.status == "finished" and row.stop != "failed" and "" in grades.get(row.id, {}):
            rows[row.strategy, row.budget][row.problem] = row
    names = [*follow.values(), *alone]
    found = []
    for budget in budgets:
        tried = [rows[name, budget] for name in names]

        def right(row: AttemptRow) -> bool | None:
            return agreed.get((row.problem, row.answer)) if agreed else grades[row.id][""]

        items = [i for i in tried[0] if all(i in arm and right(arm[i]) is not None for arm in tried)]
        if not items:
            raise UsageError(
                f"No problem was tried by every strategy within {budget} and graded. See what broke: ponder report"
            )
        seen = [_probe(run.events(tried[0][item].id)) for item in items]
        limit = Budget.parse(budget).tokens
        found.append(
            Level(
                limit or 0,
                tuple(items),
                (*follow, *alone),
                len(follow),
                np.array([[float(bool(right(arm[i]))) for arm in tried] for i in items]),
                np.array(
                    [[float(u.completion) if (u := arm[i].usage) else 0.0 for arm in tried] for i in items]
                ),
                np.array([contested for _, contested in seen]),
                np.array([signs or (0.0,) * 4 for signs, _ in seen], dtype=np.float64),
                np.array([_easy(grades[rows[_widest(names), budgets[-1]][i].id]) for i in items]),
                np.array([quick.get(i, (0, 0, 0)) for i in items], dtype=np.float64) if quick else None,
                values=np.column_stack(
                    [
                        _values(run, name, [arm[i] for i in items])
                        for name, arm in zip(names, tried, strict=True)
                    ]
                ),
            )
        )
    return found


def _values(run: RunFile, strategy: str, rows: Sequence[AttemptRow]) -> Array:
    """The value that its own scorer gave the path which each attempt of a strategy chose; NaN: none."""
    values = np.full(len(rows), np.nan)
    how = parse(strategy)
    weighted = getattr(how, "selection", None) == "weighted"  # what is recorded there is on another scale
    if getattr(how, "scorer", None) is None or isinstance(how, Auto) or weighted:
        return values
    for i, row in enumerate(rows):
        for event in run.events(row.id, (e.Scored,)):
            if isinstance(event, e.Scored) and row.path in event.paths:
                values[i] = event.values[event.paths.index(row.path)]
    return values


def _widest(names: Sequence[str]) -> str:
    """The arm that reads most samples."""
    return max(names, key=lambda name: int(getattr(parse(name), "n", 0)))


def _easy(graded: Mapping[str, bool | None]) -> float:
    """The share of an attempt's candidates that were right."""
    told = [float(right) for place, right in graded.items() if place and right is not None]
    return sum(told) / len(told) if told else float("nan")


def direct_answers(
    run: RunFile, arm: str, agreed: Mapping[tuple[str, str | None], bool] | None = None
) -> dict[str, tuple[bool, bool, int]]:
    """By item, whether direct answers ended an attempt of this arm, whether that was right, and their tokens.

    Args:
        run: of an evaluation with an arm of `auto` that asks for direct answers.
        arm: its strategy.
        agreed: see `levels`.

    """
    grades = run.grades()
    found = {}
    for row in run.attempts(strategy=arm):
        if row.usage is None or row.stop == "failed" or "" not in grades.get(row.id, {}):
            continue
        events = run.events(row.id)
        ended = not any(isinstance(event, e.Delegated) for event in events)
        first = next((event.answers for event in events if isinstance(event, e.Answered)), ())
        places = {place for place, _, _ in first}
        tokens = sum(
            event.usage.completion
            for event in events
            if isinstance(event, e.Extended) and event.place in places
        )
        right = agreed.get((row.problem, row.answer)) if agreed else grades[row.id][""]
        found[row.problem] = ended, bool(right), tokens
    return found


def _probe(events: Sequence[e.Event]) -> tuple[Signs | None, bool]:
    """The signs that an attempt of `auto` saw, and whether its samples differed; None where it ended before."""
    delegated = next((i for i, event in enumerate(events) if isinstance(event, e.Delegated)), None)
    if delegated is None:
        return None, False
    before = events[:delegated]
    extended = {event.place: event for event in before if isinstance(event, e.Extended)}
    read = [event for event in before if isinstance(event, e.Answered)][-1].answers
    paths = [extended[place] for place, _, _ in read]
    scored = next((event.values for event in before if isinstance(event, e.Scored)), ())
    keys = [key for _, _, key in read]
    signs = Signs.of(
        keys,
        [
            p.logprob / p.usage.completion if p.logprob is not None and p.usage.completion else float("nan")
            for p in paths
        ],
        [p.usage.completion for p in paths],
        scored,
    )
    return signs, signs.agreement < 1 or len(keys) < 2
