"""What the simulated model does is what its closed forms say: sampled alone, and through the whole runtime."""

import itertools
import math
from collections import Counter
from dataclasses import replace

import anyio
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from support import Keys, attempt, virtual

from ponder import Budget, Problem, Sampling, UsageError
from ponder.evals.simulated import Simulated, SimulatedScorer, Traits, World, odds, theory
from ponder.runtime.solve import solve
from ponder.strategies import BestOfN, SelfConsistency
from ponder.thinking import answers
from ponder.thinking.prompts import ask

HARD = [World(0).puzzle(i) for i in range(400) if 0.35 < World(0).puzzle(i).difficulty < 0.9]
MODEL = Traits(skill=0.3, notice=0.4, correct=0.4)


def near(found, expected, n):
    """Within five standard errors; the seeds are fixed, so this always holds or never."""
    assert abs(found - expected) <= 5 * math.sqrt(max(expected * (1 - expected), 1e-9) / n), (found, expected)


def agrees(counts, expected, n):
    """Answer by answer; those too rare for a normal to stand for the binomial, together."""
    assert set(counts) <= set(expected)
    common = {answer: share for answer, share in expected.items() if n * share >= 10}
    for answer, share in common.items():
        near(counts[answer] / n, share, n)
    rare = 1 - math.fsum(common.values())
    near((n - sum(counts[answer] for answer in common)) / n, max(rare, 5 / n), n)


def samples(engine, path, n, waits=0, **sampling):
    async def every():
        paths = []
        for seed in range(n):
            how = Sampling(**{"max_tokens": 3000, "temperature": 1.0, "seed": seed, **sampling})
            grown = path + await engine.extend(path, how)
            for wait in range(waits):
                start = grown.before_stop + "Wait"
                grown = start + await engine.extend(start, replace(how, seed=n * (wait + 1) + seed))
            paths.append(grown)
        return paths

    return anyio.run(every)


@pytest.mark.parametrize(
    ("style", "sampling"),
    [
        ("cot", {}),
        ("cot", {"temperature": 0.7, "top_k": 40}),
        ("cot", {"temperature": 1.6}),
        ("cot", {"temperature": 1.2, "top_p": 0.9}),
        ("cot", {"top_k": 3}),
        ("cot", {"min_p": 0.05}),
        ("draft", {}),
        ("draft", {"temperature": 0.5}),
        ("direct", {}),
        ("direct", {"temperature": 0.8, "top_p": 0.95}),
    ],
)
def test_answers_come_as_often_and_texts_are_as_long_as_worked_out(style, sampling):
    engine, n = Simulated(MODEL), 1200
    for puzzle in HARD[:3]:
        chain, how = engine.chain(puzzle, style), Sampling(**{"temperature": 1.0, **sampling})
        expected = theory.answers(chain, how)
        assert math.fsum(expected.values()) == pytest.approx(1)
        assert list(expected.values()) == sorted(expected.values(), reverse=True)
        paths = samples(engine, ask(puzzle.problem, style), n, **sampling)
        counts = Counter(answers.extract(path.text, "math") for path in paths)
        agrees(counts, expected, n)
        near(counts[puzzle.gold] / n, theory.right(chain, how), n)
        lengths = [path.tokens for path in paths]
        mean = sum(lengths) / n
        spread = math.sqrt(sum((x - mean) ** 2 for x in lengths) / n)
        assert abs(mean - theory.length(chain, how)) <= 5 * spread / math.sqrt(n) + 1e-9


def test_greedy_says_the_likeliest_at_every_choice():
    engine, greedy = Simulated(MODEL), Sampling(temperature=0.0)
    right = 0
    for puzzle in HARD[:100]:
        (path,) = samples(engine, ask(puzzle.problem, "cot"), 1, temperature=0.0)
        assert theory.answers(engine.chain(puzzle), greedy) == {answers.extract(path.text, "math"): 1.0}
        assert path.tokens == theory.length(engine.chain(puzzle), greedy)
        right += theory.right(engine.chain(puzzle), greedy)
    assert 50 < right < 95, "some problems are traps, and most are not"


