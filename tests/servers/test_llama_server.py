"""A real llama-server: the one in xllamacpp, in this process, on a real socket."""

import json
import re
from dataclasses import replace

import aiohttp
import pytest
from serving import run
from support import attempt

from ponder.core.calls import Sampling, SwitchPenalty
from ponder.core.events import Extended
from ponder.core.markers import Markers
from ponder.core.prefix import Prefix, Prompt
from ponder.core.problem import Message
from ponder.engines import laws
from ponder.engines.layers import Penalising
from ponder.engines.scripted import Scripted
from ponder.engines.servers.engine import Server
from ponder.engines.servers.link import Link
from ponder.engines.servers.probe import probe
from ponder.mock.server import Mock
from ponder.thinking.markers import thought

# It may be alone with this machine, or not.
pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def url(smollm2):
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(smollm2)
    params.n_ctx, params.n_parallel, params.port = 4096, 4, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.hostnames = ["127.0.0.1"]
    server = xllamacpp.Server(params)
    yield server.listening_address
    del server


@pytest.fixture(scope="module")
def found(url):
    return run(probe, Link(url))


def on(found, job):
    async def main():
        return await job(Server(Link(found.url), found))

    return run(main)


def test_what_is_found_is_what_it_does_and_it_keeps_the_laws(found, monkeypatch):
    async def job(server):
        assert (found.dialect, found.wire, found.raw) == ("llama-server", "native", "native")
        assert {"continue", "token_ids", "logprobs", "top_logprobs", "logit_bias", "streams"} <= found.can
        assert "stop_ids" in found.can, "looked for here, and held off in a request of their own"
        assert not found.keeps_stop
        assert found.counts
        assert found.context == 1024
        # Its logits differ a little with what else is in the batch. The law of unicode is looked at below.
        monkeypatch.setattr(laws, "LAWS", [law for law in laws.LAWS if law.name not in ("unicode", "seeds")])
        return await laws.check_engine(server, prompts=laws.CHAT[:1], tokens=12, exact=False, tolerance=0.1)

    report = on(found, job)
    assert "checked: continuing" in report
    assert "checked: stop strings" in report


def test_characters_of_several_tokens_keep_their_ids(found):
    """llama-server tells only the last token of a character; the others are asked for."""

    async def job(server):
        prefix = Prefix(Prompt(raw="Repeat: 😀👩‍🔬 naïve 你好\nRepeat:"))
        segments = [
            await server.extend(prefix, Sampling(max_tokens=n, temperature=0.0, logprobs=0))
            for n in (1, 2, 3, 10, 11)
        ]
        chat = Prefix(Prompt((Message("user", "Say it."),)))
        more = await server.extend(chat + segments[-1], Sampling(max_tokens=4, temperature=0.0))
        return segments, more

    segments, more = on(found, job)
    last = next(segment for segment in reversed(segments) if segment.token_ids is not None)
    assert not last.text.isascii()
    assert last.usage.completion == len(last.token_ids) > 3
    assert last.ends[-1] == len(last.text)
    assert 0 < len(last.logprobs) < last.usage.completion, (
        "of the others it tells none, and a mean needs not all"
    )
    for segment in segments:
        assert segments[-1].text.startswith(segment.text)
        # Cut off within a character, it has no ids: the server does not tell them.
        if segment.token_ids is not None:
            assert last.token_ids[: len(segment.token_ids)] == segment.token_ids[: len(last.token_ids)]
    assert any(segment.token_ids is None for segment in segments)
    assert more.usage.completion > 0


ASK = Prefix(Prompt((Message("user", "What is 6 * 7?"),)))


def test_a_switch_penalty_holds_for_as_long_as_it_should(found):
    """Greedy, and so heavy that the penalised token cannot come while it holds."""

    async def job(server):
        free = await server.extend(ASK, Sampling(max_tokens=12, temperature=0.0))
        token = free.token_ids[5]
        young = free.token_ids.index(token)
        told = []
        for beta in (young, 12):
            how = Sampling(
                max_tokens=12, temperature=0.0, switch_penalty=SwitchPenalty((token,), 100.0, beta)
            )
            told.append(await Penalising(server).extend(ASK, how))
        return free, token, young, told

    free, token, young, (over, held) = on(found, job)
    assert over.token_ids == free.token_ids, "by then the thought was old enough"
    assert held.token_ids[:young] == free.token_ids[:young]
    assert token not in held.token_ids
    assert (held.finish, held.usage.completion, held.usage.calls) == ("length", 12, 1)


def test_budget_forcing_and_tip(found):
    async def job(server):
        engine = Penalising(server)
        forced = await attempt("budget-forcing:waits=2,max_thinking=60,max_answer=16", engine)
        return forced, await attempt("tip:beta=30,max_thinking=40,max_answer=16", engine)

    (forced, events), (tip, parts) = on(found, job)
    calls = [e for e in events if isinstance(e, Extended)]
    assert forced.usage.completion == sum(e.usage.completion for e in calls) <= 76
    assert sum(e.written.startswith("Wait") for e in calls) == len(calls) - 2 >= 1
    assert all(e.token_ids is not None for e in calls)
    assert forced.text.count("Final Answer:") == tip.text.count("Final Answer:") == 1
    assert tip.usage.completion == sum(e.usage.completion for e in parts if isinstance(e, Extended)) <= 56


