"""Keys, money and strangers: who may do what, and what it costs under races, leaving clients and the server's end."""

import asyncio
import json
import sqlite3
import time

import aiohttp
import openai
import pytest
from gateways import asked, client, crossed, gateway, in_front_of, listening, opened_keys, raced
from serving import run, until
from support import virtual

from ponder import UnknownName, UsageError
from ponder.core.calls import Budget
from ponder.engines.scripted import Scripted
from ponder.gateway.hosts import loopback
from ponder.gateway.options import Options
from ponder.gateway.running import check_bind
from ponder.gateway.served import Served

ASK = [{"role": "user", "content": "What is 6 * 7?"}]


def solver(**options):
    return Scripted.solver(1.0, text="Let me think. The answer is {answer}.", name="solver", **options)


# -- keys -------------------------------------------------------------------------------------------------------------


def test_a_key_is_kept_as_a_hash_and_revoked_at_once(tmp_path):
    keys = opened_keys(tmp_path)
    assert not keys.any()
    secret, key = keys.create(
        "x", models=["m"], presets=["p"], budget=Budget(tokens=5), rate=3, expires=time.time() + 60
    )
    assert keys.find(secret) == key
    assert (key.models, key.presets, key.budget, key.rate) == (("m",), ("p",), Budget(tokens=5), 3)
    assert (tmp_path / "gateway.sqlite").stat().st_mode & 0o777 == 0o600
    dump = "\n".join(sqlite3.connect(tmp_path / "gateway.sqlite").iterdump())
    assert secret.rpartition("_")[2] not in dump
    for wrong in (
        secret[:-1] + ("a" if secret[-1] != "a" else "b"),
        key.id,
        "",
        "pnd_",
        "x' OR 1=1 --",
        secret + "\0",
        "é",
    ):
        assert keys.find(wrong) is None
    assert opened_keys(tmp_path).revoke("x").revoked, "by another process"
    assert keys.find(secret) is None
    assert not keys.any()
    with pytest.raises(UnknownName):
        keys.revoke("y")
    late, _ = keys.create("late", expires=time.time() - 1)
    assert keys.find(late) is None


def test_every_route_but_two_needs_a_key(tmp_path):
    keys = opened_keys(tmp_path)
    secret, _ = keys.create("x")
    watcher, _ = keys.create("prometheus", scopes=["metrics"])

    async def job():
        it = gateway([Served("solver", solver())], keys=keys)
        found = {}
        for (method, pattern), (scope, _) in it.routes.items():
            path = pattern.replace("{name:path}", "solver")
            body = {"model": "solver", "messages": ASK, "prompt": "x"}
            for who, said in (
                ("nobody", ()),
                ("x", secret),
                ("metrics", watcher),
                ("stranger", "pnd_" + "0" * 56),
            ):
                header = [(b"authorization", f"Bearer {said}".encode())] if said else []
                status, _, _ = await asked(it, body, headers=header, path=path, method=method)
                found[path, who] = status, scope
        return (
            found,
            await asked(it, None, path="/v1/traces", method="GET"),
            await asked(it, None, method="DELETE"),
        )

    found, unknown, deleted = virtual(job)
    for (path, who), (status, scope) in found.items():
        may = (
            scope is None
            or (who == "x" and scope == "inference")
            or (who == "metrics" and scope == "metrics")
        )
        assert (status == 200) == may, (path, who, status)
        assert may or status == (401 if who in ("nobody", "stranger") else 403)
    assert (unknown[0], deleted[0]) == (404, 405)


def test_nobody_needs_a_key_where_there_is_none_and_all_do_once_there_is_one(tmp_path):
    keys = opened_keys(tmp_path)

    async def job():
        it = gateway([Served("solver", solver())], keys=keys)
        body = {"model": "solver", "messages": ASK}
        first = await asked(it, body, headers=[(b"authorization", b"Bearer whatever")])
        keys.create("x")
        second = await asked(it, body, headers=[(b"authorization", b"Bearer whatever")])
        third = await asked(it, body)
        return first[0], second[0], third[0]

    assert virtual(job) == (200, 401, 401)