@pytest.mark.parametrize("waits", [1, 3])
def test_a_wait_puts_right_and_spoils_as_often_as_documented(waits):
    engine, n = Simulated(Traits(skill=0.4, notice=0.2, correct=0.38, spoil=0.1)), 1200
    for puzzle in HARD[:2]:
        paths = samples(engine, ask(puzzle.problem, "cot"), n, waits=waits)
        counts = Counter(answers.extract(path.text, "math") for path in paths)
        expected = theory.answers(engine.chain(puzzle), waits=waits)
        agrees(counts, expected, n)


@given(st.integers(0, 200), st.integers(0, 9), st.floats(0, 1), st.floats(0, 1))
@settings(deadline=None, max_examples=60)
def test_waits_have_a_closed_form(index, waits, correct, spoil):
    traits = Traits(notice=0.0, correct=correct, spoil=spoil)
    chain = Simulated(traits).chain(World(4).puzzle(index))
    p = math.prod(chain.chances)
    assert theory.right(chain) == pytest.approx(p)
    assert theory.right(chain, waits=waits) == pytest.approx(
        theory.after_waits(p, waits, correct, spoil), abs=1e-9
    )


def test_without_recovery_a_direct_answer_is_each_step_in_the_head():
    traits = Traits(notice=0.0, direct=2.0, draft=1.5, tail=0.3)
    engine = Simulated(traits)
    for puzzle in HARD[:20]:
        chance = math.prod(engine.chain(puzzle).chances)
        assert theory.right(engine.chain(puzzle, "direct")) == pytest.approx(chance**2.0)
        assert theory.right(engine.chain(puzzle, "draft")) == pytest.approx(chance**1.5)
        wrong = theory.answers(engine.chain(puzzle))
        first = str(int(puzzle.gold) + puzzle.slips[0])
        assert wrong[first] == pytest.approx((1 - chance) * 0.7 * 4 / 7)


# -- votes ----------------------------------------------------------------------------------------------------------


def enumerated(shares, gold, n):
    """A vote over every sequence of samples; ties to who was seen first."""
    total = 0.0
    for drawn in itertools.product(shares, repeat=n):
        winner = Counter(drawn).most_common(1)[0][0]  # the first of equals
        total += math.prod(shares[a] for a in drawn) * (winner == gold)
    return total


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=4), st.integers(1, 6))
@settings(deadline=None, max_examples=60)
def test_the_majority_is_that_of_all_sequences(masses, n):
    shares = {str(i): mass / sum(masses) for i, mass in enumerate(masses)}
    assert odds.majority(shares, "0", n) == pytest.approx(enumerated(shares, "0", n), abs=1e-9)
    assert odds.majority(shares, "none", n) == 0.0


@pytest.mark.parametrize(("p", "n"), [(0.6, 1), (0.6, 11), (0.45, 7), (0.55, 99)])
def test_a_majority_of_two_is_the_binomial_tail(p, n):
    tail = sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n // 2 + 1, n + 1))
    assert odds.majority({"a": p, "b": 1 - p}, "a", n) == pytest.approx(tail)


def test_many_votes_are_approximated_closely_enough():
    engine = Simulated(MODEL)
    cases = [(theory.answers(engine.chain(puzzle)), puzzle.gold) for puzzle in HARD[:12]]
    cases.append(({"a": 0.35, "b": 0.33, "c": 0.32}, "a"))
    for shares, gold in cases:
        others = [q for answer, q in shares.items() if answer != gold]
        exact = odds.majority(shares, gold, odds.EXACT)
        assert odds._normal(shares[gold], others, odds.EXACT) == pytest.approx(exact, abs=0.005)
    assert odds.majority({"a": 0.5, "b": 0.3, "c": 0.2}, "a", 5000) == pytest.approx(1.0)
    assert odds.majority({"a": 0.5, "b": 0.5}, "a", 1000) == pytest.approx(0.5, abs=1e-6)
    with pytest.raises(UsageError, match="one sample"):
        odds.majority({"a": 1.0}, "a", 0)


