"""Find out what a server really does, with a few tiny calls. Nothing is believed because of a name.

Each question is asked through the engine itself, as later calls will be: first with everything that the dialect
has a word for, and what does not come out as it should is left out. Greedy answers are compared with each other,
so it does not matter what the model says.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ponder.core.calls import Sampling
from ponder.core.errors import EngineError, TransientError, UnknownName, Unsupported
from ponder.core.markers import Markers
from ponder.core.prefix import Prefix, Prompt
from ponder.core.problem import Message
from ponder.engines.servers.dialects import DIALECTS
from ponder.engines.servers.engine import Server
from ponder.engines.servers.found import Found
from ponder.thinking.markers import of_template, thought

if TYPE_CHECKING:
    from collections.abc import Callable

    from ponder.core.prefix import Segment
    from ponder.core.protocols import Ability
    from ponder.engines.servers.link import Link

ASK = Prefix(Prompt((Message("user", "Count from 1 to 20, with a comma and a space after each number."),)))
SHORT = Prefix(Prompt((Message("user", "Reply with the single word OK."),)))
CHANCE = Prefix(Prompt((Message("user", "Think of a number from 0 to 9, and say which it is."),)))
RAW = Prefix(Prompt(raw="one, two, three, four,"))
SAMPLE = "The quick brown fox: 12 + 345 = 357.\n\nÉtude — 你好 😀\n"
"""Its tokens tell one vocabulary from another."""
THINK = Prefix(Prompt((Message("user", "What is 17 * 23?"),)))
CAP, LONG = 8, 64
"""Tokens that a model is to think at most, and that it may write, where it is tried whether it keeps to that."""
OPENING = 40
"""Characters at the end of a rendered prompt in which a template may open the thinking."""
TOKENS = 16


async def probe(link: Link, model: str | None = None, dialect: str | None = None) -> Found:
    """What the server at the end of `link` does.

    Args:
        model: as the server calls it; the first that it names by default.
        dialect: where a person knows better than the signs.

    Raises:
        EngineError: it cannot be reached, refuses the key, or answers nothing of use.
        UnknownName: it has no such model.

    """
    names, limit = await _models(link)
    if model is None and not names:
        raise EngineError(f"{link.where} names no models. Say which: -m {link.url}/v1#MODEL")
    model = model or names[0]
    if names and model not in names:
        raise UnknownName(f"model on {link.where}", model, names)
    words, limit = await _dialect(link, dialect, limit)
    found = Found(link.url, model, words, context=limit, max_tokens="max_tokens")
    return await Probing(link, found).run()


class Probing:
    """The questions, one after the other; `found` is what is known so far."""

    def __init__(self, link: Link, found: Found) -> None:
        self._link, self.found = link, found
        self._notes: list[str] = []

    async def run(self) -> Found:
        base = await self._first()
        await self._continues(base)
        await self._stops(base)
        await self._records()
        await self._ids(base)
        await self._marks(base)
        await self._seeds()
        await self._many()
        await self._raw()
        await self._thinks()
        return replace(self.found, notes=tuple(self._notes))

    async def _first(self) -> Segment:
        """A greedy answer: by ids where that works, else by the chat. How tokens are counted shows here."""
        words = self.found.words
        if words.render and words.ids:
            hopeful = replace(self.found, wire=words.wire, can=self.found.can | {"token_ids"})
            base = await self._try(hopeful, ASK)
            if base is not None and base.token_ids is not None:
                self.found = replace(hopeful, tokenizer=await self._fingerprint())
                self._learn(base)
                return base
            self._notes.append("does not give token ids: paths go to the chat interface as text")
        base = await self._try(self.found, ASK)
        if base is None:  # newer models of OpenAI's have another name for it
            self.found = replace(self.found, max_tokens="max_completion_tokens")
            base = await self._draw(self.found, ASK)
        self._learn(base)
        return base

    def _learn(self, base: Segment) -> None:
        exact = not base.usage.estimated
        if not exact:
            self._notes.append("does not count its tokens: usage is estimated")
        overhead = max(self.found.overhead, 2 * base.usage.prompt)
        self.found = replace(self.found, counts=exact, exact=exact, overhead=overhead)
        self._grant("streams", "tells_stop_from_eos")

    async def _continues(self, base: Segment) -> None:
        """Whether what follows half an answer is the other half, and not an answer from its beginning."""
        if self.found.words.go_on is None:
            return
        hopeful = replace(self.found, can=self.found.can | {"continue"})
        text = base.text[: max(1, len(base.text) // 2)].rstrip()
        rest = base.text[len(text) :]
        more = await self._try(hopeful, ASK + text)
        if more is not None and _alike(more.text, rest) > max(_alike(more.text, base.text), 0):
            self.found = hopeful
        else:
            self._notes.append("cannot continue a partial answer: step-wise strategies are impossible here")

    async def _stops(self, base: Segment) -> None:
        """Whether it says which stop string it was, and leaves it in the text."""
        words = self.found.words
        stop = base.text[len(base.text) // 2 :][:2]
        if not (words.told and words.keep_stop) or not stop:
            return
        hopeful = replace(self.found, keeps_stop=True)
        segment = await self._try(hopeful, ASK, stop=(stop,))
        told = segment is not None and segment.stopped_by == stop
        if segment is not None and told and segment.text.find(stop) == base.text.find(stop):
            self.found = hopeful
        else:
            self._notes.append("does not keep stop strings: they are looked for here")

    async def _records(self) -> None:
        """Log-probabilities, one for each token, also of an answer that ends by itself."""
        hopeful = replace(self.found, can=self.found.can | {"logprobs", "top_logprobs"})
        segments = [await self._try(hopeful, prefix, logprobs=2) for prefix in (ASK, SHORT)]
        if all(s is not None and s.logprobs is not None for s in segments):
            self._grant("logprobs")
            if all(s is not None and s.top_logprobs is not None for s in segments):
                self._grant("top_logprobs")

    async def _ids(self, base: Segment) -> None:
        """What is asked for by token ids: biases and stops."""
        names, ids = self.found.words.names, base.token_ids
        if ids is None or len(ids) < 2:
            return
        if "logit_bias" in names:
            hopeful = replace(self.found, can=self.found.can | {"logit_bias"})
            segment = await self._try(hopeful, ASK, logit_bias={ids[0]: -100.0}, max_tokens=2)
            if segment is not None and segment.token_ids and ids[0] not in segment.token_ids[:1]:
                self.found = hopeful
        held_here = self.found.words.hold and "logit_bias" in self.found.can
        if held_here or ("stop_ids" in names and "min_tokens" in names):
            hopeful = replace(self.found, can=self.found.can | {"stop_ids"})
            at = ids.index(ids[len(ids) // 2])
            segment = await self._try(hopeful, ASK, stop_ids=(ids[at],))
            stopped = segment is not None and segment.finish == "stop" and segment.token_ids == ids[: at + 1]
            segment = await self._try(hopeful, ASK, stop_ids=(ids[0],), min_tokens=2)
            held = segment is not None and ids[0] not in (segment.token_ids or ())[:2]
            if stopped and held:
                self.found = hopeful

    async def _seeds(self) -> None:
        """Whether the same seed gives the same text, and another seed another."""
        if "seed" not in self.found.words.names:
            return
        hopeful = replace(self.found, can=self.found.can | {"seed"})
        texts = [
            s.text
            if (s := await self._try(hopeful, CHANCE, temperature=1.5, seed=seed, max_tokens=24))
            else None
            for seed in (1, 1, 2, 3)
        ]
        if None not in texts and texts[0] == texts[1] and len(set(texts)) > 1:
            self.found = hopeful
        else:
            self._notes.append("does not repeat itself for the same seed")

    async def _many(self) -> None:
        if "n" not in self.found.words.names:
            return
        hopeful = replace(self.found, many=True)
        try:
            drawn = await Server(self._link, hopeful).extend_many(
                ASK, Sampling(max_tokens=4, temperature=1.0), 2
            )
        except (EngineError, Unsupported):
            return
        if all(s.text for s in drawn) and not any(s.usage.estimated for s in drawn):
            self.found = hopeful

    async def _raw(self) -> None:
        if self.found.words.raw is not None:
            hopeful = replace(self.found, raw=self.found.words.raw)
            if await self._try(hopeful, RAW) is not None:
                self.found = hopeful

    async def _marks(self, base: Segment) -> None:
        """How the model marks its thinking: its template says, or its text does, or it keeps that apart."""
        found = self.found
        source, opened = await self._template()
        markers = of_template(source or opened, opened)
        if not markers.end:
            markers = of_template(base.text)
        if not markers.end:
            return
        opened = "" if markers.start else markers.end.replace("/", "")
        ids = await Server(self._link, found).tokens(markers.end) if "token_ids" in found.can else ()
        token = ids[0] if len(ids) == 1 and "stop_ids" in found.can else None
        self.found = replace(found, markers=replace(markers, token=token), opened=opened)

    async def _template(self) -> tuple[str | None, str]:
        """The chat template, where the server shows it, and the end of a conversation rendered by it."""
        render, source, rendered = self.found.words.render, None, ""
        try:
            if render == "apply-template":
                source = (await self._link.get("/props"))["chat_template"]
                [piece] = await Server(self._link, self.found).rendered(ASK.prompt)
                rendered = str(piece)
            elif render == "tokenize":
                ids = await Server(self._link, self.found).rendered(ASK.prompt)
                body = {"model": self.found.model, "tokens": ids}
                rendered = (await self._link.post("/detokenize", body))["prompt"]
        except (EngineError, KeyError, TypeError, ValueError):
            return None, ""
        return str(source or "") or None, str(rendered)[-OPENING:]

    async def _thinks(self) -> None:
        """Whether a cap on thinking tokens is obeyed, by a model that thinks; else whether an effort is taken.

        The thinking is counted here, as it is in every later call.
        """
        words, wire = self.found.words.thinks, self.found.wire
        asks = words.asks(wire)
        free = await self._try(self.found, THINK, max_tokens=LONG)
        thought = self._thought(free)
        if not asks or not thought:
            return
        if thought <= CAP:
            self._notes.append("thinks too little here to tell whether it keeps to a budget")
            return
        for how in asks:
            if how == "cap" and words.least > CAP:
                self._notes.append(f"takes caps on thinking from {words.least:,} tokens up: not tried")
                self.found = replace(self.found, asks=how)
                return
            hopeful = replace(self.found, asks=how, can=self.found.can | {"thinking_budget"})
            limit = CAP if how == "cap" else "minimal"
            capped = await self._try(hopeful, THINK, max_tokens=LONG, thinking=limit)
            said = "a cap on thinking" if how == "cap" else "a thinking effort"
            if capped is None:
                self._notes.append(f"refuses {said}")
            elif how == "effort":
                self.found = replace(self.found, asks=how)
                self._notes.append("takes a thinking effort, which is a wish: it is counted, not kept")
                return
            elif self._thought(capped) <= CAP:
                self.found = hopeful
                return
            else:
                self._notes.append(
                    f"ignores {said}: asked for {CAP}, it thought {self._thought(capped)} tokens"
                )

    def _thought(self, segment: Segment | None) -> int:
        return 0 if segment is None else thought([segment], self.found.markers or Markers())

    async def _fingerprint(self) -> str | None:
        body = {"model": self.found.model, "prompt": SAMPLE, "content": SAMPLE, "add_special_tokens": False}
        try:
            answer = await self._link.post("/tokenize", body)
            return "server-" + hashlib.sha256(repr(answer["tokens"]).encode()).hexdigest()[:16]
        except (EngineError, KeyError, TypeError):
            return None

    def _grant(self, *abilities: Ability) -> None:
        self.found = replace(self.found, can=self.found.can | frozenset(abilities))

    async def _try(self, found: Found, prefix: Prefix, **sampling: Any) -> Segment | None:
        """None where the server does not do that; a server that is away or overloaded is another matter."""
        try:
            return await self._draw(found, prefix, **sampling)
        except TransientError as error:
            if not error.spent and error.retry_after is not None:
                raise
            return None
        except (EngineError, Unsupported):
            return None

    async def _draw(self, found: Found, prefix: Prefix, **sampling: Any) -> Segment:
        how = Sampling(**{"max_tokens": TOKENS, "temperature": 0.0, **sampling})
        return await Server(self._link, found).extend(prefix, how)


async def _models(link: Link) -> tuple[list[str], int | None]:
    """The models that a server names, and the context of the first."""
    answer = await link.get("/v1/models")
    data = answer.get("data") if isinstance(answer, dict) else None
    models = (
        [m for m in data if isinstance(m, dict) and isinstance(m.get("id"), str)]
        if isinstance(data, list)
        else []
    )
    limit = models[0].get("max_model_len") if models else None
    return [m["id"] for m in models], limit if isinstance(limit, int) else None


async def _dialect(link: Link, given: str | None, limit: int | None) -> tuple[str, int | None]:
    """Which dialect a server's signs tell, and its context where a sign tells that."""
    if given is not None and given not in DIALECTS:
        raise UnknownName("dialect", given, DIALECTS)
    for words in DIALECTS.values():
        if words.host is not None and link.where.partition(":")[0] == words.host and given is None:
            return words.name, limit
        if words.sign is None or given not in (None, words.name):
            continue
        path, key = words.sign
        try:
            answer = await link.get(path)
        except TransientError:
            raise
        except EngineError:
            continue
        if isinstance(answer, dict) and key in answer:
            settings = answer.get("default_generation_settings")
            context = settings.get("n_ctx") if isinstance(settings, dict) else None
            return words.name, context if isinstance(context, int) else limit
    return given or "openai", limit


def _alike(one: str, other: str) -> int:
    """How many characters two texts begin with alike, spaces at the beginning aside."""
    pairs: Callable[[str], str] = str.lstrip
    return sum(
        1 for _ in itertools.takewhile(lambda p: p[0] == p[1], zip(pairs(one), pairs(other), strict=False))
    )
