"""Asking for a length of thinking: the conditional prompts that s1 compares with (2501.19393, appendix E.1)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

from ponder.core.prefix import Prefix
from ponder.thinking.prompts.asking import ask

if TYPE_CHECKING:
    from ponder.core.problem import Problem

Condition = Literal["none", "tokens", "steps", "short", "long"]

STEP: Final = 100
"""Tokens that s1 counts for one step."""

_CONDITIONS: Final[dict[Condition, str]] = {
    "tokens": "Think for up to {n} tokens.",
    "steps": "Think for up to {n} steps.",
    "short": (
        "Answer after a short amount of thinking. Do not spend excessive time double-checking your work."
    ),
    "long": (
        "Answer after a long amount of thinking. If you feel like you are finished early, spend the extra time trying "
        "to double-check your work until you are absolutely sure that you have the correct answer."
    ),
}


def conditioned(problem: Problem, condition: Condition = "none", tokens: int = 0) -> Prefix:
    """The question alone, and after two newlines how long to think: about `tokens` tokens, or as many steps as that.

    No examples and no instruction: both would say by themselves how long thinking is.
    """
    prompt = ask(problem).prompt
    if condition == "none":
        return Prefix(prompt)
    n = tokens if condition == "tokens" else max(1, tokens // STEP)
    said = _CONDITIONS[condition].format(n=n)
    asked = (i for i, message in enumerate(prompt.messages) if message.role == "user")
    last = max(asked, default=len(prompt.messages) - 1)
    message = prompt.messages[last]
    content = (
        f"{message.content}\n\n{said}"
        if isinstance(message.content, str)
        else (*message.content, {"type": "text", "text": f"\n\n{said}"})
    )
    messages = (*prompt.messages[:last], replace(message, content=content), *prompt.messages[last + 1 :])
    return Prefix(replace(prompt, messages=messages))
