"""How long right and wrong answers are, and how accuracy goes with length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ponder.evals.report import words
from ponder.evals.report.back_to_back import back_to_back
from ponder.evals.report.figures import Line, curves
from ponder.evals.report.page import NARROW, WIDE, figure, none, section, table
from ponder.evals.report.plot import Axis, Plot
from ponder.evals.report.scales import shares
from ponder.evals.stats import accuracy, length_and_accuracy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.evals.report.markup import Child, Html
    from ponder.evals.report.measures import Findings
    from ponder.evals.stats import Estimate, LengthAndAccuracy
    from ponder.evals.stats.lengths import Spread

    Answers = Sequence[tuple[str, float, bool]]

BINS, PARTS, LEAST = 24, 8, 40
"""Bins of a distribution, parts of the length axis, and answers that are worth either."""


def answer_lengths(f: Findings) -> Html:
    """Figures 7 and 8."""
    title = "Length of answers"
    answers, what = _answers(f)
    if len(answers) < LEAST or len({t for _, t, _ in answers}) < 2:
        return section(
            "lengths",
            title,
            none(
                f"Figures 7 and 8 are left out: {words.plural(len(answers), 'answer')} with length and grade."
            ),
        )
    lengths: dict[str, list[float]] = {}
    right: dict[str, list[float]] = {}
    for item, tokens, ok in answers:
        lengths.setdefault(item, []).append(tokens)
        right.setdefault(item, []).append(float(ok))
    together = length_and_accuracy(lengths, right)
    return section(
        "lengths", title, _distributions(f, answers, what, together), _against(f, answers, what, together)
    )


def _answers(f: Findings) -> tuple[Answers, str]:
    """(item, tokens, right) of each sample of the pool; without a pool, of each attempt's mean candidate."""
    pool = [(item, float(t), ok) for item, drawn in f.study.samples.items() for _, t, ok in drawn]
    if pool:
        return pool, "samples of the pool"
    # `right` and not `outcomes`: what broke has no answer to measure.
    return [
        (o.item, o.length, o.correct)
        for a in f.plain
        for o in a.outcomes
        if o.correct is not None and o.length > 0
    ], "attempts, each with the mean length of its candidates"


def _distributions(f: Findings, answers: Answers, what: str, together: LengthAndAccuracy) -> Html:
    top = _upper([t for _, t, _ in answers])
    right, wrong = ([int(t / top * BINS) for _, t, ok in answers if ok is wanted] for wanted in (True, False))
    pictures = back_to_back(
        f,
        right,
        wrong,
        BINS,
        Axis("Tokens of an answer", 0.0, top, words.compact),
        says="Lengths of right answers above the line and of wrong ones below; quantiles are in the table below.",
        medians=(
            together.right.median if together.right else None,
            together.wrong.median if together.wrong else None,
        ),
    )
    heads = ["Answers", "n", "Mean", "Tenth", "Median", "Nine tenths"]
    rows = [
        [name, *_quantiles(spread)] for name, spread in (("right", together.right), ("wrong", together.wrong))
    ]
    caption = [f"Lengths of right and wrong answers: {what}."]
    if any(t > top for _, t, _ in answers):
        caption.append(" The last bin holds all that are longer.")
    return figure(
        "Figure 7",
        caption,
        pictures,
        table("Figure 7", ["Completion tokens of an answer."], heads, rows, simulated=f.simulated),
        simulated=f.simulated,
    )


def _against(f: Findings, answers: Answers, what: str, together: LengthAndAccuracy) -> Html:
    parts = _parts(answers)
    middles = [sum(t for _, t, _ in part) / len(part) for part in parts]
    values = [_accuracy(part) for part in parts]
    said = [
        f"{words.number(part[0][1])} to {words.number(part[-1][1])} tokens: {words.estimate(e)}"
        for part, e in zip(parts, values, strict=True)
    ]
    low, high = shares(end for e in values for end in (e.interval.low, e.interval.high))
    left = Axis(f.titled("Accuracy"), low, high, lambda v: f"{100 * v:.0f} %")
    below = Axis("Tokens of an answer", 0.0, middles[-1] * 1.12, words.compact)
    pictures = [
        curves(
            [Line("", 0, middles, values, said)],
            Plot(width, height, below, left),
            says="Accuracy against the length of an answer; the same numbers are in the table below.",
            class_=name,
        )
        for name, width, height in (("wide", WIDE, 320.0), ("narrow", NARROW, 280.0))
    ]
    rows = [
        [
            f"{words.number(part[0][1])} to {words.number(part[-1][1])}",
            f"{len(part):,}",
            words.number(middle),
            words.estimate(e),
        ]
        for part, middle, e in zip(parts, middles, values, strict=True)
    ]
    heads = ["Tokens", "n", "Mean", "Accuracy (95 % interval)"]
    caption: list[Child] = [
        f"Accuracy against length, in {len(parts)} parts of about equally many answers ({what}). ",
        (
            f"Correlation of length with being right: {_correlation(together.point_biserial)}; of their ranks: "
            f"{_correlation(together.spearman)}; among answers to the same problem: {_correlation(together.within)}. "
            "Only the last is free of hard problems getting long answers. The band is a 95 % interval."
        ),
    ]
    numbers = table("Figure 8", ["The numbers drawn."], heads, rows, simulated=f.simulated)
    return figure("Figure 8", caption, pictures, numbers, simulated=f.simulated)


def _parts(answers: Answers) -> list[Answers]:
    """Parts of about equally many answers, short to long; equal lengths stay together."""
    ordered = sorted(answers, key=lambda a: a[1])
    wanted = min(PARTS, len(ordered) // (LEAST // 2))
    parts: list[list[tuple[str, float, bool]]] = [[]]
    for i, answer in enumerate(ordered):
        full = i >= len(ordered) * len(parts) / wanted
        if full and answer[1] > parts[-1][-1][1]:
            parts.append([])
        parts[-1].append(answer)
    return list(parts)


def _accuracy(part: Answers) -> Estimate:
    right: dict[str, list[float]] = {}
    for item, _, ok in part:
        right.setdefault(item, []).append(float(ok))
    return accuracy(right)


def _upper(lengths: Sequence[float]) -> float:
    """Where the axis ends: at the longest, or a little beyond nearly all of them where a few are far longer."""
    ordered = sorted(lengths)
    return min(ordered[-1], 1.25 * ordered[int(0.985 * (len(ordered) - 1))]) * 1.0001


def _quantiles(spread: Spread | None) -> list[str]:
    if spread is None:
        return ["0", *[words.NOTHING] * 4]
    return [f"{spread.attempts:,}", *map(words.number, (spread.mean, spread.low, spread.median, spread.high))]


def _correlation(e: Estimate | None) -> str:
    if e is None:
        return "not defined"
    return f"{e.value:+.2f} ({e.interval.low:+.2f} to {e.interval.high:+.2f})".replace("-", "−")
