"""The one door to tasks: says from a spec's form where its items come from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ponder.core.errors import UsageError
from ponder.evals.countdown import GRADER as LINES
from ponder.evals.tasks import countdown_lines, files, gym, hub, lm_eval, suites
from ponder.evals.tasks.loaded import Tasks, portion
from ponder.evals.tasks.rows import OPTIONS, to_items
from ponder.evals.tasks.spec import read

if TYPE_CHECKING:
    from ponder.evals.tasks.spec import Spec

DEFAULT = "chain_sum:max_digits=2,max_terms=3,min_digits=2,min_terms=3"
"""Sums of three terms of two digits: what small models get right now and then."""


def load(spec: str = DEFAULT, *, limit: int | None = None, seed: int = 0, offset: int = 0) -> Tasks:
    """The items that a spec names.

    Args:
        spec: one of

            * a data set of reasoning-gym with its parameters: `chain_sum:min_terms=2,max_terms=4`; nothing at all, or
              a bare `chain_sum`, is `DEFAULT`;
            * a path to a .jsonl, .json or .parquet file, with `question=`, `answer=`, `choices=`, `id=`, `level=`,
              `family=` for the names of its fields where they are not the usual ones, and `kind=` for the kind of
              answer: `mine.jsonl:question=ask,answer=gold,kind=math`. Rows as HumanEval or MBPP have them are programming
              problems, and are graded by their tests; `shown=` says how many of MBPP's tests the question shows;
            * `hf:owner/name`, with `config=`, `split=`, `revision=` and the options of a file; or one of the short
              names in `hub.KNOWN`: gsm8k, math-500, aime24, aime25, gpqa-diamond, humaneval, mbpp;
            * a path to a task of lm-eval: `mine.yaml`;
            * a suite: `sys2bench`;
            * `countdown-lines`: Countdown as self-backtracking writes it, see `ponder.evals.countdown`.
        limit: how many items at most; None is all of a file, and 100 of what is generated.
        seed: of what is generated, and of the order of shuffled choices. Files ignore it.
        offset: how many items to leave out at the start.

    Raises:
        UnknownName: there is no such task, or it has no such option; near names are suggested.
        UsageError: the file cannot be read, the package is not installed, or the numbers make no sense.

    """
    if (limit is not None and limit < 1) or offset < 0:
        raise UsageError(f"Take a limit of 1 or more and an offset of 0 or more, not {limit} and {offset}.")
    parsed = read(spec.strip() or DEFAULT)
    if str(parsed) == "chain_sum":
        parsed = read(DEFAULT)
    suffix = Path(parsed.name).suffix.lower()
    if suffix in files.SUFFIXES:
        return _file(parsed, limit, offset)
    if suffix in (".yaml", ".yml"):
        return lm_eval.load(parsed, limit, offset)
    if parsed.name.startswith("hf:") or parsed.name in hub.KNOWN:
        return hub.load(parsed, limit, seed, offset)
    if parsed.name == LINES:
        return countdown_lines.load(parsed, limit, seed, offset)
    if parsed.name in suites.SUITES:
        return suites.load(parsed, limit, seed, offset)
    if Path(parsed.name).exists() or "/" in parsed.name:
        raise UsageError(
            f"{parsed.name} is no task that can be read. Give a file that ends in "
            f"{', '.join(sorted(files.SUFFIXES))} or .yaml, or hf:owner/name for a data set of the hub."
        )
    return gym.load(parsed, limit, seed, offset, [*hub.KNOWN, *suites.SUITES, LINES])


def _file(spec: Spec, limit: int | None, offset: int) -> Tasks:
    spec.only(OPTIONS, "a file")
    rows, complaints = files.rows(Path(spec.name))
    items, more = to_items(rows, spec.options, task=Path(spec.name).stem, source=spec.name)
    complaints += more
    return Tasks(str(spec), tuple(portion(items, spec.name, limit, offset, complaints)), tuple(complaints))
