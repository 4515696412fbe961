"""Where the reference implementations of step-wise search go wrong (METHODS 3.6), and what bad input gets."""

import math

import pytest
from support import Judge, attempt, searched, virtual

from ponder import EngineError, Unsupported
from ponder.engines.scripted import Scripted
from ponder.strategies import BeamSearch, BestOfN
from ponder.thinking.steps import split

TWO = {"First.\n\nThe answer is 42.": 0.5, "Second.\n\nThe answer is 41.": 0.5}
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


def test_a_step_that_a_limit_cut_off_is_gone_on_with():
    """vLLM tells no end of text from a limit of tokens, and a reference takes both for finished."""
    text = "one two three four five six seven eight.\n\nThe answer is 42."
    result, events, _ = searched("beam-search:n=1,width=1,step_tokens=4", {text: 1}, right)
    assert result.answer == "42"
    assert "".join(segments(events)) == text
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


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_last_round_may_write_to_the_end(convention):
    script = {"a.\n\nb.\n\nc.\n\nThe answer is 42.": 1}
    result, events, _ = searched(f"beam-search:n=2,width=2,depth=2,convention={convention}", script, right)
    assert result.answer == "42"
    assert segments(events)[-1] == "b.\n\nc.\n\nThe answer is 42."


def test_an_empty_continuation_ends_a_path():
    def script(prefix):
        return {"": 1} if prefix.text else {"The answer is 42.\n\n": 1}

    result, _, engine = searched("beam-search:n=2,width=1", script, right)
    assert result.answer == "42"
    assert engine.calls <= 4


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


def test_a_score_that_is_no_number_is_an_error_or_the_best_so_far():
    with pytest.raises(EngineError, match="not a number"):
        searched("beam-search:n=2", TWO, lambda _: math.nan)
    result, _, _ = searched("best-of-n:n=2", {"The answer is 42.": 1}, lambda _: math.nan)
    assert (result.answer, result.stop) == ("42", "degraded")


def test_an_engine_that_cannot_continue_says_so_before_the_first_token():
    engine = Scripted(TWO, without={"continue"})
    with pytest.raises(Unsupported, match="beam-search needs an engine that can continue a partial answer"):
        searched("beam-search", engine, right)
    assert engine.calls == 0


@pytest.mark.parametrize("budget", ["0", "1"])
def test_a_budget_of_nothing_or_of_one_token_is_a_result(budget):
    result, _, engine = searched("beam-search:n=8", TWO, right, budget)
    assert (result.answer, result.stop) == (None, "budget")
    assert engine.completion_tokens == int(budget)


def test_a_budget_that_ends_in_the_middle_gives_the_best_so_far():
    script = {"The answer is 42.": 0.5, "Long.\n\nway.\n\nto.\n\ngo.\n\nThe answer is 41.": 0.5}
    result, _, _ = searched("beam-search:n=8,width=2", script, lambda t: 0.5 + 0.4 * ("Long" in t), "70")
    assert (result.answer, result.stop) == ("42", "budget")
