"""Length and accuracy, and outcomes as statistics take them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ponder.core.calls import Usage
from ponder.core.errors import UsageError
from ponder.evals.stats import accuracy, broke, length_and_accuracy, measured, right
from ponder.evals.stats.lengths import _pearson, _ranks
from ponder.evals.values import Arm, Outcome


def by_item(values, counts):
    """The values, so many for each item in turn."""
    ends = np.cumsum(counts)
    return {
        str(i): list(values[end - count : end])
        for i, (count, end) in enumerate(zip(counts, ends, strict=True))
    }


# -- correlation --------------------------------------------------------------------------------------------------


def test_point_biserial_is_the_difference_of_means_in_standard_deviations():
    """r = (M1 - M0) / s √(pq), s over n."""
    lengths = [100, 150, 120, 300, 350, 320, 200]
    good = [1, 1, 1, 0, 0, 0, 1]
    found = length_and_accuracy(by_item(lengths, [1] * 7), by_item(good, [1] * 7), draws=200)
    x, y = np.array(lengths), np.array(good)
    expected = (x[y == 1].mean() - x[y == 0].mean()) / x.std() * math.sqrt(y.mean() * (1 - y.mean()))
    assert found.point_biserial.value == pytest.approx(expected)
    assert found.point_biserial.value in found.point_biserial.interval
    assert found.point_biserial.interval.high < 0
    assert found.within is None  # one attempt at each item tells nothing within items
    assert (found.right.attempts, found.right.mean, found.right.median) == (4, 142.5, 135)
    assert (found.wrong.attempts, found.wrong.mean, found.wrong.high) == (
        3,
        pytest.approx(970 / 3),
        pytest.approx(344),
    )


@settings(deadline=None)
@given(st.lists(st.integers(0, 6), min_size=2, max_size=9), st.integers(0, 1000))
def test_ranks_of_repeated_values_are_those_of_the_values_written_out(values, seed):
    weights = np.random.default_rng(seed).integers(0, 4, (3, len(values)))
    for row, ranks in zip(weights, _ranks(np.array(values, float), weights.astype(float)), strict=True):
        written = sorted(v for v, w in zip(values, row, strict=True) for _ in range(w))
        for value, weight, rank in zip(values, row, ranks, strict=True):
            if weight:
                places = [i for i, v in enumerate(written, 1) if v == value]
                assert rank == pytest.approx(sum(places) / len(places))


@settings(deadline=None)
@given(st.permutations(range(8)))
def test_spearman_without_ties_is_the_schoolbook_formula(order):
    x, ones = np.arange(8.0), np.ones((1, 8))
    y = np.array(order, float)
    d2 = ((x - y) ** 2).sum()
    found = _pearson(_ranks(x, ones), _ranks(y, ones), ones)[0]
    assert found == pytest.approx(1 - 6 * d2 / (8 * (64 - 1)), abs=1e-12)


def test_spearman_is_not_ruled_by_one_long_answer():
    lengths, good = [*range(10, 30), 100_000], [0] * 10 + [1] * 11
    lengths[-1], good[-1] = 100_000, 0
    found = length_and_accuracy(by_item(lengths, [1] * 21), by_item(good, [1] * 21), draws=200)
    assert found.spearman.value > 0.6
    assert found.point_biserial.value < 0


def test_hard_items_are_long_yet_longer_attempts_are_better():
    """Simpson's paradox: over all attempts length goes with being wrong, within each item with being right."""
    rng = np.random.default_rng(0)
    lengths, good = {}, {}
    for item in range(80):
        hard = item % 2
        more = rng.normal(0, 20, 6)
        lengths[item] = (100 + 400 * hard + more).tolist()
        good[item] = (
            (rng.random(6) < np.clip((0.2 if hard else 0.8) + more / 80, 0, 1)).astype(float).tolist()
        )
    found = length_and_accuracy(lengths, good, draws=500)
    assert found.point_biserial.interval.high < -0.3
    assert found.within.interval.low > 0.2
    assert (found.within.items, found.within.attempts) == (80, 480)


def test_intervals_cover_no_correlation_where_items_repeat():
    """Length and chance are the item's own and independent of each other; attempts repeat both."""
    rng, reps, held, naive = (
        np.random.default_rng(5),
        250,
        {"point_biserial": 0, "spearman": 0, "within": 0},
        0,
    )
    for rep in range(reps):
        lengths = np.repeat(rng.gamma(4, 50, 40), 5) + rng.normal(0, 5, 200)
        good = rng.random(200) < np.repeat(rng.beta(0.4, 0.4, 40), 5)
        found = length_and_accuracy(by_item(lengths, [5] * 40), by_item(good, [5] * 40), draws=300, seed=rep)
        for name in held:
            held[name] += 0.0 in getattr(found, name).interval
        naive += abs(np.corrcoef(lengths, good)[0, 1]) < 1.96 / math.sqrt(200)
    for name, count in held.items():
        assert 0.9 < count / reps < 0.99, (name, count / reps)
    assert naive / reps < 0.85


def test_what_never_varies_has_no_correlation():
    found = length_and_accuracy({"a": [5, 6], "b": [7, 9]}, {"a": [1, 1], "b": [1, 1]}, draws=20)
    assert (found.point_biserial, found.spearman, found.within, found.wrong) == (None, None, None, None)
    assert found.right.attempts == 4
    steady = length_and_accuracy({"a": [0.1] * 3, "b": [0.1] * 3}, {"a": [1, 0, 1], "b": [1, 0, 0]}, draws=20)
    assert steady.point_biserial is None


def test_lengths_and_grades_are_of_the_same_attempts():
    for wrong in ({"a": [1]}, {"a": [1, 0], "c": [1]}, {"a": [1], "b": [0, 1]}):
        with pytest.raises(UsageError, match="same attempts"):
            length_and_accuracy({"a": [5, 6], "b": [7]}, wrong)
    with pytest.raises(UsageError, match="no finite number"):
        length_and_accuracy({"a": [math.nan]}, {"a": [1]})


# -- outcomes -----------------------------------------------------------------------------------------------------


def outcome(item, correct, tokens=10, **more):
    return Outcome(Arm("cot", "1k"), item, 0, "x", correct, Usage(completion=tokens), **more)


OUTCOMES = [
    outcome("a", True, 10),
    outcome("a", None, 7, stop="failed", error="the model died"),
    outcome("b", False, 30),
    outcome("a", False, 20),
    outcome("c", None, 4, error="out of memory"),
    outcome("free", None, 99),
]


def test_broken_attempts_are_shown_both_ways():
    assert right(OUTCOMES) == {"a": [1, 0, 0], "b": [0], "c": [0]}
    assert right(OUTCOMES, "left out") == {"a": [1, 0], "b": [0]}
    assert [broke(o) for o in OUTCOMES] == [False, True, False, False, True, False]
    assert accuracy(right(OUTCOMES)).value == pytest.approx(1 / 9)
    assert accuracy(right(OUTCOMES, "left out")).value == pytest.approx(1 / 4)


@pytest.mark.parametrize("broken", ["wrong", "left out"])
def test_tokens_are_those_of_the_same_attempts(broken):
    tokens = measured(OUTCOMES, lambda o: o.usage.completion, broken)
    assert {item: len(v) for item, v in tokens.items()} == {
        k: len(v) for k, v in right(OUTCOMES, broken).items()
    }
    assert tokens["a"] == ([10, 7, 20] if broken == "wrong" else [10, 20])
