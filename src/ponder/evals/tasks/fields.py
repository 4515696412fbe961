r"""What the fields of a row are called, and what an answer in one of them says.

The usual data sets agree on little: GSM8K writes a solution that ends in `#### 42`, MATH one with a `\boxed{}`, MMLU
the index of a choice, ARC a label and GPQA the text of the right choice.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from ponder.core.errors import UsageError
from ponder.thinking.answers import find
from ponder.thinking.declared import boxes
from ponder.thinking.normal import tidy
from ponder.thinking.numbers import number_key
from ponder.thinking.readings import first_letter, first_verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ponder.core.problem import Kind

USUAL: Final[Mapping[str, tuple[str, ...]]] = {
    "question": ("question", "problem", "prompt", "input", "query", "question_text", "ask"),
    "answer": (
        "answer", "final_answer", "gold", "target", "expected", "expected_answer", "correct", "correct_answer", "answerkey",
        "answer_key", "answer_index", "label", "solution", "output",
    ),
    "aliases": ("aliases", "answer_aliases"),
    "choices": ("choices", "options"),
    "id": ("id", "unique_id", "problem_id", "question_id", "task_id", "qid"),
    "level": ("level", "difficulty"),
    "family": ("family", "subject", "category", "topic"),
}  # fmt: skip
"""The usual names of each field, the best first; case does not count."""

_LABEL = re.compile(r"\s*(?:\(([A-Za-z])\)|([A-Za-z])[).:])\s*")
_LEVEL = re.compile(r"\D*(\d+(?:\.\d+)?)\D*")


def columns(keys: Iterable[str], given: Mapping[str, str], source: str) -> dict[str, str]:
    """Which column holds which field: those given by name, else the first of the usual names that there is.

    Raises:
        UsageError: a named column is missing, or nothing looks like a question.

    """
    there = list(dict.fromkeys(keys))
    lower = {key.lower(): key for key in reversed(there)}
    found = {}
    for field, names in USUAL.items():
        if field in given:
            if given[field] not in there:
                raise UsageError(
                    f"{source} has no field {given[field]!r}. It has: {', '.join(there)}. Name one of them."
                )
            found[field] = given[field]
        else:
            name = next((lower[name] for name in names if name in lower), None)
            if name is not None:
                found[field] = name
    if "question" not in found:
        raise UsageError(
            f"No field of {source} looks like a question. It has: {', '.join(there)}. "
            "Say which it is, for example: FILE:question=ask,answer=gold."
        )
    return found


def level(value: object) -> float | None:
    """A difficulty as a number: 5, "5" and "Level 5" are 5; what holds no number has none."""
    if isinstance(value, bool) or value is None:
        return None
    found = _LEVEL.fullmatch(str(value))
    return float(found[1]) if found else None


def options(value: object) -> tuple[list[str], list[str]]:
    """The labels and the texts of choices: a list, {"A": text}, or {"label": [...], "text": [...]}.

    Raises:
        ValueError: it is none of these; says why.

    """
    if isinstance(value, dict) and {"label", "text"} <= set(value):
        labels, texts = [str(x) for x in value["label"]], [str(x) for x in value["text"]]
    elif isinstance(value, dict):
        labels, texts = [str(x) for x in value], [str(x) for x in value.values()]
    elif isinstance(value, list) and all(isinstance(x, (str, int, float)) for x in value):
        texts = [str(x) for x in value]
        marks = [_LABEL.match(text) for text in texts]
        found = [(mark[1] or mark[2]).upper() if mark else "" for mark in marks]
        labels = [chr(65 + i) for i in range(len(texts))]
        if found == labels:  # "A) 21" says its own letter
            texts = [text[mark.end() :] for text, mark in zip(texts, marks, strict=True) if mark]
    else:
        raise ValueError("the choices are neither a list of texts nor an object of labels and texts")
    if not 2 <= len(texts) <= 26 or len(labels) != len(texts):
        raise ValueError(f"there are {len(texts)} choices, and 2 to 26 can be told apart by a letter")
    return labels, texts


def chosen(value: object, labels: Sequence[str], texts: Sequence[str]) -> str:
    """The letter of the right choice: given as an index from 0, a label, the text itself or a letter.

    Raises:
        ValueError: it names none of them.

    """
    if isinstance(value, int) and not isinstance(value, bool):
        if str(value) in labels:
            return chr(65 + labels.index(str(value)))
        if 0 <= value < len(texts):
            return chr(65 + value)
        raise ValueError(f"the answer {value} is no index of {len(texts)} choices, counted from 0")
    text = str(value).strip()
    for known in (labels, texts):
        if text in known:
            return chr(65 + list(known).index(text))
    if text.isdigit() and int(text) < len(texts):
        return chr(65 + int(text))
    letter = first_letter(tidy(text), len(texts)) if len(text) <= 4 else None
    if letter:
        return letter
    raise ValueError(f"the answer {text[:40]!r} is none of the choices")


def gold(value: object) -> str | None:
    """The right answer as text, taken out of the solution that ends in it; None if there is none."""
    if value is None or isinstance(value, bool):
        return None if value is None else "yes" if value else "no"
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], (str, int, float)):
        return gold(value[0])
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    text = str(value).strip()
    if "####" in text:
        return text.rpartition("####")[2].strip() or None
    boxed = boxes(text)
    if boxed:
        return boxed[-1]
    if len(text) > 200 or "\n" in text:
        said = find(text, "math")
        return said.text if said and said.declared else text
    return text or None


def kind_of(golds: Sequence[str]) -> Kind:
    """The kind of answer a data set asks for, by what all its answers look like."""
    if not golds:
        return "auto"
    if all(first_verdict(tidy(text), whole=True) for text in golds):
        return "yesno"
    if all(text[:1] in ("{", "[") and _is_json(text) for text in golds):
        return "json"
    return "math" if sum(map(_is_mathematics, golds)) * 2 >= len(golds) else "auto"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_mathematics(text: str) -> bool:
    bare = tidy(text)
    if number_key(bare) is not None or "\\" in bare:
        return True
    return bool(re.search(r"[\d=^]", bare)) and not re.search(r"[A-Za-z]{4,}", bare) and len(bare) <= 100
