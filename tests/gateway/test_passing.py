"""The strategy none in front of servers: bodies and answers as they are (R18), and what is never passed on."""

import asyncio
import contextlib
import json
import random

import aiohttp
import anyio
import anyio.lowlevel
import openai
import pytest
from aiohttp import web
from gateways import client, in_front_of, listening, opened_keys
from serving import run, until
from shapes import SHAPES
from support import virtual

from ponder.core.calls import Budget, Prices
from ponder.engines.scripted import Scripted
from ponder.engines.servers.found import Found
from ponder.engines.servers.link import Link
from ponder.engines.servers.upstream import Upstream
from ponder.gateway.members import members, replaced
from ponder.gateway.passing import Passing
from ponder.gateway.replying import Reply
from ponder.gateway.served import Served

ASK = [{"role": "user", "content": "What is 6 * 7?"}]


@contextlib.asynccontextmanager
async def echoing(answer):
    """A server that keeps what it gets, and answers what it is told: (its URL, the bodies)."""
    got = []

    async def take(request):
        got.append((request.path, await request.read(), dict(request.headers)))
        return await answer(request) if callable(answer) else web.Response(**answer)

    app = web.Application()
    app.add_routes([web.post("/v1/chat/completions", take), web.post("/v1/completions", take)])
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", got
    finally:
        await runner.cleanup()


def front(url, key=None, prices=None):
    link = Link(url, key, patience=60.0)
    found = Found(url, "upstream-model")
    upstream = Upstream("front", (url,), prices=prices)
    return Served("front", upstream.engine([(link, found)]))


async def post(url, text, headers=None, path="/v1/chat/completions"):
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            url + path, data=text.encode(), headers={"content-type": "application/json", **(headers or {})}
        ) as answer,
    ):
        return answer.status, dict(answer.headers), await answer.read()


def passed(streamed):
    """R18: every shape through a gateway: (what was asked, the status, what the server got, what it said, what came)."""
    bodies = []

    async def answer(_):
        kind = "text/event-stream" if streamed else "application/json"
        return web.Response(body=bodies[-1], content_type=kind)

    async def job():
        asked = []
        async with echoing(answer) as (upstream, got), listening(front(upstream)) as (_, url):
            for request, reply in SHAPES:
                body = json.dumps(reply["whole"], indent=1).encode()
                if streamed:
                    body = b"".join(
                        b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in reply["chunks"]
                    )
                    body += b"data: [DONE]\n\n"
                bodies.append(body)
                text = json.dumps({"model": "front", **request, "stream": streamed}, indent=2)
                status, _, told = await post(url, text)
                asked.append((text, status, got[-1][1], body, told))
        assert len(got) == len(SHAPES) > 200
        return asked

    return run(job)


def others(text):
    """The members of a body but for its model, letter by letter."""
    return [m.text for m in members(text) if m.key != "model"]


@pytest.mark.parametrize("streamed", [False, True])
def test_bodies_and_answers_are_passed_letter_by_letter(streamed):
    for text, status, sent, body, told in passed(streamed):
        assert status == 200
        assert told == body
        assert others(sent.decode()) == others(text), "not a letter is changed"


def test_members_keep_their_letters():
    rng = random.Random(5)
    values = [
        "1.0",
        "1e2",
        "-0",
        '"a\\u0041,}"',
        '[1, {"model": 2}]',
        "{ }",
        "null",
        "12345678901234567890.5",
    ]
    for _ in range(300):
        parts = [f'"k{i}" : {rng.choice(values)}' for i in range(rng.randrange(5))]
        parts.insert(rng.randrange(len(parts) + 1), '"model"  :\n"x"')
        text = "{ " + " ,\n".join(parts) + " }"
        new = replaced(text, {"model": "y", "added": [1]}, without=("k1",))
        wanted = {**json.loads(text), "model": "y", "added": [1]}
        wanted.pop("k1", None)
        assert json.loads(new) == wanted
        assert all(m.text in text for m in members(new) if m.key not in ("model", "added"))
    assert replaced("{}", {}) == "{}"


