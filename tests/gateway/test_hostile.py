"""What an attacker sends: bodies that are none, numbers without end, heads that never end, readers that do not read."""

import asyncio
import itertools
import json
import math
import random
import re

import anyio
import pytest
from aiohttp import web
from gateway.test_passing import echoing, front, post
from gateways import asked, gateway, listening, opened_keys
from serving import run, until
from support import virtual

from ponder import UsageError, config
from ponder.core.calls import Budget, Sampling
from ponder.engines.scripted import Scripted
from ponder.engines.servers.found import Found
from ponder.engines.servers.link import Link
from ponder.engines.servers.reading import Garbled, read
from ponder.engines.servers.upstream import Upstream
from ponder.engines.servers.writing import Writing
from ponder.gateway import connections
from ponder.gateway.door import Door
from ponder.gateway.options import Options
from ponder.gateway.refusals import Refusal
from ponder.gateway.running import reread
from ponder.gateway.served import Served

WORDS = (
    "choices", "delta", "message", "content", "index", "finish_reason", "logprobs", "token_ids", "tool_calls", "function",
    "name", "arguments", "usage", "prompt_tokens", "completion_tokens", "tokens", "tokens_predicted", "stop", "stop_type",
    "completion_probabilities", "logprob", "top_logprobs", "id", "error", "reasoning", "stop_reason", "text", "timings",
)  # fmt: skip
ASK = [{"role": "user", "content": "What is 6 * 7?"}]
BODY = {"model": "solver", "messages": ASK}


def solver(**options):
    return Scripted.solver(1.0, text="Let me think. The answer is {answer}.", name="solver", **options)


def told(body, engine=None, **more):
    """One request on a clock that jumps: its status, its JSON, its headers."""

    async def job():
        return await asked(gateway([Served("solver", engine or solver())]), body, **more)

    status, headers, sent = virtual(job)
    return status, json.loads(b"".join(piece for _, piece in sent)), headers


# -- bodies -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "status", "says"),
    [
        (json.dumps(BODY).encode("utf-16"), 400, "UTF-8"),
        (json.dumps(BODY).encode("utf-8-sig"), 400, "no JSON"),
        (b'{"model": "solver", "messages": [{"role": "user", "content": "\xff"}]}', 400, "UTF-8"),
        (b'{"model": "solver", "messages": [{"role": "user", "content": "\xed\xa0\x80"}]}', 400, "UTF-8"),
        (b'{"model": "x", "model": "solver", "messages": []}', 400, "'model' stands twice"),
        (
            b'{"model": "solver", "messages": [{"role": "user", "role": "system"}]}',
            400,
            "'role' stands twice",
        ),
        (b'{"model": "solver", "temperature": NaN}', 400, "NaN is no JSON"),
        (b'{"model": "solver", "seed": ' + b"9" * 5000 + b"}", 400, "no JSON"),
        (b"[" * 100_000, 413, "deeper"),
        (b'{"a":' * 100_000, 413, "deeper"),
        (b'{"a": [' + b"0," * 100_001 + b"0]}", 413, "100,000 values"),
        (b"", 400, "no JSON"),
        (b"[1]", 400, "JSON object"),
    ],
)
def test_bodies_that_are_none_are_refused_by_name(raw, status, says):
    got, body, _ = told(raw)
    assert (got, says in body["error"]["message"]) == (status, True), body


@pytest.mark.parametrize(
    "more",
    [
        {"temperature": 10**400},
        {"max_tokens": 10**30},
        {"seed": 1 << 64},
        {"logit_bias": {"1": 10**400}},
        {"stop": [""]},
        {"top_k": 1e300},
        {"ponder": {"strategy": "self-consistency:n=1000000000"}},
        {"ponder": {"strategy": "best-of-n:scorer=(judge:samples=100000)"}},
        {"ponder": {"strategy": "beam-search", "params": {"depth": 5000}}},
        {"ponder": {"strategy": "self-consistency", "params": {"n": "1000000000"}}},
        {"ponder": {"strategy": "chain-of-thought:max_tokens=99999999999"}},
        {"ponder": {"strategy": "budget-forcing", "params": {"nudge": "x" * 3000}}},
        {"ponder": {"strategy": "x" * 1_000_000}},
        {"ponder": {"deadline_s": "1e400"}},
        {"ponder": {"deadline_s": 10**400}},
        {"ponder": {"budget_tokens": 10**400}},
        {"ponder": {"budget": 10**400}},
        {"ponder": {"budget": "9" * 40}},
        {"ponder": {"budget": "$" + "9" * 400}},
    ],
    ids=str,
)
def test_numbers_without_end_are_refused_before_anything_is_made(more):
    engine = solver()
    status, body, _ = told({**BODY, **more}, engine)
    assert status == 400, body
    assert engine.calls == 0


