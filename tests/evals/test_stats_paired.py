"""Two arms on the same items, and many comparisons at once."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ponder.core.errors import UsageError
from ponder.evals.stats import benjamini_hochberg, compare, equal_compute, holm, mcnemar, sign_flips

# -- McNemar ------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_sum(wins, losses):
    n = wins + losses
    tail = sum(Fraction(math.comb(n, i), 2**n) for i in range(min(wins, losses) + 1))
    assert mcnemar(wins, losses) == pytest.approx(float(min(Fraction(1), 2 * tail)), rel=1e-10)
    assert mcnemar(wins, losses) == mcnemar(losses, wins)


def test_mcnemar_of_very_many():
    """Nothing overflows, and it is the normal distribution's tail with the correction for whole numbers."""
    z = (50_600 - 0.5 - 50_000) / math.sqrt(100_000 / 4)
    assert mcnemar(50_600, 49_400) == pytest.approx(math.erfc(z / math.sqrt(2)), rel=1e-3)
    assert mcnemar(0, 0) == 1.0
    with pytest.raises(UsageError, match="at least 0"):
        mcnemar(-1, 2)


@pytest.mark.parametrize("n", [5, 12, 40, 150, 1000])
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2, 0.5])
def test_mcnemar_rejects_no_more_often_than_it_says(n, alpha):
    """Under the null a p is uniform but for the steps of whole numbers: P(p <= alpha) <= alpha, and near for many."""
    logs = [
        math.lgamma(n + 1) - math.lgamma(w + 1) - math.lgamma(n - w + 1) - n * math.log(2)
        for w in range(n + 1)
    ]
    rejected = sum(math.exp(logs[w]) for w in range(n + 1) if mcnemar(w, n - w) <= alpha)
    assert rejected <= alpha + 1e-12
    step = 2 * math.exp(max(logs))
    assert rejected >= alpha - step


