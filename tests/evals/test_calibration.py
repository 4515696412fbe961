"""A policy learns where strategies differ, gains nothing from noise, and is judged by problems that did not teach it."""

from dataclasses import replace

import numpy as np
import pytest

from ponder import UsageError
from ponder.evals.calibration import Bins, Level, figures, learn, more
from ponder.evals.calibration.cascades import outcome
from ponder.evals.calibration.crossfit import halves
from ponder.evals.calibration.learning import best, difficulties, fit
from ponder.strategies import parse

ARMS = ("self-consistency:n=4", "adaptive-consistency", "chain-of-thought", "direct", "self-consistency")
VOTE = "self-consistency"


def level(n, seed, chance, budget=500, contested=0.7, tokens=(100, 300, 150, 5, 400), told=False):
    """Items with a hidden hardness that the signs show, and arms that are right with chance(arm, hardness)."""
    rng = np.random.default_rng(seed)
    hard = rng.random(n)
    differ = rng.random(n) < contested
    p = np.array([[chance(arm, h) for arm in range(5)] for h in hard])
    right = (rng.random((n, 5)) < p).astype(float)
    signs = np.column_stack([1 - 0.7 * hard, 0.9 - 0.1 * hard, 4 + hard, np.zeros(n)])
    if not told:  # what the probe agreed on is the answer of all that follow it
        right[~differ, :3] = right[~differ, :1]
        signs *= differ[:, None]
    spent = np.tile(np.array(tokens, dtype=float), (n, 1))
    items = tuple(f"q{i}" for i in range(n))
    values = np.full((n, 5), np.nan)
    return Level(budget, items, ARMS, 3, right, spent, differ, signs, 1 - hard, values=values)


def test_where_one_is_best_on_the_easy_and_another_on_the_hard_both_are_chosen():
    def chance(arm, h):
        return {0: 0.6, 1: 0.95 if h < 0.5 else 0.2, 2: 0.3 if h < 0.5 else 0.9}.get(arm, 0.5)

    measured = level(600, 1, chance)
    learnt = learn([measured], Bins(4))
    assert learnt.weights["agreement"] < 0, "agreement means easy"
    names = [rule.strategy for rule in learnt.rules]
    assert names == [ARMS[1], ARMS[1], ARMS[2], ARMS[2]]
    assert [rule.above for rule in learnt.rules] == sorted(rule.above for rule in learnt.rules)
    assert learnt.rules[0].above == 0
    [judged] = figures([measured], Bins(4), VOTE)
    assert judged.over_single.difference.interval.low > 0.1
    assert judged.use is judged.auto
    assert judged.auto.right.value <= judged.oracle.right.value + 0.05


def test_a_policy_learnt_on_noise_gains_nothing():
    gains = []
    for seed in range(40):
        [judged] = figures([level(120, seed, lambda arm, h: 0.5)], Bins(3), VOTE)
        gains.append(judged.auto.right.value - 0.5)
    error = np.std(gains, ddof=1) / np.sqrt(len(gains))
    assert abs(np.mean(gains)) < 3.5 * error


def test_in_sample_the_same_noise_would_have_gained():
    """So the test above can fail: a choice judged by the problems that made it looks better than it is."""
    gains = []
    for seed in range(40):
        measured = level(120, seed, lambda arm, h: 0.5)
        every = np.ones(120, dtype=bool)
        gains.append(measured.right[:, best(measured, every, arms=range(5))].mean() - 0.5)
    assert np.mean(gains) > 3.5 * np.std(gains, ddof=1) / np.sqrt(len(gains))


def test_of_those_about_as_good_the_cheapest_is_taken():
    measured = level(400, 3, lambda arm, h: 1.0)
    [rule] = learn([measured], Bins(1)).rules
    assert (rule.strategy, rule.alone) == ("direct", True), "no probe pays where everybody is right"
    dear = level(400, 3, lambda arm, h: float(arm < 3))
    [rule] = learn([dear], Bins(1)).rules
    assert (rule.strategy, rule.alone) == (ARMS[0], False)
    [judged] = figures([measured], Bins(1), VOTE)
    assert judged.single.name == "direct"
    assert judged.beat == ()


