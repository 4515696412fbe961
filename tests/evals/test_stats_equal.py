"""Tokens at equal accuracy: on a line whose answer is known, with an interval that holds it as often as it says."""

import numpy as np
import pytest

from ponder import UsageError
from ponder.evals.stats import equal_accuracy, needed


def test_between_two_points_a_share_of_either_and_beyond_them_no_guess():
    tokens, right = np.array([400.0, 100.0, 900.0, 600.0]), np.array([0.7, 0.5, 0.8, 0.6])
    assert needed(tokens, right, 0.5) == 100
    assert needed(tokens, right, 0.6) == pytest.approx(250)
    assert needed(tokens, right, 0.75) == pytest.approx(650), "600 tokens are worse than 400, and left out"
    assert needed(tokens, right, 0.8) == 900
    assert needed(tokens, right, 0.2) == 100, "nothing cheaper was measured"
    assert needed(tokens, right, 0.81) == float("inf")


def drawn(n, seed):
    """A line of 0.5 at 100 tokens and 0.9 at 500, and a point of 0.7 at 1,200: so 300 tokens, a quarter."""
    rng = np.random.default_rng(seed)
    line = (rng.random((n, 2)) < [0.5, 0.9]).astype(float), np.tile([100.0, 500.0], (n, 1))
    return line, ((rng.random(n) < 0.7).astype(float), np.full(n, 1200.0))


def test_the_interval_holds_the_ratio_as_often_as_it_says():
    found = [equal_accuracy(*drawn(300, seed), draws=400) for seed in range(200)]
    inside = sum(ratio.interval.low <= 0.25 <= ratio.interval.high for ratio in found)
    assert 0.90 < inside / 200 < 0.99
    assert np.mean([ratio.value for ratio in found]) == pytest.approx(0.25, abs=0.01)


def test_what_is_better_at_its_cheapest_is_a_bound_and_what_is_never_as_good_has_no_end():
    line, point = drawn(300, 0)
    better = equal_accuracy(line, (np.zeros(300), point[1]))
    assert (better.at_most, better.value) == (True, pytest.approx(100 / 1200))
    worse = equal_accuracy(line, (np.ones(300), point[1]))
    assert (worse.at_most, worse.tokens, worse.value) == (False, float("inf"), float("inf"))
    assert worse.interval.high == float("inf")
    with pytest.raises(UsageError, match="same items"):
        equal_accuracy(line, (np.ones(299), np.ones(299)))