# -- signs --------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9), st.integers(0, 99))
def test_random_signs_approach_all_signs(quarters, seed):
    d = np.array(quarters) / 4
    flips = [
        abs(sum(s * v for s, v in zip(signs, d, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(d))
    ]
    exact = np.mean([f >= abs(d.sum()) - 1e-9 for f in flips])
    found = sign_flips(d, draws=4000, seed=seed)
    assert abs(found - exact) <= 5 * math.sqrt(exact * (1 - exact) / 4000) + 1 / 4000


@settings(deadline=None)
@given(st.integers(0, 12), st.integers(0, 12))
def test_signs_of_single_attempts_are_mcnemars(wins, losses):
    d = np.array([1.0] * wins + [-1.0] * losses + [0.0] * 5)
    exact = mcnemar(wins, losses)
    assert abs(sign_flips(d) - exact) <= 5 * math.sqrt(exact * (1 - exact) / 10_000) + 1e-3


def test_signs_are_seeded_and_chunks_do_not_show(monkeypatch):
    d = np.random.default_rng(0).normal(0.2, 1, 50)
    found = sign_flips(d, seed=7)
    monkeypatch.setattr("ponder.evals.stats.paired.CELLS", 997)
    assert sign_flips(d, seed=7) == found
    assert sign_flips(np.zeros(4)) == 1.0


# -- arms ---------------------------------------------------------------------------------------------------------


def arms(rng, items, seeds, gain=0.0, noise=1.0):
    """Two arms whose chance at an item is alike but for `gain`; items differ from easy to hard."""
    p = rng.beta(noise, noise, items) * (1 - gain)
    one = rng.random((items, seeds)) < (p + gain)[:, None]
    two = rng.random((items, seeds)) < p[:, None]
    return ({str(i): row.astype(float).tolist() for i, row in enumerate(table)} for table in (one, two))


def spent(attempts, tokens):
    return {item: [tokens] * len(values) for item, values in attempts.items()}


def test_single_attempts_are_counted_by_hand():
    one = {"a": [1], "b": [1], "c": [0], "d": [1], "e": [0], "only": [1]}
    two = {"a": [0], "b": [0], "c": [1], "d": [1], "e": [0]}
    found = compare(one, two, (spent(one, 100), spent(two, 130)))
    assert (found.wins, found.losses, found.ties, found.unpaired) == (2, 1, 2, 1)
    assert found.difference.value == pytest.approx(0.2)
    assert (found.p, found.test) == (1.0, "exact McNemar")
    assert (found.difference.items, found.difference.attempts) == (5, 10)
    assert found.tokens == (100, 130)
    assert not found.equal_compute
    assert compare(one, two, (spent(one, 100), spent(two, 130)), within=0.31).equal_compute


def test_swapping_the_arms_turns_the_sign():
    one, two = arms(np.random.default_rng(1), 60, 4, gain=0.2)
    tokens = spent(one, 10)
    there, back = compare(one, two, (tokens, tokens)), compare(two, one, (tokens, tokens))
    assert there.difference.value == -back.difference.value
    assert (there.wins, there.losses) == (back.losses, back.wins)
    assert there.test == "sign flips"
    assert there.p == back.p < 0.05
    assert there.difference.interval.low > 0


def test_alike_on_a_few_items_is_not_alike():
    """Two arms that gave the same on 30 items may differ on one in thirty: the interval says so."""
    same = {str(i): [i % 2] for i in range(30)}
    found = compare(same, same, (spent(same, 1), spent(same, 1)))
    assert found.difference.value == 0
    assert found.p == 1
    assert found.difference.interval.low < -0.02
    assert found.difference.interval.high > 0.02


@pytest.mark.parametrize(("seeds", "items"), [(1, 50), (4, 50), (4, 20)])
def test_under_the_null_one_in_twenty_is_claimed(seeds, items):
    rng = np.random.default_rng(100 * seeds + items)
    reps, claimed, missed = 500, 0, 0
    for rep in range(reps):
        one, two = arms(rng, items, seeds)
        found = compare(one, two, (spent(one, 1), spent(two, 1)), draws=1000, seed=rep)
        claimed += found.p <= 0.05
        missed += 0.0 not in found.difference.interval
    assert claimed / reps <= 0.05 + 3.5 * math.sqrt(0.05 * 0.95 / reps)
    assert claimed / reps >= (0.01 if seeds == 1 else 0.02)
    assert missed / reps <= 0.05 + 3.5 * math.sqrt(0.05 * 0.95 / reps)


@pytest.mark.parametrize(
    ("wins", "losses", "items"),
    [(0.02, 0.0, 50), (0.05, 0.02, 100), (0.1, 0.04, 50), (0.3, 0.1, 30), (0.5, 0.1, 200)],
)
def test_the_interval_of_a_difference_covers(wins, losses, items):
    """Also where few items tell the arms apart, where a plain bootstrap covers two times in three."""
    rng = np.random.default_rng(items)
    reps, held = 400, 0
    for rep in range(reps):
        kind = rng.choice(3, size=items, p=[wins, losses, 1 - wins - losses])
        one = {i: [float(k == 0 or (k == 2 and i % 2))] for i, k in enumerate(kind)}
        two = {i: [float(k == 1 or (k == 2 and i % 2))] for i, k in enumerate(kind)}
        found = compare(one, two, (spent(one, 1), spent(two, 1)), draws=1000, seed=rep)
        held += found.difference.interval.low - 1e-9 <= wins - losses <= found.difference.interval.high + 1e-9
    assert held / reps >= 0.95 - 3.5 * math.sqrt(0.05 * 0.95 / reps)


def test_pairing_sees_what_two_intervals_would_not():
    """Items differ much more than arms do; each arm's own interval is wide, and the difference's is not."""
    rng = np.random.default_rng(4)
    p = rng.beta(0.3, 0.3, 200)
    easy = {i: [float(rng.random() < 0.9 * v + 0.1) for _ in range(4)] for i, v in enumerate(p)}
    plain = {i: [float(rng.random() < 0.9 * v) for _ in range(4)] for i, v in enumerate(p)}
    found = compare(easy, plain, (spent(easy, 1), spent(plain, 1)))
    width = found.difference.interval.high - found.difference.interval.low
    assert width < 0.1
    assert 0.1 in found.difference.interval
    assert found.p < 0.001


def test_what_cannot_be_compared():
    one, two = {"a": [1.0]}, {"b": [1.0]}
    with pytest.raises(UsageError, match="no item in common"):
        compare(one, two, (one, two))
    with pytest.raises(UsageError, match="Tokens are missing"):
        compare(one, one, (one, two))


@pytest.mark.parametrize(
    ("one", "other", "within", "equal"),
    [
        (100, 110, 0.1, True),
        (110, 100, 0.1, True),
        (100, 111, 0.1, False),
        (0, 0, 0.1, True),
        (0, 1, 0.1, False),
        (100, 100, 0, True),
    ],
)
def test_equal_compute(one, other, within, equal):
    assert equal_compute(one, other, within) is equal


def test_costs_are_costs():
    for wrong in (-1.0, math.nan):
        with pytest.raises(UsageError, match="at least 0"):
            equal_compute(1.0, wrong)


# -- many comparisons ---------------------------------------------------------------------------------------------

ps = st.lists(st.floats(0, 1), max_size=12)


def test_published_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.02, 0.04, 0.04, 0.02))
    assert holm([]) == benjamini_hochberg([]) == ()


