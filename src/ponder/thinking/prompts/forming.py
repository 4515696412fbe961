"""What was written, once more as JSON of the form that was asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ponder.core.prefix import Prefix
from ponder.core.problem import Message
from ponder.thinking.prompts.asking import ask

if TYPE_CHECKING:
    from ponder.core.problem import Problem

MOST: Final = 16_000
"""Characters of what was written that are shown: its end, where the answer stands."""


def in_form(problem: Problem, path: Prefix | None) -> Prefix:
    """The conversation, what was written to it, and the request for its answer alone, as JSON of the schema.

    Where nothing was written the conversation alone is asked. Tools are not offered: this is the answer.
    """
    start = ask(replace(problem, tools=()))
    written = path.text.strip()[-MOST:] if path is not None else ""
    if path is None or not written:
        return start
    schema = json.dumps(problem.schema, ensure_ascii=False)
    told = f"Write the final answer that you came to as JSON, and nothing else. It must follow this JSON schema:\n{schema}"
    turns = (*start.prompt.messages, Message("assistant", written), Message("user", told))
    return Prefix(replace(start.prompt, messages=turns), origin=path.place)
