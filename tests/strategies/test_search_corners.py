"""Where the reference implementations of step-wise search go wrong (METHODS 3.6), and what bad input gets."""

import math

import pytest
from support import QUESTION, Judge, attempt, searched, virtual

from ponder import AllFailed, Candidate, EngineError, Segment, Unsupported
from ponder.engines.scripted import Scripted
from ponder.runtime.tree import grow
from ponder.strategies import BeamSearch, BestOfN
from ponder.strategies.stepwise import Leaf
from ponder.thinking.steps import split

TWO = {"First.\n\nThe answer is 42.": 0.5, "Second.\n\nThe answer is 41.": 0.5}
STEPWISE = ("beam-search", "lookahead", "dvts", "rebase", "particle-filtering", "particle-gibbs")
every_search = pytest.mark.parametrize("name", STEPWISE)
CONVENTIONS = ("paper", "search-and-learn", "compute-optimal-tts")


def right(text):
    return 0.9 if "First" in text else 0.1


def segments(events):
    return [e.text for e in events if e.kind == "extended"]


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_beam_follows_its_scorer(convention):
    result, events, engine = searched(f"beam-search:n=8,width=8,convention={convention}", TWO, right)
    assert result.answer == "42"
    assert result.stop == "finished"
    assert len(result.choice.candidates) == {"compute-optimal-tts": 1}.get(convention, 8)
    assert engine.calls == 16
    assert "Second.\n\n" in segments(events), "it was drawn"
    assert not any("41" in text for text in segments(events)), "and pruned"


def test_a_trailing_delimiter_makes_no_empty_last_step():
    asked = []

    def last_step(text):
        asked.append(split(text))
        return len(asked[-1][-1])

    searched("beam-search:n=4", TWO, last_step)
    assert all(step for steps in asked for step in steps)
    assert {steps[-1] for steps in asked} == {"First.", "Second.", "The answer is 41."}


@every_search
def test_a_step_that_a_limit_cut_off_is_gone_on_with(name):
    """vLLM tells no end of text from a limit of tokens, and a reference takes both for finished."""
    text = "one two three four five six seven eight.\n\nThe answer is 42."
    result, events, _ = searched(f"{name}:n=1,step_tokens=4", {text: 1}, right)
    assert result.answer == "42"
    assert result.choice.path.text == text
    assert {e.finish for e in events if e.kind == "extended"} == {"length", "stop", "eos"}


def test_a_path_that_is_too_long_is_over_and_has_no_answer_of_its_last_number():
    script = {"".join(f"Then 7 is {i}.\n\n" for i in range(99)): 1}
    result, _, engine = searched("beam-search:n=2,width=1,max_tokens=40,step_tokens=10", script, right)
    assert (result.answer, result.stop) == (None, "finished")
    assert len(result.choice.candidates) == 2
    assert engine.completion_tokens <= 2 * 40


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_no_finished_beam_after_the_last_round_is_no_crash(convention):
    script = {"".join(f"Step {i}.\n\n" for i in range(2000)): 1}
    strategy = f"beam-search:n=4,width=2,depth=3,max_tokens=50,convention={convention}"
    result, _, _ = searched(strategy, script, right)
    assert (result.answer, result.stop) == (None, "finished")
    assert result.choice.path.text.startswith("Step 0.")


@every_search
def test_no_finished_path_of_any_search_is_no_crash(name):
    script = {"".join(f"Step {i}.\n\n" for i in range(200)): 1}
    result, _, _ = searched(f"{name}:n=4,depth=2,max_tokens=20", script, right)
    assert (result.answer, result.stop) == (None, "finished")


@every_search
def test_a_path_that_is_not_over_has_the_answer_that_it_declares(name):
    script = {"So 7 * 6 is 42.\n\nThe answer is 42.\n\n" + "And so on.\n\n" * 99: 1}
    result, _, _ = searched(f"{name}:n=4,max_tokens=40", script, right)
    assert result.answer == "42"
    script = {"So 7 * 6 is 42.\n\n" + "And so on 5.\n\n" * 99: 1}
    assert searched(f"{name}:n=4,max_tokens=40", script, right)[0].answer is None