@pytest.mark.parametrize(
    "more",
    [
        {"stop": {}},
        {"stop": 0},
        {"stop": False},
        {"stop": {"a": 1}},
        {"tools": {}},
        {"tools": ""},
        {"stream_options": []},
        {"stream_options": {"include_usage": "yes"}},
        {"response_format": {"type": "json_schema", "json_schema": "x"}},
        {"response_format": {"type": "json_schema", "json_schema": [1]}},
        {"ponder": []},
        {"ponder": False},
        {"ponder": {"strategy": "vote4", "params": []}},
        {"ponder": {"strategy": "vote4", "params": 0}},
        {"ponder": {"strategy": "vote4", "budget_tokens": "500"}},
        {"ponder": {"strategy": "vote4", "deadline_s": "5"}},
        {"ponder": {"strategy": "vote4", "budget": 0.5}},
        {"ponder": {"strategy": "vote4", "budget": ["4k"]}},
        {"stream": 0},
        {"stream": 1},
        {"ponder": {"strategy": "vote4"}, "temperature": "hot"},
        {"ponder": {"strategy": "vote4"}, "top_p": 2},
    ],
    ids=str,
)
def test_values_of_another_kind_are_refused_though_they_are_empty(more):
    engine = solver()
    status, body, _ = told({**BODY, **more}, engine)
    assert status == 400, body
    assert engine.calls == 0


def test_half_a_character_is_answered_in_utf_8():
    """JSON can say half a character, and a model may be shown it; what we send is UTF-8 all the same."""
    odd = {"model": "solver", "messages": [{"role": "user", "content": "\ud800"}]}
    for ponder in ({}, {"strategy": "vote4"}):
        status, body, _ = told(
            {**odd, "ponder": ponder}, Scripted({"Half: \ud83d. The answer is 4.": 1.0}, name="solver")
        )
        assert status == 200, body
    status, body, _ = told({**odd, "model": "\ud800"})
    assert (status, body["error"]["code"]) == (404, "model_not_found")


def test_no_header_is_smuggled_in_by_a_parameter():
    ponder = {"strategy": "budget-forcing:nudge=Wait\r\nset-cookie: a=b"}
    status, body, headers = told({**BODY, "ponder": ponder})
    assert status == 200, body
    assert b"set-cookie" not in headers
    assert b"\n" not in headers[b"x-ponder-strategy"]


# -- what is passed on ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [{"n_predict": -1}, {"max_new_tokens": 9}, {"best_of": 8}, {"N_Predict": 1}, {"Max_Tokens": 100}, {"Chat_Template": "x"}],
)  # fmt: skip
def test_no_other_name_gets_around_a_limit(more, tmp_path):
    keys = opened_keys(tmp_path)
    secret, _ = keys.create("x", budget=Budget(tokens=20))

    async def job():
        async with (
            echoing({"text": "{}"}) as (upstream, got),
            listening(front(upstream), keys=keys) as (_, url),
        ):
            body = json.dumps({"model": "front", "messages": ASK, **more})
            return await post(url, body, {"authorization": f"Bearer {secret}"}), got

    (status, _, body), got = run(job)
    assert (status, got) == (400, [])
    assert json.loads(body)["error"]["param"] == next(iter(more))


