"""What `ponder eval` can take, as JSON values and as tables."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from ponder.cli import evaluating
from ponder.cli.show import listing, shortened
from ponder.cli.terminal import say
from ponder.core.errors import UsageError
from ponder.evals.tasks import known

if TYPE_CHECKING:
    from rich.table import Table

    from ponder.evals.tasks.known import Known

EXAMPLES: Final = 2
_QUESTION, _GOLD = 300, 100
_KINDS: Final = {
    "auto": 'what the text declares ("The answer is ...")',
    "math": "a number or an expression",
    "choice": "a letter",
    "yesno": "yes or no",
    "json": "JSON",
    "tool": "a tool call",
    "code": "text in a fenced block",
    "open": "free text",
}
_GRADERS: Final = {
    "reasoning-gym": "right if the task's own scorer says so",
    "tests": "a program, graded by its tests in the sandbox",
    "countdown-lines": "checked line by line",
}
_EQUAL: Final = "right if it is equal to the gold"


def listed() -> list[dict[str, Any]]:
    """Every task; where reasoning-gym is missing, all but those it makes up, and a word on stderr."""
    try:
        made_up = known.generated()
    except UsageError as error:
        say(str(error))
        made_up = []
    keys = ("name", "source", "family", "what")
    return [{key: getattr(task, key) for key in keys} for task in [*made_up, *known.others()]]


def explained(text: str) -> dict[str, Any]:
    """One task, with the first problems that `ponder eval` would take; of the hub's without, for none are fetched.

    Raises:
        UsageError: there is no such task, or it cannot be read.

    """
    task = known.explain(text)
    loaded = [] if task.source == "hub" else evaluating.load([text], [str(EXAMPLES)], [], 0)
    for complaint in (c for each in loaded for c in each.complaints):
        say(complaint)
    items = [item for each in loaded for item in each.items]
    answers = task.answers or dict.fromkeys((item.problem.kind, item.grader) for item in items)
    return {
        **asdict(task),
        "answers": [{"kind": kind, "grader": grader} for kind, grader in answers],
        "examples": [{"question": item.problem.question, "gold": item.gold} for item in items],
        "command": _command(task),
    }


def _command(task: Known) -> str:
    model = " -m simulated" if task.name.partition(":")[0] == "simulated" else ""
    return f"ponder eval {shlex.quote(task.name)}{model} --limit 20"


def table_of_tasks(tasks: list[dict[str, Any]]) -> Table:
    """Where tasks come from and what they are called: those of reasoning-gym a family a line, else a name a line."""
    table = listing()
    for source, those in groupby(tasks, lambda task: task["source"]):
        table.add_row(source, Text(known.SOURCES[source], style="dim"))
        for family, names in groupby(those, lambda task: task["family"]):
            if family:
                table.add_row(f"  {family}", Text(", ".join(task["name"] for task in names), style="cyan"))
                continue
            for task in names:
                table.add_row(Text(f"  {task['name']}", style="cyan"), Text(task["what"]))
    return table


def table_of_task(about: dict[str, Any]) -> Table:
    """Everything about one but the command, which is not to be folded."""
    table = listing()
    table.add_row("task", Text(about["name"], style="cyan"))
    if about["what"]:
        table.add_row("what it is", Text(about["what"]))
    table.add_row("source", Text(known.SOURCES[about["source"]]))
    if about["family"]:
        table.add_row("family", Text(about["family"]))
    for n, answer in enumerate(about["answers"]):
        table.add_row("" if n else "answers", Text(_graded(answer["kind"], answer["grader"])))
    for p in about["parameters"]:
        said = p["type"] if p["default"] is None else f"{p['default']}  ({p['type']})"
        table.add_row(f"  {p['name']}", Text(said))
    for example in about["examples"]:
        table.add_row("example", Text(shortened(example["question"], _QUESTION)))
        gold = "none: it is run and not graded" if example["gold"] is None else example["gold"]
        table.add_row("  gold", Text(shortened(gold, _GOLD), style="bold"))
    return table


def _graded(kind: str, grader: str) -> str:
    if grader == "tests":
        return _GRADERS[grader]
    return f"{_KINDS[kind]}; {_GRADERS.get(grader, _EQUAL)}"
