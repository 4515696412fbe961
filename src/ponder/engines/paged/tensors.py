"""The tensors of a Q8_0 model file, and which of them were used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ponder.core.errors import Unsupported
from ponder.engines._gguf import read_gguf

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

GROUP = 32
"""Weights of a block of Q8_0."""


class Codes(NamedTuple):
    """A Q8_0 matrix: `values` [rows, blocks, 32] times `scales` [rows, blocks, 1]."""

    values: NDArray[np.int8]
    scales: NDArray[np.float16]


class Weights:
    """The tensors of a model file, and which of them were asked for."""

    def __init__(self, path: Path) -> None:
        self.header = read_gguf(path)
        self._data = np.memmap(path, np.uint8, "r")
        self._tensors = {tensor.name: tensor for tensor in self.header.tensors}
        self._left = set(self._tensors)

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def number(self, key: str, default: float | None = None) -> Any:
        """One of the architecture's numbers.

        Raises:
            Unsupported: the file does not say.

        """
        value = self.header.metadata.get(f"{self.header.architecture}.{key}", default)
        if not isinstance(value, int | float):
            raise Unsupported(f"The model file does not say {key}. Use LlamaCpp for it.")
        return value

    def floats(self, name: str) -> NDArray[np.float32]:
        """A tensor that is kept in full precision."""
        return self._of(name, "F32").view(np.float32)

    def codes(self, name: str, *, pairs: int = 0) -> Codes:
        """A matrix; of one whose rows are `pairs` heads of rotary pairs, with each head's pairs as two halves."""
        raw = self._of(name, "Q8_0")
        columns, rows = self._tensors[name].shape
        blocks = raw.view(np.dtype([("scale", "<f2"), ("values", "i1", GROUP)]))
        blocks = blocks.reshape(rows, columns // GROUP)
        if pairs:
            blocks = blocks.reshape(pairs, rows // pairs // 2, 2, -1).swapaxes(1, 2).reshape(rows, -1)
        return Codes(np.ascontiguousarray(blocks["values"]), np.ascontiguousarray(blocks["scale"])[..., None])

    def check_used(self) -> None:
        """Refuse a model of which the graph has left something out.

        Raises:
            Unsupported: there is a tensor that was not asked for.

        """
        if self._left:
            raise Unsupported(
                f"This engine knows no model with {', '.join(sorted(self._left)[:3])}. Use LlamaCpp for it."
            )

    def _of(self, name: str, kind: str) -> NDArray[np.uint8]:
        tensor = self._tensors.get(name)
        if tensor is None:
            raise Unsupported(f"The model file has no {name}. Use LlamaCpp for it.")
        if tensor.type != kind:
            raise Unsupported(
                f"{name} is {tensor.type}, and this engine reads Q8_0 matrices only. Convert the file, or use LlamaCpp."
            )
        self._left.discard(name)
        data: NDArray[np.uint8] = self._data[tensor.offset : tensor.offset + tensor.nbytes]
        return data
