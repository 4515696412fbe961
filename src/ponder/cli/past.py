"""Evaluations that were made: their run files, what they measured, and their samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping  # noqa: TC003 - read at run time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from ponder.cli.terminal import one_line
from ponder.core.errors import UsageError
from ponder.evals.replay import replay
from ponder.evals.stats import accuracy, right
from ponder.evals.study import study
from ponder.store import RunFile, Samples
from ponder.store.names import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from ponder import config
    from ponder.core.prefix import Segment
    from ponder.core.protocols import Engine
    from ponder.evals.values import Item, Outcome, Study

MINUTE = len("20261123-0142")
"""Letters of a run's id that say when it began; of those of one minute its file knows more."""


def table(measured: Study) -> Table:
    """A line for each arm: how often it was right, and what it cost."""
    drawn = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    for name in ("strategy", "budget", "n", "right", "95 %", "tokens", "prompt", "no answer", "broke"):
        words = name in ("strategy", "budget")
        drawn.add_column(
            name,
            justify="left" if words else "right",
            overflow="fold",
            no_wrap=name not in ("strategy", "no answer"),
        )
    by_arm: dict[Any, list[Outcome]] = {}
    for outcome in measured.outcomes:
        by_arm.setdefault(outcome.arm, []).append(outcome)
    for arm, outcomes in by_arm.items():
        graded = right(outcomes)
        about = accuracy(graded) if graded else None
        n, marks = len(outcomes), sum(map(len, graded.values()))
        drawn.add_row(
            one_line(arm.strategy) + (" (oracle)" if arm.oracle else ""),
            arm.budget,
            f"{n:,}" if marks == n else f"{marks:,} of {n:,}",
            f"{about.value:.3f}" if about else "-",
            f"{about.interval.low:.3f} to {about.interval.high:.3f}" if about else "-",
            f"{sum(o.usage.completion for o in outcomes) / n:,.0f}",
            f"{sum(o.usage.prompt for o in outcomes) / n:,.0f}",
            f"{sum(o.answer is None for o in outcomes):,}",
            f"{sum(o.stop == 'failed' for o in outcomes):,}",
        )
    return drawn


def opened(settings: config.Settings, run: str | None) -> RunFile:
    """The run file of an evaluation by its path, its id, its beginning or its end; else of the newest.

    Raises:
        UsageError: there is none.

    """
    if run is not None and run.endswith(SUFFIX):
        file = RunFile.open(Path(run).expanduser())
        if "evaluation" in file.meta():
            return file
        file.close()
        raise UsageError(f"{run} is the file of a run, but not of an evaluation.")
    found: list[tuple[float, Path]] = []
    for path in sorted(settings.runs.glob("*" + SUFFIX), reverse=True):
        if run is not None and not path.stem.startswith(run) and not path.stem.endswith(run):
            continue
        if found and path.stem[:MINUTE] != found[0][1].stem[:MINUTE]:
            break
        with RunFile.open(path) as other:
            about = other.meta()
        if "evaluation" in about:
            found.append((about["created"], path))
    if not found:
        raise UsageError("There is no such evaluation. Make one: ponder eval chain_sum --limit 20")
    return RunFile.open(max(found)[1])


def replayed(
    settings: config.Settings, run: str
) -> tuple[
    tuple[Item, ...],
    tuple[int, ...],
    AbstractContextManager[Mapping[str, Engine]],
    Mapping[tuple[str, int], Segment],
]:
    """See `ponder.evals.replay`; the samples are there for as long as the engines are open."""
    with ExitStack() as files:
        items, seeds, engines, found = replay(files.enter_context(opened(settings, run)))
        return items, seeds, _together(files.pop_all(), engines), found


@contextmanager
def _together(files: ExitStack, engines: Mapping[str, Engine]) -> Iterator[Mapping[str, Engine]]:
    with files:
        yield engines


@contextmanager
def samples(
    settings: config.Settings, runs: Sequence[str], engines: Mapping[str, Engine]
) -> Iterator[Mapping[tuple[str, int], Segment] | None]:
    """The samples of evaluations, to begin another with: of a later one before an earlier one's. None without any.

    Each is read when it is asked for, for a sample takes far more room in memory than in its file.

    Raises:
        UsageError: there is no such evaluation, or it was made with another model.

    """
    found: Mapping[tuple[str, int], Segment] | None = None
    with ExitStack() as files:
        for run in runs:
            file = files.enter_context(opened(settings, run))
            made = file.meta()["evaluation"]["model"]
            if made != (model := engines["solver"].capabilities.name):
                raise UsageError(f"The run {file.id} was made with the model {made}, and this is {model}.")
            found = Samples(file, found)
        yield found


def measured(settings: config.Settings, run: str | None) -> Study:
    """The study of an evaluation; see `opened`."""
    with opened(settings, run) as file:
        return study(file)
