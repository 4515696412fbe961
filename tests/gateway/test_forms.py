"""A client that asks for JSON of a schema gets it, or is told that it did not: over HTTP, in front of mock servers."""

import json

import openai
import pytest
from gateways import ASK, client, in_front_of
from serving import DIALECTS, run

from ponder.engines.scripted import Scripted

SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "integer"}},
    "required": ["answer"],
    "additionalProperties": False,
}
FORM = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}}
WORDS = "Six sevens.\n\nThe answer is 42."


def held(prefix):
    """A server that holds whole texts to a schema, and writes words otherwise."""
    prompt = prefix.prompt
    assert prompt.response_format is None or not prefix.text
    return {'{"answer": 42}' if prompt.response_format else WORDS: 1.0}


def loose(prefix):
    """One that never does."""
    return {WORDS: 1.0}


def asked(strategy, script=held, dialect="vllm", *, ask=ASK, **more):
    """(the answer or the error, the bodies that the server got)."""

    async def job():
        async with in_front_of(dialect, Scripted(script)) as (_, url, mock), client(url) as it:
            ponder = {"strategy": strategy, **more.pop("ponder", {})}
            body = {"response_format": FORM, "extra_body": {"ponder": ponder}, **more}
            try:
                got = await it.chat.completions.create(model="front", messages=ask, **body)
                if more.get("stream"):
                    return [chunk async for chunk in got], mock
            except openai.APIError as error:
                return error, mock
            return got, mock

    return run(job)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "strategy", ["self-consistency:n=3", "zero-shot-cot", "beam-search:n=2,width=2", "mcts"]
)
def test_every_kind_of_strategy_answers_in_the_form(strategy, dialect):
    if dialect == "openai" and strategy != "self-consistency:n=3":
        got, _ = asked(strategy, dialect=dialect)
        assert got.code == "unsupported_parameter", "it cannot go on with a text"
        return
    got, mock = asked(strategy, dialect=dialect)
    [choice] = got.choices
    assert json.loads(choice.message.content) == {"answer": 42}
    assert choice.finish_reason == "stop"
    assert got.ponder["schema"] == {"kept": True, "rewritten": strategy != "self-consistency:n=3"}
    assert got.ponder["usage"]["completion_tokens_billed"] == got.usage.completion_tokens
    assert 0 < got.usage.completion_tokens <= mock.counters.completion_tokens


def test_a_stream_shows_only_what_keeps_to_it():
    chunks, _ = asked("budget-forcing", stream=True)
    said = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert json.loads("".join(filter(None, said))) == {"answer": 42}
    assert chunks[-1].ponder["schema"] == {"kept": True, "rewritten": True}


@pytest.mark.parametrize("stream", [False, True])
def test_a_server_that_keeps_to_no_schema_is_told_of_and_broken_json_is_not_sent(stream):
    error, mock = asked("self-consistency:n=3", loose, stream=stream)
    assert error.code == "schema_not_kept"
    assert "holds no JSON" in str(error)
    assert mock.counters.requests == (4 if stream else 2), "the three in one or three, and once more"
    if not stream:
        assert error.status_code == 502
        assert error.response.headers["x-should-retry"] == "false", "tokens were spent"


def test_where_the_budget_ends_first_the_answer_says_that_it_was_cut():
    """As OpenAI's own answers do; its client's `parse` raises on that."""
    got, _ = asked("beam-search:n=2,width=2", ponder={"budget_tokens": 6})
    assert got.choices[0].finish_reason == "length"
    assert got.ponder["stop"] == "budget"
    assert not got.ponder["schema"]["kept"]
    assert got.ponder["schema"]["why"]
    error, _ = asked("beam-search:n=2,width=2", ponder={"budget_tokens": 6, "on_exhausted": "error"})
    assert error.code == "budget_exhausted"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("schema", [{"type": "no"}, {"$ref": "http://127.0.0.1:9/"}], ids=str)
def test_what_is_no_schema_is_refused_before_anything_is_asked(schema, stream):
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    error, mock = asked("direct", response_format=form, stream=stream)
    assert (error.status_code, error.code) == (400, "invalid_value")
    assert "JSON schema cannot be used" in str(error)
    assert mock.counters.requests == 0


def test_none_passes_on_what_the_server_says():
    got, _ = asked("none", loose)
    assert got.choices[0].message.content == WORDS
    assert not hasattr(got, "ponder"), "it is the server's own answer"


def test_several_choices_all_keep_to_it():
    def script(prefix):
        return {'{"answer": 41}': 0.3, '{"answer": 42}': 0.4, '{"answer": "43"}': 0.3}

    got, _ = asked("self-consistency:n=16", script, n=2)
    assert sorted(json.loads(c.message.content)["answer"] for c in got.choices) == [41, 42]


def test_the_rewriting_is_in_the_trace():
    got, _ = asked("beam-search:n=2,width=2", ponder={"return": "trace"})
    events = got.ponder["trace"]
    last = [event for event in events if event["kind"] == "extended"][-1]
    assert json.loads(last["text"]) == {"answer": 42}
    assert next(event for event in events if event["kind"] == "delegated")["strategy"].startswith(
        "beam-search"
    )
