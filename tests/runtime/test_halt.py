"""A rule that ends a text while it is written: on the token where that can be, else between chunks."""

import pytest
from runtime.test_run import Plan
from support import attempt, virtual

from ponder.engines.scripted import Scripted
from ponder.runtime.texts import CHUNK
from ponder.thinking.prompts import ask

LONG = {"word " * 300 + "The answer is 42.": 1.0}


def after(tokens):
    """Ends a text once it has so many tokens."""

    def rule():
        seen = 0

        def ends(delta):
            nonlocal seen
            seen += delta.tokens
            return "enough" if seen >= tokens else None

        return ends

    return rule


def test_it_ends_on_the_token_and_only_what_was_written_is_paid():
    engine = Scripted(LONG)

    async def plan(problem, run):
        path = await run.extend(ask(problem), max_tokens=400, halt=after(10))
        assert (path.tokens, path.cut, path.done, path.stopped_by) == (10, True, False, "enough")
        return path

    result, events = virtual(attempt, Plan(plan), engine, "1k")
    assert result.usage.completion == engine.completion_tokens == 10
    assert result.stop == "finished", "it was the rule that ended it, and not the budget"
    assert [event.finish for event in events if event.kind == "extended"] == ["cancelled"]


def test_each_sample_has_a_rule_of_its_own():
    engine = Scripted(LONG)

    async def plan(problem, run):
        paths = await run.sample(ask(problem), 5, max_tokens=400, halt=after(7))
        assert [path.tokens for path in paths] == [7] * 5
        return paths[0]

    virtual(attempt, Plan(plan), engine, None)
    assert engine.completion_tokens == 35


@pytest.mark.parametrize(("tokens", "written"), [(1, 64), (64, 64), (65, 128), (150, 192), (10_000, 307)])
def test_an_engine_that_tells_nothing_while_it_writes_is_asked_for_chunks(tokens, written):
    engine = Scripted(LONG, without={"streams", "stoppable"})
    told = []

    async def plan(problem, run):
        path = await run.extend(ask(problem), max_tokens=308, halt=after(tokens))
        told.append(path)
        return path

    result, events = virtual(attempt, Plan(plan), engine, None)
    assert result.usage.completion == engine.completion_tokens == written == told[0].tokens
    assert len(told[0].segments) == -(-written // CHUNK)
    assert result.stop == "finished"
    assert told[0].stopped_by == ("enough" if tokens < 1000 else None)
    places = [event.place for event in events if event.kind == "extended"]
    assert places == [f"0.{i}" for i in range(len(places))]
    assert told[0].text == "".join(LONG)[: len(told[0].text)]


def test_a_rule_sees_the_likeliest_tokens_however_it_is_told():
    for without in (set(), {"stoppable"}, {"streams", "stoppable"}):
        seen = []

        async def plan(problem, run, seen=seen):
            def rule():
                return lambda delta: seen.extend(delta.top)

            return await run.extend(ask(problem), max_tokens=80, logprobs=3, halt=rule)

        result, _ = virtual(attempt, Plan(plan), Scripted(LONG, without=without), None)
        [path] = [c.path for c in result.choice.candidates]
        assert seen == [top for segment in path.segments for top in segment.top_logprobs]
        assert len(seen) == 80


@pytest.mark.parametrize("budget", [100, 2 * CHUNK])
def test_a_budget_that_ends_in_a_chunk_or_between_two_keeps_what_was_written(budget):
    engine = Scripted(LONG, without={"streams", "stoppable"})

    async def plan(problem, run):
        path = await run.extend(ask(problem), max_tokens=300, halt=after(1000))
        assert (path.tokens, path.cut) == (budget, True)
        return path

    result, _ = virtual(attempt, Plan(plan), engine, str(budget))
    assert (result.usage.completion, result.stop) == (budget, "budget")
    assert result.choice is not None, "the plan came to its end"


@pytest.mark.parametrize("how", [{"stop": ("42",)}, {"min_tokens": 5}])
def test_what_depends_on_the_whole_text_is_written_in_one_call(how):
    engine = Scripted(LONG, without={"streams", "stoppable"})

    async def plan(problem, run):
        return await run.extend(ask(problem), max_tokens=308, halt=after(1), **how)

    result, _ = virtual(attempt, Plan(plan), engine, None)
    assert result.usage.calls == 1