@pytest.mark.parametrize(
    "field",
    ["chat_template", "custom_logit_processor", "prompt_embeds", "lora_path", "kv_transfer_params", "bootstrap_host",
     "media_io_kwargs", "vllm_xargs", "priority", "cache_salt", "request_id", "rid", "api_base"],
)  # fmt: skip
def test_what_reaches_into_a_server_is_refused(field):
    async def job():
        async with echoing({"text": "{}"}) as (upstream, got), listening(front(upstream)) as (_, url):
            return await post(url, json.dumps({"model": "front", "messages": ASK, field: "x"})), got

    (status, _, body), got = run(job)
    assert (status, json.loads(body)["error"]["param"], got) == (400, field, [])


def test_template_kwargs_are_those_that_are_known():
    async def job():
        async with echoing({"text": "{}"}) as (upstream, got), listening(front(upstream)) as (_, url):
            for kwargs in ({"enable_thinking": False}, {"tokenize": True}):
                body = {"model": "front", "messages": ASK, "chat_template_kwargs": kwargs}
                yield (await post(url, json.dumps(body)))[0], len(got)

    async def both():
        return [one async for one in job()]

    assert run(both) == [(200, 1), (400, 1)]


@pytest.mark.parametrize(
    ("status", "told", "code"),
    [(400, 400, "own"), (422, 422, "own"), (429, 429, "own"), (401, 502, "upstream_error"), (404, 502, "upstream_error"),
     (500, 502, "upstream_error"), (302, 502, "upstream_error")],
)  # fmt: skip
def test_a_server_s_refusals_are_the_client_s_or_ours(status, told, code):
    said = {"error": {"message": "the key sk-abcdefgh12345678 and http://me:secret@host/", "code": "own"}}
    headers = {"retry-after": "7"} if status == 429 else {}

    async def job():
        answer = {"status": status, "text": json.dumps(said), "headers": headers}
        async with (
            echoing(answer) as (upstream, _),
            listening(front(upstream, "sk-canary-canary")) as (_, url),
        ):
            return await post(url, json.dumps({"model": "front", "messages": ASK}))

    got, headers, body = run(job)
    headers = {name.lower(): value for name, value in headers.items()}
    assert got == told
    assert json.loads(body)["error"]["code"] == code
    for secret in (b"abcdefgh", b"secret", b"canary", b"Traceback"):
        assert secret not in body
    assert status != 429 or headers["retry-after"] == "7"


def test_a_client_cannot_choose_the_server_nor_its_key():
    async def job():
        async with (
            echoing({"text": "{}"}) as (upstream, got),
            listening(front(upstream, "sk-ours")) as (_, url),
        ):
            headers = {"authorization": "Bearer theirs", "x-forwarded-host": "evil", "proxy": "http://evil"}
            await post(url, json.dumps({"model": "front", "messages": ASK}), headers)
            return got

    [(_, _, headers)] = run(job)
    assert headers["Authorization"] == "Bearer sk-ours"
    assert "x-forwarded-host" not in {name.lower() for name in headers}


def test_a_stream_that_breaks_ends_with_an_error_and_no_done():
    async def breaks(request):
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n')
        request.transport.abort()
        raise ConnectionResetError

    async def job():
        async with echoing(breaks) as (upstream, _), listening(front(upstream)) as (it, url):
            text = await post(url, json.dumps({"model": "front", "messages": ASK, "stream": True}))
            async with client(url) as ask:
                stream = await ask.chat.completions.create(model="front", messages=ASK, stream=True)
                with pytest.raises(openai.APIError, match="broke the connection"):
                    [chunk async for chunk in stream]
            return text, it.callers.ledger.spent

    (status, _, body), spent = run(job)
    assert status == 200
    assert b'"error"' in body
    assert b"[DONE]" not in body
    assert spent.completion == 2
    assert spent.estimated


