"""Programming problems with tests: rows as HumanEval and MBPP have them.

A row of HumanEval has a `prompt` (signature and docstring), an `entry_point`, and a `test` that defines
`check(candidate)`. One of MBPP has a `text` (or `prompt`), and a `test_list` of assertions, which the question shows, as the
paper's does; the first of them name the function. The tests stay with the item, and go into a sandbox of their own.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Final

from ponder.core.problem import Message, Problem
from ponder.evals.values import Item
from ponder.thinking.programs import asked, parsed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ponder.evals.tasks.files import Row

GRADER: Final = "tests"

_HUMANEVAL: Final = ("prompt", "test", "entry_point")
_MBPP: Final = "test_list"


def are_these(rows: Sequence[Row]) -> bool:
    """Whether the rows are programming problems: the first one is."""
    return bool(rows) and (all(name in rows[0][1] for name in _HUMANEVAL) or _MBPP in rows[0][1])


def to_items(rows: Sequence[Row], *, task: str, source: str) -> tuple[list[Item], list[str]]:
    """One item for each row that asks for something, and a complaint for each thing that is not as it should be.

    A row whose tests are no Python, or test nothing, is kept: it is run and not graded.
    """
    items: list[Item] = []
    complaints: list[str] = []
    names: set[str] = set()
    for where, row in rows:
        try:
            question, meta = _humaneval(row) if "entry_point" in row else _mbpp(row)
        except (KeyError, TypeError, ValueError) as error:
            complaints.append(f"{source}, {where}: {_why(error)}; it is left out.")
            continue
        number = where.rpartition(" ")[2]
        name = str(row.get("task_id", number)).replace("/", "-").strip() or number
        name = name if name not in names else f"{name}-{number}"
        names.add(name)
        wrong = _wrong(meta)
        if wrong:
            complaints.append(f"{source}, {where}: {wrong}; it is run and not graded.")
        problem = Problem(f"{task}/{name}", (Message("user", question),), "code")
        items.append(Item(problem, None if wrong else GOLD, task=task, grader=GRADER, meta=meta))
    return items, complaints


GOLD: Final = "(what passes the tests)"
"""The gold of an item that is graded by tests."""


def _humaneval(row: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    prompt, test, function = (_text(row, name) for name in _HUMANEVAL)
    solution = row.get("canonical_solution")
    meta = {
        "function": function,
        "test": test,
        "given": prompt,
        "solution": prompt + solution if isinstance(solution, str) else None,
    }
    return f"Complete this Python function:\n\n```python\n{prompt.strip()}\n```", meta


def _mbpp(row: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    text = _text(row, "text" if "text" in row else "prompt")
    tests = row[_MBPP]
    if not isinstance(tests, list) or not tests or not all(isinstance(test, str) for test in tests):
        raise ValueError("the field 'test_list' holds no list of assertions")
    question = f"{text.strip()}\n\nThe code must pass these tests:\n\n" + "\n".join(tests)
    found = asked(question)
    if found is None:
        raise ValueError("its tests call no function")
    setup = row.get("test_setup_code") or "\n".join(row.get("test_imports") or [])
    hidden = [test for test in row.get("challenge_test_list") or [] if isinstance(test, str)]
    solution = row.get("code")
    meta = {
        "function": found.function,
        "test": "\n".join([*tests, *hidden]),
        "given": str(setup),
        "solution": solution if isinstance(solution, str) else None,
    }
    return question, meta


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row[name]
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"the field {name!r} holds no text")
    return value


def _wrong(meta: Mapping[str, Any]) -> str | None:
    """What is wrong with the tests, so that nobody can be graded by them."""
    tree = parsed(meta["test"])
    if tree is None:
        return "its tests are no Python"
    if not any(isinstance(node, ast.Assert) for node in ast.walk(tree)):
        return "its tests assert nothing"
    if not meta["function"].isidentifier():
        return f"{meta['function']!r} is no function's name"
    return None


def _why(error: Exception) -> str:
    return f"there is no field {error}" if isinstance(error, KeyError) else str(error)
