"""pass@k and maj@k against the plainest way to find them: try every subset."""

import math
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ponder import Candidate, Prefix, Prompt
from ponder.core.errors import UsageError
from ponder.evals.stats import accuracy, maj_at_k, mean_maj_at_k, mean_pass_at_k, pass_at_k, wilson
from ponder.thinking.votes import majority

PATH = Prefix(Prompt(raw=""))


# -- pass@k -------------------------------------------------------------------------------------------------------


def test_the_published_vector():
    """METHODS 3.8: n = 16, c = 3, k = 4."""
    assert pass_at_k(16, 3, 4) == pytest.approx(0.60714, abs=5e-6)


@settings(deadline=None)
@given(st.integers(1, 9), st.data())
def test_pass_at_k_is_the_share_of_subsets_with_a_right_one(n, data):
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    subsets = list(combinations([True] * c + [False] * (n - c), k))
    assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


@settings(deadline=None)
@given(st.integers(1, 3000), st.data())
def test_pass_at_k_of_many_samples_neither_overflows_nor_leaves_its_range(n, data):
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    exact = 1 - math.comb(n - c, k) / math.comb(n, k)
    assert pass_at_k(n, c, k) == pytest.approx(exact, abs=1e-9)
    assert 0 <= pass_at_k(n, c, k) <= 1


def test_pass_at_k_is_unbiased_and_the_plain_formula_is_not():
    """Over samples of 10 with chance 0.1, its mean is 1 - 0.9^4; 1 - (1 - c/n)^4 falls short of it."""
    n, k, p = 10, 4, 0.1
    mass = [math.comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)]
    truth = 1 - (1 - p) ** k
    assert sum(m * pass_at_k(n, c, k) for c, m in enumerate(mass)) == pytest.approx(truth)
    assert sum(m * (1 - (1 - c / n) ** k) for c, m in enumerate(mass)) < truth - 0.02


# -- maj@k --------------------------------------------------------------------------------------------------------


def vote(samples):
    """Whether ponder's own majority over samples, in the order they came, is right; samples are (key, right)."""
    candidates = [Candidate(PATH + str(i), key or None, key or None) for i, (key, _) in enumerate(samples)]
    choice = majority(candidates)
    if choice.answer is None:
        return False
    return next(right for key, right in samples if key == choice.answer)


pools = st.lists(st.sampled_from(["", "a", "b", "c", "d"]), min_size=1, max_size=6)


@settings(deadline=None, max_examples=60)
@given(pools, st.sets(st.sampled_from("abcd")), st.data())
def test_maj_at_k_is_the_share_of_ordered_draws_that_vote_right(keys, good, data):
    k = data.draw(st.integers(1, len(keys)))
    samples = [(key, key in good) for key in keys]
    draws = [vote(drawn) for drawn in permutations(samples, k)]
    assert maj_at_k(keys, [right for _, right in samples], k) == pytest.approx(sum(draws) / len(draws))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(["", "a", "b"]), st.booleans()), min_size=1, max_size=5), st.data())
def test_the_same_key_graded_both_ways_counts_as_it_was_drawn(samples, data):
    """The first sample with the winning key is the answer, and its grade is the vote's."""
    samples = [(key, right and bool(key)) for key, right in samples]
    k = data.draw(st.integers(1, len(samples)))
    draws = [vote(drawn) for drawn in permutations(samples, k)]
    found = maj_at_k([key for key, _ in samples], [right for _, right in samples], k)
    assert found == pytest.approx(sum(draws) / len(draws))