def test_it_does_not_listen_publicly_without_a_key(tmp_path):
    keys = opened_keys(tmp_path)
    public = Options(host="192.0.2.1")
    check_bind(Options(), keys, insecure=False)
    with pytest.raises(UsageError, match="there is no key"):
        check_bind(public, keys, insecure=False)
    check_bind(public, keys, insecure=True)
    keys.create("x")
    check_bind(public, keys, insecure=False)
    assert loopback("::1")
    assert not loopback("192.168.0.1")
    assert not loopback("example.org")


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [("localhost:8080", None, 200), ("127.0.0.1", None, 200), ("[::1]:80", None, 200), ("models.lan", None, 200),
     ("evil.example", None, 403), ("localhost.evil.example", None, 403), ("", None, 403), ("a@localhost:b", None, 403),
     ("localhost", "http://evil.example", 403), ("localhost", "null", 403), ("localhost", "https://chat.example", 200)],
)  # fmt: skip
def test_strange_hosts_and_pages_are_refused_on_every_route(host, origin, status):
    async def job():
        it = gateway(
            [Served("solver", solver())],
            {"gateway": {"hosts": ["models.lan"], "origins": ["https://chat.example"]}},
        )
        told = []
        for method, path in (
            ("GET", "/"),
            ("GET", "/healthz"),
            ("GET", "/v1/models"),
            ("POST", "/v1/chat/completions"),
        ):
            sent, head = [], []

            async def receive():
                return {
                    "type": "http.request",
                    "body": json.dumps({"model": "solver", "messages": ASK}).encode(),
                }

            async def send(message, sent=sent):
                sent.append(message)

            head = [(b"host", host.encode()), (b"content-type", b"application/json")]
            head += [(b"origin", origin.encode())] if origin else []
            scope = {
                "type": "http",
                "method": method,
                "path": path,
                "headers": head,
                "query_string": b"",
                "root_path": "",
            }
            import anyio

            with anyio.move_on_after(50):
                await it(scope, _once(receive), send)
            told.append((sent[0]["status"], dict(sent[0]["headers"]).get(b"access-control-allow-origin")))
        return told

    def _once(receive):
        import anyio

        given = []

        async def once():
            if given:
                await anyio.sleep_forever()
            given.append(1)
            return await receive()

        return once

    for got, allowed in virtual(job):
        assert got == status
        assert (allowed is not None) == (origin is not None and status == 200)


@pytest.mark.parametrize(
    "ponder",
    [{"strategy": "best-of-n:scorer=(prm:model=/etc/passwd)"}, {"strategy": "best-of-n", "params": {"scorer": "orm"}},
     {"strategy": "auto:policy=../x"}, {"strategy": "best-of-n:scorer=(prm:url=http://169.254.169.254)"}],
)  # fmt: skip
def test_a_request_reaches_no_file_server_or_weights(ponder):
    async def job():
        return await asked(
            gateway([Served("solver", solver())]), {"model": "solver", "messages": ASK, "ponder": ponder}
        )

    status, _, _ = virtual(job)
    assert status in (400, 403)


def test_bodies_are_limited():
    async def job():
        it = gateway([Served("solver", solver())])
        deep = "[" * 70 + "]" * 70
        for body in (
            {"model": "solver", "messages": ASK, "x": "y" * 2_000_001},
            {"model": "solver", "messages": ASK * 1001},
            {"model": "solver", "messages": ASK, "x": json.loads(deep)},
            {"model": "solver", "messages": ASK, "tools": [{}] * 129},
            {"model": "solver", "messages": ASK, "response_format": {"x": "y" * 256_001}},
        ):
            yield (await asked(it, body))[0]

    async def all_of_them():
        return [one async for one in job()]

    assert virtual(all_of_them) == [413] * 5


# -- money ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["none", "self-consistency:n=2"])
def test_a_key_is_never_overspent_by_requests_at_once(tmp_path, strategy):
    """R15, scaled: funds for a tenth of them."""
    got, keys, it, engine = raced(tmp_path, strategy, requests=150, funds=150)
    spent = keys.named("x").spent.completion
    [caller] = it.callers._known.values()
    assert spent == engine.completion_tokens == caller.ledger.spent.completion <= 150
    assert caller.ledger._reserved == caller.ledger._live == 0
    assert sum(tokens for status, tokens in got if status == 200) <= spent
    assert {status for status, _ in got} <= {200, 429, 499}
    assert spent > 140


