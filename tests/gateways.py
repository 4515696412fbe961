"""What the tests of the gateway share: one of it on loopback, and the official client."""

import asyncio
import contextlib
import socket

import openai
from support import Keys as Equal

from ponder.engines.servers.link import Link
from ponder.engines.servers.probe import probe
from ponder.evals.simulated import Simulated
from ponder.gateway.answering import World
from ponder.gateway.app import Gateway
from ponder.gateway.keys import Keys
from ponder.gateway.options import Options
from ponder.gateway.running import running
from ponder.gateway.served import Served, Way
from ponder.mock.server import Mock
from ponder.scorers import ByName

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
    return Gateway({one.name: one for one in served}, options, keys, World(Equal(), ByName()))


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
        link = Link(mock.url, patience=5.0)
        found = await probe(link)
        mock.counters.__init__()
        from ponder.engines.servers.upstream import Upstream

        upstream = Upstream("front", (mock.url,), prices=prices)
        served = Served("front", upstream.engine([(link, found)]), (Way(link, found.model),))
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