def test_every_limit_of_a_request_is_set_to_what_was_granted(tmp_path):
    keys = opened_keys(tmp_path)
    secret, _ = keys.create("x", budget=Budget(tokens=20))

    async def job():
        async with (
            echoing({"text": "{}"}) as (upstream, got),
            listening(front(upstream), keys=keys) as (_, url),
        ):
            body = {"model": "front", "messages": ASK, "max_tokens": 50, "max_completion_tokens": 50}
            await post(url, json.dumps(body), {"authorization": f"Bearer {secret}"})
            return json.loads(got[0][1])

    sent = run(job)
    assert (sent["max_tokens"], sent["max_completion_tokens"]) == (20, 20)


@pytest.mark.parametrize("status", [400, 401, 500])
@pytest.mark.parametrize("strategy", ["none", "vote4"])
def test_a_server_that_says_our_key_again_does_not_tell_it(status, strategy):
    key = "0123456789abcdefcanary"

    async def job():
        answer = {"status": status, "text": json.dumps({"error": {"message": f"Bad key {key}."}})}
        async with echoing(answer) as (upstream, _), listening(front(upstream, key)) as (_, url):
            body = {"model": "front", "messages": ASK, "ponder": {"strategy": strategy}}
            return await post(url, json.dumps(body))

    _, headers, body = run(job)
    assert key not in f"{headers} {body}"
    assert b"[redacted]" in body or b"left alone" in body  # by the breaker, where all calls failed


# -- connections --------------------------------------------------------------------------------------------------------


