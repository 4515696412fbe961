"""The official client against a gateway in front of an engine, and in front of a server."""

import json

import openai
import pytest
from gateways import client, in_front_of, listening
from serving import run

from ponder.engines.scripted import Scripted

ASK = [{"role": "user", "content": "What is 6 * 7?"}]
TEXT = "Let me think. The answer is {answer}."


def solver(p=1.0, **options):
    return Scripted.solver(p, text=TEXT, name="solver", **options)


def test_a_plain_answer():
    async def job():
        async with listening(solver()) as (_, url), client(url) as ask:
            return await ask.chat.completions.with_raw_response.create(model="solver", messages=ASK)

    raw = run(job)
    got = raw.parse()
    assert got.choices[0].message.content == "Let me think. The answer is 42."
    assert got.choices[0].finish_reason == "stop"
    assert got.object == "chat.completion"
    assert got.model == "solver"
    assert got.usage.total_tokens == got.usage.prompt_tokens + got.usage.completion_tokens
    assert got.usage.completion_tokens_details.reasoning_tokens == 0
    assert got.ponder["strategy"] == "none"
    assert got.ponder["stop"] == "answered"
    assert raw.headers["x-request-id"] == got.ponder["trace_id"]
    assert raw.headers["x-ponder-strategy"] == "none"


def test_a_vote_counts_every_token_and_the_prompt_once():
    engine = solver(0.9)

    async def job():
        async with listening(engine) as (it, url), client(url) as ask:
            got = await ask.chat.completions.create(
                model="solver", messages=ASK, seed=1, extra_body={"ponder": {"strategy": "vote4"}}
            )
            return it, got

    it, got = run(job)
    assert got.choices[0].message.content == "Let me think. The answer is 42."
    assert got.usage.completion_tokens == engine.completion_tokens
    assert got.ponder["usage"]["completion_tokens_billed"] == engine.completion_tokens
    assert got.ponder["usage"]["prompt_tokens_billed"] == 4 * got.usage.prompt_tokens
    visible = engine.completion_tokens - got.usage.completion_tokens_details.reasoning_tokens
    assert visible == engine.completion_tokens // 4
    assert got.ponder["samples"] == {"planned": 4, "finished": 4, "failed": 0, "cancelled": 0}
    assert got.ponder["vote"]["answer"] == "42"
    assert got.ponder["preset"] == "vote4"
    assert it.callers.ledger.spent.completion == engine.completion_tokens


@pytest.mark.parametrize("mode", ["openai", "billed"])
@pytest.mark.parametrize(
    "strategy",
    [
        "chain-of-thought",
        "sc:n=3",
        "best-of-n:n=2,scorer=(judge)",
        "beam-search:scorer=(judge)",
        "self-refine",
    ],
)
def test_usage_is_what_the_server_counted_over_all_branches(strategy, mode):
    """The prompt once or as often as it was read, all completion tokens, judges' too."""

    async def job():
        tables = {"gateway": {"usage_mode": mode}}
        async with in_front_of("vllm", tables=tables) as (_, url, mock), client(url) as ask:
            more = {"model": "front", "messages": ASK, "extra_body": {"ponder": {"strategy": strategy}}}
            more["seed"] = 1  # so that each sample is a request of its own
            whole = await ask.chat.completions.create(**more)
            first = mock.counters.prompt_tokens, mock.counters.completion_tokens
            mock.counters.__init__()
            usage = {"include_usage": True}
            stream = await ask.chat.completions.create(**more, stream=True, stream_options=usage)
            chunks = [chunk async for chunk in stream]
            return whole, first, chunks, (mock.counters.prompt_tokens, mock.counters.completion_tokens)

    whole, first, chunks, second = run(job)
    receipt = next(chunk.ponder for chunk in reversed(chunks) if getattr(chunk, "ponder", None))
    for usage, told, (prompt, completion) in (
        (whole.usage, whole.ponder, first),
        (chunks[-1].usage, receipt, second),
    ):
        assert told["usage"]["prompt_tokens_billed"] == prompt
        assert told["usage"]["completion_tokens_billed"] == usage.completion_tokens == completion
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
        assert (usage.prompt_tokens == prompt) if mode == "billed" else (0 < usage.prompt_tokens <= prompt)
        assert 0 < completion - usage.completion_tokens_details.reasoning_tokens <= completion
        assert not told["usage"]["estimated"]