def test_nor_has_one_whose_step_ended_within_a_token():
    """Models have ".\\n\\n" as one token; what comes before the stop in it has no ids of its own."""
    strategy = BeamSearch()
    path = strategy.start(QUESTION) + Segment("So it is 5.\n\n", (7, 8), (10, 13), stopped_by="\n\n")

    class Reading:
        async def read(self, paths):
            return [Candidate(path, "5" if not path.cut else None) for path in paths]

    choice = virtual(strategy.choose, Reading(), [Leaf(path, 0.5)])
    assert choice.answer is None


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_last_round_may_write_to_the_end(convention):
    script = {"a.\n\nb.\n\nc.\n\nThe answer is 42.": 1}
    result, events, _ = searched(f"beam-search:n=2,width=2,depth=2,convention={convention}", script, right)
    assert result.answer == "42"
    assert segments(events)[-1] == "b.\n\nc.\n\nThe answer is 42."


@every_search
def test_an_empty_continuation_ends_a_path(name):
    def script(prefix):
        return {"": 1} if prefix.text else {"The answer is 42.\n\n": 1}

    result, _, engine = searched(f"{name}:n=2", script, right)
    assert result.answer == "42"
    assert engine.calls <= 6


def test_a_blank_step_ends_a_path_too():
    result, events, _ = searched("beam-search:n=1,width=1", {"The answer is 42.\n\n\n\n\n\n\n\n": 1}, right)
    assert result.answer == "42"
    assert len(segments(events)) == 2


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize(("n", "width"), [(10, 4), (3, 2), (1, 4), (5, 8), (7, 7)])
def test_a_width_that_does_not_divide_n_leaves_no_place_empty(convention, n, width):
    script = {f"{i} a.\n\n{i} b.\n\nThe answer is 42.": 1 for i in range(50)}
    strategy = f"beam-search:n={n},width={width},convention={convention}"
    result, events, _ = searched(strategy, script, lambda text: len(text) / 100)
    assert result.answer == "42"
    drawn = {}
    for e in events:
        if e.kind == "extended":
            drawn.setdefault(e.place.split(".")[0], []).append(e.text)
    rounds = [len(texts) for texts in drawn.values()]
    per_beam = n // max(1, n // width)
    assert rounds[0] == n
    if convention == "compute-optimal-tts":
        assert all(r == max(1, n // width) * per_beam for r in rounds[1:])
    else:
        assert all(r == n for r in rounds)


def test_of_equal_texts_one_is_kept():
    """Four draws of the best step would else fill the whole beam."""
    script = {"Same.\n\nThe answer is 42.": 0.9, "Other.\n\nThe answer is 41.": 0.1}
    result, events, _ = searched("beam-search:n=32,width=16", script, lambda t: 0.9 if "Same" in t else 0.5)
    assert dict(result.choice.votes).keys() == {"42", "41"}
    assert len(segments(events)) == 64


def test_the_three_conventions_vote_over_different_sets():
    """Half of the first draws are whole solutions with a middling score, the others go on and score higher."""
    script = {"The answer is 41.": 0.5, "Long.\n\nway.\n\nThe answer is 42.": 0.5}

    def value(text):
        return 0.5 if "Long" not in text else 0.9

    votes = {}
    for convention in CONVENTIONS:
        strategy = f"beam-search:n=16,width=8,convention={convention},selection=majority"
        result, _, _ = searched(strategy, script, value)
        votes[convention] = dict(result.choice.votes)
    assert sum(votes["paper"].values()) == 16
    assert sum(votes["search-and-learn"].values()) == 16
    assert sum(votes["compute-optimal-tts"].values()) == 2
    assert votes["paper"]["42"] == votes["paper"]["41"] == 8, (
        "one finished beam was kept and held half the places"
    )
    assert 0 < votes["search-and-learn"]["41"] < 16, "all that finished first, however they scored"
    assert votes["compute-optimal-tts"] == {"41": 1, "42": 1}


def test_the_final_weight_is_of_the_aggregation_that_was_asked_for():
    """A reference hard-codes "last" there."""
    from ponder import Score

    class Steps(Judge):
        async def score(self, problem, paths, run):
            return [Score(0.0, (0.2, 0.8) if "42" in p.text else (0.5, 0.5)) for p in paths]

    engine = Scripted({"The answer is 42.": 0.5, "The answer is 41.": 0.5})
    for how, answer in (("last", "42"), ("min", "41")):
        for cls in (BestOfN, BeamSearch):
            strategy = cls(n=16, scorer="steps", aggregation=how, selection="naive")
            result, _ = virtual(_with(strategy, engine, Steps(None)))
            assert result.answer == answer


def _with(strategy, engine, scorer):
    async def job():
        return await attempt(strategy, engine, scorers={"steps": scorer})

    return job


@every_search
def test_a_score_that_is_no_number_is_an_error(name):
    with pytest.raises(EngineError, match="not a number"):
        searched(f"{name}:n=2", TWO, lambda _: math.nan)


def test_or_the_best_so_far():
    result, _, _ = searched("best-of-n:n=2", {"The answer is 42.": 1}, lambda _: math.nan)
    assert (result.answer, result.stop) == ("42", "degraded")


@every_search
def test_an_engine_that_cannot_continue_says_so_before_the_first_token(name):
    engine = Scripted(TWO, without={"continue"})
    with pytest.raises(Unsupported, match=f"{name} needs an engine that can continue a partial answer"):
        searched(name, engine, right)
    assert engine.calls == 0


@every_search
@pytest.mark.parametrize("budget", ["0", "1"])
def test_a_budget_of_nothing_or_of_one_token_is_a_result(name, budget):
    result, _, engine = searched(f"{name}:n=8", TWO, right, budget)
    assert (result.answer, result.stop) == (None, "budget")
    assert engine.completion_tokens == int(budget)


def test_a_budget_that_ends_in_the_middle_gives_the_best_so_far():
    script = {"The answer is 42.": 0.5, "Long.\n\nway.\n\nto.\n\ngo.\n\nThe answer is 41.": 0.5}
    result, _, _ = searched("beam-search:n=8,width=2", script, lambda t: 0.5 + 0.4 * ("Long" in t), "70")
    assert (result.answer, result.stop) == ("42", "budget")


@every_search
def test_one_place_is_enough(name):
    result, _, _ = searched(f"{name}:n=1", {"Step.\n\nThe answer is 42.": 1}, right)
    assert result.answer == "42"


@every_search
def test_when_all_fail_the_best_so_far_stands_or_the_error_says_so(name):
    class Broken:
        def __init__(self, after):
            self.engine, self.after = Scripted({"Step.\n\nThe answer is 42.": 1}), after

        @property
        def capabilities(self):
            return self.engine.capabilities

        async def extend(self, prefix, sampling, watch=None):
            if self.engine.calls >= self.after:
                raise EngineError("The server is gone.")
            return await self.engine.extend(prefix, sampling, watch)

    with pytest.raises((AllFailed, EngineError), match="The server is gone"):
        searched(f"{name}:n=2", Broken(0), right)
    rolled = 2 if name == "lookahead" else 0  # a first step is worth something only where its roll-out ends
    result, _, _ = searched(f"{name}:n=2", Broken(2 + rolled), right)
    assert (result.answer, result.stop) == (None, "degraded")


def test_a_pruned_branch_can_be_told_from_the_tree():
    """Its leaf was scored and never extended, while others of its round were; no event of its own is needed."""
    _, events, _ = searched("beam-search:n=8,width=8", TWO, right)
    tree = grow(events)
    first = [tree.nodes[place] for place in tree.roots]
    assert {node.text for node in first if node.children} == {"First.\n\n"}
    assert {dict(node.scores)["judge"] for node in first if not node.children} == {0.1, 0.9}
