"""How to measure it again: the command, the versions, the seeds; and what was dropped, and why."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from ponder.evals.report import words
from ponder.evals.report.attacked import unwritten
from ponder.evals.report.markup import clip, tag
from ponder.evals.report.page import section

if TYPE_CHECKING:
    from ponder.evals.report.markup import Html
    from ponder.evals.report.measures import Findings
    from ponder.evals.values import Study


SAID = 20
"""Complaints about problems that are told."""


def provenance(f: Findings) -> Html:
    """The last section."""
    study = f.study
    command = shlex.join(study.command)
    entries = [
        ("Command", tag("code", clip(command, 4000)) if command else "The study does not hold its command."),
        ("Run", study.name or "without a name"),
        ("Date", date(study) or "The study does not hold its date."),
        ("Model", (study.model or "not named") + (", a simulation" if study.simulated else "")),
        (
            "Seeds",
            words.listed([str(s) for s in study.seeds], most=40) or "The study does not hold its seeds.",
        ),
        (
            "Versions",
            tag("ul", [tag("li", f"{name} {version}") for name, version in sorted(study.versions.items())])
            if study.versions
            else "The study does not hold its versions.",
        ),
        ("Dropped", tag("ul", [tag("li", line) for line in dropped(f)])),
        (
            "Statistics",
            (
                "Accuracies are means over problems of each problem's mean over seeds, with Wilson intervals for clustered "
                "attempts; all other intervals resample problems, 95 % each. Everything is seeded, so the same study gives "
                "the same report."
            ),
        ),
    ]
    return section(
        "provenance",
        "How it was measured",
        tag("dl", [[tag("dt", name), tag("dd", value)] for name, value in entries]),
    )


def date(study: Study) -> str:
    """When the run began, as its versions or its id have it; "" if neither does."""
    for name in ("date", "started"):
        if study.versions.get(name):
            return study.versions[name]
    if m := re.match(r"(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(?!\d)", study.name):
        return f"{m[1]}-{m[2]}-{m[3]} {m[4]}:{m[5]} UTC"
    return ""


def dropped(f: Findings) -> list[str]:
    """What is not in the figures, and why; one line that nothing was, if so."""
    study = f.study
    tried = {o.item for o in study.outcomes}
    lines = [clip(complaint, 300) for complaint in study.complaints[:SAID]]
    if len(study.complaints) > SAID:
        lines.append(f"{len(study.complaints) - SAID:,} more of what was not as it should be.")
    bare = sum(item.gold is None for item in study.items.values())
    if bare:
        lines.append(f"{words.plural(bare, 'problem')} without a right answer: run, charged, and not graded.")
    untried = sum(name not in tried for name in study.items)
    if untried:
        lines.append(f"{words.plural(untried, 'problem')} that no arm has tried.")
    strangers = len(tried - study.items.keys())
    if strangers and study.items:
        lines.append(
            f"{words.plural(strangers, 'problem')} with outcomes but without its text: counted all the same."
        )
    ungraded = sum(a.ungraded for a in f.arms)
    if ungraded:
        lines.append(f"{words.plural(ungraded, 'attempt')} that nobody could grade: left out of accuracies.")
    broken = sum(a.errors for a in f.arms)
    if broken:
        lines.append(
            f"{words.plural(broken, 'attempt')} that broke with an error: counted as wrong; Table 3 has both ways."
        )
    short = _missing(f)
    if short:
        lines.append(
            f"{words.plural(short, 'attempt')} that the plan has and the study has not: the run is not complete."
        )
    unwilling, refused = unwritten(study)
    if unwilling:
        lines.append(
            f"{words.plural(unwilling, 'attempt')} in which an attacker wrote no text ({refused:,} refused): counted as no "
            f"success."
        )
    return lines or ["Nothing: every planned attempt was made and graded."]


def _missing(f: Findings) -> int:
    """Attempts that arms x items x seeds would have, and that are not there."""
    if not f.study.seeds:
        return 0
    made = {(o.arm, o.item, o.seed) for o in f.study.outcomes}
    planned = len(f.arms) * len(f.study.items) * len(f.study.seeds)
    known = sum(item in f.study.items and seed in f.study.seeds for _, item, seed in made)
    return max(0, planned - known)
