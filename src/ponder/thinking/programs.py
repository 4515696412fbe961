"""Programs in texts: what function a question asks for, and the program that an answer holds.

A program is never parsed here, let alone run: it is found by its fences and by the names that it defines. What the
question itself holds, a signature with a docstring as a rule, is parsed.
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

LONGEST: Final = 50_000
"""Characters of a program at most."""

DEFINES: Final = re.compile(r"^(?:async[ \t]+)?def[ \t]+(\w+)[ \t]*\(", re.MULTILINE)
"""The functions that a program defines."""

_BLOCK: Final = re.compile(
    r"^[ \t]*```[ \t]*([\w+#-]*)[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE
)
_PYTHON: Final = frozenset({"", "python", "python3", "py", "py3"})
_ASSERTS: Final = re.compile(r"^[ \t]*assert\b[^\n]*", re.MULTILINE)
_CALLS: Final = re.compile(r"\b([A-Za-z_]\w*)[ \t]*\(")
_NAMED: Final = re.compile(r"\bfunction (?:(?:named|called) [`\"']?([A-Za-z_]\w*)|[`\"']?([A-Za-z_]\w*)\()")
_EXAMPLE: Final = re.compile(r"(?<![\w.])([A-Za-z_]\w*)\([^\n]{0,200}?\)[`\"']?\s*(?:={2,3}>?|=>|->|→)")
_WRAPPED: Final = frozenset(
    {"set", "abs", "round", "math", "sorted", "list", "tuple", "len", "isclose", "not", "str"}
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question asks for.

    Args:
        function: its name; "" for a whole program that reads and prints.
        names: of its parameters, where the question shows them.
        code: what the question shows of it, signature and docstring.
        given: what that code holds beside the function: imports, and functions that it may call.

    """

    function: str
    names: tuple[str, ...] = ()
    code: str = ""
    given: str = ""


@lru_cache(maxsize=1024)
def asked(question: str) -> Asked | None:
    """The function that a question asks for; None where it names none.

    It is the last one that a block of Python in it defines, else the one that its assertions call, else the one that it
    calls a function, else the one whose call it shows with what it gives: `f(1) == 2`.
    """
    for code in reversed(blocks(question) or [question]):
        if (found := _shown(code)) is not None:
            return found
    asserted = "\n".join(_ASSERTS.findall(question))
    called = [name for name in _CALLS.findall(asserted) if name not in _WRAPPED]
    called = called or ["".join(names) for names in _NAMED.findall(question)]
    called = called or [name for name in _EXAMPLE.findall(question) if name not in _WRAPPED]
    return Asked(called[0]) if called else None


def blocks(text: str) -> list[str]:
    """The fenced blocks of Python in a text, in order; the last may have no end."""
    if "```" not in text:
        return []
    return [body for language, body in _BLOCK.findall(text[-LONGEST:]) if language.lower() in _PYTHON]


def program(text: str, question: str) -> str | None:
    """The program that an answer holds, with what the question gives before it; None where there is none.

    Of several blocks it is the last that defines the function which is asked for; one that defines no function at all
    is taken for the function's body, where the question shows what stands above it.
    """
    wanted = asked(question)
    found = blocks(text) or ([text] if DEFINES.search(text) else [])
    found = [body for body in found if body.strip()]
    if not found:
        return None
    name = wanted.function if wanted else ""
    body = next((body for body in reversed(found) if name in DEFINES.findall(body)), found[-1])
    if not wanted:
        return body[:LONGEST]
    if wanted.code and not DEFINES.search(body):
        return f"{wanted.code.rstrip()}\n{textwrap.indent(textwrap.dedent(body), '    ')}"[:LONGEST]
    return (f"{wanted.given}\n\n{body}" if wanted.given else body)[:LONGEST]


def _shown(code: str) -> Asked | None:
    """What a block of code shows, if it defines a function."""
    tree = parsed(code)
    if tree is None:
        return None
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    if not functions:
        return None
    last = functions[-1]
    beside = [ast.get_source_segment(code, node) or "" for node in tree.body if node is not last]
    return Asked(
        last.name, tuple(argument.arg for argument in last.args.args), code, "\n\n".join(filter(None, beside))
    )


def parsed(code: str) -> ast.Module | None:
    """The code's tree, or None where it is no Python. Only for what a question holds: hostile code can be too deep."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes that will be errors one day
            return ast.parse(code[:LONGEST])
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
