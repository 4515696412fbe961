"""Searches against closed forms, in worlds where every probability and every value is known."""

import math
from collections import Counter
from itertools import pairwise, product

import pytest
from support import Judge, attempt, close, nodes, searched, virtual

from ponder.engines.scripted import Scripted
from ponder.strategies import ParticleFiltering, ParticleGibbs, parse

RUNS = 150


def shares(strategy, script, value, runs=RUNS):
    """How often each answer is given, over seeds; and the mean tokens."""
    engine, found, tokens = Scripted(script), Counter(), 0
    strategy = parse(f"{strategy},scorer=judge,temperature=1")

    async def job():
        nonlocal tokens
        for seed in range(runs):
            result, _ = await attempt(strategy, engine, seed=seed, scorers={"judge": Judge(value)})
            found[result.answer] += 1
            tokens += result.usage.completion

    virtual(job)
    return {answer: n / runs for answer, n in found.items()}, tokens / runs


# -- a chain of steps, each right with probability p: "+" is right, "-" is not -----------------------------------------


def chain(p, steps):
    """Every chain of right and wrong steps by its probability; all right is 42, all else is 41."""
    script = {}
    for signs in product("+-", repeat=steps):
        answer = 41 if "-" in signs else 42
        text = "".join(f"Step {i} {sign}.\n\n" for i, sign in enumerate(signs))
        script[f"{text}The answer is {answer}."] = math.prod(p if sign == "+" else 1 - p for sign in signs)
    return script


def perfect(text):
    return 0.1 if "-" in text else 0.9


@pytest.mark.parametrize("selection", ["naive", "weighted"])
def test_best_of_n_with_a_perfect_scorer_is_any_right_of_n(selection):
    found, _ = shares(f"best-of-n:n=8,style=steps,selection={selection}", chain(0.2, 1), perfect)
    assert close(found["42"], 1 - 0.8**8, RUNS)


P, S = 0.4, 4


def test_best_of_n_must_get_all_steps_right_at_once():
    found, _ = shares("best-of-n:n=8,style=steps", chain(P, S), perfect)
    assert close(found["42"], 1 - (1 - P**S) ** 8, RUNS)


@pytest.mark.parametrize("convention", ["paper", "search-and-learn", "compute-optimal-tts"])
def test_a_beam_with_a_perfect_scorer_needs_one_right_step_a_round(convention):
    strategy = f"beam-search:n=8,width=8,selection=naive,convention={convention}"
    found, tokens = shares(strategy, chain(P, S), perfect)
    assert close(found["42"], (1 - (1 - P) ** 8) ** S, RUNS)
    _, whole = shares("best-of-n:n=8,style=steps", chain(P, S), perfect, 30)
    assert tokens == pytest.approx(whole, rel=0.02), "at the tokens of best-of-n"


def test_of_equal_beginnings_one_is_kept_or_all():
    """With one right beginning kept, the other beam is a wrong one, and it has half the places."""
    one, _ = shares("beam-search:n=8,width=4,selection=naive", chain(P, S), perfect)
    assert close(one["42"], (1 - (1 - P) ** 8) * (1 - (1 - P) ** 4) ** (S - 1), RUNS)
    all_of_them, _ = shares(
        "beam-search:n=8,width=4,selection=naive,filter_duplicates=false", chain(P, S), perfect
    )
    assert all_of_them["42"] > one["42"]


