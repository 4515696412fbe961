"""A model server as an engine."""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from ponder.core.errors import EngineError, Refused, TransientError, Unsupported
from ponder.core.protocols import Capabilities
from ponder.engines._parts import joined as as_one
from ponder.engines._parts import seeded
from ponder.engines.servers.asking import PATHS, SALT, chat, joined, parameters, plain, size, thinking, turn
from ponder.engines.servers.failures import Silent, Unwelcome, broken, told
from ponder.engines.servers.reading import Garbled, read
from ponder.engines.servers.writing import Writing, of_each

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Mapping

    from ponder.core.calls import Prices, Sampling, Usage
    from ponder.core.prefix import Prefix, Prompt, Segment
    from ponder.core.protocols import Delta, Watch
    from ponder.engines.servers.asking import Piece
    from ponder.engines.servers.found import Found
    from ponder.engines.servers.link import Link, Passed

V = TypeVar("V")

WHOLE = 1024
"""Tokens: longer texts are streamed, for a server that is silent for as long as they take may as well be dead."""
PER_MESSAGE = 16
"""Tokens at most that a template writes around a message."""
BYTES_PER_TOKEN = 4
"""For estimates, which are marked as such."""
_KEPT = 1024


class Server:
    """Continues texts on a server, as `found` says that it can.

    A conversation is rendered and tokenised by the server itself, where it does that, and goes there as ids with
    those of the path; so a path is continued by its own tokens. Elsewhere it goes to the chat interface, and what
    was written goes along as a partial turn. Everything is streamed: a call that is cancelled, or whose watch says
    False, closes its connection, and the server stops.

    Args:
        link: the way there.
        found: what the server can do.
        name: as `capabilities` tells it; the model's by default.
        prices: of its tokens.

    """

    def __init__(
        self, link: Link, found: Found, *, name: str | None = None, prices: Prices | None = None
    ) -> None:
        self.link, self.found = link, found
        self._capabilities = Capabilities(
            name or found.model,
            found.can,
            found.context,
            found.tokenizer,
            prices,
            found.markers,
            many=found.many and found.wire != "native",
        )
        self._rendered: OrderedDict[Hashable, tuple[Piece, ...]] = OrderedDict()
        self._pieces: dict[int, str] = {}
        self._closed = False

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @property
    def closed(self) -> bool:
        return self.link.closed

    def close(self) -> None:
        """Every call from now on raises EngineClosed."""
        self.link.close()

    def count_at_most(self, prefix: Prefix) -> int:
        """See `BoundsPrompts`: bytes, and what the template may add."""
        return size(prefix) + self.found.overhead + PER_MESSAGE * len(prefix.prompt.messages)

    async def extend(self, prefix: Prefix, sampling: Sampling, watch: Watch | None = None) -> Segment:
        held, most = sampling.min_tokens, sampling.max_tokens
        if not held or "stop_ids" not in self.found.can or not self.found.words.hold:
            [segment] = await self._draw(prefix, sampling, 1, watch)
            return segment
        on = True

        def watching(delta: Delta) -> bool:
            nonlocal on
            on = watch is None or watch(delta) is not False
            return on

        how = replace(sampling, min_tokens=min(held, most), max_tokens=min(held, most))
        [first] = await self._draw(prefix, how, 1, watching)
        if first.finish != "length" or held >= most or not on:
            return as_one(None, first)
        how = replace(sampling, min_tokens=0, max_tokens=most - held, seed=seeded(sampling.seed, 1))
        [rest] = await self._draw(prefix + first, how, 1, watching, first.text)
        return as_one(first, rest)

    async def extend_many(self, prefix: Prefix, sampling: Sampling, n: int) -> list[Segment]:
        """`n` exchangeable segments of one request, where the server draws several; else of several requests.

        The first one pays for the prompt of such a request, which is read once. Texts of at most `WHOLE`
        tokens come whole, for nobody can stop one of them alone.
        """
        if self._wire(prefix.prompt) != "native" and self.found.many and n > 1:
            return await self._draw(prefix, replace(sampling, seed=None), n, None)
        alone = (self.extend(prefix, replace(sampling, seed=None)) for _ in range(n))
        tasks = [asyncio.ensure_future(one) for one in alone]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:  # those of a group of which one failed
                task.cancel()

    async def tokens(self, text: str) -> tuple[int, ...]:
        """See `TokenizesAfar`.

        Raises:
            Unsupported: the server does not say.

        """
        if "token_ids" not in self.found.can:
            raise Unsupported(f"{self.found.model} on this server does not tell its tokens.")
        return await self._ids(text)

    async def rendered(self, prompt: Prompt) -> tuple[Piece, ...]:
        """A conversation as the server makes a prompt of it: ids, or text where it gives text."""
        return await self._prompt(prompt, ids="token_ids" in self.found.can)

    async def pass_on(
        self,
        path: str,
        body: Callable[[Mapping[str, Any]], bytes],
        take: Callable[[Passed, Link], Awaitable[None]],
        spent: Callable[[], int],
    ) -> None:
        """Send the body with this server's own fields, the name of the model and a salt, and have the answer taken as it comes.

        Whatever breaks once the server has begun to answer is no TransientError: nobody may ask again. The same holds of
        its silence, for an answer that is not streamed takes as long as it takes.

        Raises:
            EngineError: see `failures`, and what `take` raises.

        """
        begun, own, word = False, {"model": self.found.model}, self.found.words.salt
        if word and (salt := SALT.get()):
            own[word] = salt
        try:
            async with self.link.passed(path, body(own), spent) as passed:
                begun = passed.status == 200
                await take(passed, self.link)
        except TransientError as error:
            if not begun and not isinstance(error, Silent):
                raise
            broke = EngineError(str(error))
            broke.spent = error.spent
            raise broke from None

    # -- one request ----------------------------------------------------------------------------------------

    async def _draw(
        self, prefix: Prefix, sampling: Sampling, n: int, watch: Watch | None, earlier: str = ""
    ) -> list[Segment]:
        found = self.found
        started = time.monotonic()
        wire = self._wire(prefix.prompt)
        ids = "token_ids" in found.can and wire != "chat"
        body = parameters(found, sampling, ids=ids, wire=wire) | await self._asked(prefix, wire, ids=ids)
        whole = n > 1 and sampling.max_tokens <= WHOLE
        body["stream"] = not whole
        if wire != "native":
            body["model"] = found.model
        if wire != "native" and not whole:
            body["stream_options"] = {"include_usage": True}
        if n > 1:
            body[found.words.names["n"]] = n
        keeps, by_id = found.keeps_stop, bool(found.words.hold)
        if by_id and not ids and sampling.stop_ids and "stop_ids" in found.can:
            raise Unsupported(f"{found.model} on this server stops at token ids in plain conversations only.")
        writings = [
            Writing(
                sampling,
                keeps_stop=keeps,
                exact=found.exact,
                ids=ids,
                watch=watch,
                earlier=earlier,
                by_id=by_id,
            )
            for _ in range(n)
        ]
        usage: Usage | None = None
        reasoning: int | None = None

        def take(event: Any) -> bool | None:
            nonlocal usage, reasoning
            said = read(event, found.words.told)
            if said.error is not None:
                raise told(self.link.hidden(json.dumps(said.error)), self.link.where, spent())
            usage = said.usage or usage
            if n == 1 and said.reasoning is not None:
                reasoning = said.reasoning
            for part in said.parts:
                if not 0 <= part.choice < n:
                    raise Garbled(f"wrote a choice {part.choice}, which nobody asked for")
                writings[part.choice].add(part)
            if any(not w.over for w in writings):  # a list: it is asked for each token
                return True
            if any(w.left for w in writings):
                return False
            return None if wire == "native" else True  # the usage is still to come

        def spent() -> int:
            return sum(w.tokens for w in writings)

        try:
            if whole:
                take(await self.link.post(PATHS[wire], body))
            else:
                await self.link.stream(PATHS[wire], body, take, spent)
            if ids and wire == "native":
                await self._mend(writings)
            seconds = time.monotonic() - started
            costs = [usage] if n == 1 else of_each(usage, n, writings, whole=whole)
            bound = 0  # of the prompt, where the server does not count it
            if None in costs:
                bound = max(1, size(prefix) // BYTES_PER_TOKEN) + PER_MESSAGE * len(prefix.prompt.messages)
            segments = [
                w.close(cost, seconds, 0 if i else bound, reasoning)
                for i, (w, cost) in enumerate(zip(writings, costs, strict=True))
            ]
        except Unwelcome as error:
            if not thinking(found, sampling, wire):
                raise
            self._forget_thinking()
            raise Refused(f"{error} It is no longer asked for a thinking budget.") from None
        except Garbled as error:
            raise broken(f"{error}", self.link.where, spent()) from None
        if len(self._pieces) < 1 << 18:
            for writing in writings:
                self._pieces.update(writing.pieces)
        return segments

    def _forget_thinking(self) -> None:
        """It was found to take this, and does not any more."""
        can = self.found.can - {"thinking_budget"}
        self.found = replace(self.found, asks=None, can=can)
        self._capabilities = replace(self._capabilities, can=can)

    def _wire(self, prompt: Prompt) -> str:
        found = self.found
        if prompt.raw is not None:
            if found.raw is None:
                raise Unsupported(f"{found.model} on this server takes conversations only, and no raw text.")
            return found.raw
        return found.wire if plain(prompt) else "chat"

    async def _asked(self, prefix: Prefix, wire: str, *, ids: bool) -> dict[str, Any]:
        """The prefix as this interface takes it."""
        if wire == "chat":
            return chat(self.found, prefix)
        pieces: list[Piece] = list(await self._prompt(prefix.prompt, ids=ids))
        for segment in prefix.segments:
            own = segment.token_ids if ids else None
            if own is not None and "".join(self._pieces.get(i, "\0") for i in own) == segment.text:
                pieces += own
            else:  # written by a strategy, or by another model
                pieces.append(segment.text)
        pieces = joined(pieces)
        if wire == "native":
            return {"prompt": pieces if len(pieces) > 1 or not isinstance(pieces[0], str) else pieces[0]}
        if not ids:
            return {"prompt": "".join(map(str, pieces))}
        out: list[int] = []
        for piece in pieces:
            out += [piece] if isinstance(piece, int) else await self._ids(piece)
        return {"prompt": out}

    async def _prompt(self, prompt: Prompt, *, ids: bool) -> tuple[Piece, ...]:
        """The prompt as the server renders and, where it can, tokenises it."""
        key = prompt if prompt.raw is not None else ("chat", *((m.role, m.text) for m in prompt.messages))
        if (known := self._rendered.get(key)) is not None:
            return known
        words, found = self.found.words, self.found
        if words.render == "tokenize" and ids:
            body = (
                {"prompt": prompt.raw, "add_special_tokens": True}
                if prompt.raw is not None
                else {"messages": [turn(m) for m in prompt.messages], "add_generation_prompt": True}
            )
            answer = await self.link.post("/tokenize", {"model": found.model, **body})
            return self._keep(key, _whole_numbers(answer, self.link.where))
        if prompt.raw is not None:
            return (prompt.raw,)
        answer = await self.link.post("/apply-template", {"messages": [turn(m) for m in prompt.messages]})
        text = answer.get("prompt") if isinstance(answer, dict) else None
        if not isinstance(text, str):
            raise broken("rendered no prompt", self.link.where, 0)
        return self._keep(key, (text,))

    async def _ids(self, text: str) -> tuple[int, ...]:
        """Ids of a text inside a path: no begin-of-text."""
        key = ("text", text)
        if (known := self._rendered.get(key)) is None:
            asked = {"prompt": text, "add_special_tokens": False}  # as vLLM has it
            if self.found.words.render == "apply-template":
                asked = {"content": text, "add_special": False, "parse_special": True}
            answer = await self.link.post("/tokenize", {"model": self.found.model, **asked})
            known = self._keep(key, _whole_numbers(answer, self.link.where))
        return tuple(i for i in known if isinstance(i, int))

    async def _mend(self, writings: list[Writing]) -> None:
        """Ask for the ids that were not told."""
        for writing in writings:
            for gap in writing.gaps:
                body = {
                    "content": gap.text,
                    "add_special": False,
                    "parse_special": False,
                    "with_pieces": True,
                }
                answer = await self.link.post("/tokenize", body)
                try:
                    pieces = [(t["id"], _bytes(t["piece"])) for t in answer["tokens"]]
                except (KeyError, TypeError, ValueError):
                    return
                writing.mend(gap, pieces)

    def _keep(self, key: Hashable, pieces: tuple[Piece, ...]) -> tuple[Piece, ...]:
        self._rendered[key] = pieces
        if len(self._rendered) > _KEPT:
            self._rendered.popitem(last=False)
        return pieces


def _bytes(piece: str | list[int]) -> bytes:
    return piece.encode() if isinstance(piece, str) else bytes(piece)


def _whole_numbers(answer: Any, where: str) -> tuple[int, ...]:
    tokens = answer.get("tokens") if isinstance(answer, dict) else None
    if not isinstance(tokens, list) or not all(isinstance(t, int) for t in tokens):
        raise broken("tokenised nothing", where, 0)
    return tuple(tokens)
