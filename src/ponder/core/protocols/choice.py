"""What strategies choose from, what they decide, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ponder.core.calls import Usage
    from ponder.core.prefix import Prefix, Prompt
    from ponder.core.problem import Kind


@dataclass(frozen=True, slots=True)
class Candidate:
    """A path, the answer read off it, and its vote.

    Two answers are the same exactly when their keys are; no answer, no key.
    """

    path: Prefix
    answer: str | None = None
    key: str | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Choice:
    """What a strategy decides: a path, its answer, the candidates it was chosen from and the votes by key."""

    path: Prefix
    answer: str | None = None
    candidates: tuple[Candidate, ...] = ()
    votes: tuple[tuple[str, float], ...] = ()


class KeysOf(Protocol):
    """One equivalence of answers for every vote and every grade."""

    async def keys(self, answers: Sequence[str], kind: Kind = "auto") -> list[str]:
        """The canonical key of each answer: equal answers, equal keys."""
        ...


Stop = Literal["finished", "budget", "deadline", "cancelled", "degraded"]
"""Why a run ended. "degraded": it finished, but some of its samples failed."""


@dataclass(frozen=True, slots=True)
class Result:
    """The answer and exactly what it cost.

    `trace` is the id of the run; `failed` counts calls that failed for good; `roles` splits `usage`.
    """

    answer: str | None
    choice: Choice | None
    usage: Usage
    stop: Stop
    trace: str
    failed: int = 0
    overthought: int = 0
    roles: Mapping[str, Usage] | None = None

    @property
    def text(self) -> str:
        """The whole text of the chosen path."""
        return self.choice.path.text if self.choice else ""

    @property
    def prompt(self) -> Prompt | None:
        return self.choice.path.prompt if self.choice else None
