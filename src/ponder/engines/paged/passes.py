"""Steps of a paged model, as the scheduler asks for them.

To the scheduler this is what `_llama.Context` is: it decodes batches, gives rows of logits, and copies and
rewinds sequences. A copy shares blocks, so that what several sequences begin with is in memory once.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino as ov

from ponder.core.errors import EngineClosed
from ponder.engines._llama import Batch
from ponder.engines.paged.blocks import Blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

READ = 512
"""Tokens that may be read in one step."""


class Passes:
    """A compiled model with a cache for so many sequences. Its methods belong to one thread at a time."""

    def __init__(self, model: ov.Model, *, sequences: int, context: int, threads: int, exact: bool) -> None:
        """Compile the model: two seconds for 135 million weights.

        Activations are rounded to 8 bits to be multiplied with weights of 8 bits, unless `exact`.
        """
        self.n_seq_max, self.n_ctx_seq, self.n_batch = sequences, context, READ
        options: dict[str, Any] = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # another process may be pinned to the same cores
            # Keys and values in 8 bits were slower and less faithful, all else in bfloat16 no faster.
            "INFERENCE_PRECISION_HINT": "f32",
            "KV_CACHE_PRECISION": "f16",
        }
        if exact:
            options["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = 0
        compiled = ov.Core().compile_model(model, "CPU", options)
        self._request: ov.InferRequest | None = compiled.create_infer_request()
        self._spare = sequences
        self._blocks = Blocks(sequences + 1, context)
        self._pools: list[NDArray[np.uint8]] = []
        for port in compiled.inputs:
            if "_cache." in port.any_name:
                self._pools.append(self._pool(port))
        self._logits: NDArray[np.float32] = np.empty((0, 0), np.float32)

    # -- what the scheduler asks for ------------------------------------------------------------------------

    def decode(self, batch: Batch) -> int:
        """Compute a batch; 0, for what fails raises."""
        request = self._open()
        n = batch.n_tokens
        sequences, positions = batch.sequences[:n], batch.positions[:n]
        edges = np.flatnonzero(np.diff(sequences, prepend=-1))
        ends = np.append(edges, n)
        tables, copies = [], []
        for begin, end in itertools.pairwise(ends.tolist()):
            sequence = int(sequences[begin])
            if int(positions[begin]) != self._blocks.length[sequence]:
                raise ValueError(
                    f"Sequence {sequence} goes on at {self._blocks.length[sequence]}, not at {positions[begin]}."
                )
            if copy := self._blocks.grow(sequence, end - begin):
                copies.append(copy)
            tables.append(self._blocks.held(sequence))
        self._copy(copies)
        rows = np.flatnonzero(batch.outputs[:n])
        self._set("input_ids", batch.tokens[:n], np.int64)
        self._set("position_ids", positions, np.int64)
        self._set("past_lens", positions[edges], np.int32)
        self._set("subsequence_begins", ends, np.int32)
        self._set("block_indices", list(itertools.chain.from_iterable(tables)), np.int32)
        self._set("block_indices_begins", np.cumsum([0, *map(len, tables)]), np.int32)
        self._set("max_context_len", positions.max() + 1, np.int32)
        self._set("rows", rows if rows.size else [0], np.int64)
        request.infer()
        self._logits = request.get_tensor("logits").data[: rows.size]
        return 0

    def all_logits(self) -> NDArray[np.float32]:
        """A row for each output of the last batch, in its order: a view, gone at the next decode."""
        return self._logits

    def seq_cp(self, source: int, target: int, end: int) -> None:
        """`target` becomes the first `end` tokens of `source`."""
        self._blocks.fork(source, target, end)

    def seq_rm(self, sequence: int, begin: int = 0) -> None:
        """Forget all but the first `begin` tokens of a sequence."""
        self._blocks.cut(sequence, begin)

    def clear(self) -> None:
        """Forget every sequence."""
        self._blocks.clear()

    # -- what others do -------------------------------------------------------------------------------------

    def mean(self, ids: Sequence[int]) -> list[float]:
        """The mean of the last hidden states after each of the `ids`, of which there is at least one."""
        total: NDArray[np.float64] = np.zeros(1)
        try:
            for begin in range(0, len(ids), READ):
                part = ids[begin : begin + READ]
                batch = Batch(len(part))
                batch.add(part, np.arange(begin, begin + len(part)), self._spare, 0)
                self.decode(batch)
                total = total + self._open().get_tensor("states").data.sum(axis=0, dtype=np.float64)
        finally:
            self._blocks.cut(self._spare)
        vector: list[float] = (total / len(ids)).tolist()
        return vector

    def close(self) -> None:
        """Let go of the model and of all that it has read."""
        self._request = None
        self._pools.clear()
        self._logits = np.empty((0, 0), np.float32)

    # -- inside ---------------------------------------------------------------------------------------------

    def _open(self) -> ov.InferRequest:
        if self._request is None:
            raise EngineClosed("The engine is closed. Open it again.")
        return self._request

    def _pool(self, port: Any) -> NDArray[np.uint8]:
        """A layer's keys or values, a row for each block; a page of it takes memory when it is first written."""
        blocks = self._blocks.capacity
        inner = [side.get_length() for side in list(port.partial_shape)[1:]]
        pool = np.zeros((blocks, int(np.prod(inner)) * port.element_type.size), np.uint8)
        self._open().set_tensor(port, ov.Tensor(pool.reshape(-1), [blocks, *inner], port.element_type))
        return pool

    def _copy(self, copies: Sequence[tuple[int, int]]) -> None:
        if not copies:
            return
        sources, targets = map(list, zip(*copies, strict=True))
        for pool in self._pools:
            pool[targets] = pool[sources]

    def _set(self, name: str, values: ArrayLike, kind: type[np.generic]) -> None:
        self._open().set_tensor(name, ov.Tensor(np.array(values, kind, order="C")))
