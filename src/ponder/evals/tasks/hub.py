"""Data sets of the hub, for whoever has a network: by `hf:owner/name`, and the usual ones by a short name.

Nothing that comes with a data set is run: its rows are read, and that is all. Give `revision=` to pin what is read.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ponder.core.errors import UsageError
from ponder.evals.tasks.loaded import Tasks, portion
from ponder.evals.tasks.rows import OPTIONS, to_items

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ponder.evals.tasks.files import Row
    from ponder.evals.tasks.spec import Spec


@dataclass(frozen=True, slots=True)
class Source:
    """Where a data set lies, and which of its fields are which.

    `wrong` are the fields with the wrong choices, where the right one stands in a field of its own.
    """

    name: str
    config: str | None = None
    split: str = "test"
    fields: Mapping[str, str] = field(default_factory=dict)
    wrong: tuple[str, ...] = ()


KNOWN: Final[Mapping[str, Source]] = {
    "gsm8k": Source(
        "openai/gsm8k", "main", fields={"question": "question", "answer": "answer", "kind": "math"}
    ),
    "math-500": Source(
        "HuggingFaceH4/MATH-500",
        fields={
            "question": "problem",
            "answer": "answer",
            "id": "unique_id",
            "family": "subject",
            "kind": "math",
        },
    ),
    "aime24": Source(
        "HuggingFaceH4/aime_2024",
        split="train",
        fields={"question": "problem", "answer": "answer", "id": "id", "kind": "math"},
    ),
    "aime25": Source(
        "math-ai/aime25", fields={"question": "problem", "answer": "answer", "id": "id", "kind": "math"}
    ),
    "gpqa-diamond": Source(
        "Idavidrein/gpqa",
        "gpqa_diamond",
        "train",
        {"question": "Question", "id": "Record ID", "family": "High-level domain"},
        ("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3"),
    ),
    "humaneval": Source("openai/openai_humaneval"),
    "mbpp": Source("google-research-datasets/mbpp", "full"),
}
"""The usual data sets by their short names."""

_RIGHT: Final = "Correct Answer"
_WHERE: Final = ("config", "split", "revision")


def load(spec: Spec, limit: int | None, seed: int, offset: int) -> Tasks:
    """The items of a data set of the hub.

    Raises:
        UnknownName: it is given an option that nobody reads.
        UsageError: the package or the network is missing, or no field looks like a question.

    """
    spec.only((*_WHERE, *OPTIONS), spec.name)
    source = KNOWN.get(spec.name) or Source(spec.name.removeprefix("hf:"))
    rows = fetch(
        source.name,
        spec.options.get("config", source.config),
        spec.options.get("split", source.split),
        spec.options.get("revision"),
    )
    given = {**source.fields, **{key: value for key, value in spec.options.items() if key not in _WHERE}}
    if source.wrong:
        rows = [(where, _shuffled(row, source, seed)) for where, row in rows]
        given |= {"choices": "choices", "answer": "answer"}
    task = spec.name.removeprefix("hf:").rpartition("/")[2]
    items, complaints = to_items(rows, given, task=task, source=spec.name)
    return Tasks(str(spec), tuple(portion(items, spec.name, limit, offset, complaints)), tuple(complaints))


def fetch(name: str, config: str | None, split: str, revision: str | None = None) -> list[Row]:
    """Every row of a split.

    Raises:
        UsageError: the package is missing, or the data set cannot be had; says how to give a file instead.

    """
    instead = "Or give a file with the fields question and answer: ponder eval mine.jsonl"
    if "/" not in name:
        raise UsageError(f"A data set of the hub is named hf:owner/name, not {name!r}. {instead}")
    try:
        import datasets
    except ImportError as error:
        raise UsageError(f"Reading {name} needs a package: pip install datasets. {instead}") from error
    try:
        found = datasets.load_dataset(name, config, split=split, revision=revision)
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise UsageError(
            f"{name} cannot be had ({reason}). Check the name and the network. {instead}"
        ) from error
    return [(f"row {number}", dict(row)) for number, row in enumerate(found, 1)]


def _shuffled(row: dict[str, Any], source: Source, seed: int) -> dict[str, Any]:
    """The choices in an order that the seed and the question fix, so that it is the same on every machine."""
    question = str(row.get(source.fields["question"]))
    texts = [str(row.get(name)).strip() for name in (_RIGHT, *source.wrong)]
    order = list(range(len(texts)))
    random.Random(hashlib.sha256(f"{seed}/{question}".encode("utf-8", "replace")).digest()).shuffle(order)
    right = chr(65 + order.index(0))
    return {**row, "choices": [texts[place] for place in order], "answer": right}
