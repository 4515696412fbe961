"""A GGUF model in this process: OpenVINO's kernels for x86 processors, on the same scheduler as llama.cpp's."""

from __future__ import annotations

import weakref
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from anyio import to_thread
from anyio.lowlevel import checkpoint_if_cancelled

from ponder.core.errors import (
    ContextOverflow,
    EngineClosed,
    EngineError,
    ModelFileError,
    Unsupported,
    UsageError,
)
from ponder.core.protocols import Ability, Capabilities
from ponder.engines._llama import BindingMismatch, Model
from ponder.engines.embedded.call import Scoring, Writing
from ponder.engines.embedded.grammar import Grammars
from ponder.engines.embedded.memory import available, processors
from ponder.engines.embedded.scheduler import Scheduler
from ponder.engines.embedded.vocabulary import Vocabulary

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    from ponder.core.calls import Sampling
    from ponder.core.prefix import Prefix, Segment
    from ponder.core.protocols import Delta
    from ponder.engines._llama import Context
    from ponder.engines.embedded.stats import Stats
    from ponder.engines.paged.graph import Shape

CONTEXT = 2048
"""Tokens of a sequence where nobody says."""
SHARE = 0.5
"""The part of the memory that is free now which the cache may take, if nothing in it were shared."""

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


class OpenVino:
    """A Q8_0 model file of the architecture llama or qwen2, with one thread that runs it.

    Calls from any number of tasks share each step of the model, and whatever prefixes they share is read once
    and kept once: the cache is made of blocks, and a fork copies at most the last one. What one call samples is
    its own, but the last digits of its logits depend on the calls beside it; so the same seed gives the same text
    only where the timing is the same. What was sampled is in `token_ids`.

    Tokens are those of the file, as llama.cpp reads it.

    Args:
        path: a .gguf file whose matrices are Q8_0 (see `embedded.requantise`).
        context: the most tokens a prompt and its answer may have; by default what the model was trained with,
            2,048 at most.
        sequences: calls that run at once, at most, and prefixes that are remembered. Fewer where the memory that
            is free now would not hold them, were they all different; `sequences` tells how many there are.
        threads: of the processor; by default all that this process may use.
        exact: multiply in float32 what is by default rounded to 8 bits: three times as near to the model's own
            distributions, and half as fast.
        name: by default what the file says.

    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        context: int | None = None,
        sequences: int = 32,
        threads: int | None = None,
        exact: bool = False,
        name: str | None = None,
    ) -> None:
        """Read the file, compile the model and start the thread.

        Raises:
            ModelFileError: no such file, or no model file, or one that is cut short.
            Unsupported: an architecture or a type of weights that is not known here.
            UsageError: openvino is not installed, or a context or number of sequences that makes no sense.
            EngineError: it cannot be opened here, for example for lack of memory.

        """
        try:
            from ponder.engines.paged.graph import graph
            from ponder.engines.paged.passes import Passes
        except ImportError as error:
            raise UsageError(
                f"This engine needs openvino ({error}). Install it: pip install 'ponder[openvino]'"
            ) from error
        try:
            model = Model(path, vocab_only=True)
        except ValueError as error:
            raise ModelFileError(str(error)) from error
        except (BindingMismatch, RuntimeError) as error:
            raise EngineError(str(error)) from error
        try:
            written, shape = graph(Path(path))
            self._context, self.sequences = _layout(shape, context=context, sequences=sequences)
            self._vocabulary = Vocabulary(model)
            passes = Passes(
                written,
                sequences=self.sequences,
                context=self._context,
                threads=threads or processors(),
                exact=exact,
            )
        except (ValueError, RuntimeError) as error:
            model.close()
            raise EngineError(f"OpenVINO cannot open this model: {error}") from error
        except BaseException:
            model.close()
            raise
        self._passes = passes
        name = name or model.name or Path(path).stem
        self.capabilities = Capabilities(
            name,
            ABILITIES,
            self._context,
            self._vocabulary.fingerprint,
            thinking=self._vocabulary.template.markers,
        )
        vocabulary = self._vocabulary
        self._grammars = Grammars(vocabulary)

        def free() -> None:
            vocabulary.close()
            passes.close()
            model.close()

        # The embedded engine's parts ask for no more of a context than `Passes` answers.
        self._scheduler = Scheduler(cast("Context", passes), free)
        # At exit, and when nobody holds the engine any more.
        self._close = weakref.finalize(self, self._scheduler.close)

    # -- the engine -----------------------------------------------------------------------------------------

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
            raise Unsupported("The OpenVINO engine knows no models that think in depth. Leave depth= out.")
        await checkpoint_if_cancelled()  # the thread would write a token before the task noticed
        with self._open():
            ids = self._vocabulary.ids(prefix)
            room = self._room(ids, 1)
            schema = sampling.grammar
            grammar = None if schema is None else await to_thread.run_sync(self._grammars.grammar, schema)
            limit = min(sampling.max_tokens, room)
            call = Writing(self._vocabulary, ids, sampling, limit, watch, grammar=grammar)
            return await self._scheduler.answer(call)

    async def logprobs(self, prefix: Prefix, continuation: str) -> tuple[float, ...]:
        """Log-probability of each token of `continuation` after `prefix`, in nats.

        The continuation is tokenised by itself: its first token does not join with the last one of the prefix.
        """
        with self._open():
            following = self._vocabulary.encode(continuation)
            ids = self._vocabulary.ids(prefix)
            self._room(ids, len(following))
            if not following:
                return ()
            call = Scoring(ids, following)
            return await self._scheduler.answer(call)

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """The mean of each text's last hidden states. Special tokens are not recognised in them.

        Raises:
            UsageError: a text without a token, for a model that puts none in front.
            ContextOverflow: a text longer than the context.

        """
        with self._open():
            read = [self._vocabulary.plain(text) for text in texts]
            for ids in read:
                if not ids:
                    raise UsageError("An empty text has no embedding. Leave it out.")
                self._room(ids, 0)
            return [await self._scheduler.run(partial(self._passes.mean, ids)).wait() for ids in read]

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids of text inside a path: no begin-of-text, special tokens recognised."""
        with self._open():
            return self._vocabulary.encode(text)

    def count(self, prefix: Prefix) -> int:
        """Tokens read before writing goes on after `prefix`, chat template included."""
        with self._open():
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

    # -- inside ---------------------------------------------------------------------------------------------

    @contextmanager
    def _open(self) -> Iterator[None]:
        """Refuse a closed engine, and one from before a fork; the advice is ours, not llama.cpp's."""
        try:
            self._scheduler.check()
            yield
        except EngineClosed:
            raise EngineClosed("The engine is closed. Open it again with OpenVino(path).") from None

    def _room(self, ids: Sequence[int], wanted: int) -> int:
        room = self._context - len(ids)
        if room < wanted:
            raise ContextOverflow(
                f"The prompt has {len(ids):,} tokens, and this engine's context {self._context:,}"
                f"{', of which the answer needs some' if room >= 0 else ''}. "
                f"Shorten the prompt or open the engine with a larger context=."
            )
        return room


def _layout(shape: Shape, *, context: int | None, sequences: int) -> tuple[int, int]:
    """Tokens of each sequence, and sequences: fewer where memory is short, never a smaller context."""
    if sequences < 1:
        raise UsageError(f"Give at least 1 sequence, not {sequences}.")
    trained = shape.trained
    if context is not None and not 16 <= context <= trained:
        raise UsageError(
            f"Give a context from 16 to {trained:,} tokens, which the model knows, not {context}."
        )
    n_ctx = context or min(trained, CONTEXT)
    token = 2 * 2 * shape.layers * shape.groups * shape.head  # keys and values of two bytes
    return n_ctx, max(1, min(sequences, int(available() * SHARE) // (n_ctx * token)))