@pytest.mark.parametrize(
    ("model", "ponder"), [("solver", {"strategy": "none"}), ("solver@think", {}), ("solver@vote4", {})]
)
def test_streams_say_what_whole_answers_say(model, ponder):
    async def job():
        async with listening(solver()) as (_, url), client(url) as ask:
            more = {"model": model, "messages": ASK, "seed": 3, "extra_body": {"ponder": ponder}}
            whole = await ask.chat.completions.create(**more)
            stream = await ask.chat.completions.create(
                **more, stream=True, stream_options={"include_usage": True}
            )
            return whole, [chunk async for chunk in stream]

    whole, chunks = run(job)
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    finish = [c.choices[0].finish_reason for c in chunks if c.choices]
    assert [f for f in finish if f] == ["stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert chunks[-2].ponder["stop"] == "answered"
    assert {c.id for c in chunks} == {chunks[0].id}


def test_what_is_visible_comes_while_it_is_written():
    async def job():
        async with listening(solver(delay=0.005)) as (_, url), client(url) as ask:
            stream = await ask.chat.completions.create(model="solver@think", messages=ASK, stream=True)
            return [c.choices[0].delta.content async for c in stream if c.choices]

    pieces = [piece for piece in run(job) if piece]
    assert "".join(pieces) == "Let me think. The answer is 42."
    assert len(pieces) > 3, "not one piece at the end"


def test_the_synchronous_client():
    async def job():
        import asyncio

        async with listening(solver()) as (_, url):

            def ask():
                with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as it:
                    whole = it.chat.completions.create(model="solver", messages=ASK)
                    with it.chat.completions.create(
                        model="solver@vote4", messages=ASK, stream=True
                    ) as stream:
                        pieces = [c.choices[0].delta.content or "" for c in stream if c.choices]
                    return whole.choices[0].message.content, "".join(pieces), [m.id for m in it.models.list()]

            return await asyncio.to_thread(ask)

    whole, streamed, models = run(job)
    assert whole == streamed == "Let me think. The answer is 42."
    assert models == ["solver", "solver@vote4", "solver@think", "solver@many"]


def test_more_choices_are_the_next_best_answers():
    async def job():
        async with listening(solver(0.5)) as (_, url), client(url) as ask:
            got = await ask.chat.completions.create(
                model="solver",
                messages=ASK,
                n=2,
                seed=2,
                extra_body={"ponder": {"strategy": "sc", "params": {"n": 16}}},
            )
            with pytest.raises(openai.BadRequestError) as one:
                await ask.chat.completions.create(model="solver@think", messages=ASK, n=2)
            plain = await ask.chat.completions.create(model="solver", messages=ASK, n=3)
            stream = await ask.chat.completions.create(
                model="solver",
                messages=ASK,
                n=2,
                seed=2,
                stream=True,
                extra_body={"ponder": {"strategy": "sc", "params": {"n": 16}}},
            )
            return got, one.value, plain, [chunk async for chunk in stream]

    got, refused, plain, chunks = run(job)
    written = ["", ""]
    for choice in (choice for chunk in chunks for choice in chunk.choices):
        written[choice.index] += choice.delta.content or ""
    assert written == [choice.message.content for choice in got.choices], "a stream has the same choices"
    texts = [choice.message.content for choice in got.choices]
    assert texts[0] == "Let me think. The answer is 42."
    assert len(set(texts)) == 2
    assert [choice.index for choice in got.choices] == [0, 1]
    assert refused.code == "unsupported_parameter"
    assert refused.param == "n"
    assert "self-consistency" in refused.message
    assert len(plain.choices) == 3


@pytest.mark.parametrize("stream", [False, True])
def test_the_whole_trace_comes_with_the_answer_where_it_is_asked_for(stream):
    engine = solver(0.7)

    async def job():
        async with listening(engine) as (_, url), client(url) as ask:
            got = await ask.chat.completions.create(
                model="solver@vote4",
                messages=ASK,
                stream=stream,
                extra_body={"ponder": {"return": "trace"}},
            )
            return (await _last(got)) if stream else got.ponder

    trace = run(job)["trace"]
    assert (trace[0]["kind"], trace[-1]["kind"]) == ("started", "finished")
    written = [event for event in trace if event["kind"] == "extended"]
    assert len(written) == 4
    assert sum(event["usage"]["completion"] for event in written) == engine.completion_tokens
    assert all(event["text"].startswith("Let me think.") for event in written)


async def _last(stream):
    return [chunk async for chunk in stream][-1].ponder


TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def test_votes_are_taken_on_tool_calls():
    call = '<tool_call>\n{{"name": "weather", "arguments": {{"city": {city}}}}}\n</tool_call>'
    texts = {
        call.format(city='"Oslo"'): 0.4,
        call.format(city=' "Oslo" '): 0.3,
        call.format(city='"Rome"'): 0.3,
    }

    async def job():
        async with listening(Scripted(texts, name="caller")) as (_, url), client(url) as ask:
            more = {"model": "caller", "messages": ASK, "tools": [TOOL], "seed": 1}
            more["extra_body"] = {"ponder": {"strategy": "majority", "params": {"n": 16}}}
            got = await ask.chat.completions.create(**more)
            stream = await ask.chat.completions.create(**more, stream=True)
            return got, [chunk async for chunk in stream]

    got, chunks = run(job)
    [choice] = got.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    [made] = choice.message.tool_calls
    assert made.function.name == "weather"
    assert json.loads(made.function.arguments) == {"city": "Oslo"}
    assert json.loads(got.ponder["vote"]["answer"])["arguments"] == {"city": "Oslo"}
    assert got.ponder["vote"]["share"] > 0.5, "equal calls are one answer, however they are written"
    [streamed] = [
        c.choices[0].delta.tool_calls for c in chunks if c.choices and c.choices[0].delta.tool_calls
    ]
    assert streamed[0].function.name == "weather"


def test_votes_are_taken_on_json_values():
    texts = {'{"a": 1, "b": 2}': 0.3, '```json\n{"b": 2.0, "a": 1}\n```': 0.3, '{"a": 7}': 0.4}
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}

    async def job():
        async with listening(Scripted(texts, name="writer")) as (_, url), client(url) as ask:
            return await ask.chat.completions.create(
                model="writer", messages=ASK, response_format=schema, seed=1,
                extra_body={"ponder": {"strategy": "majority", "params": {"n": 32}}},
            )  # fmt: skip

    got = run(job)
    assert json.loads(got.choices[0].message.content) == {"a": 1, "b": 2}
    assert got.ponder["vote"]["share"] > 0.5