def runs(strategy, engine, puzzles, seeds, scorers=None):
    """Right or wrong, puzzle by puzzle and seed by seed, through the runtime."""

    async def main():
        found = []
        for puzzle in puzzles:
            for seed in seeds:
                result = await solve(
                    puzzle.problem,
                    strategy,
                    {"solver": engine},
                    equality=Keys(),
                    scorers=scorers or {},
                    seed=seed,
                )
                found.append((puzzle, result.answer == puzzle.gold))
        return found

    return trio.run(main)


def agree(found, expected):
    """The number right, over problems of different odds, within five standard errors."""
    mean = sum(expected[puzzle] for puzzle, _ in found)
    spread = math.sqrt(sum(expected[puzzle] * (1 - expected[puzzle]) for puzzle, _ in found))
    right = sum(right for _, right in found)
    assert abs(right - mean) <= 5 * spread, (right, mean, spread)


@pytest.mark.parametrize("n", [1, 5, 8])
def test_self_consistency_through_the_runtime_is_the_majority(n):
    engine = Simulated(MODEL)
    strategy = SelfConsistency(n=n, max_tokens=3000)
    how = Sampling(temperature=strategy.temperature, top_k=strategy.top_k)
    expected = {
        puzzle: odds.majority(theory.answers(engine.chain(puzzle), how), puzzle.gold, n)
        for puzzle in HARD[:40]
    }
    assert 0.2 < sum(expected.values()) / 40 < 0.9
    agree(runs(strategy, engine, expected, range(10)), expected)


@pytest.mark.parametrize("auc", [0.5, 0.75, 1.0])
def test_best_of_n_through_the_runtime_is_the_integral(auc):
    n, scorer = 6, SimulatedScorer(auc=auc)
    engine = Simulated(Traits(skill=0.4, wordy=0.5))
    long = [puzzle for puzzle in HARD if puzzle.steps >= 6][
        :150
    ]  # texts that differ: nearly no two are alike
    how = Sampling(temperature=1.0)
    expected = {puzzle: odds.best_of(theory.right(engine.chain(puzzle), how), n, auc) for puzzle in long}
    strategy = BestOfN(n=n, scorer="simulated", temperature=1.0, max_tokens=3000)
    agree(runs(strategy, engine, expected, range(4), {"simulated": scorer}), expected)


@pytest.mark.parametrize(("p", "n"), [(0.3, 1), (0.3, 8), (0.02, 50)])
def test_best_of_n_lies_between_one_sample_and_any_right(p, n):
    assert odds.best_of(p, n, 0.5) == pytest.approx(p, abs=1e-6)
    assert odds.best_of(p, n, 1.0) == odds.any_right(p, n) == 1 - (1 - p) ** n
    values = [odds.best_of(p, n, auc) for auc in (0.3, 0.5, 0.7, 0.9, 0.99, 0.999999)]
    assert values == sorted(values)
    assert p * 0.01 <= values[0] <= values[-1] <= odds.any_right(p, n) + 1e-9


# -- the scorer -----------------------------------------------------------------------------------------------------


def outcomes(traits, puzzles, n, scorer):
    """(score of the whole, is it right, text) of many samples."""
    engine = Simulated(traits)
    found = []
    for puzzle in puzzles:
        for path in samples(engine, ask(puzzle.problem, "cot"), n):
            right = answers.extract(path.text, "math") == puzzle.gold
            found.append((scorer.value(puzzle, path.text).value, right, path.text))
    return found


def auc_of(found):
    rights, wrongs = ([v for v, r, _ in found if r is kind] for kind in (True, False))
    wins = sum((a > b) + (a == b) / 2 for a in rights for b in wrongs)
    return wins / (len(rights) * len(wrongs)), len(rights), len(wrongs)


