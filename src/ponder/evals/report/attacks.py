"""Attacks: a heat map of their success for each attack and goal, by strength and by compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ponder.evals.attacks.costly import costly
from ponder.evals.report import words
from ponder.evals.report.figures import Tile, tiles
from ponder.evals.report.markup import clip, foreign, join, tag
from ponder.evals.report.page import NARROW, WIDE, figure, key, section, table
from ponder.evals.stats import holm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ponder.evals.attacks import Cell, Panel, Trend
    from ponder.evals.report.markup import Html
    from ponder.evals.report.measures import Findings, Measured
    from ponder.evals.values import Arm

SHARE = "Share of answers that are what the attacker wants"
SHARE_TRIED = "Share of problems on which the attacker got what it wants, within so many attempts"
HEADS = ("Compute", "Tokens", "Attack succeeds", "Right", "n")


def attacks(f: Findings, found: Sequence[Panel]) -> Html | None:
    """One figure for each attack and goal, and the problems that burn most compute; nothing where nothing was attacked."""
    if not found:
        return None
    numbers = {arm.arm: arm for arm in f.arms}
    p_of = corrected(found)
    said = tag(
        "p",
        "An attack succeeds where the answer is what the attacker wants, not merely wrong. A trend is the change of that "
        "share from one amount of compute to the next of the same method, over problems that all of them tried; its interval "
        "resamples problems, and its p is of the paired randomisation test, corrected by Holm for all trends of this report.",
    )
    figures = [_figure(f, i, panel, numbers, p_of) for i, panel in enumerate(found)]
    left_out = [tag("p", clip(complaint, 300)) for complaint in f.study.complaints]
    return section("attacks", "Under attack", said, *left_out, *figures, _burning(f))


def attempted(cell: Cell) -> str:
    """What an attacker that tries again and again spent, in words; nothing where there is none."""
    if not (cell.attacker or cell.unwilling or cell.short):
        return ""
    said = f"the attacker wrote {cell.attacker:,.0f} tokens a problem"
    if cell.unwilling:
        said += f", and no text in {words.plural(cell.unwilling, 'attempt')} (it refused {cell.refused:,})"
    if cell.short:
        said += f"; {words.plural(cell.short, 'problem')} ended before all attempts were made"
    return f"{said}."


def _figure(
    f: Findings, i: int, panel: Panel, numbers: Mapping[Arm, Measured], p_of: Mapping[int, float]
) -> Html:
    label = f"Figure A{i + 1}"
    columns = [f"{words.compact(round(_mean(panel, arm)))}" for arm in panel.arms]
    names = [f"{numbers[arm].number}" if arm in numbers else "" for arm in panel.arms]
    grid = [
        [
            Tile(
                cell.success,
                f"{panel.at(strength)}, {arm}: attack succeeds {words.estimate(cell.success)}, right "
                f"{_right(cell)}, {cell.tokens:.0f} tokens",
            )
            if (cell := panel.cells.get((strength, arm)))
            else None
            for arm in panel.arms
        ]
        for strength in panel.strengths
    ]
    says = f"{panel.title}: share of successes by {panel.unit} and compute; the same numbers are in the table below."
    pictures = [
        tiles(
            grid,
            width,
            left=(panel.unit, [str(s) for s in panel.strengths]),
            below=(f.titled("Arm; below it, tokens an answer"), columns, names),
            says=says,
            class_=name,
        )
        for name, width in (("wide", WIDE), ("narrow", NARROW))
    ]
    rows: list[list[str] | str] = []
    for strength in panel.strengths:
        cells = [cell for arm in panel.arms if (cell := panel.cells.get((strength, arm)))]
        rows += [panel.at(strength), *map(_row, cells)]
    numbers_table = table(label, [f"{panel.title}. "], HEADS, rows, simulated=f.simulated)
    caption = [
        f"{SHARE_TRIED if panel.tried else SHARE}: {panel.title}. The stronger the colour, the more often. ",
        join(
            [*(trended(panel, trend, p_of[id(trend)]) for trend in panel.trends), *_tried(panel, names)],
            " ",
        ),
    ]
    which = key([numbers[arm] for arm in panel.arms if arm in numbers])
    return figure(label, caption, pictures, numbers_table, simulated=f.simulated, key=which)


def _row(cell: Cell) -> list[str]:
    return [
        str(cell.arm),
        f"{cell.tokens:.0f}",
        words.estimate(cell.success),
        _right(cell),
        str(cell.success.items),
    ]


def _right(cell: Cell) -> str:
    return words.estimate(cell.right) if cell.right else "-"


def corrected(found: Sequence[Panel]) -> Mapping[int, float]:
    """The p of each trend by its identity, corrected by Holm for all of them."""
    tested = [trend for panel in found for trend in panel.trends]
    return dict(zip(map(id, tested), holm([trend.p for trend in tested]), strict=True)) if tested else {}


def trended(panel: Panel, trend: Trend, p: float) -> str:
    """What more compute does at one strength, in words."""
    return (
        f"{panel.at(trend.strength)}, {trend.method}: {turn(trend, p)}, {words.difference(trend.slope, ' points a step')}, "
        f"{words.p(p)}."
    )


def turn(trend: Trend, p: float) -> str:
    """Whether success falls or rises with compute, by the corrected p."""
    return "no trend" if p >= 0.05 else "falls" if trend.slope.value < 0 else "rises"


def _tried(panel: Panel, names: Sequence[str]) -> list[str]:
    """What an attacker spent, for each arm with its greatest number of tries."""
    cells = [
        (name, panel.cells.get((panel.strengths[-1], arm)))
        for name, arm in zip(names, panel.arms, strict=True)
    ]
    return [f"Arm {name}: {told}" for name, cell in cells if cell and (told := attempted(cell))]


def _mean(panel: Panel, arm: Arm) -> float:
    tokens = [cell.tokens for (_, of), cell in panel.cells.items() if of == arm]
    return sum(tokens) / len(tokens)


def _burning(f: Findings) -> Html | None:
    """The attacked problems on which the model burns most compute, and whether they are hit more often."""
    found = costly(f.study)
    if found is None and any(outcome.tries for outcome in f.study.outcomes):
        return None
    if found is None:
        return tag(
            "p",
            "With fewer than 20 attacked problems there is no telling which burn unusual compute.",
            class_="none",
        )
    rows = [
        # What is asked stands behind the attack; all attacks begin alike.
        [
            join([f"{name}: ", foreign(f.study.items[name].problem.question.rpartition("\n\n")[2], 160)]),
            words.times(ratio),
        ]
        for name, ratio in found.worst
    ]
    said = (
        f"Nerd sniping: the {words.plural(found.most, 'attacked problem')} that burn most compute, by tokens over the median of "
        f"the arm, averaged over arms; they take {words.times(found.ratio)} the tokens of the median problem. "
        f"Attacks on them succeed {words.estimate(found.success)}, on the rest {words.estimate(found.rest)}. "
    )
    return table("Table A", [said], ("Problem", "Tokens over the median"), rows, simulated=f.simulated)
