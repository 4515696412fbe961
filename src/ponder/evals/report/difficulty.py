"""Accuracy by difficulty and by family: a mean over unlike problems hides more than it says."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from ponder.evals.report import words
from ponder.evals.report.figures import Point, Row, rows
from ponder.evals.report.markup import clip, shorten
from ponder.evals.report.page import NARROW, WIDE, figure, key, named, none, section, table
from ponder.evals.report.plot import Axis
from ponder.evals.report.scales import shares

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ponder.evals.report.markup import Child, Html
    from ponder.evals.report.measures import Findings, Measured

    Groups = Sequence[tuple[str, Sequence[str]]]

BINS, LEVELS, LEAST, DRAWN = 5, 8, 20, 12
"""Bins of difficulty at most, levels that are shown as they are, items that can be divided, rows of a figure."""


def divided(f: Findings) -> Html:
    """Figures 3 and 4."""
    title = "By difficulty and by family"
    if not f.graded:
        return section("difficulty", title, none("Left out: no attempt has a grade."))
    groups, how = difficulty(f)
    hard = (
        _figure(f, "Figure 3", groups, ["Accuracy by difficulty. ", how, " "], "difficulty")
        if len(groups) > 1
        else none(f"Figure 3 is left out: {how}")
    )
    kinds = families(f)
    if len(kinds) > 1:
        kind = _figure(
            f,
            "Figure 4",
            kinds,
            ["Accuracy by family of problems. No mean over families stands in for these. "],
            "family",
        )
    else:
        only = f" ({clip(kinds[0][0], 60)})" if kinds and kinds[0][0] else ""
        kind = none(f"Figure 4 is left out: all problems are of one family{only}.")
    return section("difficulty", title, hard, kind)


def families(f: Findings) -> Groups:
    """(name, items) of each family, or of each task where families are not named; largest first."""
    found: dict[str, list[str]] = defaultdict(list)
    for item in f.items:
        known = f.study.items.get(item)
        found[(known.family or known.task or "other") if known else "other"].append(item)
    return sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0]))


def difficulty(f: Findings) -> tuple[Groups, str]:
    """(name, items) from easy to hard, and how they were divided.

    By the levels that tasks state, where all do. Else by how often samples of the pool were right (METHODS 3.10,
    oracle difficulty), and where there is no pool by the accuracy of the cheapest arm.
    """
    levels = {item: f.study.items[item].level for item in f.items if item in f.study.items}
    stated = {item: level for item, level in levels.items() if level is not None}
    if f.items and len(stated) == len(f.items):
        if len(set(stated.values())) <= LEVELS:
            return _levels(stated), "Levels are those that the tasks state."
        return _bins(
            {item: -v for item, v in stated.items()}, "level", -1
        ), "Bins of the levels that the tasks state."
    pool = {item: _share(f.study.samples[item]) for item in f.items if f.study.samples.get(item)}
    if pool and len(pool) == len(f.items):
        groups = _bins(pool, "right", 100)
        how = "Problems are divided by the share of the pool's samples that were right."
    elif f.cheapest is not None:
        mean = {item: sum(v) / len(v) for item, v in f.cheapest.right.items()}
        groups = _bins(mean, "right", 100)
        name = clip(f.cheapest.name, 60)
        how = (
            f"Problems are divided by the accuracy of {name}; its own figures are therefore divided by luck too, and "
            "should not be compared with the others'."
        )
    else:
        return [], "no level is stated, and there is no arm to divide the problems by."
    if len(groups) < 2:
        return groups, f"with {words.plural(len(f.items), 'problem')} there is nothing to divide."
    return groups, how


def _levels(stated: Mapping[str, float]) -> Groups:
    found: dict[float, list[str]] = defaultdict(list)
    for item, level in stated.items():
        found[level].append(item)
    return [(f"level {level:g}", found[level]) for level in sorted(found)]


def _bins(easiness: Mapping[str, float], what: str, unit: int) -> Groups:
    """Bins of about equally many items, easiest first; items that are equally easy stay together."""
    by_value: dict[float, list[str]] = defaultdict(list)
    for item, value in easiness.items():
        by_value[value].append(item)
    wanted = min(BINS, len(by_value), len(easiness) // (LEAST // 2))
    if len(easiness) < LEAST or wanted < 2:
        return []
    bins: list[list[float]] = [[]]
    seen = 0
    for value in sorted(by_value, reverse=True):
        if bins[-1] and seen >= len(easiness) * len(bins) / wanted - 1e-9:
            bins.append([])
        bins[-1].append(value)
        seen += len(by_value[value])
    percent = f"{words.THIN}%" if unit == 100 else ""
    named = []
    for i, values in enumerate(bins):
        ends = sorted({f"{unit * v:.3g}" for v in (values[0], values[-1])}, key=float)
        place = "easiest" if i == 0 else "hardest" if i == len(bins) - 1 else ""
        said = f"{what} {' to '.join(ends)}" if unit == -1 else f"{' to '.join(ends)}{percent} {what}"
        named.append((", ".join(filter(None, [place, said])), [i for v in values for i in by_value[v]]))
    return named


def _share(samples: Sequence[tuple[str, int, bool]]) -> float:
    return sum(right for _, _, right in samples) / len(samples)


def _figure(f: Findings, label: str, groups: Groups, caption: list[Child], by: str) -> Html:
    drawn = groups[:DRAWN]
    shown = f.shown or f.graded[:6]
    group_rows = [
        Row(
            f"{shorten(name, 28)} ({words.plural(len(items), 'problem')})",
            [p for a in shown if (p := _point(a, name, items))],
        )
        for name, items in drawn
    ]
    ends = [end for g in group_rows for p in g.marks for end in (p.y.interval.low, p.y.interval.high)]
    low, high = shares(ends)
    axis = Axis(f.titled("Accuracy"), low, high, lambda v: f"{100 * v:.0f} %")
    said = f"Accuracy by {by}, {len(drawn)} groups; the same numbers are in the table below."
    caption = [*caption, "Bars are 95 % intervals."]
    if len(shown) < len(f.graded):
        caption.append(f" Drawn are {len(shown)} arms on or near the Pareto front; the table has all.")
    if len(drawn) < len(groups):
        caption.append(f" Drawn are the {DRAWN} largest groups of {len(groups)}; the table has all.")
    pictures = [
        rows(group_rows, width, axis, says=said, class_=name)
        for name, width in (("wide", WIDE), ("narrow", NARROW))
    ]
    heads = ["Arm", *(f"{clip(name, 60)} (n = {len(items)})" for name, items in groups)]
    cells = [[named(a), *(words.estimate(a.over(items)) for _, items in groups)] for a in f.graded]
    numbers = table(label, ["Accuracy (95 % interval) of every arm."], heads, cells, simulated=f.simulated)
    return figure(label, caption, pictures, numbers, simulated=f.simulated, key=key(shown))


def _point(arm: Measured, group: str, items: Sequence[str]) -> Point | None:
    accuracy = arm.over(items)
    if accuracy is None:
        return None
    said = f"{arm.number} {arm.name}, {group}: {words.estimate(accuracy)}"
    return Point(0.0, accuracy, arm.series, str(arm.number), said, arm.arm.oracle)
