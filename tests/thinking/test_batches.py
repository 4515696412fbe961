"""Successive allocation: the value of more samples by its definition, and the best use of a budget by trying all."""

import itertools
import random
from math import comb, isclose

import pytest

from ponder.thinking.batches import PRIOR, Tally, allocate, concave, gain


def best(values, costs, total):
    """The knapsack's optimum, by trying everything."""
    return max(
        sum(v[j] for v, j in zip(values, chosen, strict=True))
        for chosen in itertools.product(*(range(len(v)) for v in values))
        if sum(c * j for c, j in zip(costs, chosen, strict=True)) <= total
    )


def majority(p, n):
    """The chance that the majority of n votes, n odd, is right."""
    return sum(comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n // 2 + 1, n + 1))


def test_for_known_chances_of_a_vote_it_is_the_knapsack_optimum():
    rng = random.Random(1)
    for _ in range(60):
        chances = [rng.choice((0.3, 0.45, 0.55, 0.7, 0.85, 1.0)) for _ in range(4)]
        values = [[majority(p, 2 * j + 1) for j in range(5)] for p in chances]
        total = rng.randrange(17)
        units = allocate(values, [1.0] * 4, total)
        assert sum(units) <= total
        assert isclose(sum(v[j] for v, j in zip(values, units, strict=True)), best(values, [1.0] * 4, total))
        hopeless = [j for p, j in zip(chances, units, strict=True) if p < 0.5]
        assert not any(hopeless), "more votes make them worse, so they are given up"
        assert not any(j for p, j in zip(chances, units, strict=True) if p == 1), "nothing is left to gain"


def test_with_unequal_costs_and_any_values_nothing_better_costs_as_little():
    rng = random.Random(2)
    for _ in range(200):
        values = [[0.0, *(rng.random() for _ in range(4))] for _ in range(3)]
        costs = [rng.choice((1.0, 2.0, 3.5)) for _ in range(3)]
        total = rng.random() * 20
        units = allocate(values, costs, total)
        spent = sum(c * j for c, j in zip(costs, units, strict=True))
        got = sum(v[j] for v, j in zip(values, units, strict=True))
        assert spent <= total
        step = max(max(v) for v in values)  # the last step that was not paid for
        assert got >= best(values, costs, total) - step - 1e-9
        if total >= sum(4 * c for c in costs):
            assert isclose(got, sum(map(max, values)))


def test_two_units_that_pay_only_together_are_bought_together():
    assert allocate([[0, 0, 1.0], [0, 0.4]], [1, 1], 2) == [2, 0]
    assert allocate([[0, 0, 1.0], [0, 0.4]], [1, 1], 1) == [0, 1]
    assert concave([0, 0, 1.0]) == [0, 2]
    assert concave([0, 2, 3, 3, 1]) == [0, 1, 2]
    assert concave([5.0, 4.0]) == [0]
    assert allocate([], [], 10) == []
    assert allocate([[1.0]], [1.0], 10) == [0]


@pytest.mark.parametrize("seen", [(1, 1, 0), (2, 1, 1), (3, 3, 2), (4, 0, 0), (0, 0, 3), (5, 4, 0)])
@pytest.mark.parametrize("more", [1, 2, 5])
def test_the_gain_is_that_of_every_sequence_of_new_samples(seen, more):
    """By its definition: each sequence has its Polya chance, and the vote takes the larger of the two leaders."""
    expected = 0.0
    n = sum(seen)
    for sequence in itertools.product(range(3), repeat=more):
        counts, chance = list(seen), 1.0
        for answer in sequence:
            chance *= (counts[answer] + PRIOR) / (sum(counts) + 3 * PRIOR)
            counts[answer] += 1
        expected += chance * (max(counts[:2]) + PRIOR) / (n + more + 3 * PRIOR)
    assert isclose(gain(Tally(*seen), more), expected - (seen[0] + PRIOR) / (n + 3 * PRIOR), abs_tol=1e-12)


def test_what_is_settled_and_what_is_hopeless_gains_least():
    close = gain(Tally(4, 3, 1), 4)
    assert close > 3 * gain(Tally(8, 0, 0), 4), "all agree"
    flat = [gain(Tally(1, 1, rest), 4) for rest in (6, 14, 30, 62)]
    assert close > flat[1], "no answer came twice in sixteen"
    assert flat == sorted(flat, reverse=True)
    assert close > 10 * flat[-1]
    assert gain(Tally(3, 1, 0), 1) == 0, "one sample cannot overtake two"
    assert gain(Tally(3, 1, 0), 3) > 0


def test_a_tally_counts_the_two_most_frequent_and_the_rest():
    assert Tally.of(["a", "b", "a", None, "c", "b", "a"]) == (3, 2, 2)
    assert Tally.of([None, None]) == (0, 0, 2)
    assert Tally.of([]) == (0, 0, 0)
