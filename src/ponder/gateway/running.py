"""The gateway as a process: it listens, serves, and ends so that nobody's answer is cut off."""

from __future__ import annotations

import logging
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import anyio
import uvicorn

from ponder import config
from ponder.core.errors import PonderError, UsageError
from ponder.gateway.answering import World
from ponder.gateway.app import Gateway
from ponder.gateway.connections import IDLE_SECONDS, Connection
from ponder.gateway.hosts import loopback
from ponder.runtime.collecting import collect_rarely
from ponder.runtime.equality import Equality
from ponder.runtime.schemas import Schemas

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping

    from ponder.core.policy import Policy
    from ponder.core.protocols import Engine
    from ponder.gateway.keys import Keys
    from ponder.gateway.options import Options
    from ponder.gateway.served import Served


LOG: Final = logging.getLogger("ponder.gateway")


def check_bind(options: Options, keys: Keys, *, insecure: bool) -> None:
    """Raises a UsageError where others could reach a server that asks nobody for a key."""
    if not loopback(options.host) and not insecure and not keys.any():
        raise UsageError(
            f"Others can reach {options.host}, and there is no key. Make one with `ponder keys create NAME`, listen on "
            "127.0.0.1, or say --insecure-no-auth."
        )


class _Server(uvicorn.Server):
    """Signals are ours: uvicorn would refuse connections while it waits, and clients would not be told why."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve(
    served: Mapping[str, Served],
    options: Options,
    keys: Keys | None,
    roles: Mapping[str, Engine],
    policies: Mapping[str, Policy],
    listening: socket.socket,
    ready: Callable[[], None],
    again: Callable[[], Options],
) -> None:
    """Serve until SIGTERM or SIGINT; then answer those who are there, for `options.drain` seconds at most.

    On SIGHUP options are read `again`, and used if all of them make sense.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)

    collect_rarely()

    async def main() -> None:
        equality, forms = Equality(), Schemas()
        try:
            world = World(equality, config.scorers(), roles, policies, options.usage_mode, forms)
            await running(Gateway(served, options, keys, world), listening, ready, again)
        finally:
            with anyio.CancelScope(shield=True):
                await equality.aclose()
                await forms.aclose()

    anyio.run(main, backend_options={"use_uvloop": sys.platform != "win32"})


def reread(gateway: Gateway, again: Callable[[], Options] | None) -> None:
    """Use what the settings say now, all of it or nothing."""
    if again is None:
        return
    try:
        gateway.use(again())
    except PonderError as error:
        LOG.warning("The settings stay as they were. %s", error)
    else:
        LOG.info("The settings were read again. Models, host, port and limit are those of the start.")


async def running(
    gateway: Gateway,
    listening: socket.socket,
    ready: Callable[[], None],
    again: Callable[[], Options] | None = None,
    *,
    signals: bool = True,
) -> None:
    """Serve in this event loop until it is told to end; `ready` is called once it listens."""
    server = _Server(
        uvicorn.Config(
            gateway,
            http=Connection,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            ws="none",
            timeout_keep_alive=round(IDLE_SECONDS),
            timeout_graceful_shutdown=1,
            backlog=4096,
        )
    )

    async def end() -> None:
        with anyio.move_on_after(gateway.options.drain):
            await gateway.drained()
        server.should_exit = True

    async def listen() -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as told:
            async for which in told:
                if which == signal.SIGHUP:
                    reread(gateway, again)
                    continue
                if gateway.draining:
                    server.should_exit = server.force_exit = True
                    return
                group.start_soon(end)

    async def tell() -> None:
        while not server.started:  # noqa: ASYNC110 - uvicorn tells in no other way
            await anyio.sleep(0.005)
        ready()

    async with anyio.create_task_group() as group:
        if signals and sys.platform != "win32":
            group.start_soon(listen)
        group.start_soon(tell)
        try:
            await server.serve([listening])
        finally:
            # uvicorn leaves them open where it is cancelled. A socket that is closed while the loop still watches it
            # takes away the events of the next one of its number.
            for each in getattr(server, "servers", ()):
                each.close()
        group.cancel_scope.cancel()
