"""Answers that are to keep to a JSON schema, whatever a strategy writes."""

import json
from dataclasses import replace
from functools import partial

import pytest
from support import QUESTION, Forms, attempt, virtual

from ponder import EngineError, UsageError
from ponder.core.calls import Budget
from ponder.core.protocols import Form
from ponder.engines.scripted import Scripted
from ponder.runtime.forming import share
from ponder.thinking.prompts import ask

SCHEMA = {"type": "object", "properties": {"left": {"type": "integer"}}, "required": ["left"]}
JSON = replace(
    QUESTION, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
)


def solved(strategy, script, budget=None, *, problem=JSON, **options):
    engine = script if hasattr(script, "extend") else Scripted(script, **options)
    return virtual(partial(attempt, problem=problem, forms=Forms()), strategy, engine, budget)


def told(prefix):
    return "JSON schema" in prefix.prompt.messages[-1].text


def words_then_json(prefix):
    return {'{"left": 29}': 1.0} if told(prefix) else {"Twelve.\n\nThe rest is 29.": 1.0}


def words_then_json_at_once(prefix):
    return {'{"left": 29}': 1.0} if prefix.prompt.response_format else {"so " * 500: 1.0}


def test_only_values_that_keep_to_the_schema_are_votes():
    shares = {'{"left": "many"}': 0.6, '{"left": 29}': 0.3, "I do not know.": 0.1}
    result, events = solved("self-consistency:n=16", shares)
    assert json.loads(result.answer) == {"left": 29}
    assert result.choice.votes == ((result.answer, result.choice.votes[0][1]),)
    assert result.form == Form(kept=True)
    answered = [one for event in events if event.kind == "answered" for one in event.answers]
    assert {answer for _, answer, _ in answered} == {None, '{"left":29}'}


def test_what_does_not_keep_to_it_is_written_once_more_in_its_form():
    result, events = solved("chain-of-thought", words_then_json)
    first, second = [event for event in events if event.kind == "extended"]
    assert (result.answer, result.form) == ('{"left":29}', Form(kept=True, again=True))
    assert (first.text, second.text) == ("Twelve.\n\nThe rest is 29.", '{"left": 29}')
    assert second.parent == first.place, "the trace hangs it there"
    assert result.usage.calls == 2
    assert result.stop == "finished"
    asked = result.prompt.messages
    assert [m.role for m in asked[-2:]] == ["assistant", "user"]
    assert asked[-2].text == first.text
    assert json.dumps(SCHEMA) in asked[-1].text
    assert result.prompt.response_format == JSON.response_format


def test_a_part_of_the_budget_is_kept_for_that():
    result, events = solved(
        "chain-of-thought", lambda p: {'{"left": 29}' if told(p) else "so " * 500: 1.0}, "100"
    )
    assert (result.answer, result.stop) == ('{"left":29}', "budget")
    assert result.usage.completion <= 100
    assert next(event.usage.completion for event in events if event.kind == "extended") == 88


@pytest.mark.parametrize(
    ("limit", "kept"),
    [("100", "88"), ("16k", "15872"), ("0", "0"), ("calls=1", "calls=1"), ("calls=4", "calls=3"),
     ("total=1000", "total=880"), ("100s", "88s"), ("1h", "3540s"), ("$1", "$0.88")],
)  # fmt: skip
def test_how_much(limit, kept):
    assert share(Budget.parse(limit), 128) == (Budget.parse(kept) if limit != "16k" else Budget(tokens=15872))


def test_where_nothing_pays_for_it_the_answer_is_marked():
    result, _ = solved("chain-of-thought", words_then_json, "3")
    assert (result.answer, result.stop) == (None, "budget")
    assert result.form == Form(kept=False, why="it was cut off")
    result, _ = solved("chain-of-thought", words_then_json, "calls=1")
    assert (result.answer, result.stop, result.form.why) == (None, "budget", "it holds no JSON")
    assert result.text == "Twelve.\n\nThe rest is 29."


