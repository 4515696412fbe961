"""Intervals hold the truth as often as they say: exactly where it can be summed, by simulation elsewhere."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ponder.core.errors import UsageError
from ponder.evals.stats import Interval, accuracy, bootstrap, clustered_error, wilson
from ponder.evals.stats.clusters import percentiles, resamples
from ponder.evals.stats.intervals import student_quantile


def within_errors(share, expected, runs, errors=3.5):
    """The seeds are fixed, so this either always holds or never."""
    return abs(share - expected) <= errors * math.sqrt(expected * (1 - expected) / runs)


def attempts_of(p, seeds, rng):
    """Item -> right or wrong of `seeds` attempts, where the item's own chance is p[item]."""
    return dict(enumerate((rng.random((len(p), seeds)) < p[:, None]).astype(float).tolist()))


# -- one share ----------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.integers(1, 500), st.floats(0, 1), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_wilson_ends_are_the_roots_of_the_score_test(n, part, level):
    """At either end the z of the observed share is that of the level (or the end is 0 or 1)."""
    x = round(part * n)
    found = wilson(x, n, level)
    z = {0.8: 1.2815515655, 0.9: 1.6448536270, 0.95: 1.9599639845, 0.99: 2.5758293035}[level]
    assert 0 <= found.low <= x / n <= found.high <= 1
    for end in (found.low, found.high):
        if 0 < end < 1:
            assert abs(x / n - end) / math.sqrt(end * (1 - end) / n) == pytest.approx(z, rel=1e-6)
    assert (found.low == 0) == (x == 0)
    assert (found.high == 1) == (x == n)


def test_wilson_of_ten_of_ten_and_of_nothing():
    """n/(n + z²) is the lower end when all are right; before the first item, nothing is known."""
    z2 = 1.959963984540054**2
    assert wilson(10, 10).low == pytest.approx(10 / (10 + z2))
    assert wilson(0, 10).high == pytest.approx(z2 / (10 + z2))
    assert wilson(0, 0) == Interval(0.0, 1.0)
    assert 0.3 in wilson(30, 100)
    assert 0.5 not in wilson(30, 100)


@pytest.mark.parametrize(("n", "worst"), [(10, 0.83), (30, 0.83), (100, 0.83), (500, 0.83)])
def test_wilson_covers_what_it_says(n, worst):
    """Coverage summed exactly over all outcomes: 95 % on average over p, and no p far below."""
    logs = [math.lgamma(n + 1) - math.lgamma(x + 1) - math.lgamma(n - x + 1) for x in range(n + 1)]
    ends = [wilson(x, n) for x in range(n + 1)]
    grid = np.linspace(0.01, 0.99, 197)
    covered = np.array(
        [
            sum(
                math.exp(logs[x] + x * math.log(p) + (n - x) * math.log1p(-p))
                for x in range(n + 1)
                if p in ends[x]
            )
            for p in grid
        ]
    )
    assert covered.mean() == pytest.approx(0.95, abs=0.01)
    assert covered.min() > worst
    assert covered[(grid > 0.2) & (grid < 0.8)].min() > 0.92


@pytest.mark.parametrize("wrong", [(-1, 10), (11, 10), (1, 0), (math.nan, 10)])
def test_no_share_of_what_cannot_be(wrong):
    with pytest.raises(UsageError, match="successes"):
        wilson(*wrong)
    with pytest.raises(UsageError, match="level"):
        wilson(1, 2, 95)


@pytest.mark.parametrize(
    ("level", "freedom", "table"),
    [
        (0.95, 1, 12.7062),
        (0.95, 2, 4.30265),
        (0.95, 3, 3.18245),
        (0.95, 4, 2.77645),
        (0.95, 5, 2.57058),
        (0.95, 10, 2.22814),
        (0.95, 30, 2.04227),
        (0.9, 5, 2.01505),
        (0.99, 10, 3.16927),
    ],
)
def test_student_quantiles_are_those_of_the_tables(level, freedom, table):
    assert student_quantile(level, freedom) == pytest.approx(table, rel=2e-3)


# -- clusters -----------------------------------------------------------------------------------------------------

