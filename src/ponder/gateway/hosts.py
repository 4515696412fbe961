"""Which names this server answers to, and which pages may call it: against pages that rebind a name to this machine."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ponder.gateway.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Scope

    from ponder.gateway.options import Options


def check_host(scope: Scope, options: Options) -> None:
    """Raises a Refusal unless Host is localhost, a bare address, or a name that the options list."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    name = _name(hosts[0].decode("latin-1")) if len(hosts) == 1 else None
    if name is None or not (_local(name) or name in (options.host, *options.hosts)):
        raise Refusal(
            "host_not_allowed",
            "This server does not answer to that Host. Add the name to `hosts` of [gateway] in ponder.toml.",
        )


def check_origin(headers: Mapping[str, str], options: Options) -> None:
    """Raises a Refusal for a page that is not listed."""
    origin = headers.get("origin")
    if origin is not None and origin not in options.origins:
        raise Refusal(
            "host_not_allowed",
            "Pages of that Origin may not call this server. Add it to `origins` of [gateway] in ponder.toml.",
        )


def loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens there."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


@lru_cache(maxsize=256)
def _name(host: str) -> str | None:
    try:
        read = urlsplit(f"//{host}")
        read.port  # noqa: B018 - raises where it is no number
    except ValueError:
        return None
    return None if "@" in host else read.hostname


@lru_cache(maxsize=256)
def _local(name: str) -> bool:
    """A bare address cannot be rebound, and localhost is not."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
    return True
