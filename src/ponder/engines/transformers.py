"""A transformers model in this process: on a GPU, or for methods that need its weights."""

from __future__ import annotations

import weakref
from contextlib import contextmanager
from pathlib import PurePath
from statistics import fmean
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from anyio import to_thread
from anyio.lowlevel import checkpoint_if_cancelled

from ponder.core.errors import ContextOverflow, EngineClosed, Unsupported, UsageError
from ponder.core.protocols import Ability, Capabilities
from ponder.engines.embedded.call import Scoring, Writing
from ponder.engines.embedded.grammar import Grammars
from ponder.engines.embedded.scheduler import Scheduler
from ponder.engines.embedded.vocabulary import Vocabulary

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from ponder.core.calls import Sampling
    from ponder.core.prefix import Prefix, Segment
    from ponder.core.protocols import Delta
    from ponder.engines._llama import Context, Model
    from ponder.engines.embedded.stats import Stats

TEXTS = 8
"""Texts embedded in one pass: between two of them others have their turn."""

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
        "seed",
        "stop_ids",
        "embeddings",
        "scores",
        "tells_stop_from_eos",
        "streams",
        "stoppable",
    )
)


class Transformers:
    """A causal language model of the transformers library, with one thread that runs it.

    Calls from any number of tasks share each step, and whatever prefixes they share is read once. What one call
    samples is its own, but the last digits of its logits depend on the calls beside it; so the same seed gives
    the same text only where the timing is the same. What was sampled is in `token_ids`.

    Keys and values of finished sequences are remembered, at most `sequences` times `context` tokens, those in use
    included. They are the weights' own: after a change of the weights open another engine on the model.

    Args:
        model: a loaded causal language model; it is put into evaluation mode, and stays the caller's.
        tokenizer: its fast tokenizer.
        device: where to move the model; by default it stays where it is.
        context: the most tokens a prompt and its answer may have; by default what the model was trained with,
            4,096 at most.
        sequences: calls that run at once, at most, and prefixes that are remembered.
        name: by default what the model's configuration says.

    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        device: Any = None,
        context: int | None = None,
        sequences: int = 16,
        name: str | None = None,
    ) -> None:
        """Try the model on a few tokens and start the thread.

        Raises:
            UsageError: a context or a number of sequences that the model cannot have.
            Unsupported: an encoder, a model whose past cannot be cut and joined, a tokenizer without bytes.
            EngineError: the model does not work here.

        """
        from ponder.engines.weights.passes import Passes, room
        from ponder.engines.weights.tokens import Tokens

        config = model.config.get_text_config()
        if model.config.is_encoder_decoder:
            raise Unsupported("This model has an encoder. Use a causal language model.")
        if sequences < 1:
            raise UsageError(f"Give at least 1 sequence, not {sequences}.")
        self._context = room(config, context)
        if device is not None:
            model = model.to(device)
        passes = Passes(model, sequences=sequences, context=self._context)
        configs = config, getattr(model, "generation_config", None)
        self._tokens = Tokens(tokenizer, size=passes.n_vocab, configs=configs)
        # The embedded engine's parts ask for no more of a model file than `Tokens` and `Passes` answer.
        self._vocabulary = Vocabulary(cast("Model", self._tokens))
        self._passes = passes
        self.sequences = sequences
        name = name or PurePath(config.name_or_path or model.config.name_or_path).name or config.model_type
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

        self._scheduler = Scheduler(cast("Context", passes), free)
        # At exit, and when nobody holds the engine any more.
        self._close = weakref.finalize(self, self._scheduler.close)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        device: Any = None,
        dtype: str = "auto",
        local_files_only: bool = False,
        context: int | None = None,
        sequences: int = 16,
        name: str | None = None,
    ) -> Transformers:
        """A model from a folder, or from the hub by its name.

        No code that comes with a model is run, and only safetensors weights are read.

        Args:
            path: a folder with config.json, tokenizer.json and weights; or a name like "owner/model".
            device: by default the first GPU, else the processor.
            dtype: of the weights; "auto" is as they were stored.
            local_files_only: of a hub's model, use what was downloaded before.
            context, sequences, name: see `Transformers`.

        Raises:
            ModelFileError: there is no such model, or not all of it.
            UsageError: torch and transformers are not installed.

        """
        try:
            import torch

            from ponder.engines.weights.loading import load
        except ImportError as error:
            raise UsageError(
                f"This engine needs torch and transformers ({error}). Install them: pip install 'ponder[transformers]'"
            ) from error
        model, tokenizer = load(path, dtype=dtype, local=local_files_only)
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        name = name or PurePath(path).name
        return cls(model, tokenizer, device=device, context=context, sequences=sequences, name=name)

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
            raise Unsupported(
                "The transformers engine knows no models that think in depth. Leave depth= out."
            )
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
            read = [self._plain(text) for text in texts]
            means: list[list[float]] = []
            for begin in range(0, len(read), TEXTS):
                means += await to_thread.run_sync(self._passes.embed, read[begin : begin + TEXTS])
            return means

    # -- soft tokens ----------------------------------------------------------------------------------------

    async def embeddings(self) -> tuple[int, float]:
        """The width of the embeddings of the model's tokens, and their mean norm."""
        with self._open():
            return await to_thread.run_sync(self._passes.embeddings)

    async def soften(self, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        """From now on each of these names, wherever it stands in a text, is one token with that embedding.

        The vocabulary stays as it is, so that no soft token is ever sampled. A name may be given another vector;
        calls in flight read the one before.

        Raises:
            UsageError: a vector that is not as wide as the model's embeddings, an empty name.

        """
        width, _ = await self.embeddings()
        with self._open():
            if not all(name and vector.shape == (width,) for name, vector in vectors.items()):
                raise UsageError(f"A soft token has a name and a vector of {width:,} numbers for this model.")
            if not vectors:
                return
            rows = np.array(list(vectors.values()), np.float32)
            ids = await to_thread.run_sync(self._passes.soften, rows)
            self._tokens.soften(dict(zip(vectors, ids, strict=True)))
            self._vocabulary.forget()

    async def gradients(
        self, asked: Sequence[tuple[Prefix, str]], vectors: Mapping[str, NDArray[np.float32]]
    ) -> tuple[float, NDArray[np.float32]]:
        """The mean of -log p(text after the prefix), in nats, where these soft tokens had these vectors.

        And its gradient: a row for each vector. What the engine reads elsewhere stays as `soften` made it.

        Raises:
            UsageError: nothing is asked, a text is empty, or a name is no soft token.
            ContextOverflow: a prefix with its text is longer than the context.

        """
        with self._open():
            try:
                soft = self._tokens.softened(vectors)
            except KeyError as error:
                raise UsageError(f"There is no soft token {error}. Make it with soften() first.") from None
            rows = np.array(list(vectors.values()), np.float32)
            read = [(self._vocabulary.ids(prefix), self._vocabulary.encode(text)) for prefix, text in asked]
            if not (read and soft and all(text for _, text in read)):
                raise UsageError("A gradient needs a soft token, a prefix and the text after it.")
            losses, slopes = [], []
            for before, text in read:
                ids = [*before, *text]
                self._room(ids, 0)
                loss, slope = await to_thread.run_sync(self._passes.gradient, ids, len(text), soft, rows)
                losses.append(loss)
                slopes.append(slope)
            return fmean(losses), np.asarray(np.mean(slopes, axis=0), np.float32)

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
            raise EngineClosed("The engine is closed. Open it again with Transformers.load(path).") from None

    def _plain(self, text: str) -> list[int]:
        """Ids of a text that is only data."""
        tokens = self._tokens
        ids = tokens.tokenize(text, add_special=False, parse_special=False)
        if tokens.add_bos and tokens.bos is not None:
            ids = [tokens.bos, *ids]
        if not ids:
            raise UsageError("An empty text has no embedding. Leave it out.")
        self._room(ids, 0)
        return ids

    def _room(self, ids: Sequence[int], wanted: int) -> int:
        room = self._context - len(ids)
        if room < wanted:
            raise ContextOverflow(
                f"The prompt has {len(ids):,} tokens, and this engine's context {self._context:,}"
                f"{', of which the answer needs some' if room >= 0 else ''}. "
                f"Shorten the prompt or open the engine with a larger context=."
            )
        return room
