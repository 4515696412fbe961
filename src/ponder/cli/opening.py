"""What commands open: the settings in force, and the engines of models."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from ponder import config
from ponder.cli.terminal import err, leave_at_once_on_ctrl_c, say
from ponder.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ponder.config import Settings
    from ponder.core.protocols import Engine


def settings(file: str | None = None) -> Settings:
    """The settings in force; `file` takes the place of ponder.toml. Where they cannot be used the command ends with 3."""
    try:
        return config.settings(file=Path(file) if file else None)
    except UsageError as error:
        say(str(error))
        raise SystemExit(3) from None


@contextmanager
def engines(
    models: Mapping[str, str | None], settings: Settings, *, yes: bool, quiet: bool
) -> Iterator[dict[str, Engine]]:
    """The engines of models by role, closed at the end. Roles with the same model share one engine."""
    opened: dict[str, Engine] = {}
    try:
        yield {role: engine(name, settings, opened, yes=yes, quiet=quiet) for role, name in models.items()}
    finally:
        for each in opened.values():
            config.close(each)


def engine(
    model: str | None,
    settings: Settings,
    opened: dict[str, Engine],
    open_file: Callable[..., Engine] | None = None,
    *,
    yes: bool,
    quiet: bool,
) -> Engine:
    """The engine of a model, which is fetched first if need be; one that is `opened` already, or will be.

    `open_file` opens a model file; in this process by default.
    """
    from ponder.cli.fetching import model_file

    key = model or settings.model or ""
    if key not in opened and (simulated := config.simulated(key)):
        opened[key] = simulated
    if key not in opened and (upstream := config.remote(key, settings)):
        opened[key] = config.open_remote(upstream, settings, None if quiet else say)
    if key not in opened:
        path = model_file(model, settings, yes=yes, quiet=quiet)
        key = str(path.resolve())
        if key not in opened:
            leave_at_once_on_ctrl_c()  # until the run listens itself
            waiting = (
                nullcontext() if quiet else err().status(f"Opening {path.name}")
            )  # shown on a terminal only
            with waiting:
                opened[key] = (open_file or config.open_engine)(path, settings, None if quiet else say)
    return opened[key]
