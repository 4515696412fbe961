"""`Cells` against a slow obvious model: what each sequence of the cache really holds, token by token."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ponder.engines.embedded.cells import Cells

CONTEXT, SEQUENCES = 12, 4
PREFIXES = st.lists(st.integers(0, 2), min_size=1, max_size=CONTEXT - 2)


def ids(tokens):
    return np.array(tokens, np.int32)


def common(one, other):
    n = 0
    while n < min(len(one), len(other)) and one[n] == other[n]:
        n += 1
    return n


class Obvious(RuleBasedStateMachine):
    """`held` is done as told: copy, cut, append. `planned` is what a call in flight will have read."""

    def __init__(self):
        super().__init__()
        self.cells = Cells(SEQUENCES, CONTEXT)
        self.held = [[] for _ in range(SEQUENCES)]
        self.planned = {}
        self.ever = set()  # every prefix computed
        self.marks = {}  # a prefix -> the logits after it, once kept
        self.waited = None

    def free(self):
        return [s for s in range(SEQUENCES) if s not in self.planned]

    @precondition(lambda self: self.free())
    @rule(tokens=PREFIXES, wanted=st.none() | st.integers(0, CONTEXT - 3))
    def begin(self, tokens, wanted):
        limit = None if wanted is None else min(wanted, len(tokens) - 1)
        best = max(common(held, tokens) for held in self.held)
        coming = max((common(plan, tokens) for plan in self.planned.values()), default=0)
        useful = len(tokens) if limit is None else limit
        known = max((n for n in range(len(tokens) + 1) if tuple(tokens[:n]) in self.ever), default=0)
        fork = self.cells.fork(ids(tokens), limit)
        if fork is None:
            assert min(coming, useful) > best, "it waits in vain"
            return
        assert min(coming, useful) <= best, "it reads what another call is just reading"
        assert fork.target in self.free(), "the sequence of a call in flight was taken"
        assert self.held[fork.source][: fork.shared] == tokens[: fork.shared]
        if fork.row is not None:
            assert limit is None
            assert fork.row[0] == self.marks[tuple(tokens)]
            assert fork.shared == len(tokens)
        assert fork.shared == min(best, useful if fork.row is not None else min(useful, len(tokens) - 1))
        assert fork.renewed == best - fork.shared
        assert fork.reread == max(0, known - best)
        self.held[fork.target] = tokens[: fork.shared]
        self.planned[fork.target] = list(tokens)

    @precondition(lambda self: self.planned)
    @rule(data=st.data(), most=st.integers(1, CONTEXT))
    def read(self, data, most):
        """A step of the model: some tokens of a call; after the last one its logits are kept."""
        sequence = data.draw(st.sampled_from(sorted(self.planned)))
        held, plan = self.held[sequence], self.planned[sequence]
        more = plan[len(held) :][:most]
        held += more
        self.cells.read(sequence, len(more))
        self.ever |= {tuple(held[:n]) for n in range(len(held) + 1)}
        if more and len(held) == len(plan):
            mark = self.marks.setdefault(tuple(held), float(len(self.marks)))
            self.cells.keep_row(sequence, np.array([mark], np.float32))

    @precondition(lambda self: any(len(self.held[s]) == len(p) < CONTEXT for s, p in self.planned.items()))
    @rule(data=st.data(), token=st.integers(0, 2))
    def sample(self, data, token):
        ready = [s for s, plan in self.planned.items() if len(self.held[s]) == len(plan) < CONTEXT]
        sequence = data.draw(st.sampled_from(sorted(ready)))
        self.planned[sequence].append(token)
        self.cells.append(sequence, token)

    @precondition(lambda self: self.planned)
    @rule(data=st.data())
    def release(self, data):
        """The call ended, or was cancelled in the middle of its prefix."""
        sequence = data.draw(st.sampled_from(sorted(self.planned)))
        del self.planned[sequence]
        self.cells.release(sequence)

    @precondition(lambda self: len(self.planned) > 1)
    @rule()
    def gather(self):
        move = self.cells.gather()
        places = sorted(self.planned)
        assert (move is None) == (places[-1] - places[0] < len(places))
        if move is None:
            return
        assert move.source in self.planned
        assert move.target in self.free()
        held = self.held[move.source], self.held[move.target]
        if not move.swap:
            others = [other for s, other in enumerate(self.held) if s != move.target]
            assert any(other[: len(held[1])] == held[1] for other in others), "only this one held it"
        self.held[move.target] = list(held[0])
        self.held[move.source] = list(held[1 if move.swap else 0])
        self.planned[move.target] = self.planned.pop(move.source)

    @rule()
    def lose(self):
        if len(self.ever) > 60:  # now and then a step fails and all is lost
            self.cells.clear()
            self.held = [[] for _ in range(SEQUENCES)]
            self.planned.clear()
            self.ever.clear()
            self.cells._lost.clear()

    @invariant()
    def agrees(self):
        assert self.cells.free == len(self.free())
        for sequence, held in enumerate(self.held):
            assert self.cells.tokens[sequence, : self.cells.length[sequence]].tolist() == held
            assert bool(self.cells.pinned[sequence]) == (sequence in self.planned)


TestObvious = Obvious.TestCase
TestObvious.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def reading(cells, tokens):
    """A call that reads a prefix and leaves it in the cache."""
    fork = cells.fork(ids(tokens))
    cells.read(fork.target, len(tokens) - fork.shared)
    cells.release(fork.target)
    return fork


def test_a_path_goes_on_in_its_own_sequence():
    cells = Cells(4, 16)
    first = reading(cells, [1, 2, 3])
    assert reading(cells, [1, 2, 3, 4, 5])[:3] == (first.target, first.target, 3)


def test_a_branch_leaves_its_sibling_in_the_cache():
    cells = Cells(4, 16)
    first = reading(cells, [1, 2, 3, 4])
    second = reading(cells, [1, 2, 9])
    assert (second.source, second.shared) == (first.target, 2)
    assert second.target != first.target
    assert reading(cells, [1, 2, 3, 4, 5]).shared == 4


def test_what_others_hold_too_goes_first_then_the_least_recently_used():
    cells = Cells(3, 16)
    old, twice = reading(cells, [7, 7]), reading(cells, [1, 2])
    again = cells.fork(ids([1, 2, 3]))
    assert again.target == twice.target  # in place
    other = cells.fork(ids([1, 2, 4]))
    cells.read(other.target, 0)
    cells.release(other.target)  # cancelled before it read anything: it holds 1, 2 like the first one
    assert reading(cells, [5, 5]).target == other.target
    assert reading(cells, [6, 6]).target == old.target


def test_calls_are_gathered_without_losing_what_lies_between_them():
    cells = Cells(6, 16)
    forks = [cells.fork(ids([i, i])) for i in range(5)]
    for fork in forks:
        cells.read(fork.target, 2)
    for fork in forks[1], forks[3]:
        cells.release(fork.target)
    moves = []
    while move := cells.gather():
        moves.append(move)
    pinned = np.flatnonzero(cells.pinned)
    assert pinned[-1] - pinned[0] == 2
    assert len(moves) == 1  # 0, 2, 4 become 2, 3, 4
    assert all(cells.shared(ids([i, i])).max() == 2 for i in range(5))


def test_a_full_cache_says_so():
    cells = Cells(1, 8)
    cells.fork(ids([1]))
    with pytest.raises(ValueError, match="in use"):
        cells.fork(ids([2]))
