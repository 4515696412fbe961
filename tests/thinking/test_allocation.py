import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.thinking.search.allocation import odds, rebase, resample, spread, top

unit_values = st.lists(st.floats(0, 1), min_size=1, max_size=20)


def test_rebase_s_vector():
    assert rebase((0.9, 0.8, 0.5, 0.1), 8, 0.2) == [5, 3, 0, 0]
    assert rebase((0.1, 0.8, 0.5, 0.9), 8, 0.2) == [0, 3, 0, 5], "the order is that of the rewards"


@given(unit_values, st.integers(0, 40), st.sampled_from((0.0, 0.05, 0.2, 1.0)))
def test_rebase_gives_the_whole_budget_and_more_to_the_better(rewards, budget, temperature):
    given = rebase(rewards, budget, temperature)
    assert sum(given) == budget
    ranked = [given[i] for i in top(rewards, len(rewards))]
    assert ranked == sorted(ranked, reverse=True)


def test_rebase_of_nothing_and_of_equals():
    assert rebase((), 8) == []
    assert rebase((0.5, 0.5, 0.5, 0.5), 8) == [2, 2, 2, 2]
    assert rebase((0.9, 0.8), 3, 0.0) == [3, 0]
    assert rebase((-700.0, 0.0), 2) == [0, 2], "no overflow, whatever the scorer's scale"


def test_particle_weights_are_the_odds():
    assert odds((0.9, 0.5)) == pytest.approx([0.9, 0.1])
    assert odds((1.0, 0.0)) == pytest.approx([1.0, 0.0], abs=1e-12)
    assert odds((0.0, 0.0)) == [0.5, 0.5]
    assert odds((1.0, 1.0, 1.0, 1.0)) == [0.25] * 4


def test_resampling_draws_in_proportion_and_with_replacement():
    drawn = Counter(resample((0.5, 0.0, 0.3, 0.2), 20_000, random.Random(0)))
    assert drawn[1] == 0
    assert [drawn[i] / 20_000 for i in (0, 2, 3)] == pytest.approx([0.5, 0.3, 0.2], abs=0.012)
    assert resample((0.0, 1.0), 5, random.Random(0)) == [1] * 5


@given(st.integers(0, 100), st.integers(1, 12))
def test_places_are_spread_evenly(places, among):
    shares = spread(places, among)
    assert sum(shares) == places
    assert max(shares) - min(shares) <= 1
    assert shares == sorted(shares, reverse=True)


def test_the_best_are_kept_and_ties_go_to_the_first():
    assert top((0.1, 0.9, 0.9, 0.2), 3) == [1, 2, 3]
    assert top((0.1, 0.2), 5) == [1, 0]
    assert top((0.1,), 0) == top((), 3) == top((0.1,), -1) == []
