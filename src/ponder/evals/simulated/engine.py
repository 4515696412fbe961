"""A simulated model: an engine whose every probability is known, at scales that no machine here runs a real one."""

from __future__ import annotations

import itertools
import random
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeVar, get_args

import anyio
import anyio.lowlevel

from ponder.core.calls import Usage
from ponder.core.errors import EngineClosed
from ponder.core.protocols import Ability, Capabilities, Delta
from ponder.evals.simulated import tokens
from ponder.evals.simulated.chain import Chain, Guess, Style
from ponder.evals.simulated.puzzle import find
from ponder.evals.simulated.reading import said, stand
from ponder.evals.simulated.traits import Traits
from ponder.evals.simulated.world import World
from ponder.evals.simulated.writing import NEVER, Writing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ponder.core.calls import Sampling
    from ponder.core.prefix import Prefix, Prompt, Segment
    from ponder.evals.simulated.options import Spot
    from ponder.evals.simulated.puzzle import Puzzle

K = TypeVar("K")
V = TypeVar("V")

_CAN: Final[frozenset[Ability]] = frozenset(get_args(Ability)) - {
    "certainty",
    "grammar",
    "depth",
    "embeddings",
    "thinking_budget",
}
_PROMPTS, _CHAINS = 512, 512  # remembered
_ROLE = 3  # tokens around a turn
_LETTER = re.compile(r"\(([A-J])\)|^([A-J])[.)] ", re.MULTILINE)


