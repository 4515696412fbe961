"""Rows as items: which field is the question, what is right, and what each line lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ponder.core.errors import UnknownName
from ponder.core.problem import KINDS, Message, Problem
from ponder.evals.tasks import coding, fields
from ponder.evals.values import Item

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ponder.core.problem import Kind
    from ponder.evals.tasks.files import Row

OPTIONS: Final = (*fields.USUAL, "kind", *coding.OPTIONS)
"""What can be said of a file: the name of each field, and the kind of its answers; of programming problems something else."""

GRADERS: Final[Mapping[Kind, str]] = {"math": "math", "choice": "choice", "json": "json"}
"""The grader of each kind of answer; every other kind is "exact"."""


def to_items(
    rows: Sequence[Row], given: Mapping[str, str], *, task: str, source: str
) -> tuple[list[Item], list[str]]:
    """One item for each row that has a question, and a complaint for each thing that is not as it should be.

    A row without an answer is kept, with no gold: it is run and not graded. Where the choices or the answer of a row
    make no sense the row is left out. Programming problems are known by their fields, see `coding`.

    Args:
        rows: where each stands, and its fields.
        given: the names of fields, and the kind of answers, where they were given.
        task: the name that the items' ids begin with.
        source: as complaints name it.

    Raises:
        UsageError: no field looks like a question, or a named one is missing.
        UnknownName: there is no such kind, or no such option of these rows.

    """
    if coding.are_these(rows, given):
        return coding.to_items(rows, given, task=task, source=source)
    for option in coding.OPTIONS:
        if option in given:
            raise UnknownName(
                f"option of {source}, whose rows are no programming problems", option, fields.USUAL
            )
    names = fields.columns((key for _, row in rows for key in row), given, source)
    wanted = given.get("kind")
    if wanted is not None and wanted not in KINDS:
        raise UnknownName("kind of answer", wanted, KINDS)
    reader = _Reader(names, task, source)
    for where, row in rows:
        reader.read(where, row)
    kind = wanted or fields.kind_of(reader.golds)
    if "answer" not in names:
        reader.complaints.append(
            f"{source} has no field with answers: its items are run and not graded. "
            "If it has one, name it, for example: FILE:answer=gold."
        )
    return [_item(read, kind, task) for read in reader.found], reader.complaints


class _Read:
    """One row that can be run. `letters` is how many choices it offers, 0 for none."""

    def __init__(self, name: str, question: str, gold: str | None, letters: int, row: dict[str, Any]) -> None:
        self.name = name
        self.question = question
        self.gold = gold
        self.letters = letters
        self.level = row.get("level")
        self.family = row.get("family")
        others = row.get("aliases")
        self.aliases = [text for text in others if isinstance(text, str)] if isinstance(others, list) else []


class _Reader:
    """Reads row after row and remembers which ids it has given away."""

    def __init__(self, names: Mapping[str, str], task: str, source: str) -> None:
        self.names = names
        self.task = task
        self.source = source
        self.found: list[_Read] = []
        self.complaints: list[str] = []
        self._given: set[str] = set()

    @property
    def golds(self) -> list[str]:
        """Answers that are not letters of choices."""
        return [read.gold for read in self.found if read.gold is not None and not read.letters]

    def read(self, where: str, row: Mapping[str, Any]) -> None:
        """Take a row in, or complain about it."""
        values = {field: row.get(name) for field, name in self.names.items()}
        question = values["question"]
        if not isinstance(question, str) or not question.strip():
            self._complain(where, f"the field {self.names['question']!r} holds no question; it is left out")
            return
        letters = 0
        try:
            if values.get("choices"):
                labels, texts = fields.options(values["choices"])
                letters, question = len(texts), with_choices(question, texts)
                answer = values.get("answer")
                gold = None if answer in (None, "") else fields.chosen(answer, labels, texts)
            else:
                gold = fields.gold(values.get("answer"))
        except ValueError as error:
            self._complain(where, f"{error}; it is left out")
            return
        if gold is None and "answer" in self.names:
            self._complain(
                where, f"the field {self.names['answer']!r} holds no answer; it is run and not graded"
            )
        self.found.append(_Read(self._named(where, values.get("id")), question, gold, letters, values))

    def _named(self, where: str, given: object) -> str:
        """The row's id, else its place; a name that is taken gets the place behind it."""
        name = str(given).strip() if isinstance(given, (str, int)) else ""
        place = where.rpartition(" ")[2]
        if name in self._given:
            self._complain(where, f"the id {name!r} stands there before; this row is named {name}-{place}")
            name = f"{name}-{place}"
        name = name or place
        while name in self._given:
            name += "+"
        self._given.add(name)
        return name

    def _complain(self, where: str, what: str) -> None:
        self.complaints.append(f"{self.source}, {where}: {what}.")


def with_choices(question: str, texts: Sequence[str]) -> str:
    """A question followed by its choices, each with its letter, unless it shows them already."""
    lines = [f"{chr(65 + i)}) {text}" for i, text in enumerate(texts)]
    if all(line in question or f"({line}" in question for line in lines):
        return question
    return "\n".join([question.rstrip(), "", *lines])


def _item(read: _Read, kind: Kind, task: str) -> Item:
    kind = "choice" if read.letters else kind
    problem = Problem(
        f"{task}/{read.name}",
        (Message("user", read.question.strip()),),
        kind,
        choices=read.letters or None,
    )
    return Item(
        problem,
        read.gold,
        task=task,
        family=str(read.family) if isinstance(read.family, str) else "",
        level=fields.level(read.level),
        grader=GRADERS.get(kind, "exact"),
        meta={"aliases": read.aliases} if read.aliases else {},
    )
