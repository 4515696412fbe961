"""The report of a study: one HTML file that opens anywhere, loads nothing, and says what compute bought.

Everything that a model or a data set wrote is escaped, and what would act on a page is made visible. The pictures
are drawn here, as SVG; the statistics are those of `ponder.evals.stats`, and nothing is computed twice.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from ponder.evals.attacks import panels
from ponder.evals.report import attacked, words
from ponder.evals.report.attacks import attacks
from ponder.evals.report.calibrated import calibrated, heading
from ponder.evals.report.compute import spending
from ponder.evals.report.costs import costs
from ponder.evals.report.depth import widths_and_depths
from ponder.evals.report.difficulty import divided
from ponder.evals.report.headline import abstract, headline
from ponder.evals.report.lengths import answer_lengths
from ponder.evals.report.markup import clip, tag
from ponder.evals.report.measures import find
from ponder.evals.report.page import SIMULATION, page, section
from ponder.evals.report.problems import Room, problems
from ponder.evals.report.provenance import date, provenance
from ponder.evals.report.thoughts import switches_and_loops

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ponder.evals.calibration import Figures
    from ponder.evals.report.markup import Html
    from ponder.evals.report.measures import Findings
    from ponder.evals.values import Study

__all__ = ["LARGEST", "render"]

LARGEST = 1_500_000
"""Bytes of a report; traces are left out before it grows beyond that."""

FRAME = 40_000
"""Bytes kept free for what stands around the traces."""

SECTIONS = (
    ("compute", "Compute"),
    ("difficulty", "Difficulty"),
    ("depth", "Depth"),
    ("lengths", "Lengths"),
    ("thoughts", "Thoughts"),
    ("costs", "Costs"),
    ("problems", "Problems"),
    ("provenance", "Method"),
)


def render(
    study: Study, traces: Mapping[str, str] | None = None, found: tuple[Sequence[Figures], str] | None = None
) -> str:
    """The report as the text of one HTML file, at most 1.5 MB.

    Args:
        study: what was measured.
        traces: attempt id -> its tree, drawn as text.
        found: of a calibration, what it found for each budget, and how much compute is enough, as a sentence.

    """
    findings = find(study)
    tried = panels(study)
    under = attacks(findings, tried)
    also = ({"calibration": "What to use", "arms": "All arms"} if found else {}) | (
        {"attacks": "Attacks"} if under else {}
    )
    misled = attacked.heading(tried)
    title = heading(found[0]) if found else misled or headline(findings)
    first = (
        [*attacked.told(study, tried), tag("p", f"Accuracy, whatever the attack: {headline(findings)}.")]
        if misled
        else []
    )
    before = [
        _top(findings, also, title, [] if found else abstract(findings, first)),
        *([calibrated(*found, simulated=study.simulated)] if found else []),
        *([section("arms", headline(findings), *abstract(findings))] if found else []),
        *([under] if under else []),
        spending(findings),
        divided(findings),
        widths_and_depths(findings),
        answer_lengths(findings),
        switches_and_loops(findings),
        costs(findings),
    ]
    after = provenance(findings)
    untraced = problems(findings, {}, Room(0))
    size = sum(len(part.encode("utf-8", "replace")) for part in (*before, untraced, after))
    room = Room(max(0, LARGEST - FRAME - size))
    told = problems(findings, traces or MappingProxyType({}), room)
    return page(f"{SIMULATION if study.simulated else ''}{title}", [*before, told, after, _foot()])


def _top(f: Findings, also: Mapping[str, str], title: str, says: Sequence[Html]) -> Html:
    study = f.study
    seeds = len(study.seeds) or len({o.seed for o in study.outcomes})
    facts = [
        clip(study.model, 80) or "unnamed model",
        words.plural(len(f.items), "problem"),
        words.plural(seeds, "seed"),
        words.plural(len(f.arms), "arm")
        + (f" of {f.arms[0].arm.budget}" if f.arms and f.arms[0].alike else ""),
        words.plural(len(study.outcomes), "attempt"),
        date(study),
    ]
    sections = [*also.items(), *SECTIONS]
    links = [tag("a", title, href=f"#{name}") for name, title in sections]
    return tag(
        "header",
        tag(
            "p",
            [
                tag("span", SIMULATION, class_="sign") if study.simulated else None,
                " · ".join(filter(None, facts)),
            ],
            class_="over",
        ),
        tag("h1", title),
        says,
        tag("nav", links, aria_label="Sections"),
    )


def _foot() -> Html:
    return tag("footer", "Made by ponder. This file loads nothing and runs nothing.")
