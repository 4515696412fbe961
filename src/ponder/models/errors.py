"""What can go wrong on the way to a model file: a branch of the tree in `ponder.core.errors`.

PonderError
├── UnknownName
│   └── UnknownModel      neither a catalogue name nor an alias
├── EngineError
│   └── ModelFileError    a named file is missing or no GGUF (defined in core, raised by `resolve` too)
└── ModelError
    ├── ModelUnavailable  every source failed; each with its reason
    ├── DiskFull          too little room, found before or during a download
    ├── StorageFailed     the models directory cannot be written or locked
    └── SourceFailed      one source's reason; `pull` gathers these into ModelUnavailable
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ponder.core.errors import PonderError, UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

OWN_FILE = "use a file of your own with `-m path/to/file.gguf`"


class ModelError(PonderError):
    """A model file could not be fetched or kept."""


class UnknownModel(UnknownName):
    """Neither a catalogue name nor an alias; says the nearest, what exists, and the way around."""

    def __init__(self, name: str, names: Iterable[str], models: Iterable[str]) -> None:
        super().__init__("model", name, names)
        known = "Or" if "There are: " in self.args[0] else f"Known models: {', '.join(models)}; or"
        self.args = (f"{self.args[0]} {known} {OWN_FILE}.",)


class ModelUnavailable(ModelError):
    """No source gave the file; `reasons` holds (source, why it failed) in the order tried."""

    def __init__(self, model: str, reasons: Sequence[tuple[str, str]]) -> None:
        self.model = model
        self.reasons = tuple(reasons)
        tried = "".join(f"\n  - {source}: {why}" for source, why in self.reasons)
        super().__init__(
            f"{model} could not be fetched from any source:{tried}\n"
            f"What is already here is kept: try again when one can be reached, or {OWN_FILE}."
        )


class DiskFull(ModelError):
    """`needed` further bytes do not fit; `free` is what there is. Bytes already fetched stay for a later try."""

    def __init__(self, directory: Path, needed: int, free: int) -> None:
        self.directory, self.needed, self.free = directory, needed, free
        super().__init__(
            f"{directory} has {free / 1e6:,.0f} MB free and {needed / 1e6:,.0f} MB are needed. "
            f"Free some room and try again (it goes on from what is there), name another directory, or {OWN_FILE}."
        )


class StorageFailed(ModelError):
    """The models directory cannot be written or locked."""


class SourceFailed(ModelError):
    """One source did not give what it should; the message is the reason, without the source's name."""
