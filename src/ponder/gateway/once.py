"""The same Idempotency-Key, the same answer: one request is made, and all others with its key get what it was told."""

from __future__ import annotations

import hashlib
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from ponder.gateway.limits import IDEMPOTENCY_KEY
from ponder.gateway.refusals import Refusal
from ponder.gateway.replying import RECORDED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ponder.gateway.keys import Keys
    from ponder.gateway.replying import Reply


@dataclass
class _Running:
    body: bytes
    over: anyio.Event = field(default_factory=anyio.Event)


class Once:
    """Which keys are being answered now; those that were are in the file of `keys`. Without one nothing is repeated."""

    def __init__(self, keys: Keys | None) -> None:
        self._keys = keys
        self._running: dict[tuple[str, str], _Running] = {}

    @asynccontextmanager
    async def claimed(self, owner: str, name: str | None, body: bytes, reply: Reply) -> AsyncIterator[bool]:
        """Whether the request is to be made; else its answer was sent.

        Raises:
            Refusal: the key was used with another body.

        """
        if name is None or self._keys is None:
            yield True
            return
        if not 0 < len(name) <= IDEMPOTENCY_KEY:
            raise Refusal(
                "invalid_value", f"Idempotency-Key has 1 to {IDEMPOTENCY_KEY} characters.", "Idempotency-Key"
            )
        asked = hashlib.sha256(body).digest()
        while (running := self._running.get((owner, name))) is not None:
            _same(running.body, asked)
            await running.over.wait()
        if (known := self._keys.reply(owner, name)) is not None:
            was, status, headers, answer = known
            _same(was, asked)
            await reply.whole(status, {**headers, "x-ponder-replayed": "true"}, answer)
            yield False
            return
        mine = self._running[owner, name] = _Running(asked)
        reply.record()
        try:
            yield True
            if (
                reply.ended
                and not reply.failed
                and reply.status == 200
                and len(reply.recorded or b"") <= RECORDED
            ):
                told = {k: v for k, v in reply.told.items() if k not in ("content-length", "x-request-id")}
                self._keys.keep(owner, name, asked, reply.status, told, bytes(reply.recorded or b""))
        finally:
            del self._running[owner, name]
            mine.over.set()


def _same(one: bytes, other: bytes) -> None:
    if one != other:
        raise Refusal(
            "idempotency_conflict",
            "This Idempotency-Key was used for another body. Use a new key for a new request.",
            "Idempotency-Key",
        )
