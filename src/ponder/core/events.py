"""What happens in a run, as flat values. The tree is a pure function of them (`runtime.tree`).

Watchers subscribe to events: the terminal, the store, the gateway's stream, the viewer. Algorithms hold no
recording lines. A watcher may be called from an engine's thread; it must be quick and must not raise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from ponder.core.calls import Usage


@dataclass(frozen=True, slots=True)
class Event:
    """`place` is where in the program it happened."""

    kind: ClassVar[str]
    place: str

    def body(self) -> dict[str, Any]:
        """The event as plain JSON values, without its place."""
        values = asdict(self)
        del values["place"]
        return values


@dataclass(frozen=True, slots=True)
class Started(Event):
    """An attempt at a problem begins."""

    kind: ClassVar[str] = "started"
    problem: str
    question: str
    strategy: str
    models: dict[str, str]
    budget: str
    seed: int


@dataclass(frozen=True, slots=True)
class Extending(Event):
    """A call to an engine begins: the place of its parent segment, and what a strategy wrote in between."""

    kind: ClassVar[str] = "extending"
    parent: str
    written: str
    role: str
    sampling: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wrote(Event):
    """Tokens came. Shown, never stored."""

    kind: ClassVar[str] = "wrote"
    text: str
    tokens: int
    visible: bool = False


@dataclass(frozen=True, slots=True)
class Extended(Event):
    """A call to an engine ended and was paid for."""

    kind: ClassVar[str] = "extended"
    parent: str
    written: str
    role: str
    text: str
    token_ids: tuple[int, ...] | None
    finish: str
    stopped_by: str | None
    usage: Usage
    logprob: float | None


Keeper = Literal["engine", "continuation", "nobody"]
"""Who keeps a thinking budget: an engine that can; the run, which cuts and continues; or nobody, and it was a wish."""


@dataclass(frozen=True, slots=True)
class Thought(Event):
    """How long the thinking of a path was, of which at most `most` tokens were asked for. Counted here.

    `by`: who was to keep to it.
    """

    kind: ClassVar[str] = "thought"
    path: str
    most: int
    tokens: int
    obeyed: bool
    by: Keeper = "engine"


@dataclass(frozen=True, slots=True)
class Failed(Event):
    """A call to an engine failed for good, or was cancelled."""

    kind: ClassVar[str] = "failed"
    parent: str
    role: str
    error: str
    usage: Usage
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Scored(Event):
    """Paths, named by the places of their last segments, got values; `unread` verdicts could not be read."""

    kind: ClassVar[str] = "scored"
    scorer: str
    paths: tuple[str, ...]
    values: tuple[float, ...]
    unread: int = 0


@dataclass(frozen=True, slots=True)
class Visited(Event):
    """A tree search went through these paths; what each is worth to it now (V), and how often it was there (N)."""

    kind: ClassVar[str] = "visited"
    paths: tuple[str, ...]
    values: tuple[float, ...]
    visits: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Delegated(Event):
    """Another strategy takes over below this place."""

    kind: ClassVar[str] = "delegated"
    strategy: str
    budget: str


@dataclass(frozen=True, slots=True)
class Recalled(Event):
    """A memory was asked, and gave these texts, the most relevant first."""

    kind: ClassVar[str] = "recalled"
    memory: str
    query: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Executed(Event):
    """A program was run: (input, output, error) of each input, as JSON, as packed, and in words.

    A program that is run again, here or in a replay, with the same inputs need not be: this says what it gave.
    """

    kind: ClassVar[str] = "executed"
    program: str
    executions: tuple[tuple[str, str | None, str | None], ...]
    usage: Usage


@dataclass(frozen=True, slots=True)
class Answered(Event):
    """The answers read off paths: (place, answer, key)."""

    kind: ClassVar[str] = "answered"
    answers: tuple[tuple[str, str | None, str | None], ...]


@dataclass(frozen=True, slots=True)
class Proposed(Event):
    """The answer, if the budget ended now."""

    kind: ClassVar[str] = "proposed"
    path: str
    answer: str | None


@dataclass(frozen=True, slots=True)
class Finished(Event):
    """The attempt is over. `stop` is a result's, or "failed" where it ended in an error."""

    kind: ClassVar[str] = "finished"
    stop: str
    path: str
    answer: str | None
    votes: tuple[tuple[str, float], ...]
    usage: Usage
    failed: int


Watcher = Callable[[Event], None]
