"""The models ponder knows by name, and `pull`, which brings one to this disk, verified."""

from ponder.models.catalogue import (
    CATALOGUE,
    DEFAULT_ORDER,
    HubFile,
    ModelFile,
    RegistryPackages,
    WheelMember,
)
from ponder.models.errors import (
    DiskFull,
    ModelError,
    ModelUnavailable,
    SourceFailed,
    StorageFailed,
    UnknownModel,
)
from ponder.models.fetch import find, models_dir, pull, pull_default, resolve
from ponder.models.progress import Progress

__all__ = [
    "CATALOGUE",
    "DEFAULT_ORDER",
    "DiskFull",
    "HubFile",
    "ModelError",
    "ModelFile",
    "ModelUnavailable",
    "Progress",
    "RegistryPackages",
    "SourceFailed",
    "StorageFailed",
    "UnknownModel",
    "WheelMember",
    "find",
    "models_dir",
    "pull",
    "pull_default",
    "resolve",
]
