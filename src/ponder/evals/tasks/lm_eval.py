"""Tasks of the LM Evaluation Harness, as its YAML files describe them: where the documents are, and how one is asked.

What is read: `task`, `dataset_path`, `dataset_name`, `dataset_kwargs.data_files`, the splits, `doc_to_text`,
`doc_to_target`, `doc_to_choice`, `description`, `output_type` (generate_until and multiple_choice) and `include`. How
samples are drawn, filtered and measured is ponder's business, and such keys are left aside. What would change a
question or an answer and cannot be had here, Python functions first of all, is refused by name.

Templates come from a stranger: they run in jinja2's immutable sandbox, and are capped in size.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ponder.core.errors import UsageError
from ponder.core.problem import Message, Problem
from ponder.evals.tasks import fields, files, hub
from ponder.evals.tasks.loaded import Tasks, portion
from ponder.evals.tasks.rows import GRADERS, with_choices
from ponder.evals.values import Item

if TYPE_CHECKING:
    from ponder.core.problem import Kind
    from ponder.evals.tasks.files import Row
    from ponder.evals.tasks.spec import Spec

LARGEST: Final = 64 * 1024
DEEPEST: Final = 8
SPLITS: Final = ("test_split", "validation_split", "training_split")
REFUSED: Final = (
    "process_docs", "process_results", "custom_dataset", "doc_to_image", "doc_to_audio", "use_prompt", "class", "python_class",
)  # fmt: skip
"""Keys that change what is asked or what is right, and need code or another kind of model."""

_LOCAL: Final = frozenset({"json", "parquet"})


def load(spec: Spec, limit: int | None, offset: int) -> Tasks:
    """The items of a task file.

    Raises:
        UsageError: the file is no such task, uses what is not supported, or its documents cannot be read.
        UnknownName: the spec has options; a task file takes none.

    """
    spec.only((), "a task file")
    path = Path(spec.name)
    task = _read(path, 0)
    _refuse(path, task)
    rows, complaints = _documents(path, task)
    name = task["task"] if isinstance(task.get("task"), str) else path.stem
    asked = [_Asked(path, name, task, where, row) for where, row in portion(rows, spec.name, limit, offset)]
    kind = fields.kind_of([a.gold for a in asked if a.gold is not None and not a.choices])
    complaints += [complaint for a in asked for complaint in a.complaints]
    items = [a.item(kind) for a in asked if a.question]
    return Tasks(str(spec), tuple(portion(items, spec.name, None, 0, complaints)), tuple(complaints))


class _Function(str):
    """The name of a Python function that a file wants called."""

    __slots__ = ()


def _read(path: Path, depth: int) -> dict[str, Any]:
    """A task file over what it includes."""
    try:
        import yaml
    except ImportError as error:
        raise UsageError(
            "Reading a task of lm-eval needs PyYAML: pip install 'ponder[evals]', or give a file of JSON Lines."
        ) from error

    names: Any = type("Names", (yaml.SafeLoader,), {})  # plain values, and the names of functions

    def function(loader: Any, node: Any) -> _Function:
        return _Function(loader.construct_scalar(node))

    names.add_constructor("!function", function)
    try:
        text = path.read_text(encoding="utf-8")
        found = yaml.load(text, names)  # noqa: S506 - a safe loader with one more kind of text
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}. Check the path.") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(
            f"{path} is no YAML that can be read: {reason}. Mend it, or give JSON Lines."
        ) from error
    if not isinstance(found, dict):
        raise UsageError(f"{path} is no task of lm-eval: it has no keys. Give one, or a file of JSON Lines.")
    if "include" in found:
        if depth >= DEEPEST:
            raise UsageError(f"{path} includes files more than {DEEPEST} deep. Write it as one file.")
        found = {**_read(path.parent / str(found.pop("include")), depth + 1), **found}
    return found


def _refuse(path: Path, task: dict[str, Any]) -> None:
    for key, value in task.items():
        if functions := _functions(value):
            raise UsageError(
                f"{path} has the Python function {functions[0]!r} under {key!r}, and code that comes with a task is not "
                "run here. Write the documents out as JSON Lines and give that file."
            )
        if key in REFUSED:
            raise UsageError(
                f"{path} uses {key!r}, which is not supported. Give its documents as JSON Lines."
            )
    kind = task.get("output_type", "generate_until")
    if kind not in ("generate_until", "multiple_choice"):
        raise UsageError(
            f"{path} wants {kind!r}, and answers are written here, not scored. Use a task of the type generate_until or "
            "multiple_choice."
        )
    if isinstance(task.get("task"), list) or "dataset_path" not in task:
        raise UsageError(
            f"{path} names no documents of its own (dataset_path). Give the file of a single task."
        )
    for key in ("doc_to_text", "doc_to_target"):
        if not isinstance(task.get(key), (str, int)):
            raise UsageError(
                f"{path} has no {key} that is a text. Write one, for example: {key}: '{{{{question}}}}'."
            )


def _functions(value: Any) -> list[str]:
    if isinstance(value, _Function):
        return [str(value)]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [name for part in inner for name in _functions(part)]


def _documents(path: Path, task: dict[str, Any]) -> tuple[list[Row], list[str]]:
    split = next((str(task[key]) for key in SPLITS if task.get(key)), "test")
    where = str(task["dataset_path"])
    if where not in _LOCAL:
        return hub.fetch(where, task.get("dataset_name"), split), []
    given = (task.get("dataset_kwargs") or {}).get("data_files")
    if isinstance(given, dict):
        if split not in given:
            raise UsageError(
                f"{path} has no data_files for the split {split!r}. Name them, or another split."
            )
        given = given[split]
    names = [given] if isinstance(given, str) else given
    if not names or not all(isinstance(name, str) for name in names):
        raise UsageError(
            f"{path} says nowhere which file to read. Write dataset_kwargs: {{data_files: FILE}}."
        )
    rows: list[Row] = []
    complaints: list[str] = []
    for name in names:
        beside = path.parent / name
        found, more = files.rows(beside if beside.exists() else Path(name))
        rows += found
        complaints += more
    return rows, complaints


class _Asked:
    """One document, asked as the task has it."""

    def __init__(self, path: Path, name: str, task: dict[str, Any], where: str, row: dict[str, Any]) -> None:
        self.path = path
        self.name = name
        self.where = where
        self.row = row
        self.complaints: list[str] = []
        self.choices: list[str] = []
        self.gold: str | None = None
        self.question = ""
        try:
            self._ask(task)
        except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
            self.question = ""
            reason = f"{type(error).__name__}: {error}"
            self.complaints.append(
                f"{path}, {where} of its documents: it cannot be asked ({reason}); it is left out."
            )

    def item(self, kind: Kind) -> Item:
        """The document as an item, its answer of this kind unless it has choices."""
        kind = "choice" if self.choices else kind
        place = self.where.rpartition(" ")[2]
        problem = Problem(
            f"{self.name}/{place}",
            (Message("user", self.question),),
            kind,
            choices=len(self.choices) or None,
        )
        return Item(problem, self.gold, task=self.name, grader=GRADERS.get(kind, "exact"))

    def _ask(self, task: dict[str, Any]) -> None:
        text = str(self._made(task["doc_to_text"]))
        question = (str(self._made(task.get("description") or "")) + text).strip()
        if not question:
            raise ValueError("the question is empty")
        target = self._made(task["doc_to_target"])
        if task.get("output_type") == "multiple_choice":
            if "doc_to_choice" not in task:
                raise ValueError("it has no doc_to_choice")
            labels, self.choices = fields.options(self._choices(task["doc_to_choice"]))
            question = with_choices(question, self.choices)
            index = int(target) if isinstance(target, str) and target.strip().isdigit() else target
            self.gold = fields.chosen(index, labels, self.choices)
        else:
            self.gold = fields.gold(target)
            if self.gold is None:
                self.complaints.append(
                    f"{self.path}, {self.where} of its documents: it has no answer; it is run and not graded."
                )
        self.question = question

    def _made(self, source: str | int) -> Any:
        """A field by its name, a number as it is, anything else as a template."""
        if isinstance(source, int):
            return source
        if source in self.row:
            return self.row[source]
        if len(source) > LARGEST:
            raise ValueError(f"a template has more than {LARGEST} characters")
        world = ImmutableSandboxedEnvironment(
            undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=True
        )
        return world.from_string(source).render(**self.row)

    def _choices(self, source: Any) -> Any:
        if isinstance(source, list):
            return [str(self._made(choice)) if isinstance(choice, str) else str(choice) for choice in source]
        made = self._made(source)
        return ast.literal_eval(made) if isinstance(made, str) else made
