"""A part of a task, as `--limit` and `--sample-id` name it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Self

from ponder.core.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.evals.tasks.loaded import Tasks

_WHOLE = re.compile(r"[1-9]\d{0,8}")
_RANGE = re.compile(r"([1-9]\d{0,8})-([1-9]\d{0,8})")
_SHARE = re.compile(r"0?\.\d{1,6}")


@dataclass(frozen=True, slots=True)
class Part:
    """The items from number `start` (from 0) up to `stop`, or the first `share` of all. Without limits: all."""

    start: int = 0
    stop: int | None = None
    share: float | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "50" (the first fifty), "11-20" (the eleventh to the twentieth) or "0.1" (the first tenth).

        Raises:
            UsageError: it is none of these.

        """
        if _WHOLE.fullmatch(text):
            return cls(stop=int(text))
        if (found := _RANGE.fullmatch(text)) and int(found[1]) <= int(found[2]):
            return cls(int(found[1]) - 1, int(found[2]))
        if _SHARE.fullmatch(text) and float(text) > 0:
            return cls(share=float(text))
        raise UsageError(
            f"Cannot read the limit {text!r}. Examples: 50 (the first fifty), 11-20 (the eleventh to the twentieth), "
            "0.1 (the first tenth)."
        )

    @property
    def limit(self) -> int | None:
        """How many items at most."""
        return None if self.stop is None else self.stop - self.start

    def of(self, tasks: Tasks) -> Tasks:
        """What is left of items that were loaded from `start` on, `limit` at most."""
        if self.share is None:
            return tasks
        return replace(tasks, items=tasks.items[: math.ceil(self.share * len(tasks.items))])


def named(tasks: Sequence[Tasks], ids: Sequence[str]) -> list[Tasks]:
    """Only the items with these ids, in which * stands for anything; all of them if none is named.

    Raises:
        UnknownName: an id is that of no item.

    """
    if not ids:
        return list(tasks)
    known = [item.problem.id for task in tasks for item in task.items]
    for id_ in ids:
        if not any(fnmatchcase(one, id_) for one in known):
            raise UnknownName("problem", id_, known if len(known) <= 20 else known[:20])
    found = [
        replace(
            task, items=tuple(i for i in task.items if any(fnmatchcase(i.problem.id, id_) for id_ in ids))
        )
        for task in tasks
    ]
    return [task for task in found if task.items]
