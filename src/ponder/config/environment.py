"""The environment: the secrets that settings refer to, and what child processes may know of it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ponder.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

KNOWN_TO_CHILDREN = re.compile(
    r"PATH|LD_LIBRARY_PATH|DYLD_\w+|LANG|LC_\w+|TMPDIR|(OMP|GOMP|KMP|GGML|OPENBLAS|MKL)_\w+"
)


def bare_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a process that is to know no secret: where modules and libraries are, how many threads."""
    environ = os.environ if environ is None else environ
    kept = {name: value for name, value in environ.items() if KNOWN_TO_CHILDREN.fullmatch(name)}
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1"}


def secret(reference: str | None, what: str, environ: Mapping[str, str] | None = None) -> str | None:
    """What "${env:NAME}" or "file:/path" refers to.

    Raises:
        UsageError: it refers to nothing, or is no reference; the message never tells what it is.

    """
    if reference is None:
        return None
    environ = os.environ if environ is None else environ
    if m := re.fullmatch(r"\$\{env:(\w+)\}", reference):
        if value := environ.get(m[1]):
            return value
        raise UsageError(f"The {what} is to be in the environment as {m[1]}, and is not. Set it.")
    if reference.startswith("file:"):
        try:
            return Path(reference.removeprefix("file:")).expanduser().read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise UsageError(
                f"The {what} is to be in the file {reference[5:]}, which cannot be read."
            ) from None
    raise UsageError(f"Write the {what} as ${{env:NAME}} or file:/path, not as it is.")
