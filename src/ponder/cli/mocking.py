"""`ponder mock`: the mock server as a command."""

from __future__ import annotations

import contextlib
import signal
import sys
from typing import TYPE_CHECKING

import anyio

from ponder.cli.terminal import say
from ponder.core.errors import UsageError
from ponder.evals.simulated import Simulated
from ponder.mock.faults import Faults
from ponder.runtime.collecting import collect_rarely

if TYPE_CHECKING:
    from ponder.mock.server import Mock


def serve(dialect: str, model: str, port: int, latency: float, pace: float, faults: str, seed: int) -> None:
    """Serve until someone ends it.

    Raises:
        UsageError: the extra is not installed, the port is taken, or a name means nothing.

    """
    try:
        from ponder.mock.server import Mock
    except ImportError:
        raise UsageError(
            "The mock server needs an extra. Install it: pip install 'ponder[servers]'"
        ) from None
    engine = Simulated.named(model if model.startswith("simulated") else f"simulated:{model}")
    mock = Mock(engine, dialect, latency=latency, pace=pace, port=port, faults=Faults.parse(faults, seed))
    collect_rarely()
    with contextlib.suppress(KeyboardInterrupt):
        anyio.run(_serve, mock, engine.capabilities.name)


async def _serve(mock: Mock, name: str) -> None:
    try:
        await mock.__aenter__()
    except OSError as error:
        raise UsageError(
            f"The port {mock.port} cannot be had: {error.strerror}. Give another with --port."
        ) from None
    try:
        say(f"{name} speaks {mock.dialect} at {mock.url}/v1. Ctrl-C ends it.")
        if sys.platform == "win32":
            await anyio.sleep_forever()
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                return
    finally:
        await mock.__aexit__()
