"""The composition root: names become objects here, and nowhere else is the environment read."""

from __future__ import annotations

import os
import sys
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ponder import models
from ponder.core.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ponder.engines.llama_cpp import LlamaCpp
    from ponder.models import Progress

FILE = "ponder.toml"


@dataclass(frozen=True)
class Settings:
    """Where things are and what is used when nothing is said.

    Each is looked up as a flag, then as PONDER_<NAME> in the environment, then in ponder.toml in the working
    folder, then here.
    """

    home: Path
    model: str | None = None
    strategy: str = "self-consistency"
    budget: str = "4k"
    threads: int | None = None

    @property
    def runs(self) -> Path:
        """One file per run."""
        return self.home / "runs"

    @property
    def models(self) -> Path:
        """Model files that were pulled."""
        return self.home / "models"


def settings(environ: Mapping[str, str] | None = None, folder: Path | None = None) -> Settings:
    """The settings in force.

    Raises:
        UsageError: ponder.toml cannot be read, or a value is of the wrong type.
        UnknownName: it has a key that does not exist.

    """
    environ = os.environ if environ is None else environ
    known = {f.name for f in fields(Settings)}
    given: dict[str, Any] = {}
    path = (folder or Path.cwd()) / FILE
    if path.is_file():
        try:
            given = tomllib.loads(path.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise UsageError(f"{path.name} cannot be read: {error}.") from None
        for key in given:
            if key not in known:
                raise UnknownName(f"setting in {path.name}", key, known)
    given |= {n: environ[f"PONDER_{n.upper()}"] for n in known if environ.get(f"PONDER_{n.upper()}")}
    if "threads" in given:
        try:
            given["threads"] = int(given["threads"])
        except (TypeError, ValueError):
            raise UsageError(f"threads takes a whole number, not {given['threads']!r}.") from None
    home = Path(given.pop("home", "") or _home())
    return replace(Settings(home), **given)


def _home() -> Path:
    from platformdirs import user_data_path

    return user_data_path("ponder", appauthor=False)


def model_path(name: str | None, settings: Settings, *, progress: Progress | None = None) -> Path:
    """The file of a model by name or path, fetched first if need be; None is the default model.

    Raises:
        UnknownName, ModelUnavailable: with what to do instead.

    """
    name = name or settings.model
    if name is None:
        return models.pull_default(into=settings.models, progress=progress)
    found = models.resolve(name)
    return found if isinstance(found, Path) else models.pull(found, into=settings.models, progress=progress)


def open_engine(path: Path, settings: Settings) -> LlamaCpp:
    """The embedded engine on a model file; the caller closes it.

    Raises:
        ModelFileError: it is no model file, or cut short.

    """
    from ponder.engines.llama_cpp import LlamaCpp

    return LlamaCpp(path, threads=settings.threads)


def versions() -> dict[str, str]:
    """What this runs on; stored with every run."""
    from importlib.metadata import version

    names = ("ponder", "xllamacpp", "numpy", "anyio", "math-verify", "sympy")
    return {"python": sys.version.split()[0], **{name: version(name) for name in names}}