values = st.lists(st.floats(-10, 10), min_size=1, max_size=4)
clusters = st.dictionaries(st.text(max_size=3), values, min_size=2, max_size=8)


@settings(deadline=None)
@given(clusters)
def test_an_item_counts_once_however_often_it_was_tried(attempts):
    found = bootstrap(attempts, draws=50)
    means = [sum(v) / len(v) for v in attempts.values()]
    assert found.value == pytest.approx(np.mean(means))
    assert found.error == pytest.approx(np.std(means, ddof=1) / math.sqrt(len(means)), abs=1e-12)
    assert (found.items, found.attempts) == (len(attempts), sum(map(len, attempts.values())))
    repeated = {item: v * 3 for item, v in attempts.items()}
    again = bootstrap(repeated, draws=50)
    assert again.value == pytest.approx(found.value)
    assert again.error == pytest.approx(found.error, abs=1e-9)


@settings(deadline=None)
@given(st.integers(2, 6), st.integers(2, 5), st.integers(0, 1000))
def test_the_clustered_error_is_the_published_formula(items, seeds, seed):
    """Miller 2024: SE² = Σ_c (Σ_i (s_ic - s̄))² / n², here with items / (items - 1) for the mean's own freedom."""
    table = np.random.default_rng(seed).random((items, seeds))
    published = math.sqrt((((table - table.mean()).sum(axis=1)) ** 2).sum()) / table.size
    mine = clustered_error(dict(enumerate(table.tolist())))
    assert mine == pytest.approx(published * math.sqrt(items / (items - 1)))


@pytest.mark.parametrize("items", [8, 200])
def test_the_same_seed_gives_the_same_interval_and_chunks_do_not_show(monkeypatch, items):
    """Few items are drawn one by one; many, of which there are few kinds, by how many of each kind."""
    attempts = attempts_of(np.linspace(0.1, 0.9, items), 4, np.random.default_rng(5))
    first = bootstrap(attempts, draws=999)
    assert bootstrap(attempts, draws=999) == first
    assert bootstrap(attempts, draws=999, seed=1).interval != first.interval
    monkeypatch.setattr("ponder.evals.stats.clusters.CELLS", 100)
    assert bootstrap(attempts, draws=999) == first


@pytest.mark.parametrize("counts", [[3, 1, 6], [30, 10, 60]])
def test_resamples_draw_as_many_as_there_are(counts):
    """Each value's number is Binomial(n, its share), whichever way they are drawn."""
    n = sum(counts)
    drawn = np.concatenate(list(resamples(np.array(counts), 4000, 0)))
    share = np.array(counts) / n
    assert drawn.shape == (4000, 3)
    assert (drawn.sum(axis=1) == n).all()
    assert drawn.mean(axis=0) == pytest.approx(counts, rel=0.05)
    assert drawn.var(axis=0) == pytest.approx(n * share * (1 - share), rel=0.1)


def test_the_expanded_percentile_interval_of_symmetric_data_is_students():
    """Hesterberg 2014: mean ± t s/√n, which the plain percentiles miss by √((n-1)/n) z/t."""
    data = np.random.default_rng(3).normal(size=12)
    found = bootstrap(dict(enumerate([[v] for v in data])), draws=200_000).interval
    half = 2.20099 * data.std(ddof=1) / math.sqrt(12)
    assert found.high - found.low == pytest.approx(2 * half, rel=0.06)


def test_one_item_knows_nothing_of_others():
    found = bootstrap({"a": [1, 0, 1]})
    assert found.value == pytest.approx(2 / 3)
    assert math.isnan(found.error)
    assert math.isnan(found.interval.low)
    assert accuracy({"a": [1, 1, 1]}).interval == wilson(1, 1)
    assert math.isnan(percentiles(np.array([1.0, 2.0]), 1, 0.95).high)


REPS = 600


