"""Tree search in scripted worlds whose best path is known."""

import math
from dataclasses import dataclass
from typing import ClassVar

import pytest
from support import attempt, virtual

from ponder import Score, UsageError
from ponder.engines.scripted import Scripted
from ponder.thinking.steps import head

WORLD = {
    "Multiply first.\n\nThen add.\n\nThe answer is 41.": 0.6,
    "Add first.\n\nThen multiply.\n\nThe answer is 42.": 0.4,
}
"""The model prefers the wrong way; which is right shows only at the end."""


@dataclass(frozen=True)
class Late:
    """Values a first step wrongly by a little, and an end rightly."""

    name: ClassVar[str] = "late"
    needs: ClassVar[frozenset] = frozenset()
    factor: float = 1.0

    async def score(self, problem, paths, run):
        return [Score(self.factor * self.value(path.text)) for path in paths]

    def value(self, text):
        if "answer" in text:
            return 1.0 if "42" in text else 0.1
        return 0.5 if text.startswith("Multiply") else 0.4


def solved(strategy, scorer, world=WORLD, seeds=20):
    right = 0
    for seed in range(seeds):
        result, _ = virtual(_solve, strategy, scorer, world, seed)
        assert result.stop == "finished"
        right += result.answer == "42"
    return right / seeds


async def _solve(strategy, scorer, world, seed):
    return await attempt(strategy, Scripted(world), seed=seed, scorers={scorer.name: scorer})


def test_mcts_finds_the_path_that_greedy_misses():
    """It is right wherever the right step is among the first `branch` that were drawn: 1 - 0.6^branch."""
    assert solved("chain-of-thought", Late(), seeds=1) == 0
    assert solved("mcts:iterations=1,branch=8,roll=0,depth=1,scorer=late", Late()) == 0, (
        "one step shows nothing"
    )
    for branch, seeds in ((2, 200), (4, 200)):
        share, expected = (
            solved(f"mcts:iterations=8,branch={branch},scorer=late", Late(), seeds=seeds),
            1 - 0.6**branch,
        )
        assert abs(share - expected) < 3.5 * math.sqrt(expected * (1 - expected) / seeds)


def test_only_the_roll_out_shows_the_end_of_a_shallow_tree():
    strategy = "mcts:iterations=2,branch=8,depth=2,scorer=late"
    assert solved(f"{strategy},roll=3", Late()) >= 0.9
    assert solved(f"{strategy},roll=0", Late()) == 0


def test_mcts_ends_early_at_the_gate():
    def calls(strategy):
        return virtual(_solve, strategy, Late(), WORLD, 1)[0].usage.calls

    assert calls("mcts:iterations=30,branch=4,scorer=late,gate=0.05") < calls(
        "mcts:iterations=30,branch=4,scorer=late"
    )


@pytest.mark.parametrize("factor", [-1.0, 2.0, math.inf])
def test_a_scorer_on_another_scale_is_refused_and_named(factor):
    with pytest.raises(UsageError, match="scorer late gave"):
        virtual(_solve, "mcts:scorer=late", Late(factor), WORLD, 0)


@pytest.mark.parametrize("generate", ["sample", "propose"])
@pytest.mark.parametrize("scorer", ["thought-value", "thought-vote"])
def test_tree_of_thoughts_keeps_what_the_model_values(generate, scorer):
    """A model that prefers to write the wrong way, and knows the right one when it sees it."""

    def script(prefix):
        asked = prefix.prompt.messages[-1].text
        if "one word" in asked:
            return {"sure" if "Add" in asked else "impossible": 1.0}
        if "most promising" in asked:
            choices = asked.split("Choice ")[1:]
            good = next((i for i, c in enumerate(choices, 1) if "Add" in c), 1)
            return {f"The best choice is {good}.": 1.0}
        if "different possible next steps" in asked:
            if "Add first" in asked:
                return {"1. The answer is 42.": 1.0}
            if "Multiply first" in asked:
                return {"1. The answer is 41.": 1.0}
            return {"1. Multiply first.\n2. Add first.": 1.0}
        return WORLD

    async def job(seed):
        strategy = f"tot:k=8,b=1,generate={generate},scorer={scorer}"
        return await attempt(strategy, Scripted(script), seed=seed)

    for seed in range(5):
        result, _ = virtual(job, seed)
        assert (result.answer, result.stop) == ("42", "finished")
        assert result.roles["judge"].completion > 0, "judging is paid for, as its own number"


def test_a_duplicate_thought_is_valued_once():
    async def job():
        return await attempt("tot:k=8,b=8,depth=1", Scripted({"The answer is 42.": 1.0}))

    result, events = virtual(job)
    assert [len(event.paths) for event in events if event.kind == "scored"] == [1]
    assert result.answer == "42"


def test_a_thought_without_an_end_is_finished():
    async def job(strategy):
        return await attempt(strategy, Scripted(WORLD), seed=3)

    for strategy in ("tot:depth=1", "mcts:depth=1,roll=0"):
        result, _ = virtual(job, strategy)
        assert result.answer in ("41", "42")


@dataclass(frozen=True)
class Right:
    """A perfect scorer, or one that tells how good each kind of answer is."""

    name: ClassVar[str] = "right"
    needs: ClassVar[frozenset] = frozenset()

    async def score(self, problem, paths, run):
        values = {"40": 0.1, "41": 0.5, "42": 1.0, "43": 0.9}
        return [Score(next(v for text, v in values.items() if text in path.text)) for path in paths]


