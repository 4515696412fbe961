"""Passing a request on to a server and its answer back, both as they are: the strategy `none`.

The body keeps every letter but for the model's name and the field `ponder`. Two things more are changed, and only where
a budget limits tokens: the request's own limit is set to what was granted, and a stream is asked for its usage, which
is left out again unless the client wanted it. What the server refuses a client for is passed on; what is not the
client's business (our key, a server that is down) becomes an error of ours.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio

from ponder.core.calls import Usage
from ponder.core.errors import EngineError, OutOfBudget
from ponder.engines.servers.failures import refused, without_secrets
from ponder.engines.servers.reading import Said, read
from ponder.engines.servers.sse import Parser
from ponder.gateway import replying
from ponder.gateway.limits import CHOICES
from ponder.gateway.members import replaced
from ponder.gateway.refusals import Refusal
from ponder.gateway.replying import SSE
from ponder.runtime.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from ponder.core.calls import Budget
    from ponder.engines.servers.link import Link, Passed
    from ponder.gateway.asked import Asked
    from ponder.gateway.replying import Reply
    from ponder.gateway.served import PassesOn
    from ponder.runtime.ledger import Lease

REFUSED: Final = re.compile(
    r"chat_template|custom_logit_processor|prompt_embeds|lora.*|kv_transfer_params|bootstrap_.*|media_io_kwargs|"
    r"mm_processor_kwargs|vllm_xargs|priority|cache_salt|request_id|rid|api_base|base_url|api_key",
    re.IGNORECASE,
)
"""Fields that reach into a server: never passed on, in whatever letters, for some servers do not tell them apart."""

OURS: Final = ("model", "messages", "prompt", "stream", "stream_options", "n", "max_tokens", "max_completion_tokens",
               "chat_template_kwargs", "ponder")  # fmt: skip
"""Fields that are read here, and are to be what the server reads."""

UNCOUNTED: Final = frozenset({"n_predict", "num_predict", "max_new_tokens", "n_cmpl", "best_of", "use_beam_search",
                              "beam_width"})  # fmt: skip
"""Other names of limits, and what draws more texts than `n`: not passed on where a budget limits tokens."""

TEMPLATE_KWARGS: Final = ("enable_thinking", "thinking", "reasoning_effort")
"""What a template may be told."""

CLIENTS_OWN: Final = frozenset({400, 409, 413, 422, 429})
"""What a server may say to our client itself."""

LENGTH: Final = 4096
"""Tokens that are set aside for an answer whose request sets no limit, where a budget does."""
_LARGEST: Final = 16 * 1024 * 1024


@dataclass
class Passing:
    """One request on its way.

    Args:
        model: as our clients call it.
        arrived: when it came, on the loop's clock; its deadline counts from then.
        budget: of the request, inside `ledger`, which is what its caller may spend.

    """

    asked: Asked
    engine: PassesOn
    model: str
    budget: Budget
    ledger: Ledger
    arrived: float
    tokens: int = 0
    usage: Usage | None = None
    _hide_usage: bool = False

    def check(self) -> None:
        """Raises a Refusal for a field that is never passed on."""
        body = self.asked.body
        for key in body:
            if REFUSED.fullmatch(key):
                raise Refusal(
                    "unsupported_parameter", f"{key} is not passed on to a server. Leave it out.", key
                )
            if key not in OURS and key.casefold() in OURS:
                raise Refusal("unsupported_parameter", f"Write {key[:40]} in small letters.", key)
        kwargs = body.get("chat_template_kwargs")
        if kwargs is not None and (not isinstance(kwargs, dict) or set(kwargs) - set(TEMPLATE_KWARGS)):
            raise Refusal(
                "unsupported_parameter",
                f"chat_template_kwargs may have {', '.join(TEMPLATE_KWARGS)}, and nothing else.",
                "chat_template_kwargs",
            )

    async def answer(self, reply: Reply) -> None:
        """Pass it on and its answer back.

        Raises:
            PonderError: nothing was sent yet. What breaks later is told in the stream.

        """
        scope = Ledger(self.budget, self.ledger)
        most = self._most()
        prices = self.engine.capabilities.prices  # type: ignore[attr-defined]  # it is an engine, too
        if scope.counts_money and prices is None:
            raise Refusal(
                "unsupported_parameter",
                f"{self.model} has no prices. Limit tokens instead.",
                "ponder.budget",
            )
        prompt = len(self.asked.raw.encode("utf-8", "replace")) if scope.counts_prompts else 0
        lease = await scope.reserve(
            (), kind=("none", self.asked.max_tokens), most=most, prompt=prompt, whole=True, prices=prices
        )
        started = anyio.current_time()
        try:
            with anyio.CancelScope(deadline=self._deadline) as deadline:
                await self.engine.pass_on(
                    "/v1/chat/completions" if self.asked.form == "chat" else "/v1/completions",
                    lambda own: self._body(own, lease, limited=scope.limited),
                    partial(self._pass, reply),
                    lambda: self.tokens,
                )
            if deadline.cancelled_caught:
                await self._late(reply)
        except EngineError as error:
            if not reply.status:
                raise
            await self._broken(reply, error)
        except BaseException as left:
            if not isinstance(left, Exception) and not self.asked.stream and self.usage is None:
                self.tokens = (
                    lease.granted
                )  # what it wrote unseen is not known: all it was allowed to is charged
            raise
        finally:
            self._settle(scope, lease, prompt, anyio.current_time() - started)

    @property
    def _deadline(self) -> float:
        return math.inf if self.budget.seconds is None else self.arrived + self.budget.seconds

    # -- there ----------------------------------------------------------------------------------------------------

    def _most(self) -> int:
        return (self.asked.max_tokens or LENGTH) * min(self.asked.n, CHOICES)

    def _body(self, own: Mapping[str, Any], lease: Lease, *, limited: bool) -> bytes:
        """The request as it came, for this server."""
        new = dict(own)
        if limited:
            self._check_limits()
            each = lease.granted // self.asked.n
            if each < 1:
                raise OutOfBudget("The budget has not a token for each choice. Ask for fewer, or give more.")
            if self.asked.max_tokens is None or each < self.asked.max_tokens:
                names = [
                    f for f in ("max_tokens", "max_completion_tokens") if self.asked.body.get(f) is not None
                ]
                new |= dict.fromkeys(names or ["max_tokens"], each)
            if self.asked.stream and not self.asked.usage:
                new["stream_options"] = {
                    **(self.asked.body.get("stream_options") or {}),
                    "include_usage": True,
                }
                self._hide_usage = True
        return replaced(self.asked.raw, new, without=("ponder",)).encode("utf-8", "surrogatepass")

    def _check_limits(self) -> None:
        for key in self.asked.body:
            if key.casefold() in UNCOUNTED:
                raise Refusal(
                    "unsupported_parameter",
                    f"{key[:40]} is not passed on where a budget limits tokens. Use max_tokens and n.",
                    key,
                )

    # -- and back -------------------------------------------------------------------------------------------------

    async def _pass(self, reply: Reply, passed: Passed, link: Link) -> None:
        if passed.status != 200:
            await self._refused(passed, reply, link)
            return
        headers = {"x-ponder-strategy": "none"}
        if "text/event-stream" in passed.headers.get("content-type", ""):
            await reply.start(200, {**SSE, **headers})
            await self._stream(passed.pieces, reply)
            await reply.end()
            return
        text = await _text(passed.pieces, link.where)
        self._count(text)
        spent = str(self.usage.completion if self.usage else self.tokens)
        headers |= {"content-type": passed.headers.get("content-type", "application/json")}
        await reply.whole(200, {**headers, "x-ponder-spent-tokens": spent}, text)

    async def _stream(self, pieces: AsyncIterator[bytes], reply: Reply) -> None:
        """Every piece as it comes, and in silence a comment between two events that says it lives; event by event only
        where our own question for the usage is to be left out.
        """
        parser = Parser()
        unsent = b""
        while True:
            with anyio.CancelScope() as silence:
                silence.deadline = anyio.current_time() + replying.PING
                async for piece in pieces:
                    events = parser.feed(piece)
                    kept = [one for one in events if not self._take(one.data)]
                    unsent = piece
                    if self._hide_usage:
                        unsent = "".join(f"data: {one.data}\n\n" for one in kept).encode()
                    if unsent:
                        await reply.write(unsent)
                        unsent = b""
                    silence.deadline = anyio.current_time() + replying.PING
            if not silence.cancelled_caught:
                return
            if unsent:  # the client is slow to read
                await reply.write(unsent)
                unsent = b""
            elif parser.between or self._hide_usage:
                await reply.ping()

    def _take(self, data: str) -> bool:
        """Count what an event says; whether it is nothing but the usage."""
        try:
            told = json.loads(data)
            heard = read(told, None)
        except (ValueError, RecursionError):
            return False
        self._hear(heard)
        return told.get("choices") == [] and heard.usage is not None

    def _count(self, text: bytes) -> None:
        try:
            self._hear(read(json.loads(text), None))
        except (ValueError, RecursionError):
            return

    def _hear(self, heard: Said) -> None:
        self.tokens += sum(1 for part in heard.parts if not part.bare)
        if heard.usage is not None:
            self.usage = heard.usage

    async def _refused(self, passed: Passed, reply: Reply, link: Link) -> None:
        where = link.where
        said = link.hidden((await _text(passed.pieces, where)).decode("utf-8", "replace"))
        error = refused(passed.status, passed.headers, said, where)
        if passed.status not in CLIENTS_OWN:
            raise error
        headers = {"content-type": "application/json", "x-ponder-strategy": "none"}
        for name in ("retry-after", "retry-after-ms", "x-should-retry"):
            if name in passed.headers:
                headers[name] = passed.headers[name]
        try:
            json.loads(said)
        except (ValueError, RecursionError):
            raise error from None
        await reply.whole(passed.status, headers, without_secrets(said).encode())

    async def _broken(self, reply: Reply, error: EngineError) -> None:
        """The stream is open: an error goes there, and no [DONE] after it."""
        refusal = Refusal("upstream_error", str(error))
        await reply.broken(refusal.body)

    async def _late(self, reply: Reply) -> None:
        refusal = Refusal(
            "deadline_exceeded", "The deadline came before the end of the answer. Give more time."
        )
        refusal.spent = self.tokens
        if not reply.status:
            raise refusal
        await reply.broken(refusal.body)

    def _settle(self, scope: Ledger, lease: Lease, prompt: int, seconds: float) -> None:
        told = self.usage
        usage = Usage(
            told.prompt if told else prompt,
            told.cached if told else 0,
            min(lease.granted, max(self.tokens, told.completion if told else 0)),
            calls=1,
            seconds=seconds,
            estimated=told is None,
        )
        if lease.prices:
            usage = lease.prices.priced(usage)
        scope.settle(lease, usage)


async def _text(pieces: AsyncIterator[bytes], where: str) -> bytes:
    found = bytearray()
    async for piece in pieces:
        found += piece
        if len(found) > _LARGEST:
            raise EngineError(f"{where} sent more than {_LARGEST:,} bytes in one answer.")
    return bytes(found)
