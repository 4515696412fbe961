"""What every engine in this process is: a vocabulary, and a scheduler whose one thread runs the model."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from anyio import to_thread
from anyio.lowlevel import checkpoint_if_cancelled

from ponder.core.errors import ContextOverflow, Unsupported
from ponder.core.protocols import Ability, Capabilities
from ponder.engines.embedded.call import Scoring, Writing
from ponder.engines.embedded.grammar import Grammars

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ponder.core.calls import Sampling
    from ponder.core.prefix import Prefix, Segment
    from ponder.core.protocols import Delta
    from ponder.engines.embedded.scheduler import Scheduler
    from ponder.engines.embedded.stats import Stats
    from ponder.engines.embedded.vocabulary import Vocabulary

ABILITIES: frozenset[Ability] = frozenset(
    (
        "continue",
        "token_ids",
        "logprobs",
        "top_logprobs",
        "logit_bias",
        "switch_penalty",
        "certainty",
        "grammar",
        "embeddings",
        "seed",
        "stop_ids",
        "scores",
        "tells_stop_from_eos",
        "streams",
        "stoppable",
    )
)


class Embedded:
    """An engine whose model lies in this process. Who opens one says how it embeds, too.

    Args:
        vocabulary: of the model.
        scheduler: with its thread, which closes the vocabulary and the model at its end.
        name: of the model.
        context: the most tokens a prompt and its answer may have.
        sequences: calls that run at once, at most.

    """

    def __init__(
        self, vocabulary: Vocabulary, scheduler: Scheduler, *, name: str, context: int, sequences: int
    ) -> None:
        self.sequences = sequences
        self.capabilities = Capabilities(
            name, ABILITIES, context, vocabulary.fingerprint, thinking=vocabulary.template.markers
        )
        self._vocabulary = vocabulary
        self._grammars = Grammars(vocabulary)
        self._scheduler = scheduler
        self._context = context
        # At exit, and when nobody holds the engine any more; before the model's own finalizer, for it is younger.
        self._close = weakref.finalize(self, scheduler.close)

    async def extend(
        self, prefix: Prefix, sampling: Sampling, watch: Callable[[Delta], bool | None] | None = None
    ) -> Segment:
        """Write one segment after `prefix`. It ends with "length" at the end of the context, too.

        Raises:
            ContextOverflow: the prefix alone fills the context.
            Unsupported: the sampling asks for a depth.
            UsageError: a token that does not exist, a grammar that is none.
            EngineClosed: the engine is closed, or is being closed.

        """
        if sampling.depth is not None:
            raise Unsupported("This engine has no models that think in depth. Leave depth= out.")
        await checkpoint_if_cancelled()  # the thread would write a token before the task noticed
        self._scheduler.check()
        ids = self._vocabulary.ids(prefix)
        limit = min(sampling.max_tokens, self._room(ids, 1))
        schema = sampling.grammar
        grammar = None if schema is None else await to_thread.run_sync(self._grammars.grammar, schema)
        prompt = self._vocabulary.prompt(prefix)
        call = Writing(self._vocabulary, ids, sampling, limit, watch, prompt, grammar)
        return await self._scheduler.answer(call)

    async def logprobs(self, prefix: Prefix, continuation: str) -> tuple[float, ...]:
        """Log-probability of each token of `continuation` after `prefix`, in nats.

        The continuation is tokenised by itself: its first token does not join with the last one of the prefix.
        """
        self._scheduler.check()
        following = self._vocabulary.encode(continuation)
        ids = self._vocabulary.ids(prefix)
        self._room(ids, len(following))
        if not following:
            return ()
        return await self._scheduler.answer(Scoring(ids, following, self._vocabulary.prompt(prefix)))

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids of text inside a path: no begin-of-text, special tokens recognised."""
        self._scheduler.check()
        return self._vocabulary.encode(text)

    def count(self, prefix: Prefix) -> int:
        """Tokens read before writing goes on after `prefix`, chat template included."""
        self._scheduler.check()
        return len(self._vocabulary.ids(prefix))

    # -- its state ------------------------------------------------------------------------------------------

    @property
    def stats(self) -> Stats:
        """What it has done so far; embeddings are not counted."""
        return self._scheduler.stats

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return not self._close.alive

    def close(self) -> None:
        """End it; calls in flight get EngineClosed. Waits for the step that is running. May be called again."""
        self._close()

    async def aclose(self) -> None:
        """`close`, for whoever must not block the event loop."""
        await to_thread.run_sync(self.close)

    # -- for those that embed -------------------------------------------------------------------------------

    def _room(self, ids: Sequence[int], wanted: int) -> int:
        """Tokens of the context that these leave, `wanted` or more."""
        room = self._context - len(ids)
        if room < wanted:
            raise ContextOverflow(
                f"The prompt has {len(ids):,} tokens, and this engine's context {self._context:,}"
                f"{', of which the answer needs some' if room >= 0 else ''}. "
                f"Shorten the prompt or open the engine with a larger context=."
            )
        return room
