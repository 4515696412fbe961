"""What a calibration found: what to use within each budget, and what choosing by difficulty is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ponder.evals.calibration import asked
from ponder.evals.report import words
from ponder.evals.report.figures import Line, curves
from ponder.evals.report.markup import clip, tag
from ponder.evals.report.page import NARROW, WIDE, figure, section, table
from ponder.evals.report.plot import Axis, Plot
from ponder.evals.report.scales import shares, spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.evals.calibration import Figure, Figures
    from ponder.evals.report.markup import Html

ORACLE = "oracle: the best of each difficulty, in hindsight"


CLOSE = 0.005
"""Shares that are taken to be the same: half a point, as calibration has it."""


def heading(judged: Sequence[Figures]) -> str:
    """The heading of a report of a calibration: the fewest tokens that are as good as any."""
    most = max(one.use.right.value for one in judged)
    use = min(
        (one.use for one in judged if one.use.right.value >= most - CLOSE), key=lambda figure: figure.tokens
    )
    return f"{words.percent(use.right.value)} right, for {words.number(use.tokens)} tokens a question"


def calibrated(judged: Sequence[Figures], enough: str, *, simulated: bool) -> Html:
    """The table of a calibration, and accuracy against tokens; what knows the answers is marked.

    Args:
        judged: of each budget.
        enough: from which budget on more compute buys nothing, in words.
        simulated: whether the model is a simulation.

    """
    heads = [
        "At most",
        "Use",
        "Expect (95 % interval)",
        "Tokens",
        "Auto less best single, points",
        "Majority vote",
    ]
    rows = [
        [
            f"{one.budget:,}",
            clip((one.strategy or "auto").partition(":")[0], 60),
            words.estimate(one.use.right),
            words.number(one.use.tokens),
            words.difference(one.over_single.difference),
            words.estimate(one.majority.right),
        ]
        for one in judged
    ]
    says = (
        f"{enough} By tokens a question. Each half of the problems was judged by what the other half taught. Of the policy "
        "(auto) and the best single strategy the one is named that is better beyond chance, else the cheaper one."
    )
    unsettled = [one.budget for one in judged if one.use is one.single and not one.settled]
    if unsettled:
        says += (
            f" At {words.at(unsettled)} tokens either half preferred another strategy: what is best is not settled, and "
            "what is expected is expected of choosing so."
        )
    return section(
        "calibration",
        "What to use",
        table("Calibration", [says], heads, rows, simulated=simulated, texts=(1,)),
        tag("p", "In full, for a budget of tokens a question:"),
        tag("ul", [_in_full(strategy, budgets) for strategy, budgets in asked(judged).items()]),
        _picture(judged, simulated=simulated),
    )


def _in_full(strategy: str | None, budgets: Sequence[int]) -> Html:
    return tag(
        "li", f"{words.at(budgets)}: ", tag("code", clip(strategy or "auto, which asks a probe first", 400))
    )


def _picture(judged: Sequence[Figures], *, simulated: bool) -> Html:
    kinds: list[tuple[str, list[Figure], bool]] = [
        ("auto", [one.auto for one in judged], False),
        ("best single strategy", [one.single for one in judged], False),
        ("majority vote", [one.majority for one in judged], False),
        (ORACLE, [one.oracle for one in judged], True),
    ]
    lines = [
        Line(
            name.partition(":")[0],
            series,
            [f.tokens for f in found],
            [f.right for f in found],
            [
                f"{name}, {clip(f.name, 120)}: {words.estimate(f.right)}, {words.number(f.tokens)} tokens"
                for f in found
            ],
            dashed=oracle,
        )
        for series, (name, found, oracle) in enumerate(kinds)
    ]
    extent = spread(f.tokens for _, found, _ in kinds for f in found) or (1.0, 2.0)
    low, high = shares(e for line in lines for y in line.ys for e in (y.interval.low, y.interval.high))
    left = Axis("Accuracy (simulated)" if simulated else "Accuracy", low, high, lambda v: f"{100 * v:.0f} %")
    below = Axis("Tokens per problem (log)", *extent, words.compact, log=True)
    says = "Accuracy against tokens of the policy, the best single strategy and the vote, and of the oracle."
    pictures = [
        curves(lines, Plot(width, height, below, left), says=says, class_=name)
        for name, width, height in (("wide", WIDE, 400.0), ("narrow", NARROW, 330.0))
    ]
    rows = [
        [f"{name} @ {one.budget:,}", words.number(f.tokens), words.estimate(f.right), clip(f.name, 120)]
        for name, found, _ in kinds
        for one, f in zip(judged, found, strict=True)
    ]
    numbers = table(
        "Frontier",
        ["The numbers drawn."],
        ["Choice", "Tokens", "Accuracy (95 % interval)", "Strategy"],
        rows,
        simulated=simulated,
        texts=(3,),
    )
    caption = [
        f"{says} Bands are 95 % intervals. Dashed is the {ORACLE}: it knows the answers, and is no method."
    ]
    return figure("Frontier", caption, pictures, numbers, simulated=simulated)
