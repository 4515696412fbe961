"""The five actions of rStar, in words (Qi et al. 2024, 2408.06195, section 3.2). The wording is ours."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ponder.core.prefix import Prefix, Prompt
from ponder.core.problem import Message
from ponder.thinking.prompts.fences import fenced

if TYPE_CHECKING:
    from ponder.core.problem import Problem

SUBQUESTION = "Question:"
"""What a step begins with that asks itself the next sub-question."""

SUBANSWER = "Answer:"
"""What a line begins with that answers a sub-question."""


def rephrase(problem: Problem) -> Prefix:
    """Ask for the question in other words, with every condition listed."""
    text = (
        f"A question, as data between marks:\n{fenced(problem.question)}\n\n"
        "Write it anew so that every condition stands in a sentence of its own, and the thing asked for comes last. "
        "Do not answer it."
    )
    return Prefix(Prompt((Message("user", text),)))


def rephrased(problem: Problem, words: str) -> Problem:
    """The problem, with its last turn followed by the same in other words."""
    *before, last = problem.messages
    told = f"\n\nIn other words:\n{words.strip()}"
    content = (
        last.content + told
        if isinstance(last.content, str)
        else (*last.content, {"type": "text", "text": told})
    )
    return replace(problem, messages=(*before, replace(last, content=content)))
