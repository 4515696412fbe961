"""A connection that nobody can hold for nothing: heads come soon and are short, and whoever stops reading is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ponder.gateway.limits import HEADER

if TYPE_CHECKING:
    import asyncio

HEAD_SECONDS: Final = 10.0
"""From the first byte of a request to the end of its headers."""
IDLE_SECONDS: Final = 75.0
"""Without a request, the first included."""
STALLED_SECONDS: Final = 60.0
"""In which a client has to take something of its answer."""
_HEAD: Final = 2 * HEADER


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with the bounds that it lacks: of a head's size and time, of an unread body, of a slow reader."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._head = 0  # bytes since the last request's headers were whole
        self._in_head = False
        self._in_message = False
        self._patience: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait(IDLE_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait(None)
        self._unstall()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._in_message:
            self._head += len(data)
            if not self._in_head:
                self._in_head = True
                self._wait(HEAD_SECONDS)
        super().data_received(data)
        if self._head > _HEAD and not self.transport.is_closing():
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._in_head, self._in_message, self._head = False, True, 0
        self._wait(None)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_message = False
        super().on_message_complete()
        over = self.cycle.response_complete
        self._wait(IDLE_SECONDS if over else None)
        if over:
            self._forget()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_message:  # the rest of a body that nobody wants
            self._wait(HEAD_SECONDS)
        elif self.cycle.response_complete:  # and no other request came meanwhile
            self._forget()

    def _forget(self) -> None:
        """Who stays connected holds nothing of the request that is over."""
        if self.scope is self.cycle.scope:  # no other one is being read
            self.scope, self.headers = {}, []  # type: ignore[typeddict-item]
        self.cycle = None  # type: ignore[assignment]

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unstall()

    def _wait(self, seconds: float | None) -> None:
        """Close the connection then, unless it goes on before."""
        if self._patience is not None:
            self._patience.cancel()
        self._patience = self.loop.call_later(seconds, self.transport.close) if seconds else None

    def _unstall(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
