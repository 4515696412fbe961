"""Which blocks of a paged cache hold which sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZE = 32
"""Tokens in a block. OpenVINO's processor plugin has no other size."""


class Blocks:
    """A list of blocks for each sequence. A fork shares them; whoever writes into a shared one gets a copy.

    Only the last block of a sequence has room, so only that one is ever written to, and copied. A block's number
    is its place in the cache of every layer. The lowest free number is taken first but for those just given back,
    so that the part of the cache that was ever touched, and takes memory, stays small.

    There are always enough: no sequence has more blocks than its context fills, and one that is shared counts
    once.
    """

    def __init__(self, sequences: int, context: int) -> None:
        """`context` is the most tokens of a sequence."""
        self.capacity = sequences * -(-context // SIZE)
        self.length = [0] * sequences
        self._context = context
        self._held: list[list[int]] = [[] for _ in range(sequences)]
        self._shared = [0] * self.capacity  # how many sequences hold the block
        self._free = list(range(self.capacity))[::-1]

    @property
    def used(self) -> int:
        """Blocks that some sequence holds."""
        return self.capacity - len(self._free)

    def held(self, sequence: int) -> Sequence[int]:
        """The blocks of a sequence in order; its tokens fill all but the last one."""
        return self._held[sequence]

    def grow(self, sequence: int, count: int) -> tuple[int, int] | None:
        """Make room for `count` tokens more; a block to copy to another first, if the last one is shared.

        Raises:
            ValueError: they would not fit into the context.

        """
        held, length = self._held[sequence], self.length[sequence]
        if length + count > self._context:
            raise ValueError(f"Sequence {sequence} has no room for {count} tokens after {length}.")
        copy = None
        if count and length % SIZE and self._shared[held[-1]] > 1:
            copy = held[-1], self._new()
            self._shared[held[-1]] -= 1
            held[-1] = copy[1]
        while len(held) * SIZE < length + count:
            held.append(self._new())
        self.length[sequence] = length + count
        return copy

    def fork(self, source: int, target: int, end: int) -> None:
        """`target` becomes the first `end` tokens of `source`, whatever it was.

        Raises:
            ValueError: `source` is shorter.

        """
        if not 0 <= end <= self.length[source]:
            raise ValueError(f"Sequence {source} has {self.length[source]} tokens, not {end}.")
        if source == target:
            self.cut(target, end)
            return
        held = self._held[source][: -(-end // SIZE)]
        for block in held:
            self._shared[block] += 1
        self._give_back(self._held[target])
        self._held[target], self.length[target] = held, end

    def cut(self, sequence: int, length: int = 0) -> None:
        """Forget all but the first `length` tokens."""
        if length >= self.length[sequence]:
            return
        held, keep = self._held[sequence], -(-length // SIZE)
        self._give_back(held[keep:])
        del held[keep:]
        self.length[sequence] = length

    def clear(self) -> None:
        """Forget every sequence."""
        for sequence in range(len(self.length)):
            self.cut(sequence)

    def _new(self) -> int:
        block = self._free.pop()
        self._shared[block] = 1
        return block

    def _give_back(self, blocks: Sequence[int]) -> None:
        for block in reversed(blocks):
            self._shared[block] -= 1
            if not self._shared[block]:
                self._free.append(block)