def test_the_signs_teach_whether_the_vote_is_wrong():
    measured = level(2000, 4, lambda arm, h: 1 - h, contested=1.0)
    hard = difficulties(measured, fit([measured]))
    for low in (0.2, 0.5, 0.8):
        near = abs(hard - low) < 0.1
        assert abs((1 - measured.right[near, 0]).mean() - low) < 0.1, "it is calibrated"
    told = fit([measured], ["agreement"])
    assert {name for name, weight in told.items() if weight} == {"bias", "agreement"}
    assert fit([level(300, 5, lambda arm, h: 1.0)]) == {}, "nothing was wrong: nothing to learn"
    assert fit([level(10, 6, lambda arm, h: 0.5)]) == {}


def test_bins_are_of_equal_numbers_or_absolute():
    spread = np.linspace(0, 1, 100)
    assert Bins.parse("4").edges(spread) == pytest.approx([0, 0.25, 0.5, 0.75], abs=0.001)
    assert Bins.parse("absolute").edges(spread) == [0, 0.5, 0.9]
    assert Bins(4).edges(spread[:45]) == pytest.approx([0, spread[:45].mean()], abs=0.001), "twenty a bin"
    for text in ("0", "-1", "many", "2.5"):
        with pytest.raises(UsageError, match="Bins"):
            Bins.parse(text)


def test_more_compute_is_said_to_pay_where_it_does():
    low = level(400, 7, lambda arm, h: 0.4)
    high = level(400, 7, lambda arm, h: 0.7, budget=2000)
    same = level(400, 7, lambda arm, h: 0.7, budget=4000)
    first, second, third = figures([low, high, same], Bins(1), VOTE)
    assert more(first, second)
    assert not more(second, third)


def test_halves_are_halves_and_few_problems_are_refused():
    assert sum(halves([str(i) for i in range(101)])) == 50
    with pytest.raises(UsageError, match="too few"):
        figures([level(39, 0, lambda arm, h: 0.5)], Bins(1), VOTE)


def test_agreement_that_deceives_is_doubted_and_other_agreement_is_not():
    """The probe is right on easy problems, and on hard ones agrees on what is wrong; the third arm is not fooled."""

    def fooled(arm, h):
        return {2: 0.8}.get(arm, 1.0 if h < 0.6 else 0.0)

    measured = level(800, 8, fooled, contested=0.3, told=True)
    learnt = learn([measured], Bins(1))
    doubts = [rule for rule in learnt.rules if rule.agreed]
    assert [rule.strategy for rule in doubts] == [ARMS[2]]
    [judged] = figures([measured], Bins(1), VOTE)
    assert judged.auto.right.value > 0.85, "about .92 can be had"
    believed = level(800, 9, lambda arm, h: 0.5 if arm else 0.9, contested=0.3, told=True)
    assert not [rule for rule in learn([believed], Bins(1)).rules if rule.agreed]


def test_doubt_learnt_on_noise_costs_nothing_on_average():
    gains = []
    for seed in range(40):
        [judged] = figures([level(120, seed, lambda arm, h: 0.5, told=True)], Bins(3), VOTE)
        gains.append(judged.auto.right.value - 0.5)
    assert abs(np.mean(gains)) < 3.5 * np.std(gains, ddof=1) / np.sqrt(len(gains))


def quick(measured, share, right):
    """Direct answers that agree on a share of the problems, and are right so often then; twelve tokens."""
    n = len(measured.items)
    rng = np.random.default_rng(0)
    ended = rng.random(n) < share
    return replace(measured, quick=np.column_stack([ended, rng.random(n) < right, np.full(n, 12.0)]))


def test_direct_answers_are_taken_where_they_pay_and_their_tokens_are_counted():
    easy = level(400, 10, lambda arm, h: 0.9)
    good, bad = quick(easy, 0.5, 1.0), quick(easy, 0.5, 0.1)
    assert learn([good], Bins(1)).direct
    assert not learn([bad], Bins(1)).direct
    assert not learn([easy], Bins(1)).direct
    after = good.after_direct()
    ended = good.quick[:, 0] == 1
    assert (after.tokens[ended, :3] == 12).all()
    assert (after.tokens[~ended, :3] == good.tokens[~ended, :3] + 12).all()
    assert (after.tokens[:, 3:] == good.tokens[:, 3:]).all(), "those by themselves ask for none"
    assert not (after.contested & ended).any()


