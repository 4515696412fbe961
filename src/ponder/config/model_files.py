"""Model files: which one a name means, and the embedded engine on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ponder import models
from ponder.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ponder.config.setting import Settings
    from ponder.engines.llama_cpp import LlamaCpp
    from ponder.engines.openvino import OpenVino
    from ponder.models import Progress


def wanted(name: str | None, settings: Settings) -> Path | models.ModelFile:
    """What a name, or no name, means: the file at that path, or the catalogue's model, here or not.

    Without a name it is the first default model that is here, so that nothing is asked of a network while
    there is one; else the first.

    Raises:
        UnknownName, ModelFileError: it means nothing; the message says what would.

    """
    if name := name or settings.model:
        return models.resolve(name)
    here = (model for model in models.DEFAULT_ORDER if models.find(model, into=settings.models))
    return next(here, models.DEFAULT_ORDER[0])


def model_path(name: str | None, settings: Settings, *, progress: Progress | None = None) -> Path:
    """The file of a model by name or path, fetched first if need be; None is the default model.

    Raises:
        UnknownName, ModelUnavailable: with what to do instead.

    """
    found = wanted(name, settings)
    if isinstance(found, Path):
        return found
    if (name or settings.model) is None and models.find(found, into=settings.models) is None:
        return models.pull_default(into=settings.models, progress=progress)
    return models.pull(found, into=settings.models, progress=progress)


def engine_file(
    path: Path, settings: Settings, tell: Callable[[str], None] | None = None
) -> tuple[Path, str]:
    """The file that is opened for a model, and why that one: the same model as Q8_0 where that pays.

    It is made on first use; `tell` is told so before, and where it could not be made.

    Raises:
        ModelFileError: it is no model file, or cut short.
        UsageError: the library that the settings name is not the right one.

    """
    from ponder.engines._gguf import read_gguf
    from ponder.engines._llama import BindingMismatch, load_library
    from ponder.engines.embedded.requantise import MOSTLY_Q8_0, RequantiseFailed, kept, requantised, worth

    if settings.library:
        try:
            load_library(str(settings.library))
        except (BindingMismatch, OSError) as error:
            raise UsageError(
                f"The llama.cpp library {settings.library} cannot be used: {error} Build it with `make native`, or "
                "leave out the setting `library`."
            ) from error
    if settings.engine == "openvino":
        if read_gguf(path).file_type == MOSTLY_Q8_0:
            return path, "as it is, for it is Q8_0"
        if not (found := kept(path, settings.cache)):
            if tell:
                tell(f"{path.name}: openvino reads Q8_0 only. Making that file, once.")
            found = requantised(path, settings.cache)
        return found, "as Q8_0, which openvino asks for"
    if not settings.requantise:
        return path, "as it is, for requantise is false"
    if (why := worth(path)) is None:
        return path, "as it is: another form would not be much faster here"
    if found := kept(path, settings.cache):
        return found, str(why)
    if tell:
        tell(f"{path.name}: {why} Making that file, once.")
    try:
        return requantised(path, settings.cache), str(why)
    except RequantiseFailed as error:
        if tell:
            tell(str(error))
        return path, f"as it is. {error}"


def open_engine(
    path: Path, settings: Settings, tell: Callable[[str], None] | None = None
) -> LlamaCpp | OpenVino:
    """The embedded engine on a model file, as fast as it is known to be here; the caller closes it.

    Opened is the file that `engine_file` says, with what a tuning run found (`ponder doctor --tune`).
    It is called as the catalogue calls the file, else as the file is called: what is written in the file is
    often the name of some training run.

    Raises:
        ModelFileError: it is no model file, or cut short.
        Unsupported, UsageError: the engine of the settings cannot run this file, or is not installed.

    """
    from ponder.engines.embedded.tuning import remembered
    from ponder.engines.llama_cpp import LlamaCpp

    file, _ = engine_file(path, settings, tell)
    name = next((model.name for model in models.CATALOGUE.values() if model.file == path.name), path.stem)
    if settings.engine == "openvino":
        if settings.deterministic:
            raise UsageError(
                "engine = openvino has no deterministic mode. Leave out one of the two settings."
            )
        from ponder.engines.openvino import OpenVino

        return OpenVino(file, threads=settings.threads, name=name)
    tuning = remembered(file, settings.cache)
    return LlamaCpp(
        file,
        threads=settings.threads or (tuning.threads if tuning else None),
        flash_attn=tuning.flash_attn if tuning else True,
        name=name,
        deterministic=settings.deterministic,
    )