@pytest.mark.parametrize(("n", "right", "k"), [(16, 9, 5), (64, 30, 15), (200, 120, 99), (1000, 510, 31)])
def test_maj_at_k_of_two_answers_is_the_hypergeometric_tail(n, right, k):
    tail = sum(
        math.comb(right, j) * math.comb(n - right, k - j) for j in range(k // 2 + 1, k + 1)
    ) / math.comb(n, k)
    found = maj_at_k(["r"] * right + ["w"] * (n - right), [True] * right + [False] * (n - right), k)
    assert found == pytest.approx(tail, rel=1e-9)


def test_an_even_vote_ends_in_a_tie_half_of_which_is_right():
    assert maj_at_k(["r", "w"], [True, False], 2) == pytest.approx(0.5)
    assert maj_at_k(["r", "r", "w", "w", "x"], [True, True, False, False, False], 5) == pytest.approx(0.5)
    assert maj_at_k(["r", "v", "w"], [True, False, False], 3) == pytest.approx(1 / 3)


def test_samples_without_an_answer_have_no_vote():
    assert maj_at_k(["", "", "r"], [False, False, True], 3) == pytest.approx(1.0)
    assert maj_at_k(["", "", "r"], [False, False, True], 2) == pytest.approx(2 / 3)
    assert maj_at_k(["", ""], [False, False], 2) == 0.0


def test_many_answers_agree_with_drawn_votes():
    """32 samples, eleven answers, none and votes by eight: ponder's majority over 20,000 drawn orders."""
    keys = ["r"] * 8 + ["w"] * 7 + ["x"] * 5 + ["y"] * 3 + [""] * 3 + [f"o{i}" for i in range(6)]
    right = [key == "r" for key in keys]
    rng = np.random.default_rng(2)
    votes = [vote([(keys[i], right[i]) for i in rng.permutation(len(keys))[:8]]) for _ in range(20_000)]
    found, error = maj_at_k(keys, right, 8), math.sqrt(0.25 / len(votes))
    assert abs(found - np.mean(votes)) < 3.5 * error


def test_maj_at_1_is_the_share_of_right_ones_and_maj_at_n_the_vote_of_all():
    keys = ["a"] * 3 + ["b"] * 4 + ["", "c"]
    right = [key == "a" for key in keys]
    assert maj_at_k(keys, right, 1) == pytest.approx(3 / 9)
    assert maj_at_k(keys, right, 9) == pytest.approx(0.0, abs=1e-12)
    assert maj_at_k(keys, [key == "b" for key in keys], 9) == pytest.approx(1.0)


@settings(deadline=None)
@given(pools, st.integers(0, 5))
def test_the_answers_shares_of_all_votes_add_up(keys, seed):
    """Some answer wins each vote that has one: over all answers, maj@k sums to the share of subsets that answer."""
    k = 1 + seed % len(keys)
    total = sum(maj_at_k(keys, [key == good for key in keys], k) for good in set(keys) - {""})
    silent = keys.count("")
    assert total == pytest.approx(1 - math.comb(silent, k) / math.comb(len(keys), k))


# -- means --------------------------------------------------------------------------------------------------------


def study(rng, p, n):
    """Item -> n samples of three possible answers, "r" right with the item's own chance."""
    found = {}
    for item, chance in enumerate(p):
        keys = np.where(rng.random(n) < chance, "r", np.where(rng.random(n) < 0.7, "w", "x"))
        found[str(item)] = [(str(key), 10, bool(key == "r")) for key in keys]
    return found


def test_means_over_items():
    samples = {"a": [("r", 1, True), ("w", 2, False)], "b": [("w", 1, False)] * 2, "c": [("r", 9, True)] * 2}
    assert mean_pass_at_k(samples, 1).value == pytest.approx(0.5)
    assert mean_pass_at_k(samples, 2).value == pytest.approx(2 / 3)
    assert mean_maj_at_k(samples, 2).value == pytest.approx(0.5)
    assert (mean_pass_at_k(samples, 2).items, mean_pass_at_k(samples, 2).attempts) == (3, 6)


def test_one_sample_of_k_is_the_accuracy_of_all_attempts():
    samples = study(np.random.default_rng(0), np.linspace(0, 1, 30), 8)
    right = {item: [float(ok) for *_, ok in found] for item, found in samples.items()}
    for mean in (mean_pass_at_k, mean_maj_at_k):
        found, expected = mean(samples, 1), accuracy(right)
        assert found.value == pytest.approx(expected.value)
        assert found.interval.low == pytest.approx(expected.interval.low)
        assert found.interval.high == pytest.approx(expected.interval.high)


def test_votes_that_are_all_right_are_no_certainty():
    """Rounding in the votes must not pass for many independent trials: as many as items."""
    samples = {str(i): [("r", 1, True)] * 12 + [("w", 1, False)] * (i % 3) for i in range(20)}
    found = mean_maj_at_k(samples, 7)
    assert found.value == 1
    assert found.interval == wilson(20, 20)


def test_nine_samples_hold_two_groups_of_four():
    """Items that are all alike: no more independent trials than there are groups that share no sample."""
    samples = {str(i): [("r", 1, True)] * 2 + [("w", 1, False)] * 7 for i in range(100)}
    share = pass_at_k(9, 2, 4)
    found = mean_pass_at_k(samples, 4).interval
    assert (found.low, found.high) == pytest.approx(
        (wilson(share * 200, 200).low, wilson(share * 200, 200).high)
    )


@pytest.mark.parametrize("k", [1, 4, 8])
def test_intervals_of_means_cover(k):
    """The truth: over items with chances Beta(1, 2), E[1 - (1-p)^k], integrated."""
    rng = np.random.default_rng(k)
    truth = 1 - 2 / (k + 2)  # ∫ 2 (1-p) (1-p)^k dp = 2 / (k + 2)
    reps = 400
    held = sum(truth in mean_pass_at_k(study(rng, rng.beta(1, 2, 40), 8), k).interval for _ in range(reps))
    assert held / reps == pytest.approx(0.95, abs=3.5 * math.sqrt(0.05 * 0.95 / reps) + 0.005)


@pytest.mark.parametrize(("n", "c", "k"), [(4, 5, 1), (4, -1, 1), (4, 1, 0), (4, 1, 5), (0, 0, 1)])
def test_no_subsets_that_cannot_be(n, c, k):
    with pytest.raises(UsageError):
        pass_at_k(n, c, k)


def test_no_votes_that_cannot_be():
    with pytest.raises(UsageError, match="one grade a sample"):
        maj_at_k(["a"], [], 1)
    with pytest.raises(UsageError, match="from 1 to 1"):
        maj_at_k(["a"], [True], 2)
    with pytest.raises(UsageError, match="'b' has 1 samples"):
        mean_maj_at_k({"a": [("r", 1, True)] * 2, "b": [("r", 1, True)]}, 2)
    with pytest.raises(UsageError, match="at least one item"):
        mean_pass_at_k({}, 1)
    with pytest.raises(UsageError, match="k from 1"):
        mean_pass_at_k({"a": [("r", 1, True)]}, 0)
