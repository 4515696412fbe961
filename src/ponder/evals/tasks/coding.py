"""Programming problems with tests: rows as HumanEval and MBPP have them.

A row of HumanEval has a `prompt` (signature and docstring), an `entry_point`, and a `test` that defines
`check(candidate)`. One of MBPP has a `text` (or `prompt`), and a `test_list` of assertions. The question shows the first of
them, which names the function; all of them grade. So what is chosen by the public example is graded by others, too. The
paper's own prompt shows all (Austin et al. 2021, 2108.07732): a choice by the examples is the grade itself then.
The tests stay with the item, and go into a sandbox of their own.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Final

from ponder.core.errors import UsageError
from ponder.core.problem import Message, Problem
from ponder.evals.values import Item
from ponder.thinking.examples import examples
from ponder.thinking.programs import asked, parsed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ponder.evals.tasks.files import Row

GRADER: Final = "tests"
OPTIONS: Final = ("shown",)
"""What can be said of such a file: how many tests of a `test_list` the question shows, or "all"."""

_HUMANEVAL: Final = ("prompt", "test", "entry_point")
_MBPP: Final = "test_list"


def are_these(rows: Sequence[Row], options: Mapping[str, str]) -> bool:
    """Whether the rows are programming problems: the first one is, and nobody says of fields that they are others."""
    if not rows or not set(options) <= set(OPTIONS):
        return False
    return all(name in rows[0][1] for name in _HUMANEVAL) or _MBPP in rows[0][1]


def to_items(
    rows: Sequence[Row], options: Mapping[str, str], *, task: str, source: str
) -> tuple[list[Item], list[str]]:
    """One item for each row that asks for something, and a complaint for each thing that is not as it should be.

    A row whose tests are no Python, or test nothing, is kept: it is run and not graded. Rows that show no example, and those
    whose every test is shown, are families of their own, for what a choice by examples is worth cannot be seen there.

    Raises:
        UsageError: `shown` is no number from 1 up, and not "all".

    """
    shown = _shown(options.get("shown", "1"))
    items: list[Item] = []
    complaints: list[str] = []
    names: set[str] = set()
    apart = dict.fromkeys((NO_EXAMPLE, NO_HIDDEN), 0)
    for where, row in rows:
        try:
            question, meta = _humaneval(row) if "entry_point" in row else _mbpp(row, shown)
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
        hidden = meta.pop("hidden")
        kind = NO_EXAMPLE if not examples(question) else None if hidden else NO_HIDDEN
        if kind:
            apart[kind] += 1
        family = f"{task}, {kind}" if kind else ""
        items.append(
            Item(problem, None if wrong else GOLD, task=task, family=family, grader=GRADER, meta=meta)
        )
    for kind, n in apart.items():
        if n:
            complaints.append(f"{source}: {n:,} of {len(items):,} problems have {kind}; {_SO[kind]}.")
    return items, complaints


GOLD: Final = "(what passes the tests)"
"""The gold of an item that is graded by tests."""
NO_EXAMPLE: Final = "no example that can be read"
NO_HIDDEN: Final = "no test that is not shown"
_SO: Final = {
    NO_EXAMPLE: "nothing can be filtered or debugged there, so they are reported apart",
    NO_HIDDEN: "a choice by the examples is the grade itself there, so they are reported apart",
}


def _shown(said: str) -> int | None:
    """How many tests are shown; None is all."""
    if said == "all":
        return None
    if not said.isdecimal() or not int(said):
        raise UsageError(f"Write shown=1, or another number of tests, or shown=all, not shown={said}.")
    return int(said)


def _humaneval(row: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    prompt, test, function = (_text(row, name) for name in _HUMANEVAL)
    solution = row.get("canonical_solution")
    meta = {
        "function": function,
        "test": test,
        "given": prompt,
        "solution": prompt + solution if isinstance(solution, str) else None,
        "hidden": True,
    }
    return f"Complete this Python function:\n\n```python\n{prompt.strip()}\n```", meta


def _mbpp(row: Mapping[str, Any], shown: int | None) -> tuple[str, dict[str, Any]]:
    text = _text(row, "text" if "text" in row else "prompt")
    tests = row[_MBPP]
    if not isinstance(tests, list) or not tests or not all(isinstance(test, str) for test in tests):
        raise ValueError("the field 'test_list' holds no list of assertions")
    public = tests[:shown]
    those = "this test" if len(public) == 1 else "these tests"
    question = f"{text.strip()}\n\nThe code must pass {those}:\n\n" + "\n".join(public)
    found = asked(question)
    if found is None:
        raise ValueError("its tests call no function")
    setup = row.get("test_setup_code") or "\n".join(row.get("test_imports") or [])
    others = [test for test in row.get("challenge_test_list") or [] if isinstance(test, str)]
    solution = row.get("code")
    meta = {
        "function": found.function,
        "test": "\n".join([*tests, *others]),
        "given": str(setup),
        "solution": solution if isinstance(solution, str) else None,
        "hidden": len(public) < len(tests) + len(others),
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
