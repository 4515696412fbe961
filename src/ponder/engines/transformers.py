"""A transformers model in this process: on a GPU, or for methods that need its weights."""

from __future__ import annotations

from pathlib import PurePath
from statistics import fmean
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from anyio import to_thread

from ponder.core.errors import Unsupported, UsageError
from ponder.engines.embedded.engine import Embedded
from ponder.engines.embedded.scheduler import Scheduler
from ponder.engines.embedded.vocabulary import Vocabulary

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ponder.core.prefix import Prefix
    from ponder.engines._llama import Context, Model

TEXTS = 8
"""Texts embedded in one pass: between two of them others have their turn."""


class Transformers(Embedded):
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
        n_ctx = room(config, context)
        if device is not None:
            model = model.to(device)
        passes = Passes(model, sequences=sequences, context=n_ctx)
        configs = config, getattr(model, "generation_config", None)
        self._tokens = Tokens(tokenizer, size=passes.n_vocab, configs=configs)
        # The embedded engines' parts ask for no more of a model file than `Tokens` and `Passes` answer.
        vocabulary = Vocabulary(cast("Model", self._tokens))

        def free() -> None:
            vocabulary.close()
            passes.close()

        self._passes = passes
        super().__init__(
            vocabulary,
            Scheduler(cast("Context", passes), free),
            name=name or PurePath(config.name_or_path or model.config.name_or_path).name or config.model_type,
            context=n_ctx,
            sequences=sequences,
        )

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

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """The mean of each text's last hidden states. Special tokens are not recognised in them.

        Raises:
            UsageError: a text without a token, for a model that puts none in front.
            ContextOverflow: a text longer than the context.

        """
        self._scheduler.check()
        read = [self._plain(text) for text in texts]
        means: list[list[float]] = []
        for begin in range(0, len(read), TEXTS):
            means += await to_thread.run_sync(self._passes.embed, read[begin : begin + TEXTS])
        return means

    # -- soft tokens ----------------------------------------------------------------------------------------

    async def embeddings(self) -> tuple[int, float]:
        """The width of the embeddings of the model's tokens, and their mean norm."""
        self._scheduler.check()
        return await to_thread.run_sync(self._passes.embeddings)

    async def soften(self, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        """From now on each of these names, wherever it stands in a text, is one token with that embedding.

        The vocabulary stays as it is, so that no soft token is ever sampled. A name may be given another vector;
        calls in flight read the one before.

        Raises:
            UsageError: a vector that is not as wide as the model's embeddings, an empty name.

        """
        width, _ = await self.embeddings()
        self._scheduler.check()
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
        self._scheduler.check()
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

    # -- inside ---------------------------------------------------------------------------------------------

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
