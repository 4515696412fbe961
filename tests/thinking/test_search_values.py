"""UCT, back-up and the posteriors, against their formulas."""

import math
import random
import statistics

import pytest

from ponder import UsageError
from ponder.thinking.search.thompson import PRIORS, Beta, Branch, Gaussian, wider_or_deeper
from ponder.thinking.search.values import Node, back_up, bounded, descend, uct


def test_uct_by_its_formula():
    assert uct(0.5, 4, 10, 0.7 * math.sqrt(2)) == pytest.approx(0.5 + 0.7 * math.sqrt(2 * math.log(10) / 4))
    assert uct(3 / 4, 4, 9, 2.0) == pytest.approx(0.75 + 2 * math.sqrt(math.log(9) / 4))
    assert uct(0.0, 0, 10, 1.0) == math.inf
    assert uct(0.5, 1, 1, 9.0) == 0.5, "ln 1 = 0"
    assert uct(0.5, 1, 0, 9.0) == 0.5, "a parent that was not visited yet"


@pytest.mark.parametrize("value", [-0.1, 1.1, -math.inf, math.nan])
def test_values_outside_0_to_1_are_refused_by_name(value):
    with pytest.raises(UsageError, match=r"mean-logprob gave .*scorer=mean-probability"):
        bounded([0.5, value], "mean-logprob")
    assert bounded([0, 0.5, 1], "any") == [0, 0.5, 1]


def test_the_unvisited_come_first_and_among_them_the_best():
    root = Node("root", visits=3)
    seen = root.add("seen", 1.0)
    seen.visits = 1
    low, high, equal = root.add("low", 0.2), root.add("high", 0.6), root.add("equal", 0.6)
    assert descend(root, 1.0) is high
    for node in (high, equal, low):
        node.visits = 1
    assert descend(root, 0.0) is seen
    assert descend(root, 1.0, width=5) is root, "it may have one child more"


def test_a_deeper_node_is_found_through_its_line():
    root = Node("root", visits=2)
    root.add("a", 0.1).visits = 1
    b = root.add("b", 0.9)
    b.visits = 1
    c = b.add("c", 0.5)
    assert descend(root, 1.0) is c
    assert (c.depth, [node.state for node in c.line()]) == (2, ["c", "b", "root"])
    assert [node.state for node in root.walk()] == ["root", "a", "b", "c"]


def test_back_up_gives_visit_weighted_means():
    root = Node("root")
    a, b = root.add("a", 0.8), root.add("b", 0.2)
    for node in (a, a, b):
        back_up(node)
    assert (root.visits, root.value) == (3, pytest.approx((2 * 0.8 + 0.2) / 3))
    back_up(a.add("c", 0.3))
    assert a.value == 0.3, "its own value gives way to those of its visited children"
    assert root.value == pytest.approx((3 * 0.3 + 0.2) / 4)


def test_means_stay_exact_in_a_large_tree():
    rng = random.Random(0)
    root = Node("root")
    for _ in range(500):
        node = descend(root, 1.0, width=3)
        back_up(node.add("", rng.random()))
    for node in root.walk():
        if node.children:
            visits = sum(child.visits for child in node.children)
            assert node.visits == visits + (node is not root), "one visit is its own"
            assert node.value == pytest.approx(sum(c.visits * c.value for c in node.children) / visits)
    assert root.visits == 500


def posterior(scores, m=0.0, kappa=1.0, nu=1.0, tau2=0.1):
    """The batch formulas (Murphy, Probabilistic Machine Learning: Advanced Topics, 3.4.3.3)."""
    n, mean = len(scores), statistics.fmean(scores)
    spread = sum((score - mean) ** 2 for score in scores)
    return (
        (kappa * m + n * mean) / (kappa + n),
        kappa + n,
        nu + n,
        (nu * tau2 + spread + n * kappa * (m - mean) ** 2 / (kappa + n)) / (nu + n),
    )


@pytest.mark.parametrize("scores", [[0.9], [0.0, 1.0], [0.2, 0.4, 0.4, 0.9, 0.1]])
def test_the_gaussian_posterior_is_that_of_the_batch(scores):
    belief = Gaussian()
    for score in scores:
        belief.see(score)
    assert (belief.m, belief.kappa, belief.nu, belief.tau2) == pytest.approx(posterior(scores))


def test_gaussian_draws_are_student_t():
    """mu - m over sqrt(tau2 / kappa) has a t distribution with nu degrees of freedom, of variance nu / (nu - 2)."""
    belief, rng, n = Gaussian(0.4, 5.0, 12.0, 0.05), random.Random(1), 40_000
    draws = [belief.draw(rng) for _ in range(n)]
    variance = 0.05 / 5 * 12 / 10
    assert statistics.fmean(draws) == pytest.approx(0.4, abs=4 * math.sqrt(variance / n))
    assert statistics.variance(draws) == pytest.approx(variance, rel=0.05)


def test_the_beta_posterior_and_its_draws():
    belief, rng, n = Beta(), random.Random(2), 20_000
    for score in (1.0, 0.5, 0.0, 1.0):
        belief.see(score)
    assert (belief.a, belief.b) == (3.0, 2.0)
    draws = [belief.draw(rng) for _ in range(n)]
    assert statistics.fmean(draws) == pytest.approx(0.6, abs=4 * math.sqrt(0.04 / n))


@pytest.mark.parametrize("prior", ["gaussian", "beta"])
def test_who_learns_from_a_score(prior):
    """A new child's score goes to its parent's GEN and to itself; upwards to each edge's CONT and child."""
    made = PRIORS[prior]

    def after(*scores):
        belief = made()
        for score in scores:
            belief.see(score)
        return belief

    root = Branch("root", made)
    a = root.add("a", 0.9)
    b = a.add("b", 0.4)
    c = b.add("c", 0.2)
    assert (root.gen, root.cont) == (after(0.9), after(0.4, 0.2))
    assert (a.own, a.gen, a.cont) == (after(0.9, 0.4, 0.2), after(0.4), after(0.2))
    assert (b.own, b.gen, b.cont) == (after(0.4, 0.2), after(0.2), made())
    assert (c.own, c.gen, root.own) == (after(0.2), made(), made())
    assert [node.state for node in c.parent.parent.children] == ["b"]


def test_a_leaf_can_only_grow_and_the_posterior_decides_elsewhere():
    rng = random.Random(3)
    root = Branch("root", Gaussian)
    assert wider_or_deeper(root, rng) is root
    a, b = root.add("a", 0.5), root.add("b", 0.5)
    n = 4000
    for good, bad in ((root.gen, root.cont), (root.cont, root.gen)):
        (good.m, good.kappa), (bad.m, bad.kappa) = (0.9, 400.0), (0.1, 400.0)
        chosen = [wider_or_deeper(root, rng) for _ in range(n)]
        assert chosen.count(root) / n == pytest.approx(float(good is root.gen), abs=0.02)
    (a.own.m, a.own.kappa, a.own.nu), (b.own.m, b.own.kappa, b.own.nu) = (0.6, 9.0, 900.0), (0.4, 9.0, 900.0)
    a.own.tau2 = b.own.tau2 = 0.09
    chosen = [wider_or_deeper(root, rng) for _ in range(n)]
    share = chosen.count(a) / (chosen.count(a) + chosen.count(b))
    expected = 1 - statistics.NormalDist(0.2, math.sqrt(2 * 0.09 / 9)).cdf(0)
    assert share == pytest.approx(expected, abs=0.03)
