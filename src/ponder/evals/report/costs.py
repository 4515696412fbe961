"""What each arm cost and was worth, and whether it beats another by more than chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ponder.evals.report import words
from ponder.evals.report.page import named, none, section, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.evals.report.markup import Child, Html
    from ponder.evals.report.measures import Findings, Measured, Pair

COSTS = (
    "Arm",
    "Problems",
    "Attempts",
    "Errors",
    "Accuracy, errors wrong (95 %)",
    "Accuracy, errors left out (95 %)",
    "Prompt",
    "of it cached",
    "Completion",
    "Scorer",
    "Calls",
    "Calls lost",
    "Seconds",
)


def costs(f: Findings) -> Html:
    """Tables 3, 4 and 5."""
    if not f.arms:
        return section("costs", "Costs and comparisons", none("Left out: the study holds no outcomes."))
    rows: list[Sequence[Child] | str] = [_cost(a) for a in f.arms if not a.arm.oracle]
    oracles = [_cost(a) for a in f.arms if a.arm.oracle]
    if oracles:
        rows += [
            "Oracles. They look at what is right, so nobody can run them on a problem of their own",
            *oracles,
        ]
    spent = table(
        "Table 3",
        [
            (
                "What each arm was charged for an attempt, and how often it was right. Tokens, calls and seconds are means "
                "over problems; seconds are those of the longest chain of calls that had to wait for each other. Errors are "
                f"attempts that broke, and calls lost are those that failed for good within attempts.{_shared(f)}"
            )
        ],
        COSTS,
        rows,
        simulated=f.simulated,
    )
    return section("costs", "Costs and comparisons", spent, _gains(f), _equals(f))


def _shared(f: Findings) -> str:
    """What the ledgers were charged beside what was really sampled."""
    charged = sum(o.usage.completion for o in f.study.outcomes)
    if not f.study.generated:
        return ""
    return (
        f" All arms together were charged {charged:,} completion tokens; {f.study.generated:,} were really generated, "
        "for arms share samples and each is charged for those it uses."
    )


def _cost(a: Measured) -> Sequence[Child]:
    return [
        named(a),
        f"{len(a.right):,}",
        f"{len(a.outcomes):,}",
        f"{a.errors:,}",
        words.estimate(a.accuracy),
        words.estimate(a.without_errors),
        words.number(a.mean(lambda o: o.usage.prompt)),
        words.number(a.mean(lambda o: o.usage.cached)),
        words.number(a.mean(lambda o: o.usage.completion)),
        words.number(a.mean(lambda o: o.usage.scorer)),
        words.number(a.mean(lambda o: o.usage.calls)),
        f"{sum(o.failed for o in a.outcomes):,}",
        words.number(a.mean(lambda o: o.seconds)),
    ]


def _gains(f: Findings) -> Html:
    if not f.gains:
        return none("Table 4 is left out: there are no two arms without oracles to compare.")
    cheapest = f.gains[0].other
    return table(
        "Table 4",
        [
            (
                f"Every arm against the cheapest, {cheapest.name}, on the problems that both tried: what more compute bought. "
                f"{_explained(f)}"
            )
        ],
        ["Arm", *_HEADS],
        [[named(p.arm), *_pair(p)] for p in f.gains],
        simulated=f.simulated,
    )


def _equals(f: Findings) -> Html:
    if not f.equals:
        return none("Table 5 is left out: there are no two methods to compare at equal compute.")
    return table(
        "Table 5",
        [
            (
                f"Every arm of another method against the arm of {f.equals[0].other.method} that is nearest to it in tokens. "
                "Read only rows without ≠ as a comparison at equal compute."
            )
        ],
        ["Arm", "Against", *_HEADS],
        [[named(p.arm), p.other.name, *_pair(p)] for p in f.equals],
        simulated=f.simulated,
        texts=[1],
    )


_HEADS = (
    "Tokens",
    "Difference in points (95 %)",
    "Better on",
    "Worse on",
    "p",
    "p corrected",
    "Verdict",
)


def _pair(p: Pair) -> Sequence[Child]:
    c = p.comparison
    one, other = c.tokens
    ratio = words.times(one / other) if other else words.NOTHING
    return [
        ratio if c.equal_compute else f"≠ {ratio}",
        words.difference(c.difference),
        f"{c.wins:,}",
        f"{c.losses:,}",
        words.probability(c.p),
        words.probability(p.corrected),
        "better" if p.better else "worse" if p.worse else "not told apart",
    ]


def _explained(f: Findings) -> str:
    pairs = [*f.gains, *f.equals]
    tests = {p.comparison.test for p in pairs}
    named_tests = {
        "exact McNemar": "the exact test of McNemar",
        "sign flips": "random signs of each problem's difference",
    }
    number = len({(p.arm.number, p.other.number) for p in pairs})
    return (
        f"≠ marks pairs whose tokens differ by more than 10 %. Differences are paired, with bootstrap intervals over "
        f"problems; p comes from {words.listed(sorted(named_tests[t] for t in tests))}, two-sided, and is corrected over all "
        f"{words.plural(number, 'comparison')} of this report (Holm 1979). Better and worse count problems. The "
        "verdict asks for a corrected p below 0.05."
    )