@pytest.mark.parametrize("items", [20, 60])
def test_clustered_intervals_cover_where_naive_ones_do_not(items):
    """Items are easy or hard (Beta(½, ½)), so four attempts at one are nearly one: the truth is the mean of all items."""
    rng = np.random.default_rng(items)
    held = {"bootstrap": 0, "wilson": 0, "naive": 0}
    for rep in range(REPS):
        right = attempts_of(rng.beta(0.5, 0.5, items), 4, rng)
        held["bootstrap"] += 0.5 in bootstrap(right, draws=1000, seed=rep).interval
        held["wilson"] += 0.5 in accuracy(right).interval
        held["naive"] += 0.5 in wilson(sum(map(sum, right.values())), 4 * items)
    shares = {name: count / REPS for name, count in held.items()}
    assert within_errors(shares["bootstrap"], 0.95, REPS), shares
    assert within_errors(shares["wilson"], 0.95, REPS), shares
    assert shares["naive"] < 0.85, shares


@pytest.mark.parametrize("items", [20, 50])
@pytest.mark.parametrize(
    ("mean", "seeds", "alike"), [(0.02, 16, 0.4), (0.1, 4, 0.4), (0.97, 4, 0.8), (0.9, 1, 0.4)]
)
def test_accuracy_keeps_its_level_near_the_ends(items, mean, seeds, alike):
    """A few hard items among easy ones: Beta, with a correlation `alike` between attempts at one item."""
    rng = np.random.default_rng(items)
    k = (1 - alike) / alike
    held = sum(
        mean in accuracy(attempts_of(rng.beta(k * mean, k * (1 - mean), items), seeds, rng)).interval
        for _ in range(REPS)
    )
    assert held / REPS >= 0.95 - 3.5 * math.sqrt(0.05 * 0.95 / REPS), held / REPS


def test_independent_attempts_count_in_full_and_single_ones_as_wilson():
    """Attempts at equally hard items are independent, and the interval narrows as if each were an item."""
    rng = np.random.default_rng(0)
    single = attempts_of(np.full(200, 0.4), 1, rng)
    assert accuracy(single).interval == wilson(sum(map(sum, single.values())), 200)
    widths = []
    for _ in range(50):
        found = accuracy(attempts_of(np.full(100, 0.4), 4, rng)).interval
        widths.append(found.high - found.low)
    alike = wilson(160, 400)
    assert np.mean(widths) == pytest.approx(alike.high - alike.low, rel=0.1)
    assert min(widths) >= 0.9 * (alike.high - alike.low)


def test_all_right_is_not_certainty():
    """Every attempt right: as many trials as items, for attempts that never differ tell nothing of their number."""
    found = accuracy({i: [1, 1, 1, 1] for i in range(25)})
    assert found.value == 1
    assert found.interval == wilson(25, 25)
    assert bootstrap({i: [1.0] for i in range(25)}).interval == Interval(1, 1)
    assert bootstrap({i: [1.0] for i in range(25)}, pad=(0.0,)).interval.low < 1


def test_attempts_are_never_more_than_there_are():
    """Each item right once in two: items look more alike than chance would have them, and no trials are won by it."""
    assert accuracy({i: [1, 0] for i in range(100)}).interval == wilson(100, 200)


def test_unequal_numbers_of_attempts():
    """One attempt at most items: a hundred at another add next to nothing."""
    attempts = {i: [i % 2] for i in range(40)} | {99: [1, 0] * 50}
    found = accuracy(attempts)
    assert found.value == pytest.approx(0.5)
    assert found.interval.high - found.interval.low > 0.28
    assert (found.items, found.attempts) == (41, 140)


@pytest.mark.parametrize(
    ("attempts", "says"),
    [
        ({}, "at least one item"),
        ({"a": [1.0], "b": []}, "'b' has no attempts"),
        ({"a": [1.0], "b": [math.nan]}, "'b' has a value"),
        ({"a": [math.inf]}, "'a' has a value"),
    ],
)
def test_what_cannot_be_averaged_is_named(attempts, says):
    for statistic in (bootstrap, accuracy, clustered_error):
        with pytest.raises(UsageError, match=says):
            statistic(attempts)


def test_shares_are_of_right_and_wrong():
    with pytest.raises(UsageError, match="1 or 0"):
        accuracy({"a": [0.5, 2.0]})
    with pytest.raises(UsageError, match="resamples"):
        bootstrap({"a": [1.0], "b": [0.0]}, draws=0)
