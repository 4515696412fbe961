"""Which ponder ran, and on what."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from ponder.config.setting import settings


def code() -> dict[str, str]:
    """Which ponder this is: its version, and a digest of its source, for two of one version may differ."""
    from importlib.metadata import version

    digest = hashlib.sha256()
    package = Path(__file__).parents[1]
    for file in sorted(package.rglob("*.py")):
        digest.update(file.relative_to(package).as_posix().encode() + file.read_bytes())
    return {"ponder": version("ponder"), "source": digest.hexdigest()[:12]}


def versions() -> dict[str, str]:
    """What this runs on; stored with every run."""
    from importlib.metadata import version

    names = ["ponder", "xllamacpp", "numpy", "anyio", "math-verify", "sympy"]
    if settings().engine == "openvino":
        names.append("openvino")
    return {"python": sys.version.split()[0], **{name: version(name) for name in names}}