class Pausing:
    """Pieces of a stream, each after so many seconds."""

    def __init__(self, *pieces):
        self.left = list(pieces)
        self.waited = None

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.left:
            raise StopAsyncIteration
        if self.waited is None:
            self.waited = anyio.current_time() + self.left[0][0]
        await anyio.sleep_until(self.waited)
        self.waited = None
        return self.left.pop(0)[1]


@pytest.mark.parametrize("hidden", [False, True])
def test_what_is_passed_on_pings_in_silence_but_never_within_an_event(hidden):
    event = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
    pieces = Pausing(
        (40.0, event), (1.0, event + event[:20]), (40.0, event[20:]), (20.0, b"data: [DONE]\n\n")
    )

    async def job():
        sent = []

        async def send(message):
            await anyio.lowlevel.checkpoint()
            sent.append((anyio.current_time() - began, message["body"]))

        began = anyio.current_time()
        passing = Passing(None, None, "front", Budget(), None, began, _hide_usage=hidden)
        await passing._stream(pieces, Reply(send, {}))
        return passing.tokens, sent

    tokens, sent = virtual(job)
    assert tokens == 3
    pings = [round(at) for at, piece in sent if piece == b": ping\n\n"]
    assert pings == ([15, 30, 56, 71, 96] if hidden else [15, 30, 96])
    told = b"".join(piece for _, piece in sent).replace(b": ping\n\n", b"")
    assert told == event * 3 + b"data: [DONE]\n\n"


def test_a_slow_reader_of_a_silent_stream_gets_every_piece_once():
    event = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'

    async def job():
        sent = []

        async def send(message):
            await anyio.sleep(20.0 if message["body"] == event else 0.0)
            sent.append(message["body"])

        reply = Reply(send, {})
        reply.record()
        passing = Passing(None, None, "front", Budget(), None, 0.0)
        await passing._stream(Pausing((1.0, event), (1.0, event)), reply)
        return sent, bytes(reply.recorded)

    sent, recorded = virtual(job)
    assert sent == [event, event]
    assert recorded == event * 2


@pytest.mark.parametrize("stream", [False, True])
def test_a_limited_key_clamps_and_meters_what_is_passed(tmp_path, stream):
    keys = opened_keys(tmp_path)
    secret, key = keys.create("x", budget=Budget(tokens=20))

    async def job():
        async with in_front_of("vllm", keys=keys) as (_, url, mock), client(url, secret) as ask:
            more = {"model": "front", "messages": ASK, "max_tokens": 15, "stream": stream}
            chunks = await ask.chat.completions.create(**more)
            if stream:
                chunks = [chunk async for chunk in chunks]
                assert all(chunk.choices for chunk in chunks), (
                    "our own question for the usage is not passed on"
                )
            first = keys.named("x").spent.completion
            while keys.named("x").spent.completion < 20:
                left = await ask.chat.completions.create(**more)
                if stream:
                    [chunk async for chunk in left]
            with pytest.raises(openai.RateLimitError) as refused:
                await ask.chat.completions.create(**more)
            return first, refused.value, mock.counters.completion_tokens

    first, refused, counted = run(job)
    assert 0 < first <= 15
    assert refused.code == "insufficient_quota"
    assert keys.named(key.id).spent.completion == 20
    assert counted <= 20
    assert not keys.named(key.id).spent.estimated


@pytest.mark.parametrize("stream", [False, True])
def test_a_key_that_cannot_pay_for_a_vote_is_told_that_it_is_the_key(tmp_path, stream):
    keys = opened_keys(tmp_path)
    secret, _ = keys.create("x", budget=Budget.parse("$0.000001"))

    async def job():
        prices = Prices(0.1, 1.0)
        async with (
            in_front_of("vllm", keys=keys, prices=prices) as (_, url, mock),
            client(url, secret) as ask,
        ):
            try:
                got = await ask.chat.completions.create(model="front@vote4", messages=ASK, stream=stream)
                [chunk async for chunk in got]
            except openai.APIError as error:
                return error.code, mock.counters.requests

    assert run(job) == ("insufficient_quota", 0)


