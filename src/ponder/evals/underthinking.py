"""Switches of thought in right and wrong responses of an evaluation, and how much of the wrong ones came too late.

All of it is read off the run file, without a model. A thought is right if the answer that stands in it is: the one it
declares, else its last number. The paper (2501.18585, section 3) has a model split the thoughts and judge whether each would
lead to the right answer if it were continued, so its thoughts are right more often than ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ponder.evals.chosen import chosen, switches
from ponder.evals.stats.clusters import percentiles, resamples
from ponder.evals.study import item_of
from ponder.thinking.answers import extract
from ponder.thinking.thoughts import thoughts, underthinking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.evals.stats.intervals import Interval
    from ponder.evals.values import Item
    from ponder.store import RunFile

DRAWS = 2000


class Grader(Protocol):
    """Says whether answers are right; None where nobody can tell."""

    async def grades(self, item: Item, answers: Sequence[str | None]) -> list[bool | None]: ...


@dataclass(frozen=True, slots=True)
class Response:
    """The path that an attempt ended with.

    Args:
        strategy, budget, item: of the attempt.
        right: whether its answer is.
        tokens: sampled on it.
        switches: of thought, that the model made itself; what a strategy wrote ("Wait") is none of its own.
        first: about how many tokens come up to the end of the first right thought; None where none is right.

    """

    strategy: str
    budget: str
    item: str
    right: bool
    tokens: float
    switches: int
    first: float | None


async def responses(run: RunFile, grader: Grader) -> list[Response]:
    """Those of all graded attempts of an evaluation that ended with a path."""
    items = {name: item_of(name, body) for name, body in run.items().items()}
    graded, found = run.grades(), []
    for row in run.attempts():
        right = graded.get(row.id, {}).get("")
        if right is None or row.problem not in items:
            continue
        text, counts, written = chosen(run.events(row.id))
        if not text:
            continue
        item = items[row.problem]
        parts = thoughts(text)
        ends = np.cumsum([len(part) for part in parts]).tolist()
        read = [extract(part, item.problem.kind, choices=item.problem.choices) for part in parts]
        known = await grader.grades(item, read)
        first = next((end for end, ok in zip(ends, known, strict=True) if ok), None)
        found.append(
            Response(
                row.strategy,
                row.budget,
                row.problem,
                right,
                sum(counts),
                switches(text, written),
                None if first is None else sum(counts[:first]),
            )
        )
    return found


def score(wrong: Sequence[Response]) -> tuple[float, Interval]:
    """The underthinking score of wrong responses, with the 95 % interval of resampled items."""
    by_item: dict[str, list[tuple[float, float | None]]] = {}
    for r in wrong:
        by_item.setdefault(r.item, []).append((r.tokens, r.first))
    sums = np.array([underthinking(rs) * len(rs) for rs in by_item.values()])
    sizes = np.array([len(rs) for rs in by_item.values()], dtype=np.float64)
    ones = np.ones(len(sums), dtype=np.int_)
    drawn = np.concatenate([w @ sums / (w @ sizes) for w in resamples(ones, DRAWS, 0)])
    return underthinking([pair for rs in by_item.values() for pair in rs]), percentiles(
        drawn, len(sums), 0.95
    )