def test_requests_do_not_touch_each_other():
    """R17, scaled: every answer is of its own question, strategy and budget."""
    assert crossed(150) == 0


# -- the same request again -----------------------------------------------------------------------------------------------


def once(folder, body, clients=20):
    """R27: the same request at once, once more after a restart, and another body under the same key."""
    keys = opened_keys(folder)
    secret, _ = keys.create("x")
    engine = solver(delay=0.005)
    headers = {"authorization": f"Bearer {secret}", "idempotency-key": "once"}

    async def post(session, url, body):
        async with session.post(f"{url}/v1/chat/completions", json=body, headers=headers) as answer:
            return answer.status, await answer.read()

    async def job():
        async with aiohttp.ClientSession() as session:
            async with listening(engine, keys=keys) as (_, url):
                got = await asyncio.gather(*(post(session, url, body) for _ in range(clients)))
            async with listening(engine, keys=opened_keys(folder)) as (_, url):
                got.append(await post(session, url, body))
                other = await post(session, url, {**body, "seed": 1})
        return got, other

    got, other = run(job)
    return got, other, engine, keys


@pytest.mark.parametrize("stream", [False, True])
def test_the_same_idempotency_key_is_one_execution(tmp_path, stream):
    got, other, engine, keys = once(tmp_path, {"model": "solver@vote4", "messages": ASK, "stream": stream})
    assert engine.calls == 4
    assert set(got) == {got[0]}
    assert got[0][0] == 200
    assert (other[0], json.loads(other[1])["error"]["code"]) == (409, "idempotency_conflict")
    assert keys.named("x").requests == 1


# -- the end ----------------------------------------------------------------------------------------------------------


def test_it_ends_without_cutting_an_answer_off():
    """R25, in one process: `tests/proofs` sends a real SIGTERM."""
    engine = solver(delay=0.02)

    async def job():
        async with listening(engine) as (it, url), client(url) as ask:
            running = [
                asyncio.create_task(ask.chat.completions.create(model="solver@think", messages=ASK))
                for _ in range(10)
            ]
            await until(lambda: it.callers.in_flight == 10)
            ending = asyncio.create_task(it.drained())
            await asyncio.sleep(0)
            with pytest.raises(openai.InternalServerError) as refused:
                await ask.chat.completions.create(model="solver", messages=ASK)
            answers = await asyncio.gather(*running)
            await ending
            return refused.value, answers

    refused, answers = run(job)
    assert refused.status_code == 503
    assert refused.code == "shutting_down"
    assert refused.response.headers["retry-after"] == "5"
    assert {a.choices[0].message.content for a in answers} == {"Let me think. The answer is 42."}


def test_no_secret_is_ever_told(tmp_path, caplog):
    """R36: canaries in keys, prompts and a server's address."""
    keys = opened_keys(tmp_path)
    secret, _ = keys.create("x")
    prompt = "canary-prompt-7f3a"

    async def job():
        told = []
        async with (
            in_front_of("openai", keys=keys) as (_, url, _),
            aiohttp.ClientSession(headers={"authorization": f"Bearer {secret}"}) as session,
        ):
            for body in (
                {"model": "front", "messages": [{"role": "user", "content": prompt}]},
                {"model": "front@vote4", "messages": [{"role": "user", "content": prompt}]},
                {"model": "nope", "messages": [{"role": "user", "content": prompt}]},
                {"model": "front", "messages": [{"role": "user", "content": prompt, "bad": 1}], "n": 0},
            ):
                async with session.post(f"{url}/v1/chat/completions", json=body) as answer:
                    told.append(f"{answer.status} {dict(answer.headers)} {await answer.text()}")
            for path in ("/metrics", "/v1/models", "/openapi.json"):
                async with session.get(url + path) as answer:
                    told.append(await answer.text())
        return "\n".join(told)

    with caplog.at_level("DEBUG", logger="ponder"):
        told = run(job)
    logged = "\n".join(record.getMessage() for record in caplog.records)
    assert "completion_tokens" in logged
    assert secret not in told + logged
    assert secret.rpartition("_")[2] not in told + logged
    assert prompt not in logged
    assert "Traceback" not in told
