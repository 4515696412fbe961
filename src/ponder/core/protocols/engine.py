"""The one primitive, and the optional abilities beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ponder.core.calls import Prices, Sampling
    from ponder.core.markers import Markers
    from ponder.core.prefix import Prefix, Segment

Ability = Literal[
    "continue",  # goes on with a partial answer
    "token_ids",  # gives and takes token ids
    "logprobs",  # of the sampled tokens
    "top_logprobs",  # of the likeliest tokens
    "logit_bias",
    "switch_penalty",
    "thinking_budget",  # ends its thinking where `Sampling.thinking` says; that it does is checked all the same
    "certainty",  # self-certainty, over the whole vocabulary
    "seed",  # the same seed gives the same text
    "stop_ids",  # stops at token ids, and min_tokens holds them off
    "grammar",
    "depth",
    "embeddings",
    "scores",  # implements ContinuationScores
    "tells_stop_from_eos",
    "streams",  # calls `watch` while it writes
    "stoppable",  # calls `watch` after every token, and writes no other once it returns False
]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do. Found by asking the engine, never guessed from a model's name.

    `context` is the most tokens that prompt and answer may have together; `tokenizer` a fingerprint, so that
    ids are never fed to a model with another vocabulary. `prices` are what its tokens cost, where that is known.
    `thinking` is how it marks its thinking, if it does. `many`: one request of `extend_many` draws several texts, and
    the prompt is read, and paid for, once.
    """

    name: str
    can: frozenset[Ability] = frozenset()
    context: int | None = None
    tokenizer: str | None = None
    prices: Prices | None = None
    thinking: Markers | None = None
    many: bool = False


class Delta(NamedTuple):
    """What an engine wrote since it last called `watch`.

    `top` holds the likeliest tokens' log-probabilities, for each token that was written, where they are recorded
    and the engine tells them as they come.
    """

    text: str
    tokens: int
    top: tuple[tuple[tuple[int, float], ...], ...] = ()


Watch: TypeAlias = "Callable[[Delta], bool | None]"
"""Sees tokens as they come; returns False to end the segment. It may be called from the engine's own thread,
between two steps that it holds up: it must be quick and must not raise."""

Halt: TypeAlias = "Callable[[], Callable[[Delta], str | None]]"
"""Makes a rule for one call. The rule is shown what is written as it comes, and ends the text by saying why; None goes
on. It is called like a `Watch`, and must be as quick."""


class Engine(Protocol):
    """Continues text."""

    @property
    def capabilities(self) -> Capabilities: ...

    async def extend(self, prefix: Prefix, sampling: Sampling, watch: Watch | None = None) -> Segment:
        """Write one segment after `prefix`.

        A `watch` that returns False ends the segment with finish "cancelled" and all it has written.
        Cancelling the call stops the work within one step.

        Raises:
            EngineError: see `core.errors`.

        """
        ...


@runtime_checkable
class Tokenizes(Protocol):
    """Knows its own tokens."""

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids of text inside a path: no begin-of-text, special tokens recognised."""
        ...

    def count(self, prefix: Prefix) -> int:
        """Tokens the engine reads before it writes after `prefix`, chat template included."""
        ...


@runtime_checkable
class TokenizesAfar(Protocol):
    """Knows its tokens, but has to ask for them."""

    async def tokens(self, text: str) -> tuple[int, ...]:
        """See `Tokenizes.encode`.

        Raises:
            Unsupported: whom it asks does not tell.
            EngineError: see `core.errors`.

        """
        ...


@runtime_checkable
class BoundsPrompts(Protocol):
    """Does not know its tokens, but how many they are at most: a token is at least one byte."""

    def count_at_most(self, prefix: Prefix) -> int:
        """No fewer than the tokens the engine reads before it writes after `prefix`."""
        ...


@runtime_checkable
class ContinuationScores(Protocol):
    """Can score text it did not write."""

    async def logprobs(self, prefix: Prefix, continuation: str) -> tuple[float, ...]:
        """Log-probability of each token of `continuation` after `prefix`, in nats."""
        ...


@runtime_checkable
class Embeds(Protocol):
    """Turns texts into vectors."""

    async def embed(self, texts: Sequence[str]) -> list[list[float]]: ...


@runtime_checkable
class ExtendsMany(Protocol):
    """Draws several exchangeable segments in one call (`n=`), where that saves prompt tokens."""

    async def extend_many(self, prefix: Prefix, sampling: Sampling, n: int) -> list[Segment]: ...
