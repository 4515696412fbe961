"""When a path that grows step by step is a whole solution, and which of several are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ponder.thinking.answers import find

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem

_WHOLE = ("open", "code", "json", "tool")


def complete(problem: Problem, path: Prefix) -> bool:
    """Whether there is nothing more to write: the model ended the text, or a whole step declares the answer.

    Where the answer is the text itself, only the end of the text tells.
    """
    if path.done:
        return True
    if path.cut or not path.segments or problem.kind in _WHOLE:
        return False
    found = find(path.text, problem.kind, choices=problem.choices)
    return found is not None and found.declared


def distinct(paths: Iterable[Prefix]) -> list[Prefix]:
    """The paths without those that say what one before says: a duplicate would be valued and grown twice."""
    first: dict[str, Prefix] = {}
    for path in paths:
        first.setdefault(path.text.strip(), path)
    return list(first.values())
