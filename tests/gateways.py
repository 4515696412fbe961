"""What the tests of the gateway share: one of it on loopback, and the official client."""

import asyncio
import contextlib
import json
import random
import socket

import aiohttp
import anyio
import openai
from serving import run, until
from support import Forms
from support import Keys as Equal

from ponder.core.calls import Budget
from ponder.engines.scripted import Scripted
from ponder.engines.servers.link import Link
from ponder.engines.servers.probe import probe
from ponder.evals.simulated import Simulated
from ponder.gateway.answering import World
from ponder.gateway.app import Gateway
from ponder.gateway.keys import Keys
from ponder.gateway.options import Options
from ponder.gateway.running import running
from ponder.gateway.served import Served
from ponder.mock.server import Mock
from ponder.scorers import ByName

ASK = [{"role": "user", "content": "What is 6 * 7?"}]

TABLES = {
    "presets": {
        "vote4": "self-consistency:n=4",
        "think": {"strategy": "chain-of-thought", "budget": "2k"},
        "many": "best-of-n:n=3",
    },
    "effort": {"high": "vote4", "low": "none"},
}


def gateway(served, tables=None, keys=None):
    """One, not yet listening."""
    options = Options.of({**TABLES, **(tables or {})})
    return Gateway(
        {one.name: one for one in served},
        options,
        keys,
        World(Equal(), ByName(), usage_mode=options.usage_mode, forms=Forms()),
    )


@contextlib.asynccontextmanager
async def listening(*engines, tables=None, keys=None):
    """A gateway on loopback in front of engines (or of what is served): (gateway, its URL)."""
    served = [one if isinstance(one, Served) else Served(one.capabilities.name, one) for one in engines]
    it = gateway(served, tables, keys)
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    ready = asyncio.Event()
    task = asyncio.create_task(running(it, sock, ready.set, signals=False))
    try:
        await ready.wait()
        yield it, f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        sock.close()


@contextlib.asynccontextmanager
async def in_front_of(dialect="vllm", engine=None, *, tables=None, keys=None, prices=None, **options):
    """A gateway in front of a mock server: (gateway, its URL, mock)."""
    async with Mock(engine or Simulated.named("simulated"), dialect, **options) as mock:
        link = Link(mock.url, patience=60.0)
        found = await probe(link)
        mock.counters.__init__()
        from ponder.engines.servers.upstream import Upstream

        upstream = Upstream("front", (mock.url,), prices=prices)
        served = Served("front", upstream.engine([(link, found)]))
        async with listening(served, tables=tables, keys=keys) as (it, url):
            yield it, url, mock


@contextlib.asynccontextmanager
async def client(url, key="none", **options):
    """The official one, which does not try again unless it is asked to."""
    async with openai.AsyncOpenAI(
        base_url=f"{url}/v1", api_key=key, max_retries=options.pop("max_retries", 0), **options
    ) as it:
        yield it


def opened_keys(folder):
    return Keys(folder / "gateway.sqlite")


async def asked(it, body, *, leave_after=None, headers=(), path="/v1/chat/completions", method="POST"):
    """One request without a server: (status, headers, [(time, bytes)])."""
    sent, told = [], {}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
    left = anyio.Event()
    given = [True]

    async def receive():
        if given:
            given.clear()
            return {"type": "http.request", "body": raw, "more_body": False}
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if message["type"] == "http.response.start":
            told.update(status=message["status"], headers=dict(message["headers"]))
        else:
            sent.append((anyio.current_time(), message["body"]))

    pairs = [(b"host", b"localhost"), (b"content-type", b"application/json"), *headers]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": pairs,
        "query_string": b"",
        "root_path": "",
    }
    async with anyio.create_task_group() as group:
        if leave_after is not None:

            async def leave():
                await anyio.sleep(leave_after)
                left.set()

            group.start_soon(leave)
        await it(scope, receive, send)
        group.cancel_scope.cancel()
    return told.get("status"), told.get("headers"), sent


async def race(keys, secret, requests, strategy, engine):
    """Requests at once with one key; every third client leaves. What the engine wrote, and the gateway."""
    tables = {"gateway": {"at_once": 10_000, "requests": 10_000}}
    rng = random.Random(3)
    async with listening(engine, tables=tables, keys=keys) as (it, url):
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(
            connector=connector, headers={"authorization": f"Bearer {secret}"}
        ) as session:

            async def one(i):
                body = {
                    "model": engine.capabilities.name,
                    "messages": ASK,
                    "max_tokens": 10,
                    "ponder": {"strategy": strategy},
                }
                try:
                    async with asyncio.timeout(rng.random() * 0.3 if i % 3 == 0 else 300):
                        async with session.post(f"{url}/v1/chat/completions", json=body) as answer:
                            told = await answer.json()
                            return answer.status, told.get("usage", {}).get("completion_tokens", 0)
                except TimeoutError:
                    return 499, 0

            got = await asyncio.gather(*(one(i) for i in range(requests)))
        await until(lambda: it.callers.in_flight == 0)
        return got, it


def raced(folder, strategy, requests, funds):
    """R15: what clients got, the keys, the gateway and the engine after a race for one key's funds."""
    keys = opened_keys(folder)
    secret, _ = keys.create("x", budget=Budget(tokens=funds))
    engine = Scripted.solver(1.0, text="Let me think. The answer is {answer}.", name="solver", delay=0.001)
    got, it = run(race, keys, secret, requests, strategy, engine)
    return got, keys, it, engine


def crossed(requests):
    """R17: how many of so many requests at once got what was another's."""

    def script(prefix):
        return {f"I say {prefix.prompt.messages[-1].text}. The answer is 42.": 1.0}

    async def one(ask, i):
        ponder = [
            {},
            {"strategy": "vote4"},
            {"strategy": "sc", "params": {"n": 1 + i % 3}},
            {"strategy": "think"},
        ][i % 4]
        named = ["none", "self-consistency:n=4", f"self-consistency:n={1 + i % 3}", "chain-of-thought"][i % 4]
        ponder = ponder and {**ponder, "budget_tokens": 500 + i}
        got = await ask.chat.completions.create(
            model="solver",
            messages=[{"role": "user", "content": f"canary{i}x"}],
            extra_body={"ponder": ponder},
            extra_headers={"x-ponder-strategy": "none"} if i % 8 == 0 else {},
        )
        mine = f"canary{i}x" in got.choices[0].message.content and got.ponder["strategy"] == named
        return mine and got.ponder["budget"]["limit"] == (ponder["budget_tokens"] if ponder else None)

    async def job():
        engine = Scripted(script, name="solver", delay=lambda p, rng: rng.random() / 500)
        tables = {"gateway": {"requests": 10_000}}
        async with listening(engine, tables=tables) as (_, url), client(url) as ask:
            some = asyncio.Semaphore(100)  # the client opens a connection for each, and waits 5 s for one

            async def in_turn(i):
                async with some:
                    return await one(ask, i)

            return await asyncio.gather(*(in_turn(i) for i in range(requests)))

    return sum(not mine for mine in run(job))
