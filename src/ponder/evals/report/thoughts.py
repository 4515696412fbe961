"""How often models switch thoughts in right and in wrong answers, and how often they only repeat themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ponder.evals.report import words
from ponder.evals.report.back_to_back import back_to_back
from ponder.evals.report.page import figure, named, none, section, table
from ponder.evals.report.plot import Axis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.evals.report.markup import Child, Html
    from ponder.evals.report.measures import Findings
    from ponder.evals.values import Outcome

MOST = 24
"""Bins at most; the last holds all above."""


def switches_and_loops(f: Findings) -> Html:
    """Figure 9 and its table."""
    title = "Switches of thought and repetition"
    answers = [o for a in f.plain for o in a.outcomes if o.switches is not None and o.correct is not None]
    if not any(o.switches or o.looped for o in answers):
        return section(
            "thoughts",
            title,
            none(
                f"Figure 9 is left out: of {words.plural(len(answers), 'answer')} with a trace, none switches thoughts "
                "or runs into a loop."
            ),
        )
    return section("thoughts", title, _figure(f, answers))


def _figure(f: Findings, answers: Sequence[Outcome]) -> Html:
    right, wrong = ([o.switches or 0 for o in answers if o.correct is wanted] for wanted in (True, False))
    most = max([*right, *wrong])
    bins = min(MOST, most + 1)
    pictures = back_to_back(
        f,
        right,
        wrong,
        bins,
        Axis("Switches of thought in an answer", 0.0, float(bins), words.compact),
        says="Switches in right answers above the line and in wrong ones below; the table below has them by arm.",
        counts=True,
    )
    caption: list[Child] = [
        (
            "Switches of thought that the model made itself, in right and wrong answers of all arms. A switch is a sentence "
            'that says so ("Alternatively", "Wait", "Let me try another way"). '
        ),
        "Each bin begins at its number of switches. ",
        "The last bin holds all above. " if most >= bins else "",
        "ponder analyze underthinking has how much of the wrong answers came after a right thought.",
    ]
    return figure("Figure 9", caption, pictures, _table(f), simulated=f.simulated)


def _table(f: Findings) -> Html:
    heads = ["Arm", "Answers", "n", "Mean", "Median", "Nine tenths", "Most", "In a loop"]
    rows: list[Sequence[Child] | str] = []
    for arm in f.plain:
        for name, wanted in (("right", True), ("wrong", False)):
            found = [o for o in arm.outcomes if o.correct is wanted and o.switches is not None]
            if found:
                n = np.array([o.switches or 0 for o in found])
                rows.append(
                    [
                        named(arm),
                        name,
                        f"{len(found):,}",
                        words.number(float(n.mean())),
                        words.number(float(np.median(n))),
                        words.number(float(np.quantile(n, 0.9))),
                        f"{n.max():,}",
                        f"{sum(o.looped for o in found):,}",
                    ]
                )
    caption = ["Switches of thought by arm, and answers that ran into a loop."]
    return table("Figure 9", caption, heads, rows, simulated=f.simulated, texts=(1,))
