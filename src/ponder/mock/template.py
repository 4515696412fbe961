"""The chat template of the mock server: ChatML, and back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ponder.core.prefix import Prefix, Prompt
from ponder.core.problem import Message

if TYPE_CHECKING:
    from collections.abc import Iterable

_TURN = re.compile(r"<\|im_start\|>(\w+)\n(.*?)(<\|im_end\|>\n|\Z)", re.DOTALL)
_ASSISTANT = "<|im_start|>assistant\n"
SOURCE = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
"""As a server tells it."""


def render(messages: Iterable[Message]) -> str:
    """The conversation up to where the assistant begins to write."""
    turns = "".join(f"<|im_start|>{m.role}\n{m.text}<|im_end|>\n" for m in messages)
    return turns + _ASSISTANT


def parse(text: str) -> Prefix | None:
    """The conversation that `render` gave, with what the assistant has written since; None if it is none."""
    if not text.startswith("<|im_start|>"):
        return None
    *turns, last = _TURN.findall(text)
    if last[0] != "assistant" or last[2]:
        return None
    return Prefix(Prompt(tuple(Message(role, said) for role, said, _ in turns))) + str(last[1])
