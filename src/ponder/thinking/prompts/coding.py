"""Asking for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ponder.core.prefix import Prefix, Prompt
from ponder.core.problem import Message

if TYPE_CHECKING:
    from ponder.core.problem import Problem

_WRITE = (
    "You are an expert Python programmer. Reply with nothing but one block of Python code, between ```python and ```, "
    "that holds the whole program: its imports and every function that it needs. No docstring, no comments, no tests, no "
    "examples, no explanation."
)


def write_program(problem: Problem) -> Prefix:
    """Ask for a program and nothing else."""
    given = [m.text for m in problem.messages if m.role == "system"]
    turns = [m for m in problem.messages if m.role != "system"]
    return Prefix(Prompt((Message("system", "\n\n".join([*given, _WRITE])), *turns)))
