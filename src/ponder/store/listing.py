"""The runs in a directory, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ponder.core.calls import Usage
from ponder.core.errors import StoreError
from ponder.store.names import SUFFIX
from ponder.store.reader import RunFile

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One line about a run.

    `strategy` and `model` name every one that took part. `answer` and `stop` are those of the only attempt, and
    None where there are several; the `stop` of an attempt without an end is "running" or "interrupted".
    `usage` is the sum over finished attempts. Where `damage` is not None it says why the file cannot be read,
    and nothing but `id`, `path` and `started` (the file's own time) is known.
    """

    id: str
    path: Path
    started: float
    question: str = ""
    strategy: str = ""
    model: str = ""
    answer: str | None = None
    usage: Usage = Usage()
    stop: str | None = None
    attempts: int = 0
    finished: int = 0
    damage: str | None = None


def list_runs(directory: Path, limit: int | None = None) -> list[RunSummary]:
    """The runs in a directory, newest first; none where there is no such directory. Never raises over a file."""
    paths = sorted((p for p in directory.glob("*" + SUFFIX) if p.is_file()), reverse=True)
    if limit is not None and 0 < limit < len(paths):
        oldest = paths[limit - 1].stem[
            :13
        ]  # ids tell minutes: read all of the last one, and sort by the clock
        paths = [p for i, p in enumerate(paths) if i < limit or p.stem[:13] == oldest]
    return sorted(map(summarize, paths), key=lambda run: (run.started, run.id), reverse=True)[:limit]


def summarize(path: Path) -> RunSummary:
    """One line about one run file."""
    try:
        with RunFile.open(path) as run:
            attempts, about = run.attempts(), run.meta()
        created = about["created"]
        if not isinstance(created, float):
            raise StoreError(f"{path} is damaged: it does not say when it was made.")
    except (StoreError, OSError, KeyError) as error:
        return RunSummary(path.stem, path, _age(path), damage=str(error))
    only = attempts[0] if len(attempts) == 1 else None
    return RunSummary(
        path.stem,
        path,
        created,
        question=attempts[0].question if attempts else "",
        strategy=_all(a.strategy for a in attempts),
        model=_all(model for a in attempts for model in a.models.values()),
        answer=only.answer if only else None,
        usage=sum((a.usage for a in attempts if a.usage), Usage()),
        stop=(only.stop or only.status) if only else None,
        attempts=len(attempts),
        finished=sum(a.status == "finished" for a in attempts),
    )


def _all(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
