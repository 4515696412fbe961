"""The findings in plain words, made from the data: what compute bought, at what cost, and what did not help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ponder.evals.report import words
from ponder.evals.report.difficulty import families
from ponder.evals.report.markup import Html, clip, tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.evals.report.measures import Findings, Measured, Pair


def headline(f: Findings) -> str:
    """One sentence: the heading of the report."""
    gain = _gain(f)
    if not f.study.outcomes:
        return "Nothing was measured"
    if not f.plain:
        return "Nothing was graded, so nothing can be said of accuracy"
    if len(f.plain) == 1:
        return f"One arm, right on {words.percent(_value(f.plain[0]))} of the problems; nothing to compare it with"
    if gain is None:
        return "The arms share no problem, so they cannot be compared"
    if gain.better:
        bought = f"{words.points(gain.comparison.difference.value).lstrip('+')} points of accuracy"
        return f"{_times(gain)} bought {bought}"
    if any(p.better for p in f.gains):  # the best is held back by chance, another is not
        return "More tokens bought accuracy, though not where it is highest"
    return f"More tokens bought nothing that {words.plural(len(f.items), 'problem')} can show"


def abstract(f: Findings, first: Sequence[Html] = ()) -> list[Html]:
    """The paragraphs below the heading; those that come `first` stand below the warnings."""
    said = [
        tag("p", *_warnings(f), class_="notice") if _warnings(f) else None,
        *first,
        *(
            tag("p", sentence)
            for sentence in (_bought(f), _rest(f), _equal(f), _by_family(f), _errors(f))
            if sentence
        ),
    ]
    return [s for s in said if s]


def _gain(f: Findings) -> Pair | None:
    """The most accurate arm against the cheapest."""
    best = f.best
    if best is f.cheapest:
        best = max((a for a in f.plain if a is not best), key=_value, default=None)
    return next((p for p in f.gains if p.arm is best), None)


def _warnings(f: Findings) -> list[Html | str]:
    if not f.simulated:
        return []
    return [
        tag("span", "Simulation.", class_="sign"),
        " Every figure here comes from a simulated model with chosen chances of being right, not from a language model.",
    ]


def _bought(f: Findings) -> str:
    """What the dearest gain cost and what it is worth."""
    cheapest, gain = f.cheapest, _gain(f)
    if cheapest is None:
        if not f.study.outcomes:
            return "The study holds no outcomes yet. The command below goes on with it."
        return f"{words.plural(len(f.study.outcomes), 'attempt')} made, and no arm without an oracle has a grade."
    base = f"{_name(cheapest)}, is right on {words.estimate(cheapest.accuracy)} of the problems"
    spent = f"{words.number(cheapest.compute)} tokens a problem"
    intervals = "; brackets hold 95 % intervals"
    if gain is None:
        return f"The only arm that can be judged, {base}, for {spent}{intervals}."
    c = gain.comparison
    many = len(f.gains)
    chosen = (
        f" It was picked as the best of {many} arms after the fact, which flatters it." if many > 1 else ""
    )
    if gain.arm is not f.best:
        chosen = " No arm is more accurate than the cheapest."
    return (
        f"The cheapest arm, {base}, for {spent}{intervals}. {_name(gain.arm)} spends {words.times(_ratio(gain))} "
        f"as many, {words.number(c.tokens[0])}, and is right on {words.estimate(gain.arm.accuracy)}: a difference of "
        f"{words.difference(c.difference, ' points')} ({words.p(gain.corrected)} after Holm's correction for all "
        f"comparisons in this report).{chosen}"
    )


def _rest(f: Findings) -> str:
    """How the other arms did against the cheapest; those that did not help are named."""
    gain = _gain(f)
    others = [p for p in f.gains if p is not gain]
    if gain is None or not others:
        return ""
    better = [p for p in others if p.better]
    worse = [p for p in others if p.worse]
    same = [p for p in others if not p.better and not p.worse]
    said = []
    if better:
        said.append(f"{words.plural(len(better), 'further arm')} also gained on it: {_names(better)}.")
    if same:
        was = "was" if len(same) == 1 else "were"
        said.append(f"What did not help, as far as this study can tell, {was} {_names(same)}.")
    if worse:
        said.append(f"Worse than the cheapest: {_names(worse)}.")
    off = [a for a in f.plain if a.number not in f.front]
    if off:
        one = len(off) == 1
        said.append(
            f"{words.plural(len(off), 'arm')} {'lies' if one else 'lie'} off the Pareto front: another arm is at least as "
            f"accurate for no more tokens."
        )
    return " ".join(said)


def _equal(f: Findings) -> str:
    """What is left of it at equal compute."""
    fair = [p for p in f.equals if p.comparison.equal_compute]
    if not fair:
        return ""
    ahead = [p for p in fair if p.better]
    behind = [p for p in fair if p.worse]
    against = fair[0].other.method
    if not ahead and not behind:
        return (
            f"At equal compute, {words.plural(len(fair), 'comparison')} with {against} found no difference that "
            f"chance does not explain."
        )
    said = [f"{_name(p.arm)} is ahead of {_name(p.other)}" for p in ahead]
    said += [f"{_name(p.arm)} is behind {_name(p.other)}" for p in behind]
    return f"At equal compute, {words.listed(said)}."


def _by_family(f: Findings) -> str:
    """The gain in each family, for a mean over families may hide a loss."""
    gain, groups = _gain(f), families(f)
    if gain is None or len(groups) < 2:
        return ""
    found = []
    for name, items in groups:
        one, two = gain.arm.over(items), gain.other.over(items)
        if one and two:
            found.append((one.value - two.value, clip(name, 40)))
    if len(found) < 2:
        return ""
    found.sort(key=lambda pair: -pair[0])
    if len(found) <= 4:
        said = words.listed([f"{words.points(d)} in {name}" for d, name in found])
        return f"By family the difference in points is {said} (Figure 4)."
    (most, top), (least, last) = found[0], found[-1]
    return (
        f"Over {len(found)} families the difference runs from {words.points(least)} points in {last} to "
        f"{words.points(most)} in {top} (Figure 4)."
    )


def _errors(f: Findings) -> str:
    broken = sum(a.errors for a in f.arms)
    if not broken:
        return ""
    share = words.percent(broken / len(f.study.outcomes))
    return f"{words.plural(broken, 'attempt')} of {len(f.study.outcomes):,} ({share}) broke with an error, and count as wrong."


def _times(gain: Pair) -> str:
    ratio = _ratio(gain)
    if ratio < 1.005:
        return "No more tokens"
    if ratio == float("inf"):
        return "Tokens, where there were none,"
    return f"{words.times(ratio).rstrip('×')} times the tokens"


def _ratio(gain: Pair) -> float:
    one, other = gain.comparison.tokens
    return one / other if other else float("inf") if one else 1.0


def _names(pairs: Sequence[Pair]) -> str:
    return words.listed([_name(p.arm) for p in pairs], most=8)


def _name(arm: Measured) -> str:
    return clip(arm.name, 80)


def _value(arm: Measured) -> float:
    return arm.accuracy.value if arm.accuracy else 0.0
