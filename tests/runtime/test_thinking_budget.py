"""A thinking budget is kept by the engine or by hand, and counted either way."""

from dataclasses import replace
from typing import ClassVar

import pytest
from runtime.test_run import Plan
from support import attempt, virtual

from ponder import Sampling, UsageError
from ponder.core.events import Thought
from ponder.core.problem import Message
from ponder.engines.scripted import Scripted
from ponder.strategies import ChainOfThought, SelfConsistency
from ponder.thinking.markers import FAMILIES
from ponder.thinking.prompts import ask

THINK = FAMILIES["think"]
LONG = "<think>\n" + " ".join(f"{n} is odd or even," for n in range(20)) + "</think>\n\nThe answer is 42."


def script(prefix):
    text = prefix.text
    if text.endswith("Final Answer:"):
        return {" 42.": 1.0}
    return {"\n\nThe answer is 42." if text.endswith("</think>") else LONG: 1.0}


def thinker(**options):
    return Scripted(script, thinking=THINK, **options)


class Claims:
    """An engine that says it keeps to a thinking budget. Whether it does is another matter."""

    def __init__(self, engine, obeys):
        self.engine, self.obeys = engine, obeys
        self.capabilities = replace(engine.capabilities, can=engine.capabilities.can | {"thinking_budget"})
        self.asked = []

    def encode(self, text):
        return self.engine.encode(text)

    def count(self, prefix):
        return self.engine.count(prefix)

    async def extend(self, prefix, sampling, watch=None):
        self.asked.append(sampling.thinking)
        engine = Scripted({"<think>\nShort.</think> The answer is 42.": 1.0}) if self.obeys else self.engine
        return await engine.extend(prefix, sampling, watch)


def thought(events):
    return [e for e in events if isinstance(e, Thought)]


def test_by_hand_thinking_is_cut_closed_and_continued():
    result, events = virtual(attempt, ChainOfThought(thinking=10), thinker())
    [told] = thought(events)
    assert (told.most, told.tokens, told.obeyed) == (10, 10, True)
    assert result.text.startswith("<think>\n")
    assert result.text.endswith("\n</think>\nFinal Answer: 42.")
    assert (result.answer, result.overthought) == ("42", 0)
    assert told.path == result.choice.path.place


def test_thinking_that_ends_in_time_gets_the_delimiter_alone():
    result, events = virtual(attempt, ChainOfThought(thinking=400), thinker())
    assert result.text == LONG
    assert thought(events)[0].obeyed


@pytest.mark.parametrize("budget", ["10", "calls=1"])
def test_thinking_that_was_paid_for_is_kept_where_its_answer_cannot_be(budget):
    async def solve(problem, run):
        path = await run.extend(ask(problem), thinking=10)
        assert (path.tokens, path.cut, path.done) == (10, True, False)
        return path

    result, events = virtual(attempt, Plan(solve), thinker(), budget)
    assert (result.usage.completion, result.stop, result.answer) == (10, "budget", None)
    [told] = thought(events)
    assert (told.tokens, told.path) == (10, result.choice.path.place)


def test_no_thinking_at_all():
    result, events = virtual(attempt, ChainOfThought(thinking=0), thinker())
    assert result.text == "<think>\n</think>\nFinal Answer: 42."
    assert thought(events)[0].tokens == 0
    assert result.answer == "42"


@pytest.mark.parametrize("obeys", [True, False])
def test_a_server_is_asked_and_what_it_does_is_reported(obeys):
    engine = Claims(thinker(), obeys)
    result, events = virtual(attempt, ChainOfThought(thinking=10), engine)
    assert engine.asked == [10]
    assert [t.obeyed for t in thought(events)] == [obeys]
    assert result.overthought == (not obeys)
    assert result.answer == "42"


def test_an_engine_that_cannot_continue_is_asked_once_and_counted():
    result, events = virtual(attempt, ChainOfThought(thinking=10), thinker(without={"continue"}))
    assert result.usage.calls == 1
    assert [t.obeyed for t in thought(events)] == [False]


def test_a_model_without_thinking_tokens_has_none_to_count():
    result, events = virtual(attempt, ChainOfThought(thinking=10), Scripted.solver(1.0))
    assert (result.answer, result.usage.calls) == ("42", 1)
    assert thought(events)[0].tokens == 0


@pytest.mark.parametrize("budget", ["5", "12", "40", "calls=1", "calls=3", None])
def test_samples_keep_it_each_and_no_budget_is_overrun(budget):
    engine = thinker()
    result, events = virtual(attempt, SelfConsistency(n=4, thinking=10), engine, budget)
    assert result.usage.completion == engine.completion_tokens
    assert budget is None or not budget.isdigit() or result.usage.completion <= int(budget)
    assert all(t.obeyed for t in thought(events))
    if budget is None:
        assert len(thought(events)) == 4
        assert result.answer == "42"


class Apart:
    """A server that keeps its reasoning out of the text."""

    capabilities: ClassVar = replace(thinker(without={"continue"}).capabilities)

    async def extend(self, prefix, sampling, watch=None):
        segment = await Scripted({"The answer is 42.": 1.0}).extend(prefix, sampling)
        message = Message("assistant", segment.text, {"reasoning": "x" * 3 * len(segment.text)})
        return replace(segment, payload=message, usage=replace(segment.usage, completion=100))


def test_reasoning_told_apart_is_counted_by_its_share():
    _, events = virtual(attempt, ChainOfThought(thinking=10), Apart())
    [told] = thought(events)
    assert 60 < told.tokens < 80
    assert not told.obeyed


def test_an_effort_is_a_share_that_leaves_room_for_an_answer():
    assert Sampling(max_tokens=1000, thinking="low").thinking_tokens == 200
    assert Sampling(max_tokens=1000, thinking="xhigh").thinking_tokens == 880
    assert Sampling(max_tokens=10_000, thinking="xhigh").thinking_tokens == 9488
    assert Sampling(max_tokens=100, thinking="none").thinking_tokens == 0
    assert Sampling(max_tokens=100, thinking=5000).thinking_tokens == 88
    assert Sampling().thinking_tokens is None
    for wrong in (-1, "lots"):
        with pytest.raises(UsageError):
            Sampling(thinking=wrong)
