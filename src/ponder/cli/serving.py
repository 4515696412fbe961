"""`ponder serve` and `ponder keys`: the gateway as commands."""

from __future__ import annotations

import re
import socket
import time
from typing import TYPE_CHECKING, Any

from rich.text import Text

from ponder import config
from ponder.cli.show import listing
from ponder.cli.terminal import emit, out, say
from ponder.core.calls import Budget
from ponder.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ponder.config import Settings
    from ponder.core.protocols import Engine
    from ponder.gateway.keys import Key, Keys

FILE = "gateway.sqlite"
_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


def serve(
    names: Sequence[str],
    settings: Settings,
    embedded: Callable[[str | None, Callable[..., Engine]], Engine],
    *,
    host: str | None,
    port: int | None,
    insecure: bool,
    given: bool = False,
) -> None:
    """Serve until someone ends it. `embedded` opens a model file by its name, as it is told to open files; `given` says that
    the file of settings was named.

    Raises:
        UsageError: the extra is not installed, the address cannot be had, or others could reach it without a key.
        PonderError: a model cannot be had.

    """
    try:
        from ponder.gateway import hosts, opening, running
        from ponder.gateway.embedded import open_in_child
        from ponder.gateway.options import Options
    except ImportError:
        raise UsageError("The gateway needs an extra. Install it: pip install 'ponder[gateway]'") from None

    def options_of(settings: Settings) -> Options:
        with config.in_file(settings.file):
            return Options.of(settings.gateway).bound(host, port)

    options = options_of(settings)
    keys = opened_keys(settings)
    running.check_bind(options, keys, insecure=insecure)
    listening = _listening(options.host, options.port)

    def opened(name: str | None) -> Engine:
        return embedded(name, open_in_child)

    served = opening.opened(names, settings, opened, say)
    roles = opening.roles(settings, served, opened, say)
    port = listening.getsockname()[1]
    where = f"http://{'127.0.0.1' if options.host in ('0.0.0.0', '::') else options.host}:{port}/v1"  # noqa: S104

    def ready() -> None:
        who = "A key is needed."
        if insecure or not keys.any():
            alone = hosts.loopback(options.host)
            who = f"No key is needed; {'only this machine' if alone else 'anyone'} can reach it."
        say(f"Serving {', '.join(served)} at {where}. {who} Ctrl-C ends it.")

    try:
        running.serve(
            served,
            options,
            None if insecure else keys,
            roles,
            config.policies(settings),
            listening,
            ready,
            lambda: options_of(config.settings(file=settings.file if given else None)),
        )
    finally:
        for one in {id(s.engine): s.engine for s in served.values()}.values():
            config.close(one)
        keys.close()


def _listening(host: str, port: int) -> socket.socket:
    """Before any model is opened, so that a port that is taken is told at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host.strip("[]"), port))
    except OSError as error:
        found.close()
        raise UsageError(
            f"{host}:{port} cannot be had: {error.strerror or error}. Give another --port or --host."
        ) from None
    return found


def opened_keys(settings: Settings) -> Keys:
    """The file of keys."""
    from ponder.gateway.keys import Keys

    return Keys(settings.home / FILE)


def keys(action: str, name: str | None, settings: Settings, told: dict[str, Any]) -> None:
    """Create, list, rotate or revoke; or let nobody in, and everybody again.

    Raises:
        UsageError: something is missing, or names nothing.

    """
    file = opened_keys(settings)
    try:
        if action == "list":
            _list(file.all())
            if (since := file.paused()) is not None:
                say(
                    f"Nobody is let in since {time.strftime('%Y-%m-%d %H:%M', time.localtime(since))}: ponder keys resume"
                )
            return
        if action == "pause":
            file.pause()
            say(
                "No request is let in until: ponder keys resume. Those that run go on; SIGINT to the server ends them."
            )
            return
        if action == "resume":
            file.resume()
            say("Requests are let in again.")
            return
        if not name:
            raise UsageError(f"Say which key: ponder keys {action} NAME")
        if action == "revoke":
            key = file.revoke(name)
            say(f"{key.id} ({key.name}) is revoked. Requests that run go on; new ones are refused.")
            return
        if action == "rotate":
            grace = _seconds(told["grace"]) if told["grace"] else 0.0
            secret, key = file.rotate(name, grace)
            emit(secret)
            until = f"works for {told['grace']} more" if grace else "is refused from now on"
            say(
                f"This is the new secret of {key.id} ({key.name}); it is shown now and never again. The old one {until}."
            )
            return
        budget = Budget.parse(told["budget"]) if told["budget"] else None
        if budget is not None and budget.seconds is not None:
            raise UsageError("A key has no budget of seconds. Limit tokens, calls or dollars.")
        expires = time.time() + _seconds(told["expires"]) if told["expires"] else None
        secret, key = file.create(
            name,
            models=told["models"],
            presets=told["presets"],
            scopes=told["scopes"] or ("inference",),
            strategy=told["strategy"],
            budget=budget,
            rate=told["rate"],
            expires=expires,
        )
        emit(secret)
        say(f"This is the key {key.id} ({name}). It is shown now and never again.")
    finally:
        file.close()


def _list(found: Sequence[Key]) -> None:
    if not found:
        say("There are no keys. Make one: ponder keys create NAME")
        return
    table = listing()
    for key in found:
        state = "revoked" if key.revoked else "expired" if not key.valid(time.time()) else "valid"
        limits = [
            str(key.budget) if key.budget != Budget() else "no budget",
            f"{key.rate} a minute" if key.rate else "",
            f"models {', '.join(key.models)}" if key.models else "",
            f"presets {', '.join(key.presets)}" if key.presets else "",
            f"for {', '.join(key.scopes)}" if key.scopes != ("inference",) else "",
        ]
        spent = f"{key.requests:,} requests, {key.spent.completion:,} + {key.spent.prompt:,} tokens"
        table.add_row(key.id, Text(key.name), state, Text(", ".join(filter(None, limits))), spent)
    out().print(table)


def _seconds(text: str) -> float:
    read = re.fullmatch(r"(\d+)(s|min|h|d)", text.strip().lower())
    if read is None:
        raise UsageError(f"Cannot read the time {text!r}. Examples: 30d, 12h, 45min.")
    return int(read[1]) * _UNITS[read[2]]
