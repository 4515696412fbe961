"""A process that only carries bytes: what any gateway adds at the least, whatever it is written in.

python benchmarks/relay.py HOST:PORT LISTEN_ON

Each connection of a client gets one to the server. Nothing is read of what goes to and fro.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop


class Side(asyncio.Protocol):
    """One end of a pair: what comes in here goes out there."""

    transport: asyncio.Transport
    other: Side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.other.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        self.other.transport.close()


class Client(Side):
    """The end of a client, which waits until the server's is there."""

    def __init__(self, host: str, port: int) -> None:
        self._server = host, port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.pause_reading()
        self._task = asyncio.ensure_future(self._connect())

    async def _connect(self) -> None:
        _, self.other = await asyncio.get_running_loop().create_connection(Side, *self._server)
        self.other.other = self
        self.transport.resume_reading()


async def main() -> None:
    host, _, port = sys.argv[1].rpartition(":")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Client(host, int(port)), "127.0.0.1", int(sys.argv[2]))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
