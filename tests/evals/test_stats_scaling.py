"""What compute buys: s1's three figures, the front, and the best arm for each difficulty."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ponder.core.errors import UsageError
from ponder.evals.stats import (
    Point,
    compute_optimal,
    control,
    dominated,
    matched_inference,
    pass_bins,
    performance,
    quantile_bins,
    scaling,
    scaling_over_items,
)

# -- Control, Scaling, Performance ---------------------------------------------------------------------------------


def test_control_is_the_share_that_keeps_to_its_limit():
    assert control([500, 1000, 2000, 900], 0, 1000) == 0.75
    assert control([500, 1000, 2000, 900], 501, 1000) == 0.5
    assert control([500, 1000, 2000, 900], 500, 999) == 0.5
    assert control([1800, 5000, 9000, 8000, 16000], 0, [2048, 4096, 8192, 8192, 16384]) == pytest.approx(0.6)
    with pytest.raises(UsageError, match="needs runs"):
        control([], 0, 1)
    for wrong in ([1, 2], [[3], [4], [5]]):
        with pytest.raises(UsageError, match="one bound"):
            control([1, 2, 3], 0, wrong)


def test_scaling_by_hand():
    """Runs at 1000, 2000 and 4000 tokens: slopes 10, 5 and 20/3 points per 1000, 10 per doubling throughout."""
    found = scaling([1000, 2000, 4000], [0.1, 0.2, 0.3])
    assert found.points == pytest.approx((10 + 5 + 20 / 3) / 3)
    assert (found.unit, found.pairs) == ("percentage points per 1000 tokens", 3)
    doubled = scaling([4000, 1000, 2000], [0.3, 0.1, 0.2], doubling=True)
    assert doubled.points == pytest.approx(10)
    assert doubled.unit == "percentage points per doubling of tokens"


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 100_000), min_size=2, max_size=7, unique=True),
    st.floats(-1e-5, 1e-5),
    st.floats(0.2, 0.8),
)
def test_a_straight_line_has_its_own_slope(tokens, slope, start):
    found = scaling(tokens, [start + slope * t for t in tokens])
    assert found.points == pytest.approx(slope * 100 * 1000, abs=1e-6)
    assert found.pairs == math.comb(len(tokens), 2)


def test_runs_of_equal_length_have_no_slope():
    """Two budgets that never bind give the same tokens: their pair is left out, the others stay."""
    assert scaling([1000, 2000, 2000], [0.1, 0.2, 0.3]).pairs == 2
    nothing = scaling([2000, 2000], [0.1, 0.3])
    assert math.isnan(nothing.points)
    assert nothing.pairs == 0
    assert math.isnan(scaling([1000], [0.5]).points)
    assert scaling_over_items([[5, 5], [7, 7]], [[0, 1], [1, 1]], draws=50).interval is None


def test_scaling_asks_for_what_it_needs():
    with pytest.raises(UsageError, match="one a run"):
        scaling([1, 2], [0.5])
    with pytest.raises(UsageError, match="logarithm"):
        scaling([0, 2], [0.5, 0.6], doubling=True)
    for used, good in (([1, 2], [1, 2]), ([[1, 2]], [[1]]), (np.empty((0, 2)), np.empty((0, 2)))):
        with pytest.raises(UsageError, match="two equal tables"):
            scaling_over_items(used, good)


def test_scaling_over_items_is_that_of_the_means_and_its_interval_covers():
    """Three runs of 1000, 2000 and 4000 tokens, ten points better with each doubling, on 60 items of all kinds."""
    rng, reps, held = np.random.default_rng(0), 300, 0
    for rep in range(reps):
        tokens = np.array([1000, 2000, 4000]) * rng.uniform(0.8, 1.2, (60, 1))
        chance = rng.uniform(0, 0.8, (60, 1)) + np.array([0.0, 0.1, 0.2])
        right = rng.random((60, 3)) < chance
        found = scaling_over_items(tokens, right, doubling=True, draws=500, seed=rep)
        held += 10 in found.interval
    assert held / reps == pytest.approx(0.95, abs=3.5 * math.sqrt(0.05 * 0.95 / reps))
    plain = scaling(tokens.mean(axis=0).tolist(), right.mean(axis=0).tolist(), doubling=True)
    assert (found.points, found.pairs) == (pytest.approx(plain.points), 3)
    assert scaling_over_items(tokens, right, doubling=True, draws=500, seed=rep) == found


def test_performance_is_the_best():
    assert performance([0.3, 0.567, 0.5]) == 0.567
    with pytest.raises(UsageError, match="needs runs"):
        performance([])


# -- the front ----------------------------------------------------------------------------------------------------

points = st.lists(
    st.builds(
        Point, st.sampled_from([1.0, 2.0, 3.0, 5.0]), st.sampled_from([0.1, 0.2, 0.4, 0.8]), st.booleans()
    ),
    max_size=10,
)


@settings(deadline=None)
@given(points)
def test_what_is_on_the_front_is_beaten_by_none(found):
    by = dominated(found)
    assert len(by) == len(found)
    for point, beater in zip(found, by, strict=True):
        rivals = [p for p in found if point.oracle or not p.oracle]
        at_least = [p for p in rivals if p.cost <= point.cost and p.accuracy >= point.accuracy]
        better = [p for p in at_least if p.cost < point.cost or p.accuracy > point.accuracy]
        assert (beater is None) == (not better)
        if beater is not None:
            assert found[beater] in better
            assert by[beater] is None  # who beats stands on the front
            assert found[beater].accuracy == max(p.accuracy for p in better)


def test_a_front_by_hand():
    found = [
        Point(100, 0.3),
        Point(200, 0.5),
        Point(300, 0.5),
        Point(400, 0.7),
        Point(150, 0.3),
        Point(90, 0.9, oracle=True),
    ]
    assert dominated(found) == (None, None, 1, None, 0, None)
    with pytest.raises(UsageError, match="leave out arms"):
        dominated([Point(1, math.nan)])


# -- the best arm for each difficulty -----------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=5, max_size=60), st.integers(1, 5))
def test_quantile_bins_are_even_and_in_order(difficulty, bins):
    found = quantile_bins(difficulty, bins)
    sizes = [found.count(b) for b in range(bins)]
    assert sum(sizes) == len(difficulty)
    assert max(sizes) - min(sizes) <= 1
    for low in range(bins - 1):
        easier = [d for d, b in zip(difficulty, found, strict=True) if b == low]
        harder = [d for d, b in zip(difficulty, found, strict=True) if b == low + 1]
        assert max(easier) <= min(harder)


def test_absolute_bins_and_too_few_items():
    assert pass_bins([1.0, 0.5, 0.49, 0.1, 0.09, 0.0]) == (0, 0, 1, 1, 2, 2)
    with pytest.raises(UsageError, match="fewer bins"):
        quantile_bins([0.5], 2)


def test_each_bin_gets_its_own_arm():
    """Arm 0 is right on easy items, arm 1 on hard ones: by bin all are right, with one arm for all a half."""
    bins = [0] * 10 + [1] * 10
    table = [[1, 0]] * 10 + [[0, 1]] * 10
    found = compute_optimal(table, bins)
    assert found.choices == ((0, 0), (1, 1))
    assert found.accuracy.value == found.hindsight == 1
    assert found.best_single.value == pytest.approx(0.5)


def test_choosing_on_other_items_does_not_reward_luck():
    """Six arms that guess alike: hindsight finds a best one in each bin, and the halves know better."""
    rng = np.random.default_rng(0)
    honest, lucky = [], []
    for rep in range(300):
        table = rng.random((50, 6)) < 0.5
        found = compute_optimal(table, quantile_bins(rng.random(50).tolist()), seed=rep)
        honest.append(found.accuracy.value)
        lucky.append(found.hindsight)
    assert np.mean(honest) == pytest.approx(0.5, abs=3.5 * 0.5 / math.sqrt(300 * 50))
    assert np.mean(lucky) > 0.63


def test_a_bin_of_one_item_and_of_equal_arms():
    """The one item of a bin does not choose for itself: what suits the items of the other half is taken."""
    found = compute_optimal([[1, 0], [1, 0], [1, 0], [1, 0], [0, 1]], [0, 0, 0, 0, 1])
    assert found.choices[0] == (0, 0)
    assert sorted(found.choices[1], key=str) == [0, None]
    assert found.accuracy.value == pytest.approx(0.8)
    assert compute_optimal([[1, 1]] * 4, [0] * 4).choices == ((0, 0),)


def test_tables_that_do_not_fit():
    for table, bins in (([[1, 0]], [0]), ([[1, 0]] * 3, [0] * 2), ([1, 0], [0, 0])):
        with pytest.raises(UsageError, match="items by arms"):
            compute_optimal(table, bins)
    with pytest.raises(UsageError, match="between 0 and 1"):
        compute_optimal([[1, math.nan], [0, 1]], [0, 0])


@pytest.mark.parametrize(("ratio", "times"), [(0.16, 257.8), (0.79, 63.4), (22, 15.8)])
def test_matched_flops_are_the_published_ones(ratio, times):
    """METHODS 3.10, of a model 14 times larger."""
    assert matched_inference(14, ratio) == pytest.approx(times, abs=0.06)
    with pytest.raises(UsageError):
        matched_inference(14, 0)
