"""The keys and values of each sequence: on their own, or joined in the batch that is being written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from transformers import Cache, DynamicLayer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    Pair = tuple[torch.Tensor, torch.Tensor]  # keys and values of one layer: heads, tokens, width

ROOM = 64
"""Columns set aside behind a batch, so that a step writes its tokens in place and copies nothing else."""


class Layer(DynamicLayer):  # type: ignore[misc]  # torch and transformers are an extra: without them it is Any
    """One layer of a batch. Of sliding windows all is kept, for a rewind may need what slid out."""

    def __init__(self, roomy: Sequence[torch.Tensor] = (), length: int = 0) -> None:
        """`roomy` are the keys and the values of `length` tokens, with room behind."""
        super().__init__()
        self._roomy = list(roomy)
        if roomy:
            self.lazy_initialization(*roomy)
            self.keys, self.values = (side[..., :length, :] for side in roomy)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Put new columns behind the old ones; all of them."""
        begin, new = self.get_seq_length(), (key_states, value_states)
        if not self.is_initialized:
            self.lazy_initialization(*new)
            self._roomy = [_room(side, begin + side.shape[-2]) for side in new]
        end = begin + key_states.shape[-2]
        if end > self._roomy[0].shape[-2]:
            old, self._roomy = (self.keys, self.values), [_room(side, end) for side in new]
            for roomy, side in zip(self._roomy, old, strict=True):
                roomy[..., :begin, :] = side
        for roomy, side in zip(self._roomy, new, strict=True):
            roomy[..., begin:end, :] = side
        self.keys, self.values = (roomy[..., :end, :] for roomy in self._roomy)
        return self.keys, self.values


def _room(like: torch.Tensor, tokens: int) -> torch.Tensor:
    """Zeros, because what is masked is still multiplied by 0, and 0 * NaN would be NaN."""
    return like.new_zeros((*like.shape[:2], tokens + ROOM, like.shape[-1]))


@dataclass(slots=True)
class Joined:
    """Sequences side by side in one cache: each row ends at the last column and is padded on the left.

    -1 stands for a sequence that has left.
    """

    sequences: list[int]
    lengths: list[int]
    cache: Cache

    @property
    def width(self) -> int:
        return int(self.cache.get_seq_length()) if self.cache.layers else 0

    def row(self, row: int, length: int, end: int) -> list[Pair]:
        """The `length` columns of a row before `end`: views."""
        part = slice(end - length, end)
        return [(layer.keys[row, :, part], layer.values[row, :, part]) for layer in self.cache.layers]


class Held:
    """What was computed for each sequence. What was written is never written over, so forks may share tensors."""

    def __init__(self) -> None:
        self._alone: dict[int, list[Pair]] = {}
        self._joined: Joined | None = None

    def length(self, sequence: int) -> int:
        """Tokens computed."""
        held = self._of(sequence)
        return int(held[0][0].shape[-2]) if held else 0

    def copy(self, source: int, target: int, length: int) -> None:
        """`target` becomes the first `length` tokens of `source`. Only a row of the batch is really copied."""
        self._keep(target, self._of(source), length, shared=source in self._alone)

    def crop(self, sequence: int, length: int) -> None:
        """Only its first `length` tokens are left."""
        if self.length(sequence) > length:
            self._keep(sequence, self._of(sequence), length, shared=sequence in self._alone)

    def clear(self) -> None:
        """Forget everything."""
        self._alone.clear()
        self._joined = None

    def writing(self, sequences: list[int]) -> Joined:
        """The batch of these sequences, which grows in place; it is built anew only when others write."""
        old = self._joined
        if old is not None and old.sequences == sequences:
            return old
        new = self.reading(sequences)
        for sequence in [] if old is None else list(old.sequences):
            if sequence >= 0 and sequence not in sequences:
                self._keep(sequence, self._of(sequence), self.length(sequence), shared=False)
        for sequence in sequences:
            self._alone.pop(sequence, None)
        self._joined = new
        return new

    def reading(self, sequences: Sequence[int]) -> Joined:
        """A batch of these sequences for one pass; `take` gives back what the pass adds."""
        held = [self._of(sequence) for sequence in sequences]
        lengths = [int(layers[0][0].shape[-2]) if layers else 0 for layers in held]
        longest = held[max(range(len(held)), key=lengths.__getitem__)]
        if not longest:
            return Joined(list(sequences), lengths, Cache(layer_class_to_replicate=Layer))
        layers = []
        for number, pair in enumerate(longest):
            sides = [
                _side(pair[i], [layers[number][i] if layers else None for layers in held]) for i in (0, 1)
            ]
            layers.append(Layer(sides, max(lengths)))
        return Joined(list(sequences), lengths, Cache(layers=layers))

    def take(self, joined: Joined, width: int, counts: Sequence[int]) -> None:
        """Keep each row of a batch read: `counts` more tokens each, from column `width` on, padded on the right."""
        rows = zip(joined.sequences, joined.lengths, counts, strict=True)
        for row, (sequence, length, count) in enumerate(rows):
            self._keep(sequence, joined.row(row, length + count, width + count), length + count, shared=False)

    def _of(self, sequence: int) -> list[Pair]:
        alone = self._alone.get(sequence)
        if alone is not None:
            return alone
        joined = self._joined
        if joined is None or sequence not in joined.sequences:
            return []
        row = joined.sequences.index(sequence)
        return joined.row(row, joined.lengths[row], joined.width)

    def _keep(self, sequence: int, held: list[Pair], length: int, *, shared: bool) -> None:
        """Give a sequence tensors of its own; views of a batch are copied, or one row would keep it all in memory."""
        part = [(keys[:, :length], values[:, :length]) for keys, values in held]
        kept = part if shared else [(keys.clone(), values.clone()) for keys, values in part]
        joined = self._joined
        if joined is not None and sequence in joined.sequences:
            joined.sequences[joined.sequences.index(sequence)] = -1
        if length:
            self._alone[sequence] = kept
        else:
            self._alone.pop(sequence, None)


def _side(longest: torch.Tensor, rows: list[torch.Tensor | None]) -> torch.Tensor:
    """Rows of different lengths, each ending at the same column, with room behind."""
    width = longest.shape[-2]
    roomy = _room(longest.expand(len(rows), *longest.shape), width)
    for row, held in enumerate(rows):
        if held is not None:
            roomy[row, :, width - held.shape[-2] : width] = held
    return roomy
