"""One answer over HTTP, whole or as server-sent events."""

from __future__ import annotations

import json
import re
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.lowlevel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import Send

PING: Final = 15.0
"""Seconds of silence after which a stream says that it lives; proxies end those that are silent for 30 or 60."""

SSE: Final = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",
}
DONE: Final = b"data: [DONE]\n\n"
RECORDED: Final = 4_000_000
"""Bytes of an answer that are kept for who asks for it again."""
_AS_JSON: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class Reply:
    """Sends one answer. `recorded` is all of its body, where someone asked to `record` it."""

    def __init__(self, send: Send, headers: Mapping[str, str]) -> None:
        self._send, self._headers = send, dict(headers)
        self.status = 0
        self.told: dict[str, str] = {}
        self.recorded: bytearray | None = None
        self.ended = False
        self.failed = False  # in the middle of a stream

    def record(self) -> None:
        """Keep what is sent from now on."""
        self.recorded = bytearray()

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """The status and the headers."""
        self.status, self.told = status, {**self._headers, **headers}
        pairs = [
            (k.lower().encode("latin-1"), _CONTROL.sub(" ", v).encode("latin-1", "replace"))
            for k, v in self.told.items()
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})

    async def write(self, data: bytes) -> None:
        """A piece of the body."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})
        if self.recorded is not None and len(self.recorded) <= RECORDED:
            self.recorded += data

    async def ping(self) -> None:
        """A comment, which clients skip; between two events."""
        await self.write(b": ping\n\n")

    async def end(self) -> None:
        """Its end."""
        self.ended = True
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def broken(self, body: Any) -> None:
        """An error in an open stream, after which nothing comes."""
        self.failed = True
        await self.write(b"\n\n" + event(body))
        await self.end()

    async def whole(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """All of it at once."""
        await self.start(status, {**headers, "content-length": str(len(body))})
        if self.recorded is not None:
            self.recorded += body
        self.ended = True
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def json(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        """JSON."""
        await self.whole(status, {"content-type": "application/json", **(headers or {})}, _json(body))


class Outbox:
    """What a stream is to send, put in from any thread, sent in order, with a ping when there was nothing for a while."""

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque()
        self._news = anyio.Event()
        self._closed = False
        native: Any = anyio.lowlevel.current_token().native_token
        self._soon: Callable[[Callable[[], object]], object] = (
            getattr(native, "call_soon_threadsafe", None) or native.run_sync_soon
        )

    def put(self, frame: bytes) -> None:
        """A whole event or comment."""
        self._waiting.append(frame)
        self._soon(self._wake)

    def event(self, body: Any) -> None:
        """JSON as one event."""
        self.put(event(body))

    def comment(self, text: str) -> None:
        """What clients skip."""
        self.put(f": {' '.join(text.split())}\n\n".encode("utf-8", "replace"))

    def close(self) -> None:
        """Nothing comes after what was put in."""
        self._closed = True
        self._soon(self._wake)

    async def sent(self, reply: Reply) -> None:
        """Send until it is closed and empty."""
        while True:
            frames = []
            while self._waiting:
                frames.append(self._waiting.popleft())
            if frames:
                await reply.write(b"".join(frames))
                continue
            if self._closed:
                return
            self._news = anyio.Event()
            if self._waiting or self._closed:
                continue
            with anyio.move_on_after(PING) as silence:
                await self._news.wait()
            if silence.cancelled_caught:
                await reply.ping()

    def _wake(self) -> None:
        self._news.set()


def event(body: Any) -> bytes:
    """JSON as one server-sent event."""
    return b"data: " + _json(body) + b"\n\n"


def _json(body: Any) -> bytes:
    try:
        return _AS_JSON.encode(body).encode()
    except UnicodeEncodeError:  # half a character, which JSON can say and UTF-8 cannot
        return json.dumps(body, allow_nan=False).encode()