def test_dollars_are_a_budget(tmp_path):
    keys = opened_keys(tmp_path)
    secret, _ = keys.create("x", budget=Budget.parse("$0.0001"))
    prices = Prices(0.1, 1.0)

    async def job():
        async with in_front_of("vllm", keys=keys, prices=prices) as (_, url, _), client(url, secret) as ask:
            for _ in range(50):
                try:
                    await ask.chat.completions.create(model="front", messages=ASK, max_tokens=30)
                except openai.RateLimitError as error:
                    return error.code
        return "never"

    assert run(job) in ("insufficient_quota", "budget_exhausted")
    assert 0 < keys.named("x").spent.nanodollars <= 100_000


@pytest.mark.parametrize("strategy", ["none", "vote4"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_ends_the_work_and_pays(strategy, stream, tmp_path):
    keys = opened_keys(tmp_path)
    secret, _ = keys.create("x", budget=Budget(tokens=10_000))
    engine = Scripted.solver(1.0, text="word " * 400 + "The answer is {answer}.")

    async def job():
        async with in_front_of("vllm", engine, keys=keys, pace=0.01) as (it, url, mock):
            body = {
                "model": "front",
                "messages": ASK,
                "stream": stream,
                "max_tokens": 500,
                "ponder": {"strategy": strategy},
            }
            headers = {"authorization": f"Bearer {secret}"}
            session = aiohttp.ClientSession()
            asking = asyncio.create_task(
                session.post(f"{url}/v1/chat/completions", json=body, headers=headers)
            )
            want = 4 if strategy == "vote4" and stream else 1  # else all four are one request
            await until(lambda: mock.counters.writing == want)
            await asyncio.sleep(0.1)
            before = mock.counters.completion_tokens
            asking.cancel()
            await session.close()
            if asking.done() and not asking.cancelled():
                asking.result().close()
            await until(lambda: mock.counters.in_flight == 0)
            more = mock.counters.completion_tokens - before
            await until(lambda: it.callers.in_flight == 0)
            return more, it.callers.ledger, mock.counters

    more, ledger, counters = run(job)
    assert more < 800, "half of what the four samples would have written"
    assert counters.finished == 0
    spent = keys.named("x").spent.completion
    assert 0 < spent <= 2000
    assert (ledger._reserved, ledger._live, ledger.spent.completion) == (0, 0, spent)


# -- the layers ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def hasty(monkeypatch):
    """The waits between tries, shortened."""
    monkeypatch.setattr("anyio.sleep", lambda seconds: asyncio.sleep(min(seconds, 0.002)))


def scripted(*fates):
    """A server that fails so, one request after the other, and then answers: its answer, for `echoing`."""
    left = list(fates)

    async def answer(request):
        fate = left.pop(0) if left else "ok"
        if fate == "reset":
            request.transport.abort()
            return web.Response()
        if fate == "begun":
            response = web.StreamResponse(headers={"content-type": "text/event-stream"})
            await response.prepare(request)
            await response.write(b'data: {"choices":[{"index":0,"delta":{"role":"assistant"}}]}\n\n')
            request.transport.abort()
            return response
        if fate != "ok":
            return web.json_response({"error": {"message": "no"}}, status=int(fate))
        return web.json_response({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}})

    return answer


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fates", "status", "asked", "again"),
    [
        (["reset", "reset"], 200, 3, None),
        (["503", "500", "502"], 200, 4, None),
        (["reset"] * 9, 502, 4, "false"),
        (["503"] * 9, 502, 4, "false"),
        (["429"], 429, 1, None),  # whose waits are the client's own
        (["400"], 400, 1, None),
    ],
)
def test_what_broke_before_the_first_byte_is_tried_again_here_and_nowhere_else(
    fates, status, asked, again, stream, hasty
):
    async def job():
        async with echoing(scripted(*fates)) as (upstream, got), listening(front(upstream)) as (it, url):
            body = json.dumps({"model": "front", "messages": ASK, "stream": stream})
            told = await post(url, body)
            return told, len(got), it

    (code, headers, _), requests, it = run(job)
    assert (code, requests, headers.get("x-should-retry")) == (status, asked, again)
    assert it.callers.ledger.spent.completion == (2 if status == 200 else 0)