@settings(deadline=None)
@given(ps, st.sampled_from([0.01, 0.05, 0.2]))
def test_adjusted_ps_reject_what_the_procedures_reject(found, alpha):
    """Holm steps down until one fails; Benjamini and Hochberg step up to the last that passes."""
    m, order = len(found), sorted(range(len(found)), key=found.__getitem__)
    margin = 1e-12
    down = set()
    for rank, i in enumerate(order):
        if found[i] * (m - rank) > alpha:
            break
        down.add(i)
    last = max((rank for rank, i in enumerate(order, 1) if found[i] * m / rank <= alpha), default=0)
    up = set(order[:last])
    assert {i for i, p in enumerate(holm(found)) if p <= alpha + margin} >= down
    assert {i for i, p in enumerate(holm(found)) if p <= alpha - margin} <= down
    assert {i for i, p in enumerate(benjamini_hochberg(found)) if p <= alpha + margin} >= up
    assert {i for i, p in enumerate(benjamini_hochberg(found)) if p <= alpha - margin} <= up
    assert all(
        p <= b + margin and b <= h + margin
        for p, b, h in zip(found, benjamini_hochberg(found), holm(found), strict=True)
    )


def test_holm_holds_the_chance_of_any_false_claim():
    """Ten true nulls: uncorrected, four studies in ten claim something; corrected, one in twenty."""
    rng = np.random.default_rng(0)
    runs = rng.random((4000, 10))
    corrected = np.mean([min(holm(run.tolist())) <= 0.05 for run in runs])
    assert (runs.min(axis=1) <= 0.05).mean() > 0.35
    assert abs(corrected - 0.0489) < 3.5 * math.sqrt(0.05 * 0.95 / 4000)


def test_benjamini_hochberg_holds_the_share_of_false_claims():
    """Half of twenty nulls are true: the mean share of false claims is at most half of 10 %."""
    rng = np.random.default_rng(1)
    shares = []
    for _ in range(1500):
        found = np.concatenate([rng.random(10), rng.random(10) ** 8])
        claims = np.flatnonzero(np.array(benjamini_hochberg(found.tolist())) <= 0.1)
        shares.append((claims < 10).sum() / max(1, len(claims)))
    assert np.mean(shares) == pytest.approx(0.05, abs=0.012)


@pytest.mark.parametrize("correct", [holm, benjamini_hochberg])
@pytest.mark.parametrize("wrong", [-0.1, 1.1, math.nan])
def test_only_ps_are_corrected(correct, wrong):
    with pytest.raises(UsageError, match="p-value"):
        correct([0.5, wrong])
