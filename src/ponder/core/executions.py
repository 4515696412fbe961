"""What a program is given, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NO_ARGS: Final = '{"tuple":[{"tuple":[]},{"dict":[]}]}'


@dataclass(frozen=True, slots=True)
class Call:
    """A call of one of the program's functions.

    `args` are (positional, named), as `thinking.values.pack` writes them: plain text, so that it can be kept and compared.
    """

    function: str
    args: str = _NO_ARGS

    def message(self) -> dict[str, str]:
        """As a sandbox is told."""
        return {"function": self.function, "args": self.args}


@dataclass(frozen=True, slots=True)
class Stdin:
    """A whole run of the program, which reads this text and whose output is what it prints."""

    text: str

    def message(self) -> dict[str, str]:
        """As a sandbox is told."""
        return {"stdin": self.text}


Input: TypeAlias = Call | Stdin


@dataclass(frozen=True, slots=True)
class Execution:
    """What came of one input: an `output`, as `thinking.values.pack` writes values, or else an `error` in words."""

    output: str | None = None
    error: str | None = None
    seconds: float = 0.0

    @classmethod
    def told(cls, message: Mapping[str, Any], seconds: float = 0.0) -> Execution:
        """What a sandbox said. Anything that is neither is an error."""
        output, error = message.get("output"), message.get("error")
        if isinstance(output, str):
            return cls(_text(output), None, seconds)
        said = _text(error) if isinstance(error, str) else "it said neither an output nor an error"
        return cls(None, said, seconds)

    def message(self) -> dict[str, str]:
        """As a sandbox is told."""
        return {"output": self.output} if self.output is not None else {"error": self.error or ""}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a test came to: passed, failed, or broken by itself; why; and whether it called the function at all."""

    outcome: Literal["passed", "failed", "broken"]
    why: str = ""
    called: bool = True

    @classmethod
    def told(cls, message: Mapping[str, Any], *, called: bool = True) -> Verdict:
        """What a sandbox said."""
        outcome, why = message.get("verdict"), _text(str(message.get("why", "")))
        return cls(
            "passed" if outcome == "passed" else "failed" if outcome == "failed" else "broken", why, called
        )


def _text(said: str) -> str:
    """What can be written down and sent on: a program may say half of a surrogate pair."""
    return said.encode("utf-8", "replace").decode()


class Executes(Protocol):
    """Runs programs that nobody trusts, where they can do no harm."""

    @property
    def name(self) -> str: ...

    async def execute(self, program: str, inputs: Sequence[Input]) -> list[Execution]:
        """What the program gives for each input, in their order.

        Raises:
            NoSandbox: nothing can be run safely here; nothing was.

        """
        ...