def test_whether_direct_answers_pay_is_decided_by_the_other_half():
    """In one half they are always right, in the other always wrong: each half does what the other taught."""
    measured = level(200, 11, lambda arm, h: 0.9 if arm else 0.0)
    first = halves(sorted(measured.items))
    place = dict(zip(sorted(measured.items), first, strict=True))
    is_in = np.array([place[item] for item in measured.items])
    split = replace(measured, quick=np.column_stack([np.ones(200), is_in, np.full(200, 12.0)]))
    [judged] = figures([split], Bins(1), VOTE)
    assert not judged.auto.by_item[~is_in & (judged.auto.spent == 12)].any(), (
        "taught by the half that had luck"
    )
    assert (judged.auto.spent[is_in] != 12).all(), "taught by the half that had none"


CHEAP, DEAR = "mcts:scorer=arithmetic,aggregation=min", "dvts:scorer=arithmetic,aggregation=min"
PAIR = f"cascade:first=({CHEAP}),then=({DEAR}),scorer=arithmetic,aggregation=min,tau=1.0"


def verified(n, seed, when_sure=0.95, when_not=0.1, share=0.75, dear=0.88, budget=1000):
    """A cheap search whose verifier is sure of a share of the problems, and a dear one that is right more often."""
    rng = np.random.default_rng(seed)
    sure = rng.random(n) < share
    cheap = rng.random(n) < np.where(sure, when_sure, when_not)
    p = np.column_stack([np.full(n, 0.5), cheap, rng.random(n) < dear])
    values = np.column_stack([np.full(n, np.nan), sure.astype(float), np.ones(n)])
    arms = ("self-consistency:n=4", CHEAP, DEAR)
    spent = np.tile([100.0, 90.0, 480.0], (n, 1))
    items = tuple(f"q{i}" for i in range(n))
    return Level(
        budget,
        items,
        arms,
        1,
        p.astype(float),
        spent,
        np.ones(n, bool),
        np.ones((n, 4)),
        np.full(n, 0.5),
        values=values,
    )


def test_a_cheap_strategy_comes_first_where_what_it_is_sure_of_is_right():
    measured = verified(300, 1)
    [rule] = learn([measured], Bins(1)).rules
    assert (rule.strategy, rule.alone) == (PAIR, True)
    assert str(parse(rule.strategy)) == rule.strategy
    [judged] = figures([measured], Bins(1), DEAR)
    assert judged.auto.tokens == pytest.approx(90 + 0.25 * 480, abs=20)
    assert judged.auto.right.value == pytest.approx(0.75 * 0.95 + 0.25 * 0.88, abs=0.06)
    assert judged.use is judged.auto, "as right, and cheaper"


def test_no_cascade_where_the_verifier_is_wrong_or_the_budget_pays_for_one_only():
    deceived = verified(300, 2, when_sure=0.6)
    assert [rule.strategy for rule in learn([deceived], Bins(1)).rules] == [DEAR]
    poor = verified(300, 3, budget=500)
    assert [rule.strategy for rule in learn([poor], Bins(1)).rules] == [DEAR]
    right, tokens = outcome(poor, PAIR)
    unsure = poor.values[:, 1] < 1
    assert (right[unsure] == poor.right[unsure, 1]).all(), "the first answer stands"
    assert (tokens[unsure] == 500).all()


def test_a_cascade_learnt_from_noise_costs_nothing_on_average():
    lost = []
    for seed in range(60):
        noise = verified(80, seed, when_sure=0.5, when_not=0.5, dear=0.5)
        [judged] = figures([noise], Bins(1), DEAR)
        lost.append(judged.auto.right.value - 0.5)
    assert abs(np.mean(lost)) < 3.5 * np.std(lost, ddof=1) / np.sqrt(len(lost))
