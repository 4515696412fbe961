"""Runs and traces on disk: one SQLite file per run, written by one writer, readable by anyone.

with RunWriter.create(directory, command=sys.argv) as writer:
    result = await solve(..., watchers=[writer.attempt()], trace=writer.id)
with RunFile.open(locate(directory, result.trace)) as run:
    events = run.events()
"""

from ponder.store.listing import RunSummary, list_runs
from ponder.store.names import locate
from ponder.store.reader import AttemptRow, Moment, RunFile, Samples
from ponder.store.writer import Recording, RunWriter

__all__ = [
    "AttemptRow",
    "Moment",
    "Recording",
    "RunFile",
    "RunSummary",
    "RunWriter",
    "Samples",
    "list_runs",
    "locate",
]