async def _sent(url, *pieces, pause=0.0):
    """What a server says to bytes that come like that, until it closes the connection."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        return await reader.read()
    except ConnectionError:
        return b"reset"
    finally:
        writer.close()


HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"


def test_a_head_that_never_ends_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)

    async def job():
        async with listening(solver()) as (it, url):
            slow = _sent(url, HEAD[:1], HEAD[1:], b"x: y\r\n", pause=0.02)
            endless = _sent(url, HEAD, *[b"x: " + b"y" * 10_000 + b"\r\n"] * 20)
            got = await asyncio.gather(slow, endless)
            return got, it.metrics.requests

    (slow, endless), requests = run(job)
    assert {slow, endless} <= {b"", b"reset"}
    assert not requests


def test_who_connects_and_says_nothing_is_left(monkeypatch):
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.1)

    async def job():
        async with listening(solver()) as (_, url):
            return await _sent(url)

    assert run(job) == b""


def test_the_rest_of_a_body_that_nobody_wants_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)

    async def job():
        async with listening(solver()) as (_, url):
            whole = HEAD + b"content-length: 3000000\r\n\r\n"
            return await _sent(url, whole, b"x")

    assert run(job).startswith(b"HTTP/1.1 413")


def test_who_stops_reading_is_left_and_holds_nothing(monkeypatch):
    monkeypatch.setattr(connections, "STALLED_SECONDS", 0.3)
    event = (
        b"data: "
        + json.dumps({"choices": [{"index": 0, "delta": {"content": "x" * 60_000}}]}).encode()
        + b"\n\n"
    )

    async def endless(request):
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for _ in range(400):
            await response.write(event)
        return response

    async def job():
        async with echoing(endless) as (upstream, _), listening(front(upstream)) as (it, url):
            body = json.dumps({"model": "front", "messages": ASK, "stream": True}).encode()
            host, port = url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
            writer.write(HEAD + f"content-length: {len(body)}\r\n\r\n".encode() + body)
            await reader.readline()
            await until(lambda: it.callers.in_flight == 0)
            writer.transport.abort()

    run(job)


def test_requests_on_one_connection_are_answered_however_they_are_cut():
    """A connection forgets a request that is over, and no other one with it."""
    get = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
    bad = HEAD.replace(b"application/json", b"text/plain") + b"content-length: 9\r\n\r\nunwanted."
    body = json.dumps(BODY).encode()
    good = HEAD + f"content-length: {len(body)}\r\n\r\n".encode() + body
    chance = random.Random(5)

    async def job():
        async with listening(solver()) as (_, url):
            told = []
            for _ in range(60):
                asks = [chance.choice([get, bad, good]) for _ in range(6)]
                text = b"".join(asks[:-1]) + get.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
                cuts = sorted(chance.randrange(len(text)) for _ in range(chance.randrange(8)))
                pieces = [text[a:b] for a, b in itertools.pairwise([0, *cuts, len(text)])]
                said = await _sent(url, *pieces)
                want = [{get: 200, bad: 415, good: 200}[ask] for ask in [*asks[:-1], get]]
                told.append(([int(s) for s in re.findall(rb"HTTP/1.1 (\d+)", said)], want))
            return told

    for got, want in run(job):
        assert got == want


# -- the line at the door -------------------------------------------------------------------------------------------------


def test_the_line_is_in_order_bounded_and_loses_nobody_s_turn():
    async def job():
        door = Door(2, 3, 30.0)
        served, refused = [], []

        async def one(i, stay, leave=None):
            with anyio.move_on_after(leave or 1000):
                try:
                    async with door.passed():
                        served.append(i)
                        await anyio.sleep(stay)
                except Refusal as error:
                    refused.append((i, error.code))

        async with anyio.create_task_group() as group:
            for i, leave in enumerate([None, None, 5.0, None, None, None]):
                group.start_soon(one, i, 10.0, leave)
                await anyio.sleep(0.1)
        first = served, refused, door.inside, len(door.waiting)
        served, refused = [], []
        async with anyio.create_task_group() as group:
            for i in range(4):
                group.start_soon(one, i, 31.0)
                await anyio.sleep(0.001)
        return first, served, refused, door.inside, len(door.waiting)

    first, served, refused, inside, waiting = virtual(job)
    assert first == ([0, 1, 3, 4], [(5, "overloaded")], 0, 0)
    assert (served, refused) == ([0, 1], [(2, "overloaded"), (3, "overloaded")]), "who waited too long"
    assert (inside, waiting) == (0, 0)


def test_where_the_line_is_full_that_is_said_before_the_key_and_the_body(tmp_path):
    keys = opened_keys(tmp_path)
    keys.create("x")

    async def job():
        async with listening(solver(), keys=keys, tables={"gateway": {"requests": 1, "queue": 0}}) as (
            it,
            url,
        ):
            async with it.callers.door.passed():
                full = await _sent(url, HEAD + b"connection: close\r\ncontent-length: 3000\r\n\r\n{")
                alive = await _sent(
                    url, b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
                )
            return full, alive, await _sent(url, HEAD + b"connection: close\r\ncontent-length: 1\r\n\r\n{")

    full, alive, free = run(job)
    assert full.startswith(b"HTTP/1.1 503")
    assert b"retry-after: 1" in full
    assert b'"overloaded"' in full
    assert alive.startswith(b"HTTP/1.1 200")
    assert free.startswith(b"HTTP/1.1 401")


def test_a_client_that_leaves_the_line_is_forgotten():
    async def job():
        it = gateway([Served("solver", solver(latency=60.0))], {"gateway": {"requests": 1}})
        got = []

        async def one(leave=None):
            got.append((await asked(it, BODY, leave_after=leave))[0])

        async with anyio.create_task_group() as group:
            group.start_soon(one)
            await anyio.sleep(0.1)
            group.start_soon(one, 1.0)
            await anyio.sleep(5.0)
            line = len(it.callers.door.waiting)
        return got, line, it.callers.in_flight

    assert virtual(job) == ([None, 200], 0, 0)


# -- keys -----------------------------------------------------------------------------------------------------------------


def test_a_key_is_rotated_with_and_without_grace(tmp_path):
    keys = opened_keys(tmp_path)
    first, key = keys.create("x", budget=Budget(tokens=5))
    second, _ = keys.rotate("x", grace=3600.0)
    assert first != second
    assert keys.find(first).id == keys.find(second).id == key.id
    third, _ = opened_keys(tmp_path).rotate("x")
    assert [keys.find(secret) is not None for secret in (first, second, third)] == [False, False, True]
    assert keys.find(third).budget == Budget(tokens=5)
    keys.revoke("x")
    assert keys.find(third) is None


def test_a_file_of_an_earlier_version_gets_its_columns(tmp_path):
    import sqlite3

    keys = opened_keys(tmp_path)
    secret, _ = keys.create("x")
    keys.close()
    db = sqlite3.connect(tmp_path / "gateway.sqlite")
    db.executescript(
        "ALTER TABLE keys DROP COLUMN old; ALTER TABLE keys DROP COLUMN old_until; DROP TABLE paused"
    )
    db.close()
    keys = opened_keys(tmp_path)
    assert keys.find(secret).name == "x"
    assert keys.paused() is None


def test_a_pause_lets_nobody_in_at_once(tmp_path):
    keys = opened_keys(tmp_path)

    async def job():
        it = gateway([Served("solver", solver())], keys=keys)
        opened_keys(tmp_path).pause()
        first = await asked(it, BODY)
        opened_keys(tmp_path).resume()
        return first, await asked(it, BODY)

    (paused, headers, _), (again, _, _) = virtual(job)
    assert (paused, again) == (503, 200)
    assert headers[b"retry-after"]


def test_answers_that_are_kept_for_a_key_are_not_without_number(tmp_path, monkeypatch):
    from ponder.gateway import keys as module

    monkeypatch.setattr(module, "MOST_REPLIES", 3)
    keys = opened_keys(tmp_path)
    for i in range(5):
        keys.keep("me", str(i), b"x", 200, {}, b"y")
        keys.keep("other", str(i % 2), b"x", 200, {}, b"y")
    assert [keys.reply("me", str(i)) is None for i in range(5)] == [True, True, False, False, False]
    assert keys.reply("other", "0")


def test_a_day_has_a_budget(tmp_path, monkeypatch):
    """Over starts too; the next day has it whole."""
    keys = opened_keys(tmp_path)
    day = ["2026-01-01"]
    monkeypatch.setattr("time.strftime", lambda *_: day[0])
    engine = solver()

    async def ask(it, times):
        return [(await asked(it, BODY))[0] for _ in range(times)]

    async def job():
        tables = {"gateway": {"daily": 25}}
        first = await ask(gateway([Served("solver", engine)], tables, keys), 5)
        again = await ask(gateway([Served("solver", engine)], tables, opened_keys(tmp_path)), 1)
        spent = engine.completion_tokens
        day[0] = "2026-01-02"
        it = gateway([Served("solver", engine)], tables, keys)
        return first, again, spent, await ask(it, 1)

    first, again, spent, tomorrow = virtual(job)
    assert first[0] == 200
    assert (first[-1], again, tomorrow) == (429, [429], [200])
    assert spent == 25


@pytest.mark.parametrize("salted", [True, False])
def test_each_key_has_a_salt_of_its_own_unless_the_settings_say_no(tmp_path, salted):
    keys = opened_keys(tmp_path)
    secrets = [keys.create(name)[0] for name in ("x", "y")]

    async def job():
        async with echoing({"status": 400, "text": "{}"}) as (upstream, got):
            link = Link(upstream)
            found = Found(upstream, "model", "vllm")
            served = Served("front", Upstream("front", (upstream,)).engine([(link, found)]))
            tables = None if salted else {"gateway": {"salt": False}}
            async with listening(served, keys=keys, tables=tables) as (_, url):
                for secret in secrets:
                    for strategy in ("none", "vote4"):
                        body = {"model": "front", "messages": ASK, "ponder": {"strategy": strategy}}
                        await post(url, json.dumps(body), {"authorization": f"Bearer {secret}"})
            return [json.loads(body).get("cache_salt") for _, body, _ in got]

    salts = run(job)
    assert len(salts) == 10
    if not salted:
        assert set(salts) == {None}
        return
    assert None not in salts
    assert len(set(salts[:5])) == len(set(salts[5:])) == 1
    assert salts[0] != salts[5]
    assert not any(secret[4:16] in salt for secret in secrets for salt in salts)


# -- settings -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[gateway]\n\nport = 'x'\n", "gateway.port, line 3 of"),
        ("[presets]\na = 'direct'\nb = 'drect'\n", "presets.b.strategy, line 3 of"),
        ("[presets.a]\nstrategy = 'direct'\nbudget = 'much'\n", "presets.a.budget, line 3 of"),
        ("effort.high = 'nothing'\n", "effort.high, line 1 of"),
        (
            "[models.a]\nurl = 'http://x'\n[models.b]\nurl = 'http://x'\nprompt = -1\n",
            "models.b.prompt, line 5 of",
        ),
        ("a = 1\nthreads = 2\n", "a, line 1 of"),
        ("[gateway]\nport = \n", "line 2"),
        ("[gateway]\nhosts = ['a\n", "line 3"),
        ("[gateway]\nhosts = [\n", "line 3"),
    ],
)
def test_an_error_in_the_settings_names_its_line(tmp_path, text, says):
    path = tmp_path / "ponder.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught, config.in_file(path):
        Options.of(config.settings({}, file=path).gateway)
    assert says in str(caught.value)


def test_settings_are_read_again_whole_or_not_at_all():
    async def job():
        it = gateway([Served("solver", solver(latency=10.0))], {"gateway": {"requests": 1}})
        new = Options.of({"presets": {"new": "direct"}, "gateway": {"requests": 2}})
        before = it.options

        def broken():
            raise UsageError("no")

        reread(it, broken)
        kept = it.options is before
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(asked, it, BODY)
            await anyio.sleep(1.0)
            waited = len(it.callers.door.waiting)
            reread(it, lambda: new)
            await anyio.sleep(1.0)
            waits = len(it.callers.door.waiting)
        _, _, sent = await asked(it, None, path="/v1/models", method="GET")
        return kept, waited, waits, json.loads(sent[0][1]), it.callers.in_flight

    kept, waited, waits, models, in_flight = virtual(job)
    assert (kept, waited, waits, in_flight) == (True, 1, 0, 0)
    assert [model["id"] for model in models["data"]] == ["solver", "solver@new"]


# -- what servers send ------------------------------------------------------------------------------------------------------


def anything(chance, depth=0):
    """JSON of the words that servers use, in any place."""
    kind = chance.randrange(9 if depth < 4 else 6)
    if kind < 6:
        return chance.choice(
            [None, True, 0, -1, 3, 10**400, 0.5, math.nan, math.inf, "", "x", "stop", "token_id:7"]
        )
    if kind == 6:
        return [anything(chance, depth + 1) for _ in range(chance.randrange(3))]
    return {chance.choice(WORDS): anything(chance, depth + 1) for _ in range(chance.randrange(5))}


def an_event(chance):
    """One of which some makes sense."""
    if chance.random() < 0.3:
        return anything(chance)
    call = {"index": 0, "function": {"arguments": "{"}}
    delta = {"content": chance.choice(["a", "b ", None]), "tool_calls": [call]}
    choice = {"index": 0, "delta": delta, "finish_reason": chance.choice([None, None, "stop", "length"])}
    told = {"choices": [choice], "usage": chance.choice([None, {"prompt_tokens": 3, "completion_tokens": 2}])}
    where = chance.choice([told, choice, delta, call, call["function"]])
    where[chance.choice(WORDS)] = anything(chance, 2)
    return told


def read_all(events):
    """The segment that they write, or None where they make no sense."""
    writing = Writing(
        Sampling(max_tokens=9, stop=("x",), logprobs=1), keeps_stop=False, exact=False, ids=True
    )
    usage = None
    try:
        for event in events:
            said = read(event, "stop_reason")
            usage = said.usage or usage
            for part in said.parts:
                writing.add(part)
        return writing.close(usage, 1.0, 5)
    except Garbled:
        return None


def test_whatever_a_server_sends_is_read_or_garbled():
    whole = 0
    for seed in range(4000):
        chance = random.Random(seed)
        events = [an_event(chance) for _ in range(chance.randrange(1, 4))]
        try:
            segment = read_all(events)
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error}; {str(events)[:500]}") from error
        if segment is not None:
            whole += 1
            assert segment.usage.completion <= 9
            assert segment.logprobs is None or all(log < math.inf for log in segment.logprobs)
    assert whole > 100
