"""What strategies choose from, what they decide, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

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


class FormsOf(Protocol):
    """Says whether answers keep to a form."""

    async def misfit(self, value: str | None, schema: Mapping[str, Any]) -> str | None:
        """Why a value, as JSON, does not keep to a JSON schema; None where it does. Without one the schema is looked at.

        Raises:
            UsageError: it is no JSON schema, or refers to what is not in it.

        """
        ...


Stop = Literal["finished", "budget", "deadline", "cancelled", "degraded"]
"""Why a run ended. "degraded": it finished, but some of its samples failed."""


@dataclass(frozen=True, slots=True)
class Form:
    """Whether the answer keeps to the JSON schema that the problem asks for.

    `again`: one more call wrote it as JSON of the schema, for what was chosen did not keep to it. `why` says what
    is wrong, where it does not keep to it at last.
    """

    kept: bool
    again: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """The answer and exactly what it cost.

    `trace` is the id of the run; `failed` counts calls that failed for good; `roles` splits `usage`; `form` is None
    where the problem asks for no form, or the answer has none: it calls a tool.
    """

    answer: str | None
    choice: Choice | None
    usage: Usage
    stop: Stop
    trace: str
    failed: int = 0
    overthought: int = 0
    roles: Mapping[str, Usage] | None = None
    form: Form | None = None

    @property
    def text(self) -> str:
        """The whole text of the chosen path."""
        return self.choice.path.text if self.choice else ""

    @property
    def prompt(self) -> Prompt | None:
        return self.choice.path.prompt if self.choice else None
