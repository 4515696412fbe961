"""The blocks of a paged cache against an obvious model: each sequence is a list of tokens."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ponder.engines.paged.blocks import SIZE, Blocks

SEQUENCES, CONTEXT = 4, 3 * SIZE + 5


class Obvious(RuleBasedStateMachine):
    """Each sequence is a list of tokens; the cache is written through `Blocks` and must read the same."""

    def __init__(self):
        super().__init__()
        self.blocks = Blocks(SEQUENCES, CONTEXT)
        self.cache = np.zeros((self.blocks.capacity, SIZE), np.int64)
        self.lists = [[] for _ in range(SEQUENCES)]
        self.next = 1

    @rule(grown=st.dictionaries(st.integers(0, SEQUENCES - 1), st.integers(0, 2 * SIZE), min_size=1))
    def step(self, grown):
        """Some sequences grow in one step: all copies are made before anything is written."""
        grown = {s: min(n, CONTEXT - len(self.lists[s])) for s, n in grown.items()}
        copies = [self.blocks.grow(s, n) for s, n in grown.items()]
        for source, target in filter(None, copies):
            self.cache[target] = self.cache[source]
        for s, n in grown.items():
            for _ in range(n):
                at = len(self.lists[s])
                self.cache[self.blocks.held(s)[at // SIZE], at % SIZE] = self.next
                self.lists[s].append(self.next)
                self.next += 1

    @rule(source=st.integers(0, SEQUENCES - 1), other=st.integers(0, SEQUENCES - 1), part=st.floats(0, 1))
    def fork(self, source, other, part):
        end = round(part * len(self.lists[source]))
        self.blocks.fork(source, other, end)
        self.lists[other] = self.lists[source][:end]

    @rule(s=st.integers(0, SEQUENCES - 1), part=st.floats(0, 1))
    def rewind(self, s, part):
        end = round(part * len(self.lists[s]))
        self.blocks.cut(s, end)
        del self.lists[s][end:]

    @rule()
    def forget(self):
        self.blocks.clear()
        self.lists = [[] for _ in range(SEQUENCES)]

    @invariant()
    def every_sequence_reads_as_it_was_written(self):
        for s, tokens in enumerate(self.lists):
            assert self.blocks.length[s] == len(tokens)
            held = self.blocks.held(s)
            assert len(held) == -(-len(tokens) // SIZE)
            assert self.cache[list(held)].ravel()[: len(tokens)].tolist() == tokens

    @invariant()
    def no_block_is_lost(self):
        held = {block for s in range(SEQUENCES) for block in self.blocks.held(s)}
        assert self.blocks.used == len(held)


TestBlocks = Obvious.TestCase
TestBlocks.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_no_room_and_no_source():
    blocks = Blocks(2, 40)
    blocks.grow(0, 40)
    with pytest.raises(ValueError, match="no room"):
        blocks.grow(0, 1)
    with pytest.raises(ValueError, match="has 40 tokens, not 41"):
        blocks.fork(0, 1, 41)


def test_full_blocks_are_shared_and_only_the_last_one_is_copied():
    blocks = Blocks(3, 256)
    blocks.grow(0, 3 * SIZE + 1)
    for target in (1, 2):
        blocks.fork(0, target, 3 * SIZE + 1)
    assert blocks.used == 4
    copies = [blocks.grow(s, 1) for s in range(3)]
    assert [copy is None for copy in copies] == [False, False, True]  # the last one holds it alone
    assert blocks.used == 6
    assert all(blocks.held(s)[:3] == blocks.held(0)[:3] for s in range(3))