def test_what_broke_after_the_first_byte_is_told_and_never_asked_again(hasty):
    async def job():
        async with echoing(scripted("begun")) as (upstream, got), listening(front(upstream)) as (_, url):
            told = await post(url, json.dumps({"model": "front", "messages": ASK, "stream": True}))
            return told, len(got)

    (status, _, text), requests = run(job)
    assert (status, requests) == (200, 1)
    assert b'"upstream_error"' in text
    assert b"[DONE]" not in text


def test_silence_is_no_reason_to_ask_again(hasty):
    async def silent(_):
        await asyncio.sleep(60)

    async def job():
        async with echoing(silent) as (upstream, got):
            link = Link(upstream, patience=0.5)
            served = Served("front", Upstream("front", (upstream,)).engine([(link, Found(upstream, "m"))]))
            async with listening(served) as (_, url):
                return await post(url, json.dumps({"model": "front", "messages": ASK})), len(got)

    (status, _, text), requests = run(job)
    assert (status, requests) == (502, 1)
    assert b"said nothing" in text


def test_a_dead_server_is_left_alone_and_another_is_asked(hasty):
    async def job():
        async with echoing(scripted()) as (alive, got):
            ways = [(Link(url, patience=60.0), Found(url, "m")) for url in ("http://127.0.0.1:9", alive)]
            served = Served("front", Upstream("front", ("x", "y")).engine(ways))
            async with listening(served) as (_, url):
                body = json.dumps({"model": "front", "messages": ASK})
                answers = [await post(url, body) for _ in range(20)]
            return [status for status, _, _ in answers], len(got)

    statuses, requests = run(job)
    assert statuses == [200] * 20
    assert requests == 20


def test_the_limit_of_a_server_holds_for_what_is_passed_on():
    most = now = 0

    async def slow(_):
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.02)
        now -= 1
        return web.json_response({"choices": []})

    async def job():
        async with echoing(slow) as (upstream, _):
            ways = [(Link(upstream, patience=60.0), Found(upstream, "m"))]
            served = Served("front", Upstream("front", (upstream,), at_once=3).engine(ways))
            async with listening(served) as (_, url):
                body = json.dumps({"model": "front", "messages": ASK})
                return await asyncio.gather(*(post(url, body) for _ in range(12)))

    assert {status for status, _, _ in run(job)} == {200}
    assert most == 3


def test_metrics_tell_what_is_held_and_that_nothing_is_once_the_client_left():
    names = ("requests_admitted", "calls_in_flight", "calls_reserved", "tokens_reserved", "tasks")

    async def job():
        async with (
            in_front_of("vllm", Scripted.solver(1.0)) as (it, url, mock),
            aiohttp.ClientSession() as session,
        ):
            mock.latency = 60.0

            async def held():
                async with session.get(f"{url}/metrics") as answer:
                    lines = (await answer.text()).splitlines()
                told = {line.partition("{")[0].partition(" ")[0]: line.rpartition(" ")[2] for line in lines}
                return [float(told[f"ponder_{name}"]) for name in names]

            before = await held()
            vote = {"model": "front", "messages": ASK, "ponder": {"strategy": "vote4"}}
            asking = asyncio.create_task(session.post(f"{url}/v1/chat/completions", json=vote | {"seed": 1}))
            await until(lambda: mock.counters.writing == 4)
            during = await held()
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await until(lambda: it.callers.in_flight == 0 and mock.counters.in_flight == 0)
            return before, during, await held()

    before, during, after = run(job)
    assert during[:3] == [1, 4, 4]
    assert during[3] >= 4
    assert during[4] > before[4]
    assert before[:4] == after[:4] == [0, 0, 0, 0]
    assert after[4] < during[4]
