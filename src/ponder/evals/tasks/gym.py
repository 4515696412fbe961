"""Tasks of reasoning-gym: generated, seeded, offline, and any number of them.

reasoning-gym makes the item of an index from seed + index, so that its item 1 of seed 0 is its item 0 of seed 1. Here the
seed that it is given is hashed from the task and the seed, so that different seeds have different items.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ponder.core.errors import UnknownName, UsageError
from ponder.core.problem import Message, Problem
from ponder.evals.tasks.gym_kinds import EQUAL, FENCE, kind_of
from ponder.evals.tasks.loaded import Tasks
from ponder.evals.tasks.rows import GRADERS
from ponder.evals.values import Item
from ponder.runtime.worker import bare

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ponder.evals.tasks.spec import Spec

COUNT: Final = 100
"""Items made where nobody says how many."""

GRADER: Final = "reasoning-gym"

ANY: Final = "(any that solves it)"
"""The gold of an item that reasoning-gym gives no answer to, only a scorer."""

SIZE: Final = 1_000
"""How many items a data set believes it has: of a few of them the items depend on that. Ten times it where more are wanted."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One data set, and which of its items."""

    spec: Spec
    seed: int
    start: int
    count: int
    family: str = ""

    @property
    def gym_seed(self) -> int:
        """The seed that reasoning-gym is given."""
        text = f"{self.spec}/{self.seed}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") // 2

    @property
    def size(self) -> int:
        """How many items the data set is to believe it has."""
        size = SIZE
        while size < self.start + self.count:
            size *= 10
        return size


def environment() -> dict[str, str]:
    """What a process that makes or scores items may know: where modules are, and one order of sets for all."""
    return bare() | {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def check() -> None:
    """Refuse early where the package is missing.

    Raises:
        UsageError: it is.

    """
    if importlib.util.find_spec("reasoning_gym") is None:
        raise UsageError(
            "Generated tasks need reasoning-gym: pip install 'ponder[evals]', or give a file: ponder eval mine.jsonl"
        )


def load(spec: Spec, limit: int | None, seed: int, offset: int, others: Iterable[str] = ()) -> Tasks:
    """Items of one data set.

    Args:
        spec: its name and parameters; `size=` says how many items there are where nobody gives a limit.
        limit: how many.
        seed: of the items.
        offset: the index of the first.
        others: what else there is, for the error that suggests near names.

    Raises:
        UnknownName: there is no such data set or parameter.
        UsageError: the package is missing, or the parameters make no sense.

    """
    options = dict(spec.options)
    size = options.pop("size", str(COUNT))
    if not size.isdigit() or int(size) < 1:
        raise UsageError(f"{spec.name}:size takes a whole number of 1 or more, not {size!r}.")
    if "seed" in options:
        raise UsageError(
            f"The seed is no option of {spec.name}: it is given beside the task, --seed {options['seed']}."
        )
    bare = type(spec)(spec.name, options)
    items, complaints = make([Wanted(bare, seed, offset, limit or int(size))], others)
    if not items:
        raise UsageError(f"reasoning-gym can make no item of {bare}: {complaints[0] if complaints else ''}")
    return Tasks(str(bare), tuple(items), tuple(complaints))


def make(wanted: Sequence[Wanted], others: Iterable[str] = ()) -> tuple[list[Item], list[str]]:
    """The items of several data sets, one after the other, made by one process.

    Raises:
        UnknownName: there is no such data set or parameter.
        UsageError: the package is missing, or the parameters make no sense.

    """
    requests = [
        {
            "name": w.spec.name,
            "options": dict(w.spec.options),
            "seed": w.gym_seed,
            "size": w.size,
            "start": w.start,
            "count": w.count,
        }
        for w in wanted
    ]
    items: list[Item] = []
    complaints: list[str] = []
    left = iter(wanted)
    current = next(left)
    for line in _asked(requests):
        if "unknown" in line:
            raise _unknown(line, others)
        if "wrong" in line:
            raise UsageError(f"reasoning-gym refuses {current.spec}: {line['wrong']}. Change the parameter.")
        if "failed" in line:
            complaints.append(f"{current.spec}, item {line['failed']}: it could not be made ({line['why']}).")
        elif "done" in line:
            current = next(left, current)
        else:
            items.append(_item(line, current))
    return items, complaints


def names() -> dict[str, str]:
    """Every data set that can be loaded by name, with its family.

    Raises:
        UsageError: the package is missing.

    """
    found: dict[str, str] = _asked([{"name": ""}])[0]["names"]
    return found


def about(name: str, others: Iterable[str] = ()) -> tuple[str, list[dict[str, str | None]]]:
    """The family of a data set, and its parameters: name, type, and default as it is written, None if it is unset.

    Raises:
        UnknownName: there is no such data set.
        UsageError: the package is missing.

    """
    [line] = _asked([{"name": name, "about": True}])
    if "unknown" in line:
        raise _unknown(line, others)
    size: dict[str, str | None] = {
        "name": "size",
        "type": "int, where no --limit is given",
        "default": str(COUNT),
    }
    return line["family"], [*line["parameters"], size]


def grader_of(name: str) -> str:
    """The grader of a data set's items."""
    return GRADERS.get(kind_of(name), "exact") if name in EQUAL else GRADER


def _unknown(line: dict[str, Any], others: Iterable[str]) -> UnknownName:
    if line["unknown"] == "task":
        return UnknownName("task", line["name"], [*line["known"], *others], lister="ponder tasks")
    return UnknownName(line["unknown"], line["name"], line["known"])


def _asked(requests: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a process of its own answers, in a folder of its own: a few items are made by programs that write files."""
    check()
    with tempfile.TemporaryDirectory() as place:
        done = subprocess.run(
            [sys.executable, "-m", "ponder.evals.tasks._gym"],
            input="".join(json.dumps(request) + "\n" for request in requests),
            capture_output=True,
            text=True,
            cwd=place,
            env=environment(),
            check=False,
        )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode or len(lines) < 2:
        reason = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise UsageError(
            f"reasoning-gym could not be run: {reason}. Install it again: pip install 'ponder[evals]'"
        )
    return lines[1:]


def _item(made: dict[str, Any], wanted: Wanted) -> Item:
    name, index = wanted.spec.name, made["index"]
    kind = kind_of(name)
    question = made["question"].strip() + (f"\n\n{FENCE}" if kind == "code" or name == "codeio" else "")
    problem = Problem(f"{wanted.spec}/s{wanted.seed}/{index}", (Message("user", question),), kind)
    scored = {
        "data": name,
        "config": dict(wanted.spec.options),
        "seed": wanted.gym_seed,
        "size": wanted.size,
        "index": index,
        "digest": made["digest"],
    }
    return Item(
        problem,
        ANY if made["answer"] is None and name not in EQUAL else made["answer"],
        task=str(wanted.spec),
        family=wanted.family or made["family"],
        level=_level(made["difficulty"]),
        grader=grader_of(name),
        meta={} if name in EQUAL else scored,
    )


def _level(difficulty: Any) -> float | None:
    """A difficulty that is one number; most are several, and then there is none."""
    if isinstance(difficulty, dict) and len(difficulty) == 1:
        difficulty = next(iter(difficulty.values()))
    is_number = isinstance(difficulty, (int, float)) and not isinstance(difficulty, bool)
    return float(difficulty) if is_number else None
