"""What is asked. What is right is out of reach by type: gold answers live in `ponder.evals`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ponder.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["auto", "math", "choice", "yesno", "json", "tool", "code", "open"]
"""How the answers to a problem are found in a text and compared."""

KINDS: tuple[Kind, ...] = ("auto", "math", "choice", "yesno", "json", "tool", "code", "open")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    `content` is text, or the list of typed parts (text, image) that chat servers accept, kept as it came.
    `extra` holds whatever else the turn carried (tool calls, their ids, a name), by its wire name.
    """

    role: str
    content: str | tuple[Mapping[str, Any], ...]
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def text(self) -> str:
        """The text of the turn; images and other parts are left out."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.get("text", "") for part in self.content if part.get("type") == "text")


@dataclass(frozen=True, slots=True)
class Problem:
    """A question with all a strategy may know about it.

    `tools` and `response_format` are as in the chat API and survive every strategy. `public_tests` are the
    examples the question itself shows (code), never the hidden ones.
    """

    id: str
    messages: tuple[Message, ...]
    kind: Kind = "auto"
    choices: int | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    response_format: Mapping[str, Any] | None = None
    public_tests: tuple[Any, ...] = ()

    @classmethod
    def of(cls, question: str, kind: Kind = "auto", *, id: str = "") -> Problem:  # noqa: A002 - the field's name
        """A single question. Without an `id` it is named by its own text, so that the same question seeds alike.

        Raises:
            UsageError: the question is empty or the kind unknown.

        """
        question = question.strip()
        if not question:
            raise UsageError(
                'The question is empty. Ask one, for example: ponder solve "What is 17 + 48 - 29?"'
            )
        if kind not in KINDS:
            raise UsageError(f"There is no answer kind {kind!r}. There are: {', '.join(KINDS)}.")
        name = id or "q-" + hashlib.sha256(question.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        return cls(name, (Message("user", question),), kind)

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """The JSON schema that the answer is to keep to; None where JSON is not asked for."""
        if self.response_format is None or self.response_format.get("type") == "text":
            return None
        found = (self.response_format.get("json_schema") or {}).get("schema")
        return found if found is not None else {"type": "object"}

    @property
    def question(self) -> str:
        """The last user turn's text."""
        return next((m.text for m in reversed(self.messages) if m.role == "user"), "")
