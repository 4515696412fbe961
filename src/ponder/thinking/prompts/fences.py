"""How a text that is data, and no instruction, stands in a prompt."""

from __future__ import annotations

import re

_MARKS = re.compile(r"`+")


def fenced(text: str) -> str:
    """The text between two marks that do not occur in it, so that it cannot end its own fence."""
    mark = "`" * max(3, 1 + max((len(run) for run in _MARKS.findall(text)), default=0))
    return f"{mark}\n{text.strip()}\n{mark}"