@pytest.mark.parametrize("auc", [0.3, 0.5, 0.8, 0.95])
def test_the_scorer_tells_right_from_wrong_as_often_as_its_auc_says(auc):
    measured, rights, wrongs = auc_of(outcomes(MODEL, HARD[:60], 10, SimulatedScorer(auc=auc)))
    # Hanley and McNeil 1982, equation 2: the standard error of an area under a curve.
    one, two = auc / (2 - auc), 2 * auc * auc / (1 + auc)
    variance = auc * (1 - auc) + (rights - 1) * (one - auc**2) + (wrongs - 1) * (two - auc**2)
    assert abs(measured - auc) <= 5 * math.sqrt(variance / (rights * wrongs))


def test_a_scorer_without_noise_never_errs_and_one_with_biases_does():
    assert auc_of(outcomes(MODEL, HARD[:20], 10, SimulatedScorer(auc=1.0)))[0] == 1.0
    puzzle = HARD[0]
    right = f"The answer is {puzzle.gold}."
    favoured = f"The answer is {int(puzzle.gold) + puzzle.slips[0]}."
    assert (
        SimulatedScorer(auc=1.0).value(puzzle, right).value
        > SimulatedScorer(auc=1.0).value(puzzle, favoured).value
    )
    bent = SimulatedScorer(auc=1.0, favour=20.0)
    assert bent.value(puzzle, right).value < bent.value(puzzle, favoured).value
    long = SimulatedScorer(auc=1.0, length=1.0)
    assert long.value(puzzle, "x" * 500 + f" {right}").value > long.value(puzzle, right).value


def test_steps_are_valued_by_whether_the_path_is_still_right():
    scorer, puzzle = SimulatedScorer(auc=1.0), next(p for p in HARD if p.steps == 4)
    a, b, c, d, e = puzzle.values
    text = (
        f"Add 1: {a} + 1 = {b}.\n\nx = {c + 7}.\n\nx = {d + 7}.\n\n"
        f"Wait, checking again: the value is {d}.\n\nx = {e}.\n\nThe answer is {e}."
    )
    rights = [value > 0.5 for value in scorer.value(puzzle, text).steps]
    assert rights == [True, False, False, True, True, True]
    assert scorer.value(puzzle, "").value > 0.5
    assert scorer.value(puzzle, puzzle.gold).value > 0.5
    assert scorer.value(puzzle, f"#### {e + 1}").value < 0.5
    assert scorer.value(None, "The answer is 4.").value < 0.5
    assert len(scorer.value(puzzle, text).steps) == 6


def test_scorer_tokens_are_charged_and_end_with_the_budget():
    puzzle, scorer = HARD[0], SimulatedScorer()
    engine = Simulated(MODEL)

    async def run(budget):
        strategy = BestOfN(n=4, scorer="simulated", max_tokens=3000)
        return await solve(
            puzzle.problem,
            strategy,
            {"solver": engine},
            equality=Keys(),
            scorers={"simulated": scorer},
            budget=budget,
        )

    free = virtual(run, None)
    paths = [candidate.path for candidate in free.choice.candidates]
    asked = len(engine.encode(puzzle.question))
    assert free.usage.scorer == sum(asked + path.tokens - 1 for path in paths)  # the end has no text
    whole = free.usage.total
    assert virtual(run, Budget(total_tokens=whole)).usage == free.usage
    short = virtual(run, Budget(total_tokens=whole - 1))
    assert short.usage.total <= whole - 1
    assert short.usage.scorer == 0
    assert short.answer is not None, "the majority was proposed before"
    exact = Budget(tokens=free.usage.completion)
    assert virtual(run, exact).usage.scorer == free.usage.scorer, "to score takes no completion tokens"


def test_a_scorer_s_auc_is_a_probability():
    for auc in (0.0, -1.0, 1.5, math.nan):
        with pytest.raises(UsageError, match="auc"):
            SimulatedScorer(auc=auc)


def test_an_unknown_problem_has_no_right_path():
    async def score():
        result, _ = await attempt("chain-of-thought", Simulated(), problem=Problem.of("Why?"))
        return result

    assert virtual(score).answer in set("0123456789")
    assert SimulatedScorer(auc=1.0).value(None, "").value < 0.5
