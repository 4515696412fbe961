"""Where a step ends. Steps are what search extends, scores and rewinds."""

from __future__ import annotations

import re

DELIMITER = "\n\n"
"""What ends a step where nothing else is said (Snell et al. 2024; search-and-learn)."""

_BLANK = re.compile(r"\n[ \t]*\n\s*")
_FENCE = re.compile(r"^[ \t]*(```|~~~)", re.MULTILINE)


def split(text: str) -> list[str]:
    """The steps of a text: paragraphs, with code fences kept whole.

    A trailing delimiter makes no empty last step: under "last" aggregation an empty step's score would be what
    a search ranks by (METHODS 3.6d).
    """
    steps: list[str] = []
    open_fence = False
    start = 0
    for gap in _BLANK.finditer(text):
        open_fence = len(_FENCE.findall(text, 0, gap.start())) % 2 == 1
        if not open_fence:
            steps.append(text[start : gap.start()])
            start = gap.end()
    steps.append(text[start:])
    return [step.strip("\n") for step in steps if step.strip()]


def before_last_line(text: str) -> str:
    """The text without its last line that is not empty; the line break before that line stays."""
    return text[: text.rstrip().rfind("\n") + 1]
