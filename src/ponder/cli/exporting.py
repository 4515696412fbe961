"""What is made of an evaluation: its report, its table of outcomes, and logs that other tools open."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ponder.cli.past import opened
from ponder.cli.terminal import say
from ponder.core.errors import StoreError, UsageError
from ponder.evals.attacks import hit
from ponder.evals.inspect_logs import inspect_logs
from ponder.evals.report import render
from ponder.evals.study import study
from ponder.runtime.draw import lines
from ponder.runtime.tree import grow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ponder import config
    from ponder.evals.calibration import Figures
    from ponder.evals.values import Outcome, Study
    from ponder.store import RunFile


FORMS = {"jsonl": "outcomes.jsonl", "parquet": "outcomes.parquet", "inspect": "logs"}
"""The forms of an export, and where each goes if nothing is said."""


def see_whole(settings: config.Settings, run: str, to: str | None) -> None:
    """Write the report where one is asked for; else say how to get it."""
    if to:
        say(f"The report: {write_report(settings, run, to)}")
    else:
        say(f"See it whole: ponder report {run}")


def check_place(to: str | None) -> None:
    """Refuse a page's file before anything is done for it, where it can be told that it cannot be written.

    Raises:
        StoreError: it is a folder, or lies in one that cannot be written to.

    """
    if to is None:
        return
    path = Path(to)
    folder = next(place for place in path.absolute().parents if place.exists())
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        why = "is a folder" if path.is_dir() else f"cannot be written, for {folder} cannot"
        raise StoreError(f"{to} {why}. Name another file for it, for example page.html.")


def write_report(
    settings: config.Settings,
    run: str | None,
    to: str | None,
    calibration: tuple[Sequence[Figures], str] | None = None,
) -> str:
    """Write the report of an evaluation; the name of the file. `calibration` is what one found in it."""
    with opened(settings, run) as file:
        found = study(file)
        page = render(found, Traces(file, [outcome.attempt for outcome in found.outcomes]), calibration)
    return written(Path(to or f"{found.name}.html"), page.encode("utf-8", "replace"))


class Traces(Mapping[str, str]):
    """Attempt id -> its tree, drawn when it is asked for."""

    def __init__(self, file: RunFile, attempts: Sequence[str]) -> None:
        self._file = file
        self._attempts = dict.fromkeys(attempts)

    def __getitem__(self, attempt: str) -> str:
        if attempt not in self._attempts:
            raise KeyError(attempt)
        return "\n".join(lines(grow(self._file.events(int(attempt))), width=110, max_text=400))

    def __iter__(self) -> Iterator[str]:
        return iter(self._attempts)

    def __len__(self) -> int:
        return len(self._attempts)


def export(settings: config.Settings, run: str | None, to: str | None, form: str | None = None) -> list[str]:
    """Write the outcomes of an evaluation, a row for each attempt, or its logs for Inspect; the names of the files.

    Args:
        form: "jsonl", "parquet" or "inspect"; if it is not said, the name tells.
        to: a file; for Inspect a folder, which gets a log for each task and strategy.

    Raises:
        UsageError: the name tells no form, or pyarrow is missing.
        StoreError: a file cannot be written; each is there whole or not at all.

    """
    form = form or (Path(to).suffix.removeprefix(".") if to else "jsonl")
    if form not in FORMS:
        raise UsageError(
            f"{to} tells no form. Give a name that ends in .jsonl or .parquet, or say --format inspect."
        )
    path = Path(to or FORMS[form])
    with opened(settings, run) as file:
        if form == "inspect":
            return [
                written(path / name, json.dumps(log, ensure_ascii=False).encode("utf-8", "replace"))
                for name, log in inspect_logs(file)
            ]
        found = study(file)
    attacked = any("attacked" in item.meta for item in found.items.values())
    rows = [
        row(found, outcome) | (attack_row(found, outcome) if attacked else {}) for outcome in found.outcomes
    ]
    if form == "jsonl":
        told = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows)
        return [written(path, told.encode("utf-8", "replace"))]
    try:
        import pyarrow as pa  # type: ignore[import-not-found, import-untyped, unused-ignore]
        from pyarrow import parquet  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError as error:
        raise UsageError("Parquet needs pyarrow. Install it: pip install 'ponder[evals]'") from error
    buffer = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), buffer)
    return [written(path, buffer.getvalue())]


def row(found: Study, outcome: Outcome) -> dict[str, Any]:
    """An outcome as one flat row."""
    item, usage = found.items.get(outcome.item), outcome.usage
    return {
        "run": found.name,
        "model": found.model,
        "simulated": found.simulated,
        "strategy": outcome.arm.strategy,
        "budget": outcome.arm.budget,
        "oracle": outcome.arm.oracle,
        "task": item.task if item else "",
        "family": item.family if item else "",
        "level": item.level if item else None,
        "problem": outcome.item,
        "seed": outcome.seed,
        "gold": item.gold if item else None,
        "answer": outcome.answer,
        "correct": outcome.correct,
        "prompt_tokens": usage.prompt,
        "cached_tokens": usage.cached,
        "completion_tokens": usage.completion,
        "scorer_tokens": usage.scorer,
        "calls": usage.calls,
        "seconds": outcome.seconds,
        "depth": outcome.depth,
        "length": outcome.length,
        "stop": outcome.stop,
        "error": outcome.error,
        "failed": outcome.failed,
        "attempt": outcome.attempt,
    }


def attack_row(found: Study, outcome: Outcome) -> dict[str, Any]:
    """What an attack on it wanted, and whether it got that; of one that is tried again and again, with which try."""
    item = found.items.get(outcome.item)
    about = item.meta.get("attacked", {}) if item else {}
    succeeded = hit(item, outcome) if item and about else None
    return {
        "attack": about.get("attack"),
        "goal": about.get("goal"),
        "strength": about.get("strength"),
        "target": about.get("target"),
        "succeeded": succeeded,
        "tries": len(outcome.tries) or None,
        "tokens_attacker": sum(one.attacker for one in outcome.tries),
    }


def written(path: Path, content: bytes) -> str:
    """Write a file whole or not at all."""
    draft = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise StoreError(f"{path} cannot be written ({error.strerror}). Name another file.") from None
    return str(path)