@pytest.mark.parametrize(
    ("more", "error", "code", "says"),
    [
        ({"model": "solvr"}, openai.NotFoundError, "model_not_found", "Did you mean solver"),
        ({"model": "solver@vot4"}, openai.BadRequestError, "invalid_ponder_param", "Did you mean vote4"),
        ({"extra_body": {"ponder": {"strateg": 1}}}, openai.BadRequestError, "invalid_ponder_param", "Did you mean strategy"),
        (
            {"extra_body": {"ponder": {"strategy": "majority", "params": {"nn": 4}}}},
            openai.BadRequestError, "invalid_ponder_param", "Did you mean n",
        ),
        (
            {"extra_body": {"ponder": {"strategy": "majority", "params": {"n": 4000}}}},
            openai.BadRequestError, "invalid_ponder_param", "at most 256",
        ),
        ({"extra_body": {"ponder": {"budget_tokens": 10**9}}}, openai.BadRequestError, "invalid_ponder_param", "at most"),
        ({"max_tokens": 3, "max_completion_tokens": 4}, openai.BadRequestError, "invalid_value", "differ"),
        ({"n": 17}, openai.BadRequestError, "invalid_value", "at most 16"),
        ({"model": "solver@vote4", "stop": "x"}, openai.BadRequestError, "unsupported_parameter", "does not take stop"),
        ({"messages": []}, openai.BadRequestError, "invalid_value", "at least one"),
        ({"messages": [{"role": "wizard", "content": ""}]}, openai.BadRequestError, "invalid_value", "needs a role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.b/c.png"}}]}]},
            openai.BadRequestError, "unsupported_parameter", "fetches none",
        ),
        (
            {"extra_body": {"ponder": {"strategy": "majority", "budget_tokens": 1, "on_exhausted": "error"}}},
            openai.RateLimitError, "budget_exhausted", "budget",
        ),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_said_before_anything_is_spent(more, error, code, says):
    engine = solver()

    async def job():
        async with listening(engine) as (_, url), client(url) as ask:
            with pytest.raises(error) as caught:
                await ask.chat.completions.create(**{"model": "solver", "messages": ASK, **more})
            return caught.value

    refused = run(job)
    assert refused.code == code
    assert says in refused.message
    assert engine.completion_tokens <= 1


def test_inline_images_and_turns_reach_a_server_under_a_strategy():
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    turns = [
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": [{"type": "text", "text": "What is 6 * 7?"}, picture]},
    ]

    async def job():
        async with in_front_of("openai", solver(), pace=0.0) as (_, url, mock), client(url) as ask:
            got = await ask.chat.completions.create(model="front@vote4", messages=turns)
            return got, mock.counters

    got, counters = run(job)
    assert got.choices[0].message.content == "Let me think. The answer is 42."
    assert (counters.finished, counters.requests) == (1, 1), "the four samples are one request"
