"""Every error ponder raises on purpose, in one tree.

    PonderError
    ├── UsageError            the caller asked for something that makes no sense; says what would
    │   ├── UnknownName       no such strategy, model, scorer or parameter; near names are suggested
    │   └── Unsupported       the engine cannot do what the strategy needs; says what to use instead
    │       └── Refused       a server no longer takes what it took when it was asked what it can do; nothing was written
    ├── OutOfBudget           nothing more can be paid for (a strategy's best proposal becomes the answer)
    ├── EngineError           the model, or the way to it, failed
    │   ├── ModelFileError    the model file is missing, cut short or no model file
    │   ├── ContextOverflow   prompt and answer do not fit the model's context
    │   ├── EngineClosed      the engine was closed while, or before, it was asked
    │   ├── BadScore          a scorer's values are no numbers, or not one for each path and step
    │   └── TransientError    worth another try: engines.layers.Retrying, and nobody else, tries again
    ├── AllFailed             every sample of a group failed; carries the errors
    ├── NoSandbox             code that a model wrote can be run nowhere safe, so it is not run; says how to get a place
    └── StoreError            the run file cannot be written or read

Each message is one sentence that says what happened and, after it, what to do next.
"""

from __future__ import annotations

import difflib
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class PonderError(Exception):
    """The root of the tree."""


class UsageError(PonderError):
    """The caller asked for something that makes no sense. `setting` is where it stands in ponder.toml, if it does."""

    setting: tuple[str, ...] = ()


@contextmanager
def about(*setting: str) -> Iterator[None]:
    """Whoever says inside that something makes no sense says it of this setting."""
    try:
        yield
    except UsageError as error:
        error.setting = (*setting, *error.setting)
        raise


class UnknownName(UsageError):
    """No such name; the message suggests near ones. Where there are too many to be told, `lister` is the command that lists them."""

    def __init__(self, what: str, name: str, known: Iterable[str], *, lister: str = "") -> None:
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hints = [f"Did you mean {' or '.join(near)}?"] if near else []
        if lister:
            hints.append(f"List them: {lister}")
        elif not near:
            hints.append(f"There are: {', '.join(known) or 'none'}.")
        super().__init__(f"There is no {what} named {name!r}. {' '.join(hints)}")


class Unsupported(UsageError):
    """The engine cannot do what the strategy needs."""


class Refused(Unsupported):
    """A server no longer takes what it took when it was asked what it can do; nothing was written."""


class OutOfBudget(PonderError):
    """Nothing more can be paid for."""


class EngineError(PonderError):
    """The model, or the way to it, failed.

    `who` is said first: which of several models, and in which role. `spent` is what it had written by then, in
    completion tokens, where the engine knows that: whoever pays for calls pays for these, too, if they were not told
    to a watch.
    """

    who: str = ""
    spent: int = 0

    def __str__(self) -> str:
        said = super().__str__()
        return f"{self.who}: {said}" if self.who else said


class ModelFileError(EngineError):
    """The model file is missing, cut short or no model file."""


class ContextOverflow(EngineError):
    """Prompt and answer do not fit the model's context."""


class EngineClosed(EngineError):
    """The engine was closed while, or before, it was asked."""


class BadScore(EngineError):
    """A scorer's values are no numbers, or not one for each path and step."""


class TransientError(EngineError):
    """Worth another try. `retry_after` is in seconds, if the other side named a time; `tries` were made by now."""

    tries: int = 1

    def __init__(self, message: str, retry_after: float | None = None, *, spent: int = 0) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.spent = spent


class AllFailed(PonderError):
    """Every sample of a group failed."""

    def __init__(self, errors: Sequence[Exception]) -> None:
        super().__init__(f"All {len(errors)} samples failed; the first said: {errors[0]}")
        self.errors = tuple(errors)


class NoSandbox(PonderError):
    """Code that a model wrote can be run nowhere safe, so it is not run."""


class StoreError(PonderError):
    """The run file cannot be written or read."""
