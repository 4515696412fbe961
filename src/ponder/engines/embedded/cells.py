"""What lies in the KV cache: which tokens each sequence holds, and where a new prefix can fork from.

With one stream per sequence a cell belongs to one sequence, so that nothing is shared between the paths of a
tree and a radix tree would have no nodes to share. One matrix of token ids answers its question, the longest
prefix held, with one comparison: 30 microseconds for 32 sequences of 2,048 tokens.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

REMEMBERED = 256
"""Lost sequences whose ids are kept, to know what is computed twice."""


class Fork(NamedTuple):
    """Where a prefix goes: `target` starts with the first `shared` tokens of `source`.

    `row` are the logits after the last token, where they are known. Of the tokens still to be computed
    `renewed` are in the cache, computed again for their logits alone, and `reread` were in it and were lost.
    """

    target: int
    source: int
    shared: int
    row: NDArray[np.float32] | None
    renewed: int
    reread: int


class Move(NamedTuple):
    """A sequence in use goes from `source` to `target`; with `swap`, what `target` held goes to `source`."""

    source: int
    target: int
    swap: bool


class Cells:
    """The tokens of each sequence.

    A sequence is pinned while a call uses it. The first `length` of its tokens are computed; those up to
    `known` will be. A finished sequence stays until its place is needed: first go the empty ones, then those
    whose tokens others hold too, then the least recently used.

    With a `block`, prompts are read in blocks of so many tokens and all after them token by token, and what is
    shared was read in the same pieces as it would be without sharing (see `Scheduler`).
    """

    def __init__(self, sequences: int, context: int, block: int = 0) -> None:
        self.tokens = np.full((sequences, context), -1, np.int32)
        self.length = np.zeros(sequences, np.int64)
        self.known = np.zeros(sequences, np.int64)
        self.pinned = np.zeros(sequences, np.bool_)
        self._prompt = np.zeros(sequences, np.int64)
        self._block = block
        self._used = np.zeros(sequences, np.int64)
        self._clock = 0
        self._rows: dict[int, tuple[int, NDArray[np.float32]]] = {}
        self._lost: deque[NDArray[np.int32]] = deque(maxlen=REMEMBERED)

    @property
    def sequences(self) -> int:
        return self.pinned.size

    @property
    def free(self) -> int:
        """Sequences that a call could have."""
        return int(self.pinned.size - np.count_nonzero(self.pinned))

    def shared(self, tokens: NDArray[np.int32]) -> NDArray[np.int64]:
        """For each sequence, how many of its known tokens are the first of `tokens`."""
        n = tokens.size
        same = self.tokens[:, :n] == tokens
        firsts = np.where(same.all(axis=1), n, same.argmin(axis=1))
        return np.minimum(firsts, self.known)

    def fork(self, tokens: NDArray[np.int32], limit: int | None = None, prompt: int = 0) -> Fork | None:
        """Pin a sequence for `tokens` and say what to copy into it; None: wait, a call is just reading more of it.

        At most `limit` tokens are shared, for the logits after all others are wanted; by default only those
        after the last one are. The first `prompt` tokens are the prompt.

        Raises:
            ValueError: every sequence is pinned.

        """
        if not self.free:
            raise ValueError("Every sequence is in use.")
        n = tokens.size
        shared = self.shared(tokens)
        ready = self._alike(np.minimum(shared, self.length), prompt)
        source = int(ready.argmax())
        held = int(ready[source])
        if (
            self._whole(min(int(self._alike(shared, prompt).max()), n if limit is None else limit), prompt)
            > held
        ):
            return None
        row = self._row(ready, n) if limit is None else None
        most = n - (row is None) if limit is None else limit
        take = self._whole(min(held, most), prompt)
        target = self._target(ready, take)
        if ready[target] >= take:
            source = target
        lost = max((_common(old, tokens) for old in self._lost), default=0)
        self._take(target, source, take, tokens)
        self._prompt[target] = prompt
        return Fork(target, source, take, row, held - take, max(0, lost - held))

    def _whole(self, count: int, prompt: int) -> int:
        """As many of the first `count` tokens as make whole pieces: blocks of the prompt, and single tokens."""
        return count - count % self._block if self._block and count < prompt else count

    def _alike(self, shared: NDArray[np.int64], prompt: int) -> NDArray[np.int64]:
        """Of the `shared` tokens of each sequence, as many as were read in the pieces in which they would be."""
        if not self._block:
            return shared
        whole = np.minimum(shared, np.minimum(self._prompt, prompt))
        same = (self._prompt == prompt) & (shared >= prompt)
        return np.where(same, shared, whole - whole % self._block)

    def _row(self, ready: NDArray[np.int64], n: int) -> NDArray[np.float32] | None:
        """The logits after a prefix of `n` tokens, if some sequence holds it and them."""
        for sequence in np.flatnonzero(ready == n):
            kept = self._rows.get(int(sequence))
            if kept is not None and kept[0] == n:
                return kept[1]
        return None

    def _target(self, ready: NDArray[np.int64], take: int) -> int:
        """The sequence to give up: one that can go on in place losing nothing, else what is least missed."""
        open_ = np.flatnonzero(~self.pinned)
        in_place = open_[(ready[open_] == take) & (self.length[open_] == take)]
        if in_place.size:
            return int(in_place[0])
        empty = open_[self.length[open_] == 0]
        if empty.size:
            return int(empty[0])
        return int(min(open_, key=lambda s: (not self._held_elsewhere(int(s)), self._used[s])))

    def _held_elsewhere(self, sequence: int) -> bool:
        n = int(self.length[sequence])
        ready = np.minimum(self.shared(self.tokens[sequence, :n]), self.length)
        ready = self._alike(ready, int(self._prompt[sequence]))
        ready[sequence] = 0
        return bool(ready.max() >= n)

    def _take(self, target: int, source: int, take: int, tokens: NDArray[np.int32]) -> None:
        old = self.tokens[target, : self.length[target]]
        if _common(old, tokens[:take]) < old.size:
            self._lost.append(old.copy())
        row = self._rows.get(source)
        if target != source or (row and row[0] > take):
            self._rows.pop(target, None)
        if row and row[0] <= take:
            self._rows[target] = row
        self.tokens[target] = -1
        self.tokens[target, : tokens.size] = tokens
        self.length[target], self.known[target] = take, tokens.size
        self.pinned[target] = True

    def gather(self) -> Move | None:
        """The next move that brings the pinned sequences nearer to one run without gaps; None: they are one.

        The outermost of the smallest run goes to the gap at the largest. Nothing that only the gap held is lost.
        """
        pinned = np.flatnonzero(self.pinned)
        runs = np.split(pinned, np.flatnonzero(np.diff(pinned) > 1) + 1)
        if len(runs) < 2:
            return None
        small, large = min(runs, key=len), max(reversed(runs), key=len)  # of equal ones two different
        after = small[0] > large[0]
        source, target = int(small[-1] if after else small[0]), int(large[-1] + 1 if after else large[0] - 1)
        swap = bool(self.length[target]) and not self._held_elsewhere(target)
        both, turned = [source, target], [target, source]
        for values in (self.tokens, self.length, self.known, self.pinned, self._used, self._prompt):
            values[both] = values[turned]
        rows = [self._rows.pop(sequence, None) for sequence in turned]
        self._rows.update((s, row) for s, row in zip(both, rows, strict=True) if row is not None)
        if not swap:  # what was moved is still there, too
            self.tokens[source] = self.tokens[target]
            self.length[source] = self.known[source] = self.length[target]
            self.tokens[source, self.length[source] :] = -1
            self._prompt[source] = self._prompt[target]
            self._rows.pop(source, None)
        return Move(source, target, swap)

    def append(self, sequence: int, token: int) -> None:
        """One more token that will be computed."""
        self.tokens[sequence, self.known[sequence]] = token
        self.known[sequence] += 1

    def read(self, sequence: int, count: int) -> None:
        """`count` more of its tokens were computed."""
        self.length[sequence] += count

    def keep_row(self, sequence: int, row: NDArray[np.float32]) -> None:
        """Keep the logits after the last token computed, for the next call that begins there."""
        self._rows[sequence] = int(self.length[sequence]), row

    def release(self, sequence: int) -> None:
        """A call is done with it; what was computed stays."""
        self._clock += 1
        self._used[sequence] = self._clock
        self.known[sequence] = self.length[sequence]
        self.tokens[sequence, self.known[sequence] :] = -1
        self.pinned[sequence] = False

    def clear(self) -> None:
        """Forget everything: the cache was lost."""
        self.tokens[:] = -1
        self.length[:] = self.known[:] = 0
        self.pinned[:] = False
        self._rows.clear()


def _common(one: NDArray[np.int32], other: NDArray[np.int32]) -> int:
    n = min(one.size, other.size)
    different = one[:n] != other[:n]
    return int(different.argmax()) if different.any() else n
