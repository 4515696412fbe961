"""Joining a Ray cluster, and leaving it: what can go wrong there ends soon, in one sentence."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from ponder.core.errors import UsageError

if TYPE_CHECKING:
    from types import ModuleType

LOCAL = "local"
"""A cluster of this machine alone, for as long as the evaluation runs."""
AUTO = "auto"
"""The cluster that RAY_ADDRESS names or that runs on this machine, else `LOCAL`."""
ADDRESS = re.compile(r"(?:ray://)?(\[[\da-fA-F:]+\]|[\w.-]+):(\d{1,9})")
ANSWERS_WITHIN = 5.0
"""Seconds in which a connection to the address is to be made."""
HEALTHY_WITHIN = 60.0
"""Seconds in which what listens there is to show that it is Ray: a busy machine needs many to import it. Ray itself waits
for a minute, and may then end the process."""
PORTS = 65535

_STATUS = "import sys; from ray.scripts.scripts import main; sys.argv = ['ray', 'status', '--address', sys.argv[1]]; main()"


def is_address(word: str) -> bool:
    """Whether a word is meant to name a cluster."""
    return word in (LOCAL, AUTO) or ADDRESS.fullmatch(word) is not None


def answers(address: str) -> None:
    """See that something does at an address, before anything is begun; what `LOCAL` and `AUTO` mean is found later.

    Raises:
        UsageError: it is no address, or nothing answers there.

    """
    m = ADDRESS.fullmatch(address)
    if not is_address(address) or (m and int(m[2]) > PORTS):
        raise UsageError(
            f"{address} is no address of a Ray cluster. Write HOST:PORT with a port up to {PORTS:,}, local or auto."
        )
    if m:
        _reach(m[1].strip("[]"), int(m[2]))


def joined(address: str, *, workers: int | None = None) -> ModuleType:
    """Ray, once this process has joined the cluster at an address; `left` leaves it.

    Args:
        address: HOST:PORT of a cluster's head, `AUTO` or `LOCAL`.
        workers: that there are to be; a local cluster has so many processors, whatever this machine has.

    Raises:
        UsageError: Ray is not installed, the address is none, nothing answers there, or it is not Ray, or another Ray.

    """
    try:
        import ray
    except ImportError:
        raise UsageError("A Ray cluster needs an extra. Install it: pip install 'ponder[ray]'") from None
    answers(address)
    if ADDRESS.fullmatch(address) and not address.startswith("ray://"):
        _see_health(address)
    quiet: dict[str, Any] = {"log_to_driver": False, "configure_logging": False, "namespace": "ponder"}
    try:
        if address == LOCAL:
            ray.init(address="local", include_dashboard=False, num_cpus=workers, **quiet)
        elif address == AUTO:
            ray.init(**quiet)
        else:
            ray.init(address=address, **quiet)
    except Exception as error:  # noqa: BLE001 - Ray raises just that where its own processes do not start
        said = " ".join(str(error).split())
        raise UsageError(
            f"The Ray cluster {address} cannot be joined: {said[:400]} The same Ray and the same Python are to be "
            "installed here and there."
        ) from None
    joined: ModuleType = ray  # the same with and without the extra
    return joined


def left(ray: ModuleType) -> None:
    """Leave the cluster; a local one ends."""
    ray.shutdown()


def _reach(host: str, port: int) -> None:
    try:
        socket.create_connection((host, port), ANSWERS_WITHIN).close()
    except (OSError, OverflowError) as error:
        said = str(error) or type(error).__name__
        raise UsageError(
            f"No Ray cluster answers at {host}:{port} ({said}). Start one there (ray start --head --port={port}), or "
            "leave the address out to use this machine."
        ) from None


def _see_health(address: str) -> None:
    """In a process of its own, for Ray's client may end the process it runs in when nobody speaks its language."""
    try:
        done = subprocess.run(  # noqa: S603 - this Python, with words of ours
            [sys.executable, "-c", _STATUS, address],
            capture_output=True,
            timeout=HEALTHY_WITHIN,
            check=False,
            text=True,
        )
    except subprocess.TimeoutExpired:
        raise UsageError(
            f"What listens at {address} did not show within {HEALTHY_WITHIN:.0f} s that it is Ray. Is it the port of the head "
            "(6379, if not said)? If it is, the machine may be too busy: try again."
        ) from None
    if "AuthenticationError" in done.stderr:
        raise UsageError(
            f"The Ray cluster at {address} asks for a token. Set RAY_AUTH_MODE=token here, with the head's "
            "~/.ray/auth_token in the same place."
        )
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["it gave no status"])[-1][:300]
        raise UsageError(
            f"What listens at {address} is no Ray of this version ({why}). Is it the port of the head (6379, if not said)?"
        )
