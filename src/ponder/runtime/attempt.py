"""What all scopes of one attempt at one problem share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ponder.core.errors import UnknownName, Unsupported
from ponder.core.protocols import Candidate, Choice, Tokenizes, TokenizesAfar
from ponder.runtime.tasks import side_by_side
from ponder.thinking import answers
from ponder.thinking.called import canonical_calls
from ponder.thinking.markers import FAMILIES, named
from ponder.thinking.programs import asked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ponder.core import events as e
    from ponder.core.calls import Usage
    from ponder.core.executions import Executes
    from ponder.core.markers import Markers
    from ponder.core.policy import Policy
    from ponder.core.prefix import Prefix
    from ponder.core.problem import Kind, Problem
    from ponder.core.protocols import Engine, FormsOf, KeysOf, Memory, Scorer


GRACE: Final = 1.0
"""Seconds that a strategy has to decide after time or patience ended, before it is cut off itself."""


@dataclass(slots=True)
class Attempt:
    """The problem, who works on it, and what has come of it so far."""

    problem: Problem
    engines: Mapping[str, Engine]
    scorers: Mapping[str, Scorer]
    equality: KeysOf
    seed: int
    watchers: Sequence[e.Watcher]
    live: Sequence[e.Watcher]
    memory: Memory | None = None
    sandbox: Executes | None = None
    policies: Mapping[str, Policy] = field(default_factory=dict)
    grace: float = GRACE
    together: bool = False  # samples of one prompt may be drawn in one request
    usage: dict[str, Usage] = field(default_factory=dict)
    failed: int = 0
    overthought: int = 0  # calls whose thinking was longer than asked for
    degraded: bool = False  # it failed after something had been proposed
    keys: dict[str, str] = field(default_factory=dict)
    behaviours: dict[str, str | None] = field(
        default_factory=dict
    )  # program -> what it does, where it does anything
    schema: Mapping[str, Any] | None = None  # what answers are to keep to, as `forms` says
    forms: FormsOf | None = None
    misfits: dict[str, str | None] = field(default_factory=dict)  # answer -> why it does not

    def emit(self, event: e.Event) -> None:
        """Tell all who watch."""
        for watcher in self.watchers:
            watcher(event)

    def engine(self, role: str) -> Engine:
        """Who plays a role: one model plays all parts until another is named."""
        if role in self.engines:
            return self.engines[role]
        if "solver" in self.engines:
            return self.engines["solver"]
        raise UnknownName("model for the role", role, self.engines)

    async def encode(self, texts: Sequence[str], role: str) -> list[tuple[int, ...]]:
        """See `core.protocols.Run.encode`."""
        engine = self.engine(role)
        if isinstance(engine, Tokenizes):
            return [engine.encode(text) for text in texts]
        if isinstance(engine, TokenizesAfar) and "token_ids" in engine.capabilities.can:
            return await side_by_side([partial(engine.tokens, text) for text in texts])
        raise Unsupported(
            f"This needs an engine that knows its tokens, and {engine.capabilities.name} does not. "
            "Use a model file (-m file.gguf), whose engine does."
        )

    def markers(self, name: str, role: str) -> Markers:
        """See `core.protocols.Run.markers`."""
        able = self.engine(role).capabilities
        found = named(name, able.thinking or FAMILIES["text"])
        if name == "auto" and found.token is not None:  # whoever found them has asked for it
            return found if "stop_ids" in able.can else replace(found, token=None)
        engine = self.engine(role)
        ids = engine.encode(found.end) if found.end and isinstance(engine, Tokenizes) else ()
        one = len(ids) == 1 and "stop_ids" in able.can
        return replace(found, token=ids[0] if one else None)

    @property
    def kind(self) -> Kind:
        """How answers are found and compared."""
        return "json" if self.schema is not None else self.problem.kind

    async def check(self, found: Iterable[str | None]) -> None:
        """Learn of answers whether they keep to the schema, if there is one. Calls of tools have none to keep to."""
        forms, schema = self.forms, self.schema
        if forms is None or schema is None:
            return
        new = [answer for answer in dict.fromkeys(found) if answer is not None and answer not in self.misfits]

        async def one(answer: str) -> None:
            self.misfits[answer] = await forms.misfit(answer, schema)

        await side_by_side([partial(one, answer) for answer in new])

    def fits(self, answer: str | None) -> bool:
        """Whether it is an answer, and nobody knows that it does not keep to the schema."""
        return answer is not None and self.misfits.get(answer) is None

    def found(self, path: Prefix) -> str | None:
        """The answer on a path, which keeps to the schema as far as it was checked.

        A text that was cut off has only the answer it declared, not its last number; and where the cut is, "42"
        may have become "4". Where a model was asked and said nothing, what a strategy wrote around it is no answer.
        """
        text, problem, kind = path.text, self.problem, self.kind
        sampled = [segment.text for segment in path.segments if segment.sampled]
        if sampled and not any(map(str.strip, sampled)):
            return None
        if not path.cut and (call := canonical_calls(path, problem.tools)):
            return call
        wanted = asked(problem.question) if kind == "code" else None
        function = wanted.function if wanted else ""
        found = answers.find(text, kind, choices=problem.choices, function=function)
        if found is None or (path.cut and (not found.declared or text.endswith(found.text))):
            return None
        return found.text if self.fits(found.text) else None

    def choice(self, choice: Choice | Prefix) -> Choice:
        """A path as a choice of one."""
        if isinstance(choice, Choice):
            return choice
        answer = self.found(choice)
        return Choice(choice, answer, (Candidate(choice, answer),))
