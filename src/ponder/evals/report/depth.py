"""Sequential against parallel: one longer chain, or more of them; and what votes over more samples give."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING

from ponder.core.calls import Budget
from ponder.core.errors import UsageError
from ponder.evals.report import words
from ponder.evals.report.figures import Line, Point, curves, scatter
from ponder.evals.report.page import NARROW, PANEL, WIDE, figure, key, named, none, section, table
from ponder.evals.report.plot import Axis, Plot
from ponder.evals.report.scales import powers, shares, spread
from ponder.evals.stats import (
    control,
    equal_compute,
    mean_maj_at_k,
    mean_pass_at_k,
    performance,
    scaling_over_items,
)
from ponder.strategies import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ponder.evals.report.markup import Child, Html
    from ponder.evals.report.measures import Findings, Measured
    from ponder.evals.values import Arm

UNLIKE = 1.5
"""How many times deeper one of two arms at equal compute must be, for the two to say something of depth."""


def widths_and_depths(f: Findings) -> Html:
    """Figures 5 and 6, and tables 1 and 2."""
    return section("depth", "Sequential against parallel", _panels(f), _equal(f), _votes(f), _methods(f))


def _panels(f: Findings) -> Html:
    deep = [a for a in f.graded if _depth(a) > 0]
    wide = [a for a in f.graded if a.samples > 0]
    if not deep or not wide:
        return none("Figure 5 is left out: the study records no sequential depth.")
    ends = [e for a in f.graded if a.accuracy for e in (a.accuracy.interval.low, a.accuracy.interval.high)]
    low, high = shares(ends)
    left = Axis(f.titled("Accuracy"), low, high, lambda v: f"{100 * v:.0f} %")
    pictures = [
        _panel(deep, _depth, "Longest chain, tokens (log)", left, "sequential depth"),
        _panel(wide, lambda a: a.samples, "Samples (log)", left, "number of samples"),
    ]
    rows = [
        [
            named(a),
            words.number(a.compute),
            words.number(_depth(a)),
            words.number(a.samples),
            words.estimate(a.accuracy),
        ]
        for a in f.graded
    ]
    heads = ["Arm", "Tokens", "Longest chain", "Samples", "Accuracy (95 % interval)"]
    return figure(
        "Figure 5",
        [
            (
                "Accuracy against sequential depth (left: the tokens of the longest chain of calls that had to wait for each "
                "other) and against the number of samples (right: tokens charged, in lengths of one candidate). Bars are "
                "95 % intervals; lines join the arms of one method."
            )
        ],
        pictures,
        table("Figure 5", ["The numbers drawn."], heads, rows, simulated=f.simulated),
        simulated=f.simulated,
        key=key(f.graded),
    )


def _panel(
    arms: Sequence[Measured], of: Callable[[Measured], float], axis: str, left: Axis, what: str
) -> Html:
    extent = spread(map(of, arms)) or (1.0, 2.0)
    points = [
        Point(
            of(a),
            a.accuracy,
            a.series,
            str(a.number),
            f"{a.number} {a.name}: {words.estimate(a.accuracy)}, {what} {words.number(of(a))}",
            a.arm.oracle,
        )
        for a in arms
        if a.accuracy
    ]
    plot = Plot(PANEL, 360.0, Axis(axis, *extent, words.compact, log=True), left)
    return scatter(points, plot, says=f"Accuracy against {what}; the same numbers are in the table below.")


def _equal(f: Findings) -> Html:
    """Arms that spent the same tokens in chains of different length."""
    bands = []
    rest = sorted((a for a in f.plain if _depth(a) > 0), key=lambda a: a.compute)
    while rest:
        band = [a for a in rest if equal_compute(a.compute, rest[0].compute)]
        rest = rest[len(band) :]
        if max(map(_depth, band)) >= UNLIKE * min(map(_depth, band)):
            bands.append(sorted(band, key=_depth))
    if not bands:
        return none(
            "Table 1 is left out: no two arms spent equal tokens at different depths, so this study cannot say "
            "whether tokens are better spent in one chain or in several."
        )
    rows: list[Sequence[Child] | str] = []
    for band in bands:
        low, high = (words.number(pick(a.compute for a in band)) for pick in (min, max))
        rows.append(f"{low} to {high} tokens" if low != high else f"{low} tokens")
        rows += [
            [named(a), words.number(_depth(a)), words.number(a.samples), words.estimate(a.accuracy)]
            for a in band
        ]
    return table(
        "Table 1",
        ["Arms that spent the same tokens, within 10 %, in chains of different length: shallow ones first."],
        ["Arm", "Longest chain", "Samples", "Accuracy (95 % interval)"],
        rows,
        simulated=f.simulated,
    )


def _votes(f: Findings) -> Html:
    """maj@k and pass@k of the pool."""
    widest = max(map(len, f.study.samples.values()), default=0)
    full = {item: drawn for item, drawn in f.study.samples.items() if len(drawn) == widest}
    if widest < 2:
        return none("Figure 6 is left out: the study holds no pool of several samples for a problem.")
    ks = powers(widest)
    tokens = sum(t for drawn in full.values() for _, t, _ in drawn) / sum(map(len, full.values()))
    lines = []
    for name, series, of, oracle in (
        ("pass@k (oracle)", 1, mean_pass_at_k, True),
        ("maj@k", 0, mean_maj_at_k, False),
    ):
        ys = [of(full, k) for k in ks]
        says = [f"{name}, k = {k}: {words.estimate(y)}" for k, y in zip(ks, ys, strict=True)]
        lines.append(Line(name, series, ks, ys, says, dashed=oracle))
    oracle_line, vote_line = lines
    low, high = shares(e for line in lines for y in line.ys for e in (y.interval.low, y.interval.high))
    left = Axis(f.titled("Accuracy"), low, high, lambda v: f"{100 * v:.0f} %")
    below = Axis("Samples k (log)", 1 / 1.15, widest * 1.6, words.compact, log=True, ticks=ks)
    left_out = len(f.study.samples) - len(full)
    caption: list[Child] = [
        (
            f"What a vote over k samples gives (maj@k), and whether any of k is right (pass@k), over {words.plural(len(full), 'problem')} "
            f"with {widest} samples each. pass@k is an oracle: nobody can pick the right sample without knowing "
            f"what is right. Both are means over all ways to draw k of the samples; a sample is {words.number(tokens)} "
            f"tokens long on average. Bands are 95 % intervals."
        )
    ]
    if left_out:
        caption.append(f" {words.plural(left_out, 'problem')} with fewer samples left out.")
    rows = [
        [str(k), words.number(k * tokens), words.estimate(maj), words.estimate(best)]
        for k, maj, best in zip(ks, vote_line.ys, oracle_line.ys, strict=True)
    ]
    pictures = [
        curves(
            lines,
            Plot(width, height, below, left),
            says="maj@k and pass@k against k; the same numbers are in the table below.",
            class_=name,
        )
        for name, width, height in (("wide", WIDE, 340.0), ("narrow", NARROW, 290.0))
    ]
    heads = ["k", "Tokens", "maj@k (95 % interval)", "pass@k, oracle (95 % interval)"]
    numbers = table("Figure 6", ["The numbers drawn."], heads, rows, simulated=f.simulated)
    return figure("Figure 6", caption, pictures, numbers, simulated=f.simulated)


def _methods(f: Findings) -> Html:
    """s1's Control, Scaling and Performance of each method that ran with several settings."""
    rows: list[Sequence[Child]] = []
    for name, group in groupby(sorted(f.plain, key=lambda a: a.method), key=lambda a: a.method):
        runs = list(group)
        shared = [i for i in f.items if all(i in a.right for a in runs)]
        if len(runs) < 2 or not shared:
            continue
        spent, good = (
            [[sum(v[i]) / len(v[i]) for v in values] for i in shared]
            for values in ([a.spent for a in runs], [a.right for a in runs])
        )
        slope = scaling_over_items(spent, good)
        between = (
            f" ({slope.interval.low:+.1f} to {slope.interval.high:+.1f})".replace("-", "−")
            if slope.interval and math.isfinite(slope.interval.low)
            else ""
        )
        best = performance([a.accuracy.value for a in runs if a.accuracy])
        kept = _control(runs)
        rows.append(
            [
                name,
                str(len(runs)),
                words.NOTHING if kept is None else words.percent(kept),
                f"{slope.points:+.1f}".replace("-", "−") + between if slope.pairs else words.NOTHING,
                words.percent(best),
            ]
        )
    if not rows:
        return none("Table 2 is left out: no method ran with more than one setting or budget.")
    return table(
        "Table 2",
        [
            (
                "How well each method turns tokens into accuracy, over its settings and budgets, by the three figures of s1 "
                "(Muennighoff et al. 2025, section 3.2). Control: the share of attempts that kept to what was asked, thinking tokens where the "
                "method asks for those, else to their budget of tokens. "
                "Scaling: the mean slope between two runs, in percentage points per 1000 tokens, with 95 % interval. "
                "Performance: the best run, which flatters a method with many."
            )
        ],
        ["Method", "Runs", "Control", "Scaling", "Performance"],
        rows,
        simulated=f.simulated,
    )


def _control(runs: Sequence[Measured]) -> float | None:
    """Of thinking tokens for a method that limits or asks for those, else of all that its budget counts."""
    used, most = [], []
    for a in runs:
        thinking, limit = _limit(a.arm)
        if limit is None:
            continue
        for o in a.outcomes:
            used.append(o.thinking if thinking and o.thinking is not None else o.usage.completion)
            most.append(limit)
    return control(used, 0, most) if used else None


def _limit(arm: Arm) -> tuple[bool, int | None]:
    """Whether it is one of thinking tokens, and the limit."""
    try:
        asked: int | None = getattr(parse(arm.strategy), "asked", None)
        return (True, asked) if asked is not None else (False, Budget.parse(arm.budget).tokens)
    except UsageError:  # such as "unlimited", or a strategy of another version
        return False, None


def _depth(arm: Measured) -> float:
    return arm.mean(lambda o: o.depth)