def test_where_the_budget_ends_before_anything_what_was_kept_pays_for_an_answer():
    class Wasteful:
        name, paper, needs = "wasteful", "", frozenset()

        async def solve(self, problem, run):
            while True:
                await run.extend(ask(problem), max_tokens=60, stop=("!",))

    result, _ = solved(Wasteful(), words_then_json_at_once, "100")
    assert (result.answer, result.stop, result.form) == ('{"left":29}', "budget", Form(kept=True, again=True))


def test_a_model_that_never_writes_it_is_told_of_and_asked_once():
    result, events = solved("chain-of-thought", {"The answer is 29.": 1.0})
    assert (result.answer, result.stop) == (None, "finished")
    assert result.form == Form(kept=False, again=True, why="it holds no JSON")
    assert sum(event.kind == "extended" for event in events) == 2
    result, _ = solved("chain-of-thought", {'{"left": "29"}': 1.0})
    assert result.form.why == 'at left: "29" is not of type "integer"'


def test_the_next_best_that_keeps_to_it_is_better_than_one_that_does_not():
    """The longer of two is selected, is no JSON, and nothing pays for writing it anew."""
    shares = {"I think it is twenty-nine, all in all.": 0.5, '{"left": 29}': 0.5}
    result, _ = solved("best-of-n:n=8,scorer=mean-logprob", shares, "calls=9", seed=3)
    assert result.form.kept
    assert result.answer == '{"left":29}'


def test_if_that_call_fails_the_choice_stands_and_is_marked():
    class Failing(Scripted):
        async def extend(self, prefix, sampling, watch=None):
            if told(prefix):
                raise EngineError("The server hung up.")
            return await super().extend(prefix, sampling, watch)

    result, _ = solved("chain-of-thought", Failing(words_then_json))
    assert (result.answer, result.stop, result.failed) == (None, "degraded", 1)
    assert result.form == Form(kept=False, why="it holds no JSON")


def test_nothing_is_shown_before_it_is_known_to_keep_to_it():
    shown = []
    engine = Scripted(words_then_json)
    how = partial(attempt, problem=JSON, forms=Forms(), live=[lambda event: shown.append(event.visible)])
    virtual(how, "chain-of-thought", engine)
    assert shown
    assert not any(shown)


def test_a_call_of_a_tool_has_no_form():
    tool = {"type": "function", "function": {"name": "count", "parameters": {"type": "object"}}}
    problem = replace(JSON, tools=(tool,))
    result, _ = solved("self-consistency:n=3", {'{"name": "count", "arguments": {}}': 1.0}, problem=problem)
    assert json.loads(result.answer)["name"] == "count"
    assert (result.form, result.usage.calls) == (None, 3)


def test_any_object_is_json():
    problem = replace(QUESTION, response_format={"type": "json_object"})
    assert solved("direct", {'Here:\n{"a": [1]}': 1.0}, problem=problem)[0].answer == '{"a":[1]}'
    assert solved("direct", {"[1]": 1.0}, problem=problem)[0].form.why == '[1] is not of type "object"'
    assert (
        solved("direct", {"42": 1.0}, problem=replace(QUESTION, response_format={"type": "text"}))[0].form
        is None
    )


def test_what_is_no_schema_is_refused_before_anything_is_asked():
    problem = replace(
        QUESTION, response_format={"type": "json_schema", "json_schema": {"schema": {"type": "no"}}}
    )
    engine = Scripted({"{}": 1.0})
    with pytest.raises(UsageError):
        solved("direct", engine, problem=problem)
    assert engine.calls == 0


def test_an_answer_that_is_late_is_marked():
    """What was written by the deadline is what there is."""
    result, _ = solved(
        "self-consistency:n=2", words_then_json, "10s", delay=lambda p, rng: 60 if told(p) else 0
    )
    assert result.stop == "deadline"
    assert result.form is not None
    assert not result.form.kept
