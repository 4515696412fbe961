"""Countdown, line by line, as a task: `countdown-lines:numbers=3,split=new`."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, cast, get_args

from ponder.core.errors import UnknownName, UsageError
from ponder.evals.countdown import GRADER, Countdown, Split
from ponder.evals.tasks.loaded import Tasks

if TYPE_CHECKING:
    from ponder.evals.tasks.spec import Spec

COUNT = 100
"""Items made where nobody says how many."""


def load(spec: Spec, limit: int | None, seed: int, offset: int) -> Tasks:
    """Puzzles of a split, "seen" unless another is named; the other options are those of `Countdown`.

    Raises:
        UnknownName: there is no such option or split.
        UsageError: the options make no sense, or there are not so many puzzles.

    """
    kinds = {f.name: float if f.name == "share" else int for f in fields(Countdown) if f.name != "seed"}
    spec.only(("split", *kinds), GRADER)
    split = spec.options.get("split", "seen")
    if split not in get_args(Split):
        raise UnknownName(f"split of {GRADER}", split, get_args(Split))
    given: dict[str, Any] = {}
    for name, kind in kinds.items():
        text = spec.options.get(name)
        if text is not None:
            try:
                given[name] = kind(text)
            except ValueError:
                raise UsageError(f"{GRADER}:{name} takes a number, not {text!r}.") from None
    family = Countdown(**given, seed=seed)
    items = family.items(cast("Split", split), offset + (limit or COUNT))
    return Tasks(str(spec), tuple(items[offset:]))
