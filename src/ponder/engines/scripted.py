"""An engine that is a function: the verified fake.

What it samples, its log-probabilities, biases, truncations and stops are those of a real language model whose
every probability is known, so strategies can be tested against theory. `engines.laws` holds it to what any
engine must do.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

import anyio
import anyio.lowlevel

from ponder.core.calls import Usage
from ponder.core.errors import ContextOverflow, EngineClosed, Unsupported
from ponder.core.prefix import Prefix, Prompt, Segment
from ponder.core.protocols import Ability, Capabilities, Delta
from ponder.engines._language import NEVER, Language, Script, Vocabulary
from ponder.engines._writing import Writing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ponder.core.calls import Sampling
    from ponder.core.markers import Markers
    from ponder.engines._language import Node

Seconds = float | Callable[[Prefix, random.Random], float]

_CANNOT: frozenset[Ability] = frozenset({"certainty", "grammar", "depth", "embeddings", "thinking_budget"})
_ALL: frozenset[Ability] = frozenset(get_args(Ability)) - _CANNOT
_NEEDS: tuple[tuple[Ability, Ability], ...] = (
    ("stoppable", "streams"),
    ("top_logprobs", "logprobs"),
    ("stop_ids", "token_ids"),
    ("switch_penalty", "token_ids"),
)
_numbers = itertools.count()
_BURST = 3  # tokens an engine that streams but cannot be stopped writes between two calls of `watch`


class Scripted:
    """Writes what a script says, with exactly the probabilities it says.

    Args:
        script: a pure function from a path to `{text: probability}`. At a prompt, the texts are complete
            utterances, and the engine conditions them on what the path has written since. Where none of
            them goes on like the path (a strategy wrote "Wait"), the script is asked about the whole path
            and its texts are continuations of it. Probabilities need not sum to 1: they are shares.
        name: as `capabilities` tells it.
        without: abilities it shall not have, to stand in for hosted servers. What it lacks it ignores, but
            without "continue" it refuses a prefix that has anything after its prompt.
        delay: seconds before each token, or a function of the prefix and a generator of its own.
        latency: seconds before the first, likewise.
        context: the most tokens that prompt and answer may have together.
        seed: of the generator for calls that bring no seed.
        thinking: how its texts mark what is only thought; each marker is one token.

    Where it may not end (`min_tokens`) or say (`logit_bias`) what its script holds ready, the script is asked
    again about all that was written; a token reached so has the log-probability `NEVER`. A bias moves
    only tokens that the script gives a chance.

    """

    def __init__(
        self,
        script: Script | Mapping[str, float],
        *,
        name: str = "scripted",
        without: Iterable[Ability] = (),
        delay: Seconds = 0.0,
        latency: Seconds = 0.0,
        context: int | None = None,
        seed: int = 0,
        thinking: Markers | None = None,
    ) -> None:
        self._vocabulary = Vocabulary()
        self._language = Language(
            script if not isinstance(script, Mapping) else partial(_same, script), self._vocabulary
        )
        can = _ALL - frozenset(without)
        can -= {ability for ability, needed in _NEEDS if needed not in can}
        self._capabilities = Capabilities(name, can, context, f"scripted-{next(_numbers)}", thinking=thinking)
        self._delay, self._latency = delay, latency
        self._rng = random.Random(seed)
        self._closed = False
        self._prompts: dict[Prompt, int] = {}
        self.calls = 0
        self.completion_tokens = 0
        self.in_flight = 0
        self.most_in_flight = 0

    @classmethod
    def solver(
        cls,
        p: float,
        right: str = "42",
        wrong: Iterable[str] | Mapping[str, float] = ("41", "43"),
        text: str = "Let me think. The answer is {answer}.",
        **options: Any,
    ) -> Scripted:
        """Right with probability `p` in every sample; the rest goes to the wrong answers by their shares."""
        shares = dict(wrong) if isinstance(wrong, Mapping) else dict.fromkeys(wrong, 1.0)
        whole = math.fsum(shares.values())
        said = {right: p} | {answer: (1 - p) * share / whole for answer, share in shares.items()}
        script = {text.replace("{answer}", answer): share for answer, share in said.items() if share > 0}
        return cls(script, **options)

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def extend(
        self, prefix: Prefix, sampling: Sampling, watch: Callable[[Delta], bool | None] | None = None
    ) -> Segment:
        self._refuse(prefix, sampling)
        self.calls += 1
        seeded = sampling.seed is not None and "seed" in self.capabilities.can
        rng = random.Random(sampling.seed) if seeded else self._rng
        return await self._write(prefix, sampling, rng, watch)

    async def extend_many(self, prefix: Prefix, sampling: Sampling, n: int) -> list[Segment]:
        """`n` exchangeable segments, drawn side by side in one call; a seed makes them all the same.

        The first one pays for the prompt, which is read once.
        """
        self._refuse(prefix, sampling)
        self.calls += 1
        seeds = [self._rng.random() if sampling.seed is None else sampling.seed for _ in range(n)]
        drawn: dict[int, Segment] = {}

        async def draw(i: int) -> None:
            drawn[i] = await self._write(prefix, sampling, random.Random(seeds[i]), None)

        async with anyio.create_task_group() as group:
            for i in range(n):
                group.start_soon(draw, i)
        first, *others = (drawn[i] for i in range(n))
        return [first, *(replace(s, usage=replace(s.usage, prompt=0, cached=0)) for s in others)]

    def encode(self, text: str) -> tuple[int, ...]:
        return self._vocabulary.encode(text)

    def decode(self, ids: Sequence[int]) -> str | None:
        """The text of these ids; None if some are of another vocabulary."""
        return self._vocabulary.decode(ids)

    def count(self, prefix: Prefix) -> int:
        try:
            asked = self._prompts.get(prefix.prompt)
        except TypeError:  # a conversation with images cannot be hashed
            return len(self.encode(_rendered(prefix.prompt))) + self._after(prefix)
        if asked is None:
            asked = self._prompts[prefix.prompt] = len(self.encode(_rendered(prefix.prompt)))
        return asked + self._after(prefix)

    async def logprobs(self, prefix: Prefix, continuation: str) -> tuple[float, ...]:
        """See `ContinuationScores`; from the first token the script cannot say, all have `NEVER`."""
        self._refuse(prefix, None)
        await anyio.lowlevel.checkpoint()
        node: Node | None = self._language.stand(prefix)
        found = []
        for i in self.encode(continuation):
            found.append(NEVER if node is None else node.logs.get(i, NEVER))
            node = None if node is None else node.next.get(i)
        return tuple(found)

    async def aclose(self) -> None:
        """Every call from now on, and those in flight at their next token, raise EngineClosed."""
        self._closed = True

    def _after(self, prefix: Prefix) -> int:
        return sum(len(self._language.ids(segment)) for segment in prefix.segments)

    def _refuse(self, prefix: Prefix, sampling: Sampling | None) -> None:
        if self._closed:
            raise EngineClosed(f"The engine {self.capabilities.name} was closed. Open it again.")
        if prefix.segments and "continue" not in self.capabilities.can:
            raise Unsupported(
                f"The engine {self.capabilities.name} cannot continue a partial answer. Ask from the prompt alone."
            )
        context = self.capabilities.context
        if context is None:
            return
        needed = self.count(prefix) + (sampling.max_tokens if sampling else 0)
        if needed > context:
            raise ContextOverflow(
                f"Prompt and answer need {needed} tokens, and {self.capabilities.name} has a context of {context}. "
                "Ask for fewer tokens or shorten the prompt."
            )

    async def _write(
        self,
        prefix: Prefix,
        sampling: Sampling,
        rng: random.Random,
        watch: Callable[[Delta], bool | None] | None,
    ) -> Segment:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        started = anyio.current_time()
        try:
            writing = await self._steps(prefix, sampling, rng, watch)
        finally:
            self.in_flight -= 1
        seconds = anyio.current_time() - started
        return writing.segment(Usage(self.count(prefix), 0, len(writing.ids), calls=1, seconds=seconds))

    async def _steps(
        self,
        prefix: Prefix,
        sampling: Sampling,
        rng: random.Random,
        watch: Callable[[Delta], bool | None] | None,
    ) -> Writing:
        can, delay = self.capabilities.can, self._delay
        # A generator of its own, so that how long a text takes does not change what it says.
        clock = random.Random(f"clock {sampling.seed}") if callable(delay) or callable(self._latency) else rng
        wait = self._latency(prefix, clock) if callable(self._latency) else self._latency
        await (anyio.sleep(wait) if wait > 0 else anyio.lowlevel.checkpoint())
        writing = Writing(self._language, can, prefix, sampling, rng)
        burst = 1 if "stoppable" in can else _BURST
        if "streams" not in can:
            watch = None
        text, tokens = "", 0
        while writing.finish is None:
            wait = delay(prefix, clock) if callable(delay) else delay
            if wait > 0:
                await anyio.sleep(wait)
            if self._closed:
                raise EngineClosed(f"The engine {self.capabilities.name} was closed while it wrote.")
            text += writing.step()
            tokens += 1
            self.completion_tokens += 1
            if watch is not None and (tokens == burst or writing.finish is not None):
                if watch(Delta(text, tokens, writing.tops(tokens))) is False and writing.finish is None:
                    writing.finish = "cancelled"
                text, tokens = "", 0
        return writing


def _same(script: Mapping[str, float], _: Prefix) -> Mapping[str, float]:
    return script


def _rendered(prompt: Prompt) -> str:
    if prompt.raw is not None:
        return prompt.raw
    return "".join(f"<|{m.role}|>{m.text}\n" for m in prompt.messages) + "<|assistant|>"
