"""A model server for tests and demonstrations: any engine, in the words of vLLM, SGLang, llama-server or OpenAI.

    GET  /mock/counters    what it sees of its clients, live
    POST /mock/faults      {"script": ["reset", "ok"], "shares": {"500": 0.05}, "seed": 0}

Beside the interfaces that a dialect has (`ROUTES`), those two are the server's own.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from aiohttp import web

from ponder.core.errors import ContextOverflow, PonderError, UsageError
from ponder.core.prefix import Prefix, Prompt
from ponder.mock import llama, template
from ponder.mock.asked import DIALECTS, Asked, Form, messages_of, read
from ponder.mock.counters import Counters
from ponder.mock.faults import Faults
from ponder.mock.replies import Reply, chunks, counted, native_end, whole
from ponder.mock.thinking import Manner, apart, complaint, refused, written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.calls import Sampling
    from ponder.core.prefix import Segment
    from ponder.core.protocols import Capabilities, Watch

HEAD: Final = {"content-type": "text/event-stream", "cache-control": "no-cache"}
_CHUNK: Final = {"chat": "chat.completion.chunk", "completions": "text_completion"}
_WHOLE: Final = {"chat": "chat.completion", "completions": "text_completion"}
_KEPT: Final = 4096  # raw texts remembered


class Served(Protocol):
    """What is served: an engine that knows its tokens both ways."""

    @property
    def capabilities(self) -> Capabilities: ...
    async def extend(self, prefix: Prefix, sampling: Sampling, watch: Watch | None = None) -> Segment: ...
    def encode(self, text: str) -> tuple[int, ...]: ...
    def decode(self, ids: Sequence[int]) -> str | None: ...
    def count(self, prefix: Prefix) -> int: ...


@dataclass
class Mock:
    """The server. `async with` it to serve; then `url` says where.

    Args:
        engine: what answers.
        dialect: one of `DIALECTS`.
        latency: seconds before the first token.
        pace: seconds for each token.
        context: tokens that prompt and answer may have together.
        keys: if there are any, a request must bring one of them.
        retry_after: seconds that a 429 names.
        port: 0 is any free one.
        thinking: what it does with a thinking budget, where the engine's model thinks.

    """

    engine: Served
    dialect: str = "vllm"
    latency: float = 0.0
    pace: float = 0.0
    context: int = 32768
    faults: Faults = field(default_factory=Faults)
    keys: tuple[str, ...] = ()
    retry_after: float = 1.0
    host: str = "127.0.0.1"
    port: int = 0
    model: str = "mock"
    thinking: Manner = "obeys"
    counters: Counters = field(default_factory=Counters)

    def __post_init__(self) -> None:
        """Raises UsageError for a dialect that does not exist."""
        if self.dialect not in DIALECTS:
            raise UsageError(f"There is no dialect {self.dialect!r}. There are: {', '.join(DIALECTS)}.")
        self._known: dict[
            str, tuple[str, str]
        ] = {}  # a raw text -> (the prompt it began with, what was written)
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=8 * 1024 * 1024)
        app.add_routes(self._routes())
        # A client that leaves ends its request at once, as in the servers that this one plays.
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port, backlog=4096)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    # -- routes ---------------------------------------------------------------------------------------------

    def _routes(self) -> list[web.RouteDef]:
        chat, raw = web.post("/v1/chat/completions", self._chat), web.post("/v1/completions", self._raw)
        of = {
            "openai": [chat],
            "vllm": [chat, raw, web.get("/version", self._version), web.post("/tokenize", self._tokenize)],
            "sglang": [chat, raw, web.get("/get_model_info", self._version)],
            "llama-server": [
                chat,
                raw,
                web.get("/health", self._health),
                web.get("/props", self._props),
                web.post("/detokenize", self._detokenize),
                web.post("/completion", self._native),
                web.post("/apply-template", self._template),
                web.post("/tokenize", self._tokenize),
            ],
        }
        return [
            *of[self.dialect],
            web.get("/v1/models", self._models),
            web.get("/mock/counters", self._counters),
            web.post("/mock/faults", self._set_faults),
        ]

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response({"version": "0.99.0-mock", "model_path": self.model})

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _detokenize(self, request: web.Request) -> web.Response:
        ids = (await request.json()).get("tokens") or []
        return web.json_response({"content": self.engine.decode(ids) or ""})

    async def _props(self, _: web.Request) -> web.Response:
        markers = self.engine.capabilities.thinking
        return web.json_response(
            {
                "default_generation_settings": {"n_ctx": self.context},
                "total_slots": 64,
                "model_alias": self.model,
                "model_path": self.model,
                "modalities": {"vision": False, "video": False, "audio": False},
                "build_info": llama.FINGERPRINT,
                "chat_template": template.SOURCE
                + (f"{{# {markers.start}...{markers.end} #}}" if markers else ""),
            }
        )

    async def _models(self, _: web.Request) -> web.Response:
        model: dict[str, Any] = {"id": self.model, "object": "model", "owned_by": "ponder"}
        if self.dialect in ("vllm", "sglang"):
            model["max_model_len"] = self.context
        if self.dialect == "llama-server":
            model |= {"owned_by": "llamacpp", "meta": {"n_ctx": self.context}}
        return web.json_response({"object": "list", "data": [model]})

    async def _counters(self, _: web.Request) -> web.Response:
        return web.json_response(self.counters.body())

    async def _set_faults(self, request: web.Request) -> web.Response:
        try:
            self.faults = Faults(**await request.json())
        except (PonderError, TypeError, ValueError) as error:
            return self._refusal(400, str(error))
        return web.json_response({})

    async def _tokenize(self, request: web.Request) -> web.Response:
        body = await request.json()
        try:
            text = (
                template.render(messages_of(body))
                if "messages" in body
                else body.get("prompt", body.get("content"))
            )
        except UsageError as error:
            return self._refusal(400, str(error))
        ids = self.engine.encode(text or "")
        told: list[Any] = list(ids)
        if body.get("with_pieces"):
            told = [{"id": i, "piece": self.engine.decode([i])} for i in ids]
        if self.dialect == "llama-server":
            return web.json_response({"tokens": told})
        return web.json_response({"tokens": told, "count": len(ids), "max_model_len": self.context})

    async def _template(self, request: web.Request) -> web.Response:
        try:
            messages = messages_of(await request.json())
        except UsageError as error:
            return self._refusal(400, str(error))
        return web.json_response({"prompt": template.render(messages)})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, "chat")

    async def _raw(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, "completions")

    async def _native(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, "completion")

    # -- answering ------------------------------------------------------------------------------------------

    async def _answer(self, request: web.Request, form: Form) -> web.StreamResponse:
        counters = self.counters
        number = counters.began()
        sending = _Sending(number)
        try:
            return await self._answered(request, form, sending)
        except (asyncio.CancelledError, ConnectionResetError):
            if not sending.broken:
                counters.left(number, sending.tokens)
            raise asyncio.CancelledError from None  # nobody is there to be answered
        finally:
            counters.in_flight -= 1
            counters.completion_tokens += sending.tokens
            if sending.writes:
                counters.writing -= 1

    async def _answered(self, request: web.Request, form: Form, sending: _Sending) -> web.StreamResponse:
        if self.keys and request.headers.get("authorization", "").removeprefix("Bearer ") not in self.keys:
            return self._refusal(401, "Incorrect API key provided.", "authentication_error")
        fate, rng = self.faults.fate(sending.number)
        if fate != "ok":
            self.counters.faults[fate] = self.counters.faults.get(fate, 0) + 1
        sending.fate, sending.rng = fate, rng
        if fate == "reset":
            return _reset(request, sending)
        if fate == "400":
            return self._refusal(400, "The request is wrong, as it was told to say.")
        if fate in ("500", "503"):
            return self._refusal(int(fate), "The server broke, as it was told to.", "server_error")
        if fate == "429":
            refusal = self._refusal(429, "Too many requests, as it was told to say.", "rate_limit_exceeded")
            refusal.headers["retry-after-ms"] = str(round(self.retry_after * 1000))
            refusal.headers["retry-after"] = str(max(1, round(self.retry_after)))
            return refusal
        try:
            body = await request.json()
            if not isinstance(body, dict):
                return self._refusal(400, "Expected a JSON object.")
            if self.thinking == "refuses" and (field := refused(body)) is not None:
                raise complaint(field)
            asked = read(self.dialect, form, body, self.engine.decode)
            prompt, replies = await self._written(asked)
        except ContextOverflow as error:
            if self.dialect == "llama-server":
                return web.json_response(llama.too_long(self.context + 1, self.context), status=400)
            return self._refusal(400, str(error), code="context_length_exceeded")
        except (UsageError, json.JSONDecodeError, UnicodeDecodeError) as error:
            return self._refusal(400, str(error))
        self.counters.writing += 1
        sending.writes = True
        self.counters.prompt_tokens += prompt
        if asked.stream:
            response = await self._streamed(request, asked, replies, prompt, sending)
        else:
            response = await self._at_once(request, asked, replies, prompt, sending)
        self.counters.finished += not sending.broken
        return response

    async def _written(self, asked: Asked) -> tuple[int, list[Reply]]:
        """What the engine answers, and how many tokens it read."""
        prefix = asked.prefix if asked.prefix.prompt.raw is None else self._since(asked.prefix)
        prompt = self.engine.count(prefix)
        if prompt + asked.sampling.max_tokens > self.context:
            raise ContextOverflow(
                f"This model's maximum context length is {self.context} tokens. However, you requested "
                f"{prompt + asked.sampling.max_tokens} tokens."
            )
        replies, seed = [], asked.sampling.seed
        for i in range(asked.n):
            how = replace(asked.sampling, seed=None if seed is None else seed + i)
            segment = await self._segment(prefix, how, asked)
            self._remember(prefix, segment)
            reply = Reply.of(i, segment, asked, lambda t: self.engine.decode([t]) or "")
            if (markers := self.engine.capabilities.thinking) is not None and asked.form == "chat":
                reply = replace(reply, thought=apart(markers, segment))
            replies.append(reply)
        return prompt, replies

    async def _segment(self, prefix: Prefix, sampling: Sampling, asked: Asked) -> Segment:
        markers = self.engine.capabilities.thinking
        if markers is None or asked.thinking is None or self.thinking == "ignores":
            return await self.engine.extend(prefix, sampling)
        return await written(self.engine, prefix, sampling, markers, asked.thinking)

    def _since(self, prefix: Prefix) -> Prefix:
        """A raw text that goes on with what this server wrote is taken up there, as its cache would have it."""
        text = prefix.prompt.raw or ""
        for end in range(len(text), 0, -1):
            if (known := self._known.get(text[:end])) is not None:
                start, _ = known
                return Prefix(Prompt(raw=start)) + text[len(start) :]
        return prefix

    def _remember(self, prefix: Prefix, segment: Segment) -> None:
        start = prefix.prompt.raw
        if start is None:
            return
        for text in (start, start + prefix.text + segment.text):
            self._known.pop(text, None)
            self._known[text] = start, text[len(start) :]
        while len(self._known) > _KEPT:
            self._known.pop(next(iter(self._known)))

    async def _at_once(
        self, request: web.Request, asked: Asked, replies: list[Reply], prompt: int, sending: _Sending
    ) -> web.StreamResponse:
        tokens = sum(counted(reply, self.dialect) for reply in replies)
        await asyncio.sleep(self.latency + self.pace * max(len(reply.tokens) for reply in replies))
        sending.tokens = tokens
        if asked.form == "completion":
            reply = replies[0]
            body = native_end(reply, prompt) | {
                "content": "".join(t.text for t in reply.tokens),
                "tokens": [t.id for t in reply.tokens] if asked.ids else [],
                "stop": True,
                "model": self.model,
            }
            if asked.likeliest:
                body["completion_probabilities"] = llama.logprobs(reply.tokens)["content"]
        else:
            body = self._envelope(_WHOLE[asked.form], sending.number)
            body["choices"] = [whole(self.dialect, asked, reply) for reply in replies]
            body["usage"] = self._usage(replies, prompt, sending)
            if self.dialect == "llama-server":
                body["timings"] = llama.timings(prompt, tokens)
        text = json.dumps(body)
        if sending.fate in ("stall", "break"):
            response = web.StreamResponse(headers={"content-type": "application/json"})
            await response.prepare(request)
            await response.write(text[: len(text) // 2].encode())
            if sending.fate == "stall":
                await asyncio.sleep(3600)
            return _reset(request, sending)
        if sending.fate in ("malformed", "truncate"):
            text = text[: len(text) // 2]
        return web.Response(text=text, content_type="application/json")

    async def _streamed(
        self, request: web.Request, asked: Asked, replies: list[Reply], prompt: int, sending: _Sending
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=HEAD)
        await response.prepare(request)
        if self.latency:
            await asyncio.sleep(self.latency)
        pieces = self._pieces(asked, replies, prompt)
        fate, at = sending.fate, sending.rng.randrange(max(1, len(pieces) - 1))
        began = time.monotonic()
        paced = 0
        for i, (piece, tokens) in enumerate(pieces):
            if self.pace and tokens:
                paced += 1
                await asyncio.sleep(max(0.0, began + paced * self.pace / len(replies) - time.monotonic()))
            chunk = self._chunk(asked, piece, sending.number)
            if self.dialect == "llama-server" and i == len(pieces) - 1 and asked.form != "completion":
                chunk |= self._last(asked, replies, prompt, sending)
            line = f"data: {json.dumps(chunk)}\n\n".encode()
            if i == at and fate == "stall":
                await asyncio.sleep(3600)
            if i == at and fate == "break":
                return _reset(request, sending)
            if i == at and fate == "truncate":
                return response
            if i == at and fate == "malformed":
                line = line[: len(line) // 2] + b"\n\n"
            if i == at + 1 and fate == "duplicate":
                line += line
            sending.tokens += tokens
            await response.write(line)
        if fate == "late" and len(pieces) > 1:
            piece = pieces[-2][0]
            await response.write(
                f"data: {json.dumps(self._chunk(asked, piece, sending.number))}\n\n".encode()
            )
        last_has_it = self.dialect == "llama-server" and asked.form != "chat"
        if asked.usage and asked.form != "completion" and not last_has_it:
            told = self._envelope(_CHUNK[asked.form], sending.number)
            told |= {"choices": [], "usage": self._usage(replies, prompt, sending)}
            if self.dialect == "llama-server":
                told["timings"] = llama.timings(prompt, sending.tokens)
            await response.write(f"data: {json.dumps(told)}\n\n".encode())
        if asked.form != "completion":
            await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    def _pieces(self, asked: Asked, replies: list[Reply], prompt: int) -> list[tuple[dict[str, Any], int]]:
        """The pieces of all choices, as if these were written side by side."""
        each = [list(chunks(self.dialect, asked, reply, prompt)) for reply in replies]
        most = max(map(len, each))
        return [pieces[i] for i in range(most) for pieces in each if i < len(pieces)]

    def _chunk(self, asked: Asked, piece: dict[str, Any], number: int) -> dict[str, Any]:
        if asked.form == "completion":
            return piece
        chunk = self._envelope(_CHUNK[asked.form], number) | {"choices": [piece]}
        return chunk if self.dialect == "llama-server" else chunk | {"usage": None}

    def _last(self, asked: Asked, replies: list[Reply], prompt: int, sending: _Sending) -> dict[str, Any]:
        """What llama-server adds to its last piece: of a raw completion the usage, whoever asked."""
        if asked.form == "chat" and asked.usage:
            return {}
        told = {"timings": llama.timings(prompt, sum(len(reply.tokens) for reply in replies))}
        return told if asked.form == "chat" else told | {"usage": self._usage(replies, prompt, sending)}

    def _envelope(self, kind: str, number: int) -> dict[str, Any]:
        head = {"id": f"mock-{number}", "object": kind, "created": 0, "model": self.model}
        return head | ({"system_fingerprint": llama.FINGERPRINT} if self.dialect == "llama-server" else {})

    def _refusal(
        self, status: int, message: str, kind: str = "invalid_request_error", code: str | None = None
    ) -> web.Response:
        if self.dialect == "llama-server":
            return web.json_response(llama.refusal(status, message, kind), status=status)
        body = {"message": message, "type": kind, "param": None, "code": code}
        return web.json_response({"error": body}, status=status)

    def _usage(self, replies: list[Reply], prompt: int, sending: _Sending) -> dict[str, Any]:
        completion = sum(counted(reply, self.dialect) for reply in replies)
        if sending.fate == "usage":
            completion = sending.rng.choice([0, completion * 10 + 7, max(0, completion - 1)])
        body: dict[str, Any] = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": 0},
        }
        reasoning = sum(reply.thought[1] - reply.thought[0] for reply in replies)
        if reasoning and self.dialect == "openai":
            body["completion_tokens_details"] = {"reasoning_tokens": reasoning}
        elif reasoning and self.dialect == "sglang":
            body["reasoning_tokens"] = reasoning
        return body


@dataclass
class _Sending:
    """One request while it is answered."""

    number: int
    fate: str = "ok"
    rng: Any = None
    tokens: int = 0
    writes: bool = False
    broken: bool = False


def _reset(request: web.Request, sending: _Sending) -> web.StreamResponse:
    """End the connection with RST, not with FIN."""
    sending.broken = True
    if request.transport is not None:
        if (sock := request.transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    raise ConnectionResetError
