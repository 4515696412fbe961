"""How a text that is data, and no instruction, stands in a prompt."""

from __future__ import annotations

import re

_MARKS = re.compile(r"`+")
# What chat templates write around turns. An engine reads these as control tokens wherever they stand.
_CONTROL = re.compile(
    r"<(?=[|｜]|/?(?:s|bos|eos|pad|unk|mask|think|tool_call|tool_response|im_start|im_end|extra_\d+"
    r"|start_of_turn|end_of_turn|end_of_text|endoftext|begin_of_text|eot_id)>|<SYS>>|</SYS>>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|gMASK|CLS|SEP|MASK|PAD|UNK)\])",
    re.IGNORECASE,
)


def defused(text: str) -> str:
    """The text with a blank inside each control token of a chat template, so that it cannot end the turn it is in."""
    return _CONTROL.sub(lambda m: m[0] + " ", text)


def fenced(text: str) -> str:
    """The text between two marks that do not occur in it, so that it can end neither its fence nor its turn."""
    text = defused(text.strip())
    mark = "`" * max(3, 1 + max((len(run) for run in _MARKS.findall(text)), default=0))
    return f"{mark}\n{text}\n{mark}"
