"""Problems worth reading: the worst, the best, and those where compute made the difference; with traces, folded."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ponder.evals.report import words
from ponder.evals.report.markup import block, clip, foreign, tag
from ponder.evals.report.page import named, none, section
from ponder.evals.stats import broke

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ponder.evals.report.markup import Child, Html
    from ponder.evals.report.measures import Findings, Measured
    from ponder.evals.values import Outcome

EACH, ANSWERS, TRACE = 5, 4, 8000
"""Problems in a list, different answers shown of an arm, characters of a trace."""


@dataclass(slots=True)
class Room:
    """Bytes that are left for traces, and what did not fit into them."""

    left: int
    refused: int = 0

    def takes(self, drawn: Html) -> bool:
        """Whether it fits; then it is paid for."""
        size = len(drawn.encode("utf-8", "replace"))
        if size > self.left:
            self.refused += 1
            return False
        self.left -= size
        return True


def problems(f: Findings, traces: Mapping[str, str], room: Room) -> Html:
    """The lists, each problem with what was answered and how it was reached."""
    title = "Problems worth reading"
    if not f.plain:
        return section("problems", title, none("Left out: no attempt has a grade."))
    share = {item: s for item in f.items if (s := _share(f, item)) is not None}
    spent = {item: sum(sum(a.spent.get(item, [])) for a in f.plain) for item in share}
    lists: list[tuple[str, Sequence[str]]] = [
        ("Worst", sorted(share, key=lambda i: (share[i], -spent[i]))[:EACH]),
        ("Best", sorted(share, key=lambda i: (-share[i], spent[i]))[:EACH]),
    ]
    if f.cheapest and f.best and f.best is not f.cheapest:
        gain = {i: g for i in share if (g := _gain(f.cheapest, f.best, i)) is not None}
        lists[1:1] = [
            (
                "Where compute helped most",
                [i for i in sorted(gain, key=lambda i: -gain[i]) if gain[i] > 0][:EACH],
            ),
            (
                "Where compute hurt most",
                [i for i in sorted(gain, key=lambda i: gain[i]) if gain[i] < 0][:EACH],
            ),
        ]
    done: set[str] = set()
    parts: list[Child] = [
        tag(
            "p",
            "Open a problem to see what was asked, what is right, and what was answered"
            + (", with the tree of an attempt." if traces else ". The study came without traces."),
        )
    ]
    for heading, items in lists:
        fresh = [i for i in items if i not in done]
        done.update(fresh)
        parts.append(tag("h3", heading))
        parts += [_problem(f, item, share[item], traces, room) for item in fresh] or [
            none("None that is not shown already.")
        ]
    if room.refused:
        parts.append(none(f"{words.plural(room.refused, 'trace')} left out to keep this file small."))
    return section("problems", title, *parts)


def _problem(f: Findings, item: str, share: float, traces: Mapping[str, str], room: Room) -> Html:
    known = f.study.items.get(item)
    question = known.problem.question if known else ""
    about = filter(None, (known.task, known.family if known.family != known.task else "") if known else ())
    level = f"level {known.level:g}" if known and known.level is not None else ""
    inside: list[Child] = [
        tag(
            "p",
            " · ".join(filter(None, [clip(item, 80), *(clip(a, 60) for a in about), level])),
            class_="note",
        ),
        block(question) if question else none("The study does not hold the question."),
        tag("p", "Right: ", foreign(known.gold)) if known and known.gold is not None else None,
        _answers(f, item),
        *_traces(f, item, traces, room),
    ]
    return tag(
        "details",
        tag(
            "summary",
            f"{words.percent(share)} right. ",
            foreign(question or item, 110),
        ),
        tag("div", inside),
        class_="problem",
    )


def _answers(f: Findings, item: str) -> Html:
    """What each of the shown arms answered, most frequent first, ✓ where it was right."""
    lines = []
    for a in f.shown:
        found = [o for o in a.outcomes if o.item == item]
        counts = Counter((_answer(o), o.correct is True, broke(o)) for o in found)
        said: list[Child] = []
        for (answer, right, broken), n in counts.most_common(ANSWERS):
            sign = "error: " if broken else "✓ " if right else "✗ "
            said += ["; " if said else None, sign, foreign(answer, 120), f" ({n} times)" if n > 1 else None]
        if len(counts) > ANSWERS:
            said.append(f"; and {len(counts) - ANSWERS} other answers")
        if said:
            lines.append(tag("li", tag("span", named(a), ": "), said))
    return tag("ul", lines, class_="answers")


def _answer(o: Outcome) -> str:
    if broke(o):
        return clip(o.error or "no reason given", 120)
    return "no answer" if o.answer is None else clip(o.answer, 400)


def _traces(f: Findings, item: str, traces: Mapping[str, str], room: Room) -> list[Html]:
    """The tree of one attempt of the best arm; and, if that was right, of one that was wrong, and the reverse."""
    made = [(a, o) for a in reversed(f.plain) for o in a.outcomes if o.item == item and o.attempt in traces]
    made.sort(key=lambda pair: pair[0] is not f.best)
    first = made[:1]
    other = [pair for pair in made if first and (pair[1].correct is True) != (first[0][1].correct is True)][
        :1
    ]
    drawn = []
    for a, o in [*first, *other]:
        sign = "broke" if broke(o) else "right" if o.correct else "wrong"
        tree = tag(
            "details",
            tag("summary", f"Trace of {a.number} {clip(a.name, 80)}, seed {o.seed}: {sign}"),
            tag("pre", clip(traces[o.attempt], TRACE), class_="trace said", tabindex=0),
        )
        if room.takes(tree):
            drawn.append(tree)
    return drawn


def _share(f: Findings, item: str) -> float | None:
    """Mean over arms of the share of right attempts; None where only oracles tried it."""
    means = [sum(v) / len(v) for a in f.plain if (v := a.right.get(item))]
    return sum(means) / len(means) if means else None


def _gain(one: Measured, other: Measured, item: str) -> float | None:
    before, after = one.right.get(item), other.right.get(item)
    if not before or not after:
        return None
    return sum(after) / len(after) - sum(before) / len(before)
