"""Strategies against closed forms, on a scripted solver of known accuracy."""

import math
import random
from dataclasses import dataclass
from typing import ClassVar

import pytest
import trio
from support import Keys, close

from ponder import Candidate, Prefix, Problem, Prompt, Score
from ponder.engines.scripted import Scripted
from ponder.runtime.solve import solve
from ponder.strategies import AdaptiveConsistency, BestOfN, EarlyStopping, SelfConsistency
from ponder.thinking import votes

RUNS = 1500


def outcomes(strategy, p, runs=RUNS, wrong=("41",), scorers=None):
    """(answer, calls) of many runs, each with a seed of its own."""

    async def main():
        engine = Scripted.solver(p, wrong=wrong, text="The answer is {answer}.")
        problem = Problem.of("What is 6 * 7?", "math")
        found = []
        for seed in range(runs):
            result = await solve(
                problem, strategy, {"solver": engine}, equality=Keys(), scorers=scorers or {}, seed=seed
            )
            found.append((result.answer, result.usage.calls))
        return found

    return trio.run(main)


def right(found):
    return sum(answer == "42" for answer, _ in found) / len(found)


@pytest.mark.parametrize(("p", "n"), [(0.6, 1), (0.6, 5), (0.6, 11), (0.45, 7)])
def test_majority_of_two_answers_is_the_binomial_tail(p, n):
    tail = sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n // 2 + 1, n + 1))
    assert close(right(outcomes(SelfConsistency(n=n, temperature=1, top_k=0), p)), tail, RUNS)


@dataclass(frozen=True)
class Oracle:
    """A perfect scorer: it knows the answer."""

    name: ClassVar[str] = "oracle"
    needs: ClassVar[frozenset] = frozenset()

    async def score(self, problem, paths, run):
        return [Score(float("42" in path.text)) for path in paths]


@pytest.mark.parametrize(("p", "n"), [(0.2, 1), (0.2, 4), (0.1, 8)])
def test_best_of_n_with_a_perfect_scorer(p, n):
    strategy = BestOfN(n=n, scorer="oracle", temperature=1)
    found = outcomes(strategy, p, scorers={"oracle": Oracle()})
    assert close(right(found), 1 - (1 - p) ** n, RUNS)


def test_early_stopping_draws_what_its_formula_says():
    """E[samples] = w [ sum_{i=0}^{m-2} q (1-q)^i (i+1) + (1-q)^{m-1} m ] (METHODS 2.3)."""

    def expected(q, w, most):
        m = most // w
        return w * (sum(q * (1 - q) ** i * (i + 1) for i in range(m - 1)) + (1 - q) ** (m - 1) * m)

    assert expected(0.5, 5, 40) == pytest.approx(9.961, abs=1e-3)
    assert expected(0.1, 5, 40) == pytest.approx(28.477, abs=1e-3)
    p, w = 0.8, 3
    found = outcomes(EarlyStopping(n=12, w=w, temperature=1, top_k=0), p, 600)
    calls = [calls for _, calls in found]
    mean = sum(calls) / len(calls)
    spread = (sum((c - mean) ** 2 for c in calls) / len(calls)) ** 0.5
    assert abs(mean - expected(p**w + (1 - p) ** w, w, 12)) < 3.5 * spread / math.sqrt(len(calls))


def test_adaptive_consistency_stops_at_four_that_agree():
    found = outcomes(AdaptiveConsistency(temperature=1, top_k=0), 1.0, 3)
    assert found == [("42", 4)] * 3


def test_adaptive_consistency_saves_samples_at_little_loss():
    """The savings that the Beta rule promises: most of 40 samples on an easy problem, and the same answers."""
    adaptive = outcomes(AdaptiveConsistency(temperature=1, top_k=0, block=1), 0.8, 300)
    fixed = outcomes(SelfConsistency(n=40, temperature=1, top_k=0), 0.8, 300)
    saved = 1 - sum(c for _, c in adaptive) / sum(c for _, c in fixed)
    assert saved > 0.7
    assert right(adaptive) >= right(fixed) - 0.05


def counted(*counts):
    path = Prefix(Prompt(raw=""))
    return [Candidate(path, str(i), str(i)) for i, n in enumerate(counts) for _ in range(n)]


@pytest.mark.parametrize(
    ("a", "b", "p"),
    [
        (3, 0, 0.9375),
        (4, 0, 0.96875),
        (5, 1, 0.9375),
        (6, 1, 0.9648),
        (7, 2, 0.9453),
        (8, 2, 0.9673),
        (9, 3, 0.9539),
    ],
)
def test_the_beta_rule_s_vectors(a, b, p):
    assert votes.beta(counted(a, b)) == pytest.approx(p, abs=5e-5)


@pytest.mark.parametrize("counts", [(3, 1, 1), (5, 4, 2, 1), (1, 1, 1), (10, 2, 2, 1, 1), (30, 5, 3)])
def test_the_dirichlet_integral_agrees_with_monte_carlo(counts):
    rng = random.Random(0)
    n = 20_000
    wins = 0
    for _ in range(n):
        draws = [rng.gammavariate(c + 1, 1) for c in counts]
        wins += draws[0] == max(draws)
    assert votes.dirichlet(counted(*counts)) == pytest.approx(wins / n, abs=4 * math.sqrt(0.25 / n))


def test_votes_leave_out_the_silent_and_break_ties_by_who_came_first():
    path = Prefix(Prompt(raw=""))
    silent, b, a = Candidate(path), Candidate(path, "b", "b"), Candidate(path, "a", "a")
    choice = votes.majority([silent, b, a, silent, silent])
    assert (choice.answer, choice.votes) == ("b", (("b", 1.0), ("a", 1.0)))
    assert votes.majority([silent]).answer is None
    with pytest.raises(ValueError, match="candidates"):
        votes.majority([])


def test_best_prefers_who_answered():
    path = Prefix(Prompt(raw=""))
    choice = votes.best([Candidate(path, None, None, 9.0), Candidate(path, "a", "a", -3.0)])
    assert choice.answer == "a"


def test_unanimous():
    assert votes.unanimous(counted(5))
    assert not votes.unanimous(counted(4, 1))
    assert not votes.unanimous([])
