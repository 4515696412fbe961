"""Forward passes of a transformers model, as the scheduler asks for them.

To the scheduler this is what `_llama.Context` is: it decodes batches, gives rows of logits, and copies and
rewinds sequences. One decode is at most two passes: one for all who read one token, which is a whole step of
those who write, and one for all who read more.
"""

from __future__ import annotations

import inspect
import itertools
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from ponder.core.errors import EngineClosed, EngineError, Unsupported, UsageError
from ponder.engines.weights.held import Held

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ponder.engines._llama import Batch

CONTEXT = 4096
"""Tokens of a sequence where nobody says, for a GPU's memory holds few sequences of the longest length."""
READ = 512
"""Tokens that may be read in one decode, beside one for each sequence."""
ALIKE = 0.1
"""How far apart the logits of two ways through a model may be, as a part of what its past does to them."""
ROUNDED = 8
"""The same in units of the last place, for a model that its past hardly moves."""


def room(config: Any, wanted: int | None) -> int:
    """The context: what is wanted, else what the model was trained with, `CONTEXT` at most.

    Raises:
        UsageError: it holds no prompt, or is more than the model was trained with.

    """
    trained: int | None = getattr(config, "max_position_embeddings", None)
    if wanted is None:
        return min(trained or CONTEXT, CONTEXT)
    if wanted < 16:
        raise UsageError(f"A context of {wanted} tokens holds no prompt. Give at least 16.")
    if trained is not None and wanted > trained:
        raise UsageError(
            f"The model was trained with {trained:,} tokens, not {wanted:,}. Give a smaller context=."
        )
    return wanted


class _Run(NamedTuple):
    """Tokens of one sequence in a batch; `outputs` of them want their logits, the first in row `row`."""

    sequence: int
    tokens: NDArray[np.int32]
    outputs: NDArray[np.intp]
    row: int


