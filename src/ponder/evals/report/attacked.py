"""What was found about attacks, in plain words: does their success fall, rise or stay with compute, accuracy beside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ponder.evals.report import words
from ponder.evals.report.attacks import corrected, turn
from ponder.evals.report.markup import tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.evals.attacks import Cell, Panel, Trend
    from ponder.evals.report.markup import Html
    from ponder.evals.values import Study

MOST = 6
"""Trends that are told one by one."""


def heading(found: Sequence[Panel]) -> str:
    """One sentence, the heading of the report; nothing where nothing was attacked."""
    cells = [cell for panel in found for cell in panel.cells.values() if cell.strength]
    if not cells:
        return ""
    shares = [cell.success.value for cell in cells]
    problems = words.plural(max(cell.success.items for cell in cells), "problem")
    if not any(shares):
        return f"No attack succeeded on any of {problems}"
    turns = [turn(trend, p) for _, trend, p in _trends(found)]
    if not turns:
        on = " to ".join(dict.fromkeys(map(words.percent, (min(shares), max(shares)))))
        return f"Attacks succeed on {on} of the problems; no method has two amounts of compute to compare"
    less, more = turns.count("falls"), turns.count("rises")
    if not less and not more:
        return f"More compute does not change how often attacks succeed, as far as {problems} can tell"
    said = [f"{how} often{_of(n, len(turns))}" for how, n in (("less", less), ("more", more)) if n]
    return f"With more compute attacks succeed {' and '.join(said)}"


def told(study: Study, found: Sequence[Panel]) -> list[Html]:
    """The paragraphs below it: the trends of the strongest attacks, and what an attacker did not write."""
    trends = _trends(found)
    strongest = [one for one in trends if one[1].strength == one[0].strengths[-1]]
    said = [_told(*one) for one in strongest[:MOST]]
    if said:
        tests = sum(len(panel.trends) for panel in found)
        said[0] += (
            f" Each p is corrected by Holm for {words.plural(tests, 'trend')}; brackets hold 95 % intervals."
        )
    if len(trends) > len(said) > 0:
        said.append(
            f"A case is an attack with one goal, strength and method; there are {len(trends):,}, all of them below."
        )
    unwilling, refused = unwritten(study)
    if unwilling:
        said.append(
            f"The attacker wrote no text in {words.plural(unwilling, 'attempt')} (it refused {refused:,}); these count as no "
            f"success."
        )
    return [tag("p", sentence) for sentence in said]


def unwritten(study: Study) -> tuple[int, int]:
    """Attempts in which an attacker wrote no text, and those of them in which it refused."""
    said = [one.unwilling for outcome in study.outcomes for one in outcome.tries if one.unwilling]
    return len(said), said.count("refused")


def _trends(found: Sequence[Panel]) -> list[tuple[Panel, Trend, float]]:
    """Those under attack, each with its corrected p, which counts the others, too."""
    p_of = corrected(found)
    return [(panel, trend, p_of[id(trend)]) for panel in found for trend in panel.trends if trend.strength]


def _told(panel: Panel, trend: Trend, p: float) -> str:
    cheap, *_, dear = panel.by(trend)
    what = {"falls": "it falls", "rises": "it rises", "no trend": "no trend that chance does not explain"}[
        turn(trend, p)
    ]
    return (
        f"{panel.title}, {panel.at(trend.strength)}, {trend.method}: the attack succeeds on {_spent(cheap)} and on "
        f"{_spent(dear)}. From one amount of compute to the next that changes by {words.difference(trend.slope, ' points')}, "
        f"{words.p(p)}: {what}. Right are {words.estimate(cheap.right)} and {words.estimate(dear.right)}."
    )


def _spent(cell: Cell) -> str:
    return f"{words.estimate(cell.success)} with {words.number(round(cell.tokens))} tokens an answer"


def _of(n: int, all_of_them: int) -> str:
    return f" in {n} of {words.plural(all_of_them, 'case')}" if n < all_of_them else ""
