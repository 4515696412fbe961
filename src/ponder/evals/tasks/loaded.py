"""What loading gives: the items that can be run, and what could not be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ponder.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeVar

    from ponder.evals.values import Item

    T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Tasks:
    """Items in a fixed order, each with an id of its own.

    Args:
        name: the spec they were loaded by, in one spelling.
        items: what can be run.
        complaints: what could not be read, one sentence each: the file, the line, what is wrong. The rest runs.

    """

    name: str
    items: tuple[Item, ...]
    complaints: tuple[str, ...] = ()


def portion(
    found: Sequence[T], name: str, limit: int | None, offset: int, complaints: Sequence[str] = ()
) -> list[T]:
    """`limit` of what was found, from `offset` on.

    Raises:
        UsageError: there is nothing, or nothing lies beyond the offset.

    """
    if not found:
        raise UsageError(f"{name} has no item that can be run. {' '.join(complaints[:1])}".strip())
    taken = list(found[offset : None if limit is None else offset + limit])
    if not taken:
        raise UsageError(f"{name} has {len(found)} items, none from {offset} on. Give a smaller offset.")
    return taken
