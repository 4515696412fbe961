"""A process that only carries bytes: what any gateway adds at the least, whatever it is written in.

python benchmarks/relay.py HOST:PORT LISTEN_ON

Each connection of a client gets one to the server. Nothing is read of what goes to and fro.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import uvloop


class Side(asyncio.Protocol):
    """One end of a pair: what comes in here goes out there, once that is there."""

    def __init__(self, other: Side | None = None) -> None:
        self.other = other
        self.transport: asyncio.Transport | None = None
        self.waiting: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own
        if self.other is not None:
            self.transport.writelines(self.other.waiting)

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)
        else:
            self.waiting.append(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


class Client(Side):
    """The end of a client, who is connected to the server."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__()
        self._server = host, port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._task = asyncio.ensure_future(self._connect())

    async def _connect(self) -> None:
        self.other = Side(self)
        await asyncio.get_running_loop().create_connection(self._server_side, *self._server)

    def _server_side(self) -> Side:
        assert self.other is not None  # noqa: S101
        return self.other


async def main() -> None:
    host, _, port = sys.argv[1].rpartition(":")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Client(host, int(port)), "127.0.0.1", int(sys.argv[2]))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