class Simulated:
    """Attempts the problems of any simulated world, as its traits have it; guesses at any other question.

    A question that it does not know has one of the letters of its options, "(A)" or "A." at the beginning of a
    line, as its answer, else one of the digits 0 to 9, all equally likely.

    A system message that says "directly" gets the bare answer, one that says "draft" a draft, all others a whole
    chain (see `chain`). Log-probabilities are exactly those of the distribution that is sampled from. `seconds` pass
    on the clock of the event loop, so that trio's virtual clock makes them free.

    Args:
        traits: what the model is like.

    """

    def __init__(self, traits: Traits | None = None) -> None:
        self.traits = traits or Traits()
        self.world = World(self.traits.seed)
        self.calls = self.completion_tokens = self.in_flight = 0
        self.closed = False
        self._capabilities = Capabilities(str(self.traits), _CAN, None, tokens.TOKENIZER)
        self._rng = random.Random(self.traits.seed)
        self._pause = 1 / self.traits.rate if self.traits.rate else 0.0
        self._asked: dict[Prompt, tuple[int, Chain | Guess]] = {}
        self._chains: dict[tuple[Puzzle, Style], Chain] = {}

    @classmethod
    def named(cls, text: str) -> Simulated:
        """The model that "simulated:seed=3,skill=0.5" names; see `Traits.parse` for errors."""
        return cls(Traits.parse(text))

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def extend(
        self, prefix: Prefix, sampling: Sampling, watch: Callable[[Delta], bool | None] | None = None
    ) -> Segment:
        self._open()
        started = anyio.current_time()
        self.calls += 1
        self.in_flight += 1
        try:
            await anyio.lowlevel.checkpoint()
            prompt, chain = self._of(prefix.prompt)
            rng = self._rng if sampling.seed is None else random.Random(sampling.seed)
            writing = Writing(chain, prefix.text, sampling, rng)
            await self._write(writing, watch)
        finally:
            self.in_flight -= 1
        seconds = anyio.current_time() - started
        read = prompt + self._after(prefix)
        return writing.segment(Usage(read, 0, len(writing.ids), calls=1, seconds=seconds))

    def encode(self, text: str) -> tuple[int, ...]:
        return tokens.encode(text)

    def decode(self, ids: Sequence[int]) -> str | None:
        """The text of these ids; None if some are of another vocabulary."""
        return tokens.decode(ids)

    def count(self, prefix: Prefix) -> int:
        return self._of(prefix.prompt)[0] + self._after(prefix)

    async def logprobs(self, prefix: Prefix, continuation: str) -> tuple[float, ...]:
        """See `ContinuationScores`; from the first token that the model would not say, all have `NEVER`."""
        self._open()
        await anyio.lowlevel.checkpoint()
        chain = self._of(prefix.prompt)[1]
        spot: Spot | None = stand(chain, prefix.text)
        found = []
        for token in tokens.split(continuation):
            step = said(chain, spot, token) if spot else None
            spot, log = step or (None, NEVER)
            found.append(log)
        return tuple(found)

    def chain(self, puzzle: Puzzle, style: Style = "cot") -> Chain:
        """How this model attempts a problem; what the closed forms of `theory` are asked about."""
        key = (puzzle, style)
        return self._chains.get(key) or _keep(self._chains, key, Chain(puzzle, self.traits, style), _CHAINS)

    async def aclose(self) -> None:
        """See `close`."""
        self.close()

    def close(self) -> None:
        """Every call from now on, and those in flight at their next token, raise EngineClosed."""
        self.closed = True

    async def _write(self, writing: Writing, watch: Callable[[Delta], bool | None] | None) -> None:
        self._open()
        try:
            while writing.finish is None:
                if self._pause:
                    await anyio.sleep(self._pause)
                    self._open()
                written = len(writing.ids)
                deltas = writing.burst() if writing.plain and not self._pause else (writing.step(),)
                for n, delta in enumerate(deltas if watch is not None else (), 1):
                    if watch is not None and watch(delta) is False:
                        if n < len(deltas) or writing.finish is None:
                            writing.cut(written + n)
                        break
        finally:
            self.completion_tokens += len(writing.ids)

    def _open(self) -> None:
        if self.closed:
            raise EngineClosed(f"The engine {self.capabilities.name} was closed. Open it again.")

    def _of(self, prompt: Prompt) -> tuple[int, Chain | Guess]:
        """How many tokens a prompt has, and how it is answered."""
        try:
            found = self._asked.get(prompt)
        except TypeError:  # a conversation with images cannot be hashed
            return self._made(prompt)
        return found or _keep(self._asked, prompt, self._made(prompt), _PROMPTS)

    def _made(self, prompt: Prompt) -> tuple[int, Chain | Guess]:
        question = prompt.raw
        if question is None:
            question = next((m.text for m in reversed(prompt.messages) if m.role == "user"), "")
        system = "".join(m.text for m in prompt.messages if m.role == "system")
        style: Style = "direct" if "directly" in system else "draft" if "draft" in system else "cot"
        puzzle = find(question)
        chain = self.chain(puzzle, style) if puzzle else Guess(_answers(question), style)
        if prompt.raw is not None:
            return len(tokens.split(prompt.raw)), chain
        return sum(_ROLE + _size(m.text) for m in prompt.messages) + _ROLE, chain

    def _after(self, prefix: Prefix) -> int:
        return sum(len(_ids(segment)) for segment in prefix.segments)


@lru_cache(1024)
def _size(text: str) -> int:
    return len(tokens.split(text))


def _ids(segment: Segment) -> tuple[int, ...]:
    """The tokens of a segment, without end-of-text: its own ids where they are of this vocabulary."""
    ids = tuple(i for i in segment.token_ids or () if i != tokens.EOS)
    if segment.token_ids is not None and tokens.decode(ids) == segment.text:
        return ids
    return tokens.encode(segment.text)


def _answers(question: str) -> tuple[str, ...]:
    letters = dict.fromkeys(itertools.chain.from_iterable(_LETTER.findall(question)))
    letters.pop("", None)
    return tuple(letters) if len(letters) > 1 else tuple("0123456789")


def _keep(known: dict[K, V], key: K, value: V, most: int) -> V:
    if len(known) >= most:
        known.pop(next(iter(known)))
    known[key] = value
    return value
