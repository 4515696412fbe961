"""Texts as vectors: the mean of a model's last hidden states."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ponder.engines._llama import Batch, Context, recent_log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.engines._llama import Model


class Embedder:
    """A context of its own beside the engine's, made when it is first used. For the engine's thread alone."""

    def __init__(self, model: Model, *, most: int, threads: int) -> None:
        """`most` tokens of a text, at most."""
        self.most = most
        self._model = model
        self._threads = threads
        self._context: Context | None = None
        self._batch: Batch | None = None

    def mean(self, ids: Sequence[int]) -> list[float]:
        """The mean of the hidden states after each of the `ids`, of which there is at least one."""
        if self._context is None or self._batch is None:
            n = self.most
            self._context = Context(
                self._model, n_ctx=n, n_batch=n, n_ubatch=n, threads=self._threads, embeddings=True
            )
            self._batch = Batch(n)
        self._context.clear()
        self._batch.clear()
        self._batch.add(ids, np.arange(len(ids)), 0, 1)
        if status := self._context.decode(self._batch):
            raise RuntimeError(f"llama.cpp answered {status}: {recent_log()}")
        vector: list[float] = self._context.embeddings(0).tolist()
        return vector
