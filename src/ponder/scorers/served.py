"""A reward model behind a vLLM-style server: `/pooling` for steps, `/classify` and `/score` for whole solutions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio

from ponder.core.errors import BadScore, EngineError, TransientError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.thinking.reward_formats import Format

SECONDS: Final = 120.0
AT_ONCE: Final = 16
SPECIAL: Final = 16
"""Tokens that a server may put around a text."""


@dataclass(slots=True)
class _Text:
    question: str
    text: str
    steps: int
    tokens: int
    read: int = 0


class Served:
    """Asks a server for the values of texts, some at once.

    A token is at least one byte, so as many tokens as bytes are set aside; the server's own count is what is paid.

    Args:
        form: the layout of the text.
        model: as the server calls it.
        url: of the server, without a route.
        route: "/pooling", "/classify" or "/score".

    """

    def __init__(self, form: Format, model: str, url: str, route: str) -> None:
        if form.name in ("rlhflow", "skywork"):
            raise UsageError(
                f"The format {form.name} cannot be read through a server's {route}. Leave out url, and give "
                "model=FOLDER."
            )
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"{url!r} is no address of a server. Write url=http://HOST:PORT.")
        self._form = form
        self._model = model
        self._url = url.rstrip("/") + route
        self._route = route

    async def prepare(self, question: str, steps: Sequence[str]) -> _Text:
        text = self._form.text(question, steps)
        asked = f"{question}\n\n{text}" if self._route == "/classify" else text
        sent = asked + (question if self._route == "/score" else "")
        return _Text(question, asked, len(steps), len(sent.encode("utf-8", "replace")) + SPECIAL)

    async def values(self, readings: Sequence[_Text]) -> list[list[float]]:
        """The values of each text, in order; see `ponder.scorers.reward_models`.

        Raises:
            EngineError: the server says no, or what it says cannot be read.
            TransientError: it cannot be reached, or is too busy.

        """
        import aiohttp

        found: list[list[float]] = [[] for _ in readings]
        turn = anyio.Semaphore(AT_ONCE)
        failed: list[Exception] = []

        async def one(i: int, scope: anyio.CancelScope) -> None:
            async with turn:
                try:
                    found[i] = self._told(await self._ask(session, readings[i]), readings[i])
                except EngineError as error:
                    failed.append(error)
                    scope.cancel()

        timeout = aiohttp.ClientTimeout(total=SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session, anyio.create_task_group() as group:
            for i in range(len(readings)):
                group.start_soon(one, i, group.cancel_scope)
        if failed:
            raise failed[0]
        return found

    async def _ask(self, session: Any, reading: _Text) -> Any:
        import aiohttp

        body: dict[str, Any] = {"model": self._model}
        if self._route == "/score":
            body |= {"text_1": reading.question, "text_2": reading.text}
        else:
            body |= {"input": reading.text}
        try:
            async with session.post(self._url, json=body) as reply:
                if reply.status in (408, 425, 429) or reply.status >= 500:
                    raise TransientError(f"{self._url} answered {reply.status}. Try again later.")
                if reply.status != 200:
                    said = " ".join((await reply.text())[:200].split())
                    raise EngineError(f"{self._url} answered {reply.status}: {said}")
                return await reply.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise TransientError(
                f"{self._url} cannot be reached: {error or type(error).__name__}."
            ) from error
        except ValueError as error:
            raise EngineError(f"{self._url} did not answer with JSON.") from error

    def _told(self, body: Any, reading: _Text) -> list[float]:
        """The values in an answer: of every step, or one."""
        try:
            data = body["data"]
            if len(data) != 1:
                raise BadScore(f"{self._url} gave {len(data)} results for one text.")
            if self._route == "/score":
                values = [data[0]["score"]]
            elif self._route == "/classify":
                values = [data[0]["probs"][-1]]
            else:
                values = [row[self._form.row] for row in data[0]["data"]]
            numbers = [math.nan if value is None else float(value) for value in values]
            reading.read = int(body["usage"]["prompt_tokens"])
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise EngineError(
                f"{self._url} gave an answer in another form. Does it serve a reward model with step pooling?"
            ) from error
        return numbers
