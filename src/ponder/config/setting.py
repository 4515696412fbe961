"""Settings: where things are, and what is used when nothing is said."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ponder.config.file import FILE, in_file, read
from ponder.config.values import READERS, text
from ponder.core.errors import UnknownName, UsageError, about

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ponder.engines.servers.upstream import Upstream

GATEWAY = ("gateway", "presets", "effort")
"""The tables of ponder.toml that only `ponder serve` reads."""


@dataclass(frozen=True)
class Settings:
    """Where things are and what is used when nothing is said.

    Each is looked up as a flag, then as PONDER_<NAME> in the environment, then in ponder.toml in the working
    folder, then here. `engine` runs model files: "llama.cpp", or "openvino" where its extra is installed, which is
    faster on x86 (decision 9). `deterministic` is of llama.cpp's; `library` is a libllama.so that takes the place of
    the one in the wheel, built from the same release for this very processor (`make native`). `roles` are the models
    of roles other than the solver's: a table in ponder.toml, PONDER_ROLES="feedback=A;edit=B" in the environment.
    `upstreams` are the models on servers, [models.NAME] in ponder.toml; only there can they be given. So are the tables of
    `ponder serve`, [gateway], [presets.NAME] and [effort], which it reads itself. `file` is the ponder.toml that was read.
    """

    home: Path
    model: str | None = None
    strategy: str = "self-consistency"
    budget: str = "4k"
    threads: int | None = None
    requantise: bool = True
    deterministic: bool = False
    engine: str = "llama.cpp"
    library: Path | None = None
    roles: Mapping[str, str] = field(default_factory=dict, hash=False)
    upstreams: Mapping[str, Upstream] = field(default_factory=dict, hash=False)
    gateway: Mapping[str, Any] = field(default_factory=dict, hash=False)
    file: Path | None = None

    @property
    def runs(self) -> Path:
        """One file per run."""
        return self.home / "runs"

    @property
    def models(self) -> Path:
        """Model files that were pulled."""
        return self.home / "models"

    @property
    def policies(self) -> Path:
        """What `ponder calibrate` learnt, one file per policy."""
        return self.home / "policies"

    @property
    def cache(self) -> Path:
        """What can be made again: tunings, and model files that could not stand beside their originals."""
        return self.home / "cache"


def settings(
    environ: Mapping[str, str] | None = None, folder: Path | None = None, file: Path | None = None
) -> Settings:
    """The settings in force. `file` takes the place of ponder.toml in `folder`, the working folder.

    Raises:
        UsageError: ponder.toml cannot be read, or a value is of the wrong type.
        UnknownName: it has a key that does not exist.

    """
    environ = os.environ if environ is None else environ
    known = {f.name for f in fields(Settings)} - {"upstreams", "gateway", "file"}
    path = file or (folder or Path()) / FILE
    if file is not None and not file.is_file():
        raise UsageError(f"There is no file {file}. Name one with --config, or leave it out.")
    said_there = read(path)
    with in_file(path):
        upstreams = _upstreams(said_there.pop("models", {}))
        gateway = {name: said_there.pop(name) for name in GATEWAY if name in said_there}
        found: dict[str, Any] = {}
        for key, value in said_there.items():
            with about(key):
                if key not in known:
                    raise UnknownName(f"setting in {FILE}", key, known | {"models", *GATEWAY})
                if f"PONDER_{key.upper()}" not in environ:
                    found[key] = (READERS.get(key) or text)(f"{key} in {FILE}", value)
    for key in known:
        if said := environ.get(name := f"PONDER_{key.upper()}"):
            found[key] = (READERS.get(key) or text)(name, said)
    home = found.pop("home", None)
    return replace(
        Settings(
            Path(home).expanduser() if home else default_home(),
            upstreams=upstreams,
            gateway=gateway,
            file=path,
        ),
        **found,
    )


def _upstreams(tables: Any) -> Mapping[str, Upstream]:
    if not tables:
        return {}
    from ponder.engines.servers.upstream import Upstream

    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        with about("models"):
            raise UsageError(f"Models on servers are tables in {FILE}: [models.NAME], and below it url = ...")
    found = {}
    for name, table in tables.items():
        with about("models", name):
            found[name] = Upstream.of(name, table)
    return found


def default_home() -> Path:
    """Where the system keeps what its users' programs make."""
    from platformdirs import user_data_path

    return user_data_path("ponder", appauthor=False)