@pytest.mark.parametrize(("n", "width"), [(8, 4), (8, 2), (10, 4)])
def test_dvts_with_a_perfect_scorer_needs_one_tree_that_is_right_all_along(n, width):
    trees = n // width
    sizes = [n // trees + (i < n % trees) for i in range(trees)]
    lost = math.prod(1 - (1 - (1 - P) ** m) ** S for m in sizes)
    found, _ = shares(f"dvts:n={n},width={width},selection=naive", chain(P, S), perfect)
    assert close(found["42"], 1 - lost, RUNS)


def test_rebase_without_balance_is_the_beam_that_keeps_one():
    found, _ = shares("rebase:n=8,balance=0,selection=naive", chain(P, S), perfect)
    # Of equal rewards the first takes all, so right beginnings beside it are given up, and lose nothing.
    assert close(found["42"], (1 - (1 - P) ** 8) ** S, RUNS)


# -- lookahead: the greedy step is wrong, and only the roll-out shows it -----------------------------------------------

TRAP = {
    "Easy way.\n\nStuck here.\n\nThe answer is 41.": 0.5,
    "Hard way.\n\nOpen road.\n\nThe answer is 42.": 0.4,
    "Hard way.\n\nWrong turn.\n\nThe answer is 41.": 0.1,
}


def seen(text):
    if "Stuck" in text or "Wrong" in text:
        return 0.1
    if "Open" in text:
        return 0.95
    return 0.8 if "Easy" in text else 0.5


def test_only_a_roll_out_shows_that_the_greedy_step_is_wrong():
    kept = "n=8,width=8,selection=naive"
    assert shares(f"beam-search:{kept}", TRAP, seen, 60)[0].get("42", 0) < 0.05
    assert shares(f"lookahead:k=1,{kept}", TRAP, seen, 60)[0]["42"] > 0.95


def test_a_roll_out_is_greedy_paid_for_and_thrown_away():
    result, events, engine = searched("lookahead:k=1,n=8,width=8", TRAP, seen)
    ahead = [e for e in events if e.kind == "extended" and e.role == "lookahead"]
    assert {e.text for e in ahead} <= {
        "Stuck here.\n\n",
        "Open road.\n\n",
        "The answer is 41.",
        "The answer is 42.",
    }
    assert result.usage.completion == engine.completion_tokens
    assert sum(usage.completion for usage in result.roles.values()) == engine.completion_tokens
    assert result.roles["lookahead"].completion == sum(e.usage.completion for e in ahead) > 0
    parents = {e.parent for e in events if e.kind == "extended" and e.role == "solver"}
    assert not parents & {e.place for e in ahead}, "no path goes on from a roll-out"
    assert not {s.place for c in result.choice.candidates for s in c.path.segments} & {e.place for e in ahead}


def test_without_steps_ahead_it_is_the_beam():
    with pytest.raises(Exception, match="k >= 1"):
        parse("lookahead:k=0")


# -- diversity ---------------------------------------------------------------------------------------------------------

ROADS = {"Broad.\n\nThe answer is 41.": 0.5, "Narrow.\n\nThe answer is 42.": 0.5}


def deceived(text):
    """The broad road looks better until its end."""
    if "answer" in text:
        return 0.95 if "Narrow" in text else 0.05
    return 0.9 if "Broad" in text else 0.8


def test_dvts_keeps_what_a_beam_gives_up():
    beam, _ = shares("beam-search:n=16,width=4,filter_duplicates=false,selection=naive", ROADS, deceived, 60)
    diverse, _ = shares("dvts:n=16,width=2,selection=naive", ROADS, deceived, 60)
    few = sum(math.comb(16, k) for k in range(4)) / 2**16
    assert close(beam.get("42", 0.0), few, 60), "fewer than 4 of 16 first steps are of the broad road"
    assert close(diverse["42"], 1 - 0.75**8, 60), "8 trees, a quarter of which see no broad road"


# -- particles against the exact posterior -----------------------------------------------------------------------------

CHOICES = {"a": 0.5, "b": 0.3, "c": 0.2}
REWARD = {"a": 0.4, "b": 0.6, "c": 0.75}


def walk():
    """Two steps of three choices; the answer counts the c's. The reward of a step is that of its letter."""
    return {
        f"{x}.\n\n{y}.\n\nThe answer is {(x + y).count('c')}.": CHOICES[x] * CHOICES[y]
        for x, y in product(CHOICES, repeat=2)
    }


def letter(text):
    """Of the last letter; the answer itself says nothing new."""
    return 0.5 if "answer" in text else REWARD[text.rstrip(".\n")[-1]]


def posterior():
    odds = {x: CHOICES[x] * REWARD[x] / (1 - REWARD[x]) for x in CHOICES}
    whole = sum(odds.values())
    c = odds["c"] / whole
    return {"0": (1 - c) ** 2, "1": 2 * c * (1 - c), "2": c * c}


def estimates(strategy, runs):
    engine, found = Scripted(walk()), []

    async def job():
        for seed in range(runs):
            result, _ = await attempt(strategy, engine, seed=seed, scorers={"judge": Judge(letter)})
            votes = dict(result.choice.votes)
            found.append({a: votes.get(a, 0.0) / sum(votes.values()) for a in "012"})

    virtual(job)
    return found


def test_particles_estimate_the_exact_posterior():
    runs = 40
    found = estimates(ParticleFiltering(n=60, scorer="judge", temperature=1, selection="weighted"), runs)
    for answer, exact in posterior().items():
        drawn = [estimate[answer] for estimate in found]
        mean = sum(drawn) / runs
        error = math.sqrt(sum((x - mean) ** 2 for x in drawn) / (runs - 1) / runs)
        assert abs(mean - exact) < 3.5 * error, (answer, mean, exact, error)
        assert error < 0.02


def test_particle_gibbs_keeps_one_path_that_others_may_branch_off():
    sweeps = []

    class Watched(ParticleGibbs):
        async def filter(self, run, start, n, kept=()):
            sweeps.append((n, kept, await super().filter(run, start, n, kept)))
            return sweeps[-1][-1]

    async def job():
        scorers = {"judge": Judge(letter)}
        return await attempt(Watched(n=30, iterations=4, scorer="judge"), Scripted(walk()), scorers=scorers)

    result, _ = virtual(job)
    assert [n for n, _, _ in sweeps] == [len(particles) for _, _, particles in sweeps] == [8, 8, 7, 7]
    assert len(result.choice.candidates) == 30
    for (_, _, before), (_, kept, particles) in pairwise(sweeps):
        assert kept in before
        assert particles[0] == kept
        assert all(len(trail) == len(trail[-1].path.segments) == 3 for trail in particles)
    branched = [t for _, kept, particles in sweeps[1:] for t in particles[1:] if t[0] == kept[0]]
    assert branched
    assert all(t[-1] != kept[-1] for _, kept, particles in sweeps[1:] for t in particles[1:])


@pytest.mark.parametrize(
    ("n", "iterations", "sizes"), [(1, 4, [1]), (3, 4, [3]), (5, 4, [3, 2]), (4, 1, [4])]
)
def test_a_filter_of_particle_gibbs_has_two_particles(n, iterations, sizes):
    result, _, _ = searched(f"particle-gibbs:n={n},iterations={iterations}", walk(), letter)
    assert len(result.choice.candidates) == sum(sizes) == n
    assert result.answer in "012"


def test_one_iteration_of_particle_gibbs_is_a_filter():
    one, events, _ = searched("particle-gibbs:n=8,iterations=1", walk(), letter)
    other, others, _ = searched("particle-filtering:n=8", walk(), letter)
    assert (one.answer, nodes(events)) == (other.answer, nodes(others))