def test_its_thinking_budget_closes_what_was_opened(found):
    """No small model thinks, but this one repeats a tag. (Of a tag in the prompt this server knows nothing, whatever it
    is told; then a probe finds that a budget is ignored, and it is kept by continuing.)
    """
    markers = Markers("<think>\n", "</think>")
    told = replace(found, markers=markers, asks="cap", can=found.can | {"thinking_budget"})

    async def job(_):
        server = Server(Link(found.url), told)
        asked = Prefix(Prompt(raw="Question: What is 6 * 7?\n<think>\n"))
        return [
            await server.extend(asked, Sampling(max_tokens=40, temperature=0.0, thinking=most))
            for most in (None, 10, 0)
        ]

    free, *capped = on(found, job)
    assert free.text.startswith("<think>")
    assert "</think>" not in free.text
    assert [thought([segment], markers) for segment in capped] == [10, 0]
    assert all("</think>" in segment.text for segment in capped)


ASKED = {"messages": [{"role": "user", "content": "What is 6 * 7?"}], "max_tokens": 3}
RAW = {"prompt": "1 2 3", "n_predict": 3}
SAID = [
    ("/v1/chat/completions", ASKED),
    ("/v1/chat/completions", ASKED | {"logprobs": True, "top_logprobs": 2}),
    ("/v1/chat/completions", ASKED | {"stream": True}),
    ("/v1/chat/completions", ASKED | {"stream": True, "stream_options": {"include_usage": True}}),
    ("/v1/chat/completions", ASKED | {"stream": True, "logprobs": True, "top_logprobs": 1}),
    ("/v1/chat/completions", ASKED | {"n": 2}),
    ("/v1/chat/completions", ASKED | {"messages": "x"}),
    ("/v1/chat/completions", ASKED | {"messages": [{"role": "user", "content": "word " * 2000}]}),
    ("/v1/completions", {"prompt": "1 2 3", "max_tokens": 3}),
    ("/v1/completions", {"prompt": "1 2 3", "max_tokens": 3, "stream": True, "logprobs": 2}),
    ("/completion", RAW),
    ("/completion", RAW | {"n_probs": 2, "return_tokens": True}),
    ("/completion", RAW | {"n_probs": 2, "return_tokens": True, "stream": True}),
    ("/tokenize", {"content": "hi there", "with_pieces": True}),
    ("/detokenize", {"tokens": [1, 2]}),
    ("/apply-template", {"messages": ASKED["messages"]}),
]
UNREAD = re.compile(r"\.(generation_settings|prompt|model|id_slot)\b.*")
"""What nobody here reads, of llama-server's own interface: the mock tells it in part."""


def shape(value, at=""):
    """The names of all fields, and the types of what they hold."""
    if isinstance(value, dict):
        return {at + ".{}"} if not value else set().union(*(shape(v, f"{at}.{k}") for k, v in value.items()))
    if isinstance(value, list):
        return set().union({at + "[]"}, *(shape(v, at + "[]") for v in value))
    return {f"{at}: {type(value).__name__}"}


async def shapes(base):
    """(status, shape) of what a server says to each request, keepalives aside."""
    told = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        for path, body in SAID:
            async with session.post(base + path, json=body) as answer:
                text = await answer.text()
                lines = [
                    line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {")
                ]
                said = [json.loads(line) for line in lines] if body.get("stream") else json.loads(text)
                told.append((answer.status, {it for it in shape(said) if not UNREAD.search(it)}))
    return told


def test_the_mock_server_says_what_the_real_one_says(url):
    async def job():
        async with Mock(Scripted.solver(1.0), "llama-server", context=1024) as mock:
            return await shapes(url), await shapes(mock.url)

    real, mocked = run(job, seconds=300)
    for asked, one, other in zip(SAID, real, mocked, strict=True):
        assert other == one, asked


def test_a_json_schema_holds_from_the_prompt_on_and_not_in_the_middle_of_a_text(found):
    """It refuses a form for a turn that is to go on; and of a chat it counts tokens that it does not show, nor their logprobs."""
    form = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "sum", "schema": form}}
    ask = Prefix(Prompt((Message("user", "What is 2 + 3? Answer as JSON."),), response_format=wanted))

    async def job(server):
        whole = await server.extend(ask, Sampling(max_tokens=48, logprobs=0))
        more = await server.extend(ask + "The sum is", Sampling(max_tokens=4))
        return whole, more

    whole, more = on(found, job)
    assert whole.finish == "eos"
    assert isinstance(json.loads(whole.text)["sum"], int)
    assert 0 < len(whole.logprobs) <= whole.usage.completion
    assert more.text
