"""A TCP proxy between a client and a server, with Toxiproxy's eight toxics by their names.

    async with Proxy("127.0.0.1", 8000) as proxy:
        proxy.add(Toxic("latency", latency=0.1, jitter=0.02))
        ...  # talk to proxy.port
        proxy.clear()

Toxics hold for connections that are open, too, except where they are asked only once (`down`, `reset_peer`).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

from ponder.core.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

Stream = Literal["upstream", "downstream"]

TOXICS = {
    "latency": "holds everything back for `latency` seconds, `jitter` more or less",
    "down": "accepts no connection, and resets those that are open",
    "bandwidth": "lets `rate` bytes a second through",
    "slow_close": "closes `delay` seconds later than it should",
    "timeout": "lets nothing through, and closes after `timeout` seconds; never, if that is 0",
    "reset_peer": "resets the connection `timeout` seconds after it was opened",
    "slicer": "cuts data into pieces of about `average_size` bytes, `size_variation` more or less, `delay` seconds apart",
    "limit_data": "closes the connection after `bytes` bytes",
}
"""By name, what it does; in Toxiproxy `down` is a switch of the proxy."""

_PIECE = 65536


@dataclass(frozen=True, slots=True)
class Toxic:
    """One fault of the network. `toxicity` is the share of connections that it befalls.

    Times are in seconds. `stream` says in which direction: "downstream" is from the server to the client.
    """

    name: str
    stream: Stream = "downstream"
    toxicity: float = 1.0
    latency: float = 0.0
    jitter: float = 0.0
    rate: float = 0.0
    delay: float = 0.0
    timeout: float = 0.0
    average_size: int = 1
    size_variation: int = 0
    bytes: int = 0

    def __post_init__(self) -> None:
        """Raises UnknownName for a toxic that does not exist, UsageError for one that makes no sense."""
        if self.name not in TOXICS:
            raise UnknownName("toxic", self.name, TOXICS)
        if self.stream not in ("upstream", "downstream") or not 0 <= self.toxicity <= 1:
            raise UsageError("A toxic is upstream or downstream, and its toxicity is a share from 0 to 1.")
        if self.name == "bandwidth" and self.rate <= 0:
            raise UsageError("The toxic bandwidth needs a rate in bytes per second.")
        if self.name == "slicer" and not 0 <= self.size_variation < self.average_size:
            raise UsageError("The toxic slicer needs 0 <= size_variation < average_size.")


@dataclass(eq=False, slots=True)
class _Connection:
    """Both ends of one connection."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter | None = None
    chance: random.Random = field(default_factory=random.Random)
    befallen: dict[int, bool] = field(default_factory=dict)

    def has(self, toxic: Toxic) -> bool:
        """Whether this connection is among those that a toxic befalls; decided once."""
        return self.befallen.setdefault(id(toxic), self.chance.random() < toxic.toxicity)

    def reset(self) -> None:
        for writer in (self.client, self.server):
            if writer is not None:
                sock = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()

    def close(self) -> None:
        for writer in (self.client, self.server):
            if writer is not None:
                writer.close()


class Proxy:
    """Stands before the server at `host` and `port`; clients come to `self.port`."""

    def __init__(self, host: str, port: int, *, listen: int = 0, seed: int = 0) -> None:
        self.host, self.upstream, self.port = host, port, listen
        self.toxics: list[Toxic] = []
        self.connections = 0  # so far
        self._seed = seed
        self._open: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def open(self) -> int:
        """Connections that are open now."""
        return len(self._open)

    def add(self, toxic: Toxic) -> Toxic:
        """From now on this befalls connections."""
        self.toxics.append(toxic)
        if toxic.name == "down":
            for connection in list(self._open):
                connection.reset()
        return toxic

    def remove(self, toxic: Toxic) -> None:
        self.toxics.remove(toxic)

    def clear(self) -> None:
        self.toxics.clear()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, backlog=4096)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = _Connection(writer, chance=random.Random(f"{self._seed} {self.connections}"))
        self._open.add(connection)
        try:
            if any(self._of("down", connection)):
                connection.reset()
                return
            server_reader, connection.server = await asyncio.open_connection(self.host, self.upstream)
            resets = asyncio.ensure_future(self._resets(connection))
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pump(connection, reader, connection.server, "upstream"))
                    group.create_task(self._pump(connection, server_reader, writer, "downstream"))
            finally:
                resets.cancel()
        except* OSError:
            pass
        finally:
            connection.close()
            self._open.discard(connection)

    async def _resets(self, connection: _Connection) -> None:
        for toxic in self._of("reset_peer", connection):
            await asyncio.sleep(toxic.timeout)
            connection.reset()

    def _of(self, name: str, connection: _Connection, stream: Stream | None = None) -> Iterator[Toxic]:
        for toxic in list(self.toxics):
            if toxic.name == name and stream in (None, toxic.stream) and connection.has(toxic):
                yield toxic

    async def _pump(
        self,
        connection: _Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        stream: Stream,
    ) -> None:
        """Carry one direction, and its end."""
        carried = 0
        while data := await reader.read(_PIECE):
            for toxic in self._of("timeout", connection, stream):
                await asyncio.sleep(toxic.timeout or 1e9)
                connection.close()
                return
            for toxic in self._of("latency", connection, stream):
                await asyncio.sleep(max(0.0, toxic.latency + connection.chance.uniform(-1, 1) * toxic.jitter))
            limits = [toxic.bytes - carried for toxic in self._of("limit_data", connection, stream)]
            allowed = data[: max(0, min(limits))] if limits else data
            carried += len(allowed)
            await self._write(connection, writer, allowed, stream)
            if len(allowed) < len(data) or (limits and min(limits) == len(allowed)):
                connection.close()
                return
        for toxic in self._of("slow_close", connection, stream):
            await asyncio.sleep(toxic.delay)
        if writer.can_write_eof() and not writer.is_closing():
            writer.write_eof()

    async def _write(
        self, connection: _Connection, writer: asyncio.StreamWriter, data: bytes, stream: Stream
    ) -> None:
        slicer = next(self._of("slicer", connection, stream), None)
        while data:
            size = len(data)
            if slicer is not None:
                spread = slicer.size_variation
                size = slicer.average_size + connection.chance.randint(-spread, spread)
            piece, data = data[:size], data[size:]
            for toxic in self._of("bandwidth", connection, stream):
                await asyncio.sleep(len(piece) / toxic.rate)
            writer.write(piece)
            await writer.drain()
            if slicer is not None:
                await asyncio.sleep(slicer.delay)