class Passes:
    """A model and what it has read, for up to `sequences` sequences of `context` tokens.

    One thread decodes; `embed` may be called from others, between two decodes.
    """

    def __init__(self, model: Any, *, sequences: int, context: int) -> None:
        """Try the model on a few tokens.

        Raises:
            Unsupported: a model whose past cannot be cut, joined and gone on from.

        """
        self.n_seq_max, self.n_ctx_seq, self.n_batch = sequences, context, READ + sequences
        self._model = model.eval()
        self._device = model.get_input_embeddings().weight.device
        self._picks = "logits_to_keep" in inspect.signature(model.forward).parameters
        self._held = Held()
        self._rows: list[NDArray[np.float32]] = []
        self._soft: torch.Tensor | None = None  # the vectors of ids from n_vocab on
        self._next, self._running = threading.Lock(), threading.Lock()
        self.n_vocab = self._tried()

    # -- what the scheduler asks for ------------------------------------------------------------------------

    def decode(self, batch: Batch) -> int:
        """Compute a batch; 0, for what fails raises."""
        runs = _runs(batch)
        rows: list[NDArray[np.float32] | None] = [None] * batch.n_outputs
        with self._turn():
            for group in ([r for r in runs if r.tokens.size == 1], [r for r in runs if r.tokens.size > 1]):
                if group:
                    self._pass(group, rows)
        self._rows = [row for row in rows if row is not None]
        return 0

    def all_logits(self) -> list[NDArray[np.float32]]:
        """A row for each output of the last batch, in its order."""
        return self._rows

    def seq_cp(self, source: int, target: int, end: int) -> None:
        """`target` becomes the first `end` tokens of `source`."""
        with torch.inference_mode():
            self._held.copy(source, target, end)

    def seq_rm(self, sequence: int, begin: int = 0) -> None:
        """Forget all but the first `begin` tokens of a sequence."""
        with torch.inference_mode():
            self._held.crop(sequence, begin)

    def clear(self) -> None:
        """Forget every sequence."""
        self._held.clear()

    # -- what others do ------------------------------------------------------------------------------------

    def embed(self, texts: Sequence[Sequence[int]]) -> list[list[float]]:
        """The mean of the last hidden states of each text."""
        ids, mask, _ = self._padded(texts, [0] * len(texts), 0)
        keep = {"logits_to_keep": 1} if self._picks else {}
        with self._turn():
            out = self._model(
                **self._read(ids), attention_mask=mask, use_cache=False, output_hidden_states=True, **keep
            )
            states = out.hidden_states[-1].float()
            weights = mask.to(states.device).unsqueeze(-1)
            means: list[list[float]] = ((states * weights).sum(1) / weights.sum(1)).tolist()
        return means

    def embeddings(self) -> tuple[int, float]:
        """The width of the embeddings of the vocabulary, and their mean norm."""
        with self._turn():
            embed = self._model.get_input_embeddings()
            parts = torch.arange(embed.weight.shape[0], device=self._device).split(READ)
            norms = torch.cat([embed(part).float().norm(dim=-1) for part in parts])
            return int(embed(parts[0]).shape[-1]), float(norms.mean())

    def soften(self, vectors: NDArray[np.float32]) -> list[int]:
        """Tokens with these rows as embeddings, which can be read and never written; their ids.

        An id keeps its vector, for what was read of it may be held.
        """
        new = torch.from_numpy(vectors.copy()).to(self._device)
        with self._turn(learning=True):
            old = new[:0] if self._soft is None else self._soft
            self._soft = torch.cat((old, new))
        return list(range(self.n_vocab + len(old), self.n_vocab + len(self._soft)))

    def gradient(
        self, ids: Sequence[int], learnt: int, soft: Sequence[int], vectors: NDArray[np.float32]
    ) -> tuple[float, NDArray[np.float32]]:
        """-log p of the last `learnt` of `ids`, in nats, where the ids of `soft` had these vectors; its gradient there."""
        leaf = torch.from_numpy(vectors.copy()).to(self._device).requires_grad_()
        at = torch.tensor(soft, device=self._device) - self.n_vocab
        read = torch.tensor([list(ids)], device=self._device)
        keep = {"logits_to_keep": learnt + 1} if self._picks else {}
        with self._turn(learning=True):
            if self._soft is None:
                raise UsageError("There are no soft tokens. Make some with soften() first.")
            table = self._soft.index_put((at,), leaf)
            embedded = self._embedded(read, table)
            logits = self._model(inputs_embeds=embedded, use_cache=False, **keep).logits[0, -learnt - 1 : -1]
            loss = torch.nn.functional.cross_entropy(logits.float(), read[0, -learnt:], reduction="sum")
            # Of the vectors only: the model is the caller's, and no gradient is left in it.
            (slopes,) = torch.autograd.grad(loss, leaf)
        return float(loss.detach()), slopes.cpu().numpy()

    def close(self) -> None:
        """Let go of the model and of all that it has read."""
        with self._turn(closing=True):
            self._held.clear()
            self._model = None

    # -- inside --------------------------------------------------------------------------------------------

    @contextmanager
    def _turn(self, *, closing: bool = False, learning: bool = False) -> Iterator[None]:
        """The model is one caller's at a time; who waits comes next, however soon the last one is back."""
        with self._next:
            self._running.acquire()
        try:
            if self._model is None and not closing:
                raise EngineClosed("The engine is closed. Open it again.")
            with torch.inference_mode(not learning), torch.set_grad_enabled(learning):
                yield
        finally:
            self._running.release()

    def _pass(self, runs: list[_Run], rows: list[NDArray[np.float32] | None]) -> None:
        """Read some tokens of each sequence at once, and put the logits wanted into `rows`.

        What a sequence holds ends at the same column as what the others hold, and what it reads begins at the
        next: so all is in a row, as sliding windows need it, and padding stands before and behind.
        """
        counts = [run.tokens.size for run in runs]
        sequences = [run.sequence for run in runs]
        joined = self._held.writing(sequences) if max(counts) == 1 else self._held.reading(sequences)
        width = joined.width
        ids, mask, positions = self._padded([run.tokens.tolist() for run in runs], joined.lengths, width)
        columns = sorted({int(column) for run in runs for column in run.outputs})
        keep = {"logits_to_keep": torch.tensor(columns or [0], device=self._device)} if self._picks else {}
        out = self._model(
            **self._read(ids),
            attention_mask=mask,
            position_ids=positions,
            cache=joined.cache,
            use_cache=True,
            **keep,
        )
        if max(counts) == 1:
            joined.lengths = [length + 1 for length in joined.lengths]
        else:
            self._held.take(joined, width, counts)
        if columns:
            logits = (out.logits if self._picks else out.logits[:, columns]).float().cpu().numpy()
            for i, run in enumerate(runs):
                for number, column in enumerate(run.outputs):
                    rows[run.row + number] = logits[i, columns.index(column)]

    def _read(self, ids: torch.Tensor) -> dict[str, torch.Tensor]:
        """What the model is given: ids, or embeddings where one of them is a soft token."""
        if self._soft is None or int(ids.max()) < self.n_vocab:
            return {"input_ids": ids}
        return {"inputs_embeds": self._embedded(ids, self._soft)}

    def _embedded(self, ids: torch.Tensor, soft: torch.Tensor) -> torch.Tensor:
        """Embeddings of ids; those from `n_vocab` on are rows of `soft`."""
        known = ids < self.n_vocab
        plain: torch.Tensor = self._model.get_input_embeddings()(ids.where(known, 0))
        return torch.where(known[..., None], plain, soft[(ids - self.n_vocab).clamp(min=0)].to(plain.dtype))

    def _padded(
        self, texts: Sequence[Sequence[int]], lengths: Sequence[int], width: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Ids of tokens, padded on the right; which columns are real, those held included; positions."""
        longest = max(map(len, texts))
        ids = np.zeros((len(texts), longest), np.int64)
        mask = np.zeros((len(texts), width + longest), np.int64)
        positions = np.zeros((len(texts), longest), np.int64)
        for row, (text, length) in enumerate(zip(texts, lengths, strict=True)):
            ids[row, : len(text)] = text
            mask[row, width - length : width + len(text)] = 1
            # A position stays in the model's table, though nobody looks at what padding computes.
            positions[row] = length + np.minimum(np.arange(longest), len(text) - 1)
        there = [torch.from_numpy(array).to(self._device) for array in (ids, mask, positions)]
        return there[0], there[1], there[2]

    def _tried(self) -> int:
        """Read in two ways: at once and without a cache, and in parts beside another. The size of the vocabulary.

        Some models keep a state that cannot be rewound, look ahead, or pad in ways of their own. Whether this
        one does is found by asking it, not by its name.
        """
        known = int(self._model.get_input_embeddings().weight.shape[0])
        ids = np.arange(7, dtype=np.int32) * 7919 % known
        every = [np.arange(n, dtype=np.intp) for n in range(6)]
        seen: list[NDArray[np.float32] | None] = [None] * 9
        with self._turn():
            try:
                whole = self._model(
                    input_ids=torch.tensor(ids[None].tolist(), device=self._device), use_cache=False
                )
                plain = whole.logits[0].float().cpu().numpy()
                alone = self._model(
                    input_ids=torch.tensor(ids[:, None].tolist(), device=self._device), use_cache=False
                )
                past = np.abs(plain[1:] - alone.logits[1:, 0].float().cpu().numpy()).mean()
                self._pass([_Run(0, ids[:5], every[5], 0), _Run(1, ids[:2], every[2], 5)], seen)
                self._pass([_Run(0, ids[5:6], every[1], 7), _Run(1, ids[2:3], every[1], 8)], seen)
                self._held.crop(0, 3)
                self._held.copy(0, 2, 2)
                after = list(seen)
                self._pass([_Run(2, ids[2:5], every[3], 0), _Run(0, ids[3:6], every[3], 3)], after)
            except (AttributeError, TypeError, ValueError, IndexError, NotImplementedError) as error:
                raise Unsupported(
                    f"This model cannot go on from what it has read ({error}). Use another model or engine."
                ) from error
            except RuntimeError as error:
                raise EngineError(f"The model fails on its first tokens: {error}") from error
            finally:
                self._held.clear()
        places = [0, 1, 2, 3, 4, 0, 1, 5, 2], [2, 3, 4, 3, 4, 5]
        pairs = [*zip(seen, places[0], strict=True), *zip(after[:6], places[1], strict=True)]
        apart = max(float(np.abs(row - plain[place]).mean()) for row, place in pairs if row is not None)
        least = ROUNDED * torch.finfo(whole.logits.dtype).eps * float(np.abs(plain).max())
        if not apart <= max(ALIKE * float(past), least):
            raise Unsupported(
                "This model reads a text differently in parts than at once, so that it cannot be gone on from. "
                "Use another model or engine."
            )
        return int(plain.shape[-1])


def _runs(batch: Batch) -> list[_Run]:
    """A batch by sequence."""
    n = batch.n_tokens
    edges = [0, *(np.flatnonzero(np.diff(batch.sequences[:n])) + 1).tolist(), n]
    rows = np.concatenate(([0], np.cumsum(batch.outputs[:n] != 0)))
    return [
        _Run(
            int(batch.sequences[begin]),
            batch.tokens[begin:end].copy(),
            np.flatnonzero(batch.outputs[begin:end]),
            int(rows[begin]),
        )
        for begin, end in itertools.pairwise(edges)
    ]