def answering(fresh, revised):
    return lambda prefix: revised if "earlier attempts" in prefix.prompt.messages[-1].text else fresh


def said(answer):
    return {f"The answer is {answer}.": 1.0}


def test_ab_mcts_with_a_perfect_scorer_is_right_as_often_as_best_of_n():
    """Wherever an answer is drawn it is right with p, and the search ends at the first that is: 1 - (1 - p)^n."""
    p, n, seeds = 0.2, 4, 300
    world = {"The answer is 42.": p, "The answer is 41.": 1 - p}
    for prior in ("gaussian", "beta"):
        share = solved(f"ab-mcts:n={n},scorer=right,prior={prior}", Right(), answering(world, world), seeds)
        expected = 1 - (1 - p) ** n
        assert abs(share - expected) < 3.5 * math.sqrt(expected * (1 - expected) / seeds)


@pytest.mark.parametrize("prior", ["gaussian", "beta"])
def test_ab_mcts_goes_wider_where_fresh_answers_are_better_and_deeper_where_revisions_are(prior):
    def deep(fresh, revised, seeds=10, n=40):
        """The share of answers that are revisions."""
        calls = revisions = 0
        for seed in range(seeds):
            strategy = f"ab-mcts:n={n},scorer=right,prior={prior}"
            _, events = virtual(_solve, strategy, Right(), answering(said(fresh), said(revised)), seed)
            parents = [event.parent for event in events if event.kind == "extended"]
            calls += len(parents)
            revisions += sum(map(bool, parents))
        return revisions / calls

    wide, even, narrow = deep(43, 40), deep(41, 41), deep(40, 43)
    assert wide < even < narrow
    assert wide < 0.35
    assert narrow > 0.65


def test_a_revision_hangs_in_the_trace_below_what_it_revises():
    _, events = virtual(_solve, "ab-mcts:n=12,scorer=right", Right(), answering(said(40), said(43)), 0)
    drawn = {event.place: event for event in events if event.kind == "extended"}
    assert all(event.parent in drawn for event in drawn.values() if "43" in event.text)
    assert all(not event.parent for event in drawn.values() if "40" in event.text)


# -- rStar --------------------------------------------------------------------------------------------------------


def acting(prefix):
    """Writes by the action that is taken, and finishes rightly after a sub-question only."""
    asked, text = prefix.prompt.messages[-1].text, prefix.text
    if "Do not answer it" in asked:
        return {"Six times seven: how much is it?": 1.0}
    if text.endswith("Question:"):
        return {" What is 3 * 7?\n": 1.0}
    if text.endswith("Answer:"):
        return {" 21.\n\n": 0.8, " 20.\n\n": 0.2}
    if "21" in text:
        return {"So it is twice that.\n\nThe answer is 42.": 1.0}
    return {"Guess.\n\nThe answer is 41.": 0.5, "Guess.\n\nThe answer is 40.": 0.5}


def test_rstar_takes_all_five_actions_and_rewards_what_its_samples_agree_on():
    _, events = virtual(_solve, "rstar:rollouts=40,masks=0,depth=4", Late(), acting, 1)
    drawn = {e.place: e for e in events if e.kind == "extended"}
    written = [e.written for e in drawn.values()]
    assert written.count("Question:") >= 1
    assert any(w.endswith("Answer:") for w in written)
    again = [e.parent for e in drawn.values() if e.written.endswith("Answer:")]
    assert len(again) > len(set(again)), "A4: the same sub-question, answered again"
    assert any("Six times" in e.text for e in drawn.values()), "A5"
    assert any("Six times" in drawn[e.parent].text for e in drawn.values() if e.parent), "and what follows it"
    assert {e.text for e in drawn.values()} >= {"Guess.\n\n"}, "A1"


def test_the_discriminator_keeps_what_it_comes_to_itself():
    """It knows the answer, whatever it is shown: of all trajectories only those with that answer are kept."""

    async def job(masks, seed):
        engines = {
            "solver": Scripted({"One.\n\nThe answer is 41.": 0.65, "One.\n\nThe answer is 42.": 0.35}),
            "discriminator": Scripted(lambda _: {"The answer is 42.": 1.0}),
        }
        return await attempt(f"rstar:rollouts=12,masks={masks},votes=1", engines, seed=seed)

    alone = [virtual(job, 0, seed)[0].answer for seed in range(6)]
    assert alone.count("41") >= 4
    for seed in range(6):
        helped, events = virtual(job, 2, seed)
        assert helped.answer == "42"
        masked = [e for e in events if e.kind == "extended" and e.role == "discriminator"]
        assert all(e.parent and e.written for e in masked), "each hangs below what it completes"


def test_a_suffix_is_masked_at_a_step_and_never_all_of_it():
    text = "\n\n".join(f"Step {i}." for i in range(10))
    assert [head(text, u).count("Step") for u in (0.0, 0.2, 0.5, 0.79, 1.0)] == [1, 2, 5, 7, 9]
    assert head("one two three four", 0.5) == "one two"
    assert head("one", 0.5) == head("", 0.5) == ""
