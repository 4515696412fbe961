"""The eight toxics on real sockets, and the engine behind them."""

import asyncio
import contextlib
import dataclasses
import time

import pytest
from serving import layered, run, served, until

from ponder import EngineError, TransientError, UnknownName, UsageError
from ponder.core.calls import Sampling
from ponder.core.prefix import Prefix, Prompt
from ponder.core.problem import Message
from ponder.engines.scripted import Scripted
from ponder.engines.servers.engine import Server
from ponder.engines.servers.link import Link
from ponder.mock.proxy import TOXICS, Proxy, Toxic

ASK = Prefix(Prompt((Message("user", "What is 6 * 7? 你好"),)))
TEXT = "Let me think: naïve 你好 👩‍🔬.\n\nThe answer is 42."
HOW = Sampling(max_tokens=60, seed=1)


@contextlib.asynccontextmanager
async def echo():
    """An echo server behind a proxy."""

    async def answer(reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(4096):
                writer.write(data)
                await writer.drain()
        writer.close()

    async with (
        await asyncio.start_server(answer, "127.0.0.1", 0) as server,
        Proxy("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy,
    ):
        yield proxy


async def said(proxy, data=b"hello"):
    """What comes back, and how many seconds until the end of it."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(data)
    writer.write_eof()
    got = await reader.read()
    writer.close()
    return got, time.monotonic() - began


def test_without_toxics_everything_comes_through():
    async def job():
        async with echo() as proxy:
            got, _ = await said(proxy, b"x" * 500_000)
            await until(lambda: proxy.open == 0)
            return len(got)

    assert run(job) == 500_000


@pytest.mark.parametrize(
    ("toxic", "size", "least"),
    [
        (Toxic("latency", latency=0.2), 5, 0.2),
        (Toxic("bandwidth", rate=50_000), 10_000, 0.2),
        (Toxic("slow_close", delay=0.2), 5, 0.2),
        (Toxic("slicer", average_size=3, size_variation=2, delay=0.001), 100, 0.02),
    ],
)
def test_what_only_takes_longer_takes_as_long_as_it_says(toxic, size, least):
    async def job():
        async with echo() as proxy:
            proxy.add(toxic)
            got, seconds = await said(proxy, b"x" * size)
            assert got == b"x" * size
            assert seconds >= least
            proxy.clear()
            got, _ = await said(proxy, b"again")
            assert got == b"again"

    run(job)


def test_what_breaks_breaks_as_it_says():
    async def job():
        async with echo() as proxy:
            proxy.add(Toxic("limit_data", bytes=7))
            assert (await said(proxy, b"hello, world"))[0] == b"hello, "
            proxy.clear()
            proxy.add(Toxic("timeout", timeout=0.05))
            assert (await said(proxy))[0] == b""
            proxy.clear()
            for toxic in (Toxic("down"), Toxic("reset_peer")):
                proxy.add(toxic)
                with pytest.raises(OSError, match="reset"):
                    await said(proxy)
                proxy.clear()
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            await until(lambda: proxy.open > 0)
            proxy.add(Toxic("down"))
            with pytest.raises(OSError, match="reset"):
                await reader.read()
            writer.close()
            await until(lambda: proxy.open == 0)

    run(job)


def test_a_toxic_befalls_its_share_of_connections():
    async def job():
        async with echo() as proxy:
            toxic = proxy.add(Toxic("limit_data", bytes=0, toxicity=0.5))
            got = [(await said(proxy))[0] for _ in range(60)]
            assert 15 < got.count(b"") < 45
            proxy.remove(toxic)
            assert (await said(proxy))[0] == b"hello"

    run(job)


def test_toxics_that_make_no_sense():
    assert len(TOXICS) == 8
    with pytest.raises(UnknownName, match="latency"):
        Toxic("latencey")
    for wrong in (
        {"name": "bandwidth"},
        {"name": "slicer", "average_size": 2, "size_variation": 2},
        {"name": "down", "toxicity": 2.0},
        {"name": "down", "stream": "sideways"},
    ):
        with pytest.raises(UsageError):
            Toxic(**wrong)


@contextlib.asynccontextmanager
async def behind(dialect="vllm", patience=60.0):
    """(mock, engine behind a proxy, the proxy)."""
    async with (
        served(dialect, Scripted({TEXT: 1.0})) as (mock, server),
        Proxy("127.0.0.1", mock.port) as proxy,
    ):
        link = Link(f"http://127.0.0.1:{proxy.port}", patience=patience)
        yield mock, Server(link, server.found), proxy


@pytest.mark.parametrize("dialect", ["vllm", "sglang", "llama-server", "openai"])
def test_a_stream_is_the_same_however_the_network_cuts_it(dialect):
    """R22 on a socket: every byte by itself, and in pieces of a few."""

    async def job():
        async with behind(dialect) as (_, engine, proxy):
            whole = await engine.extend(ASK, HOW)
            for size, spread in ((1, 0), (5, 4), (50, 49)):
                proxy.add(Toxic("slicer", average_size=size, size_variation=spread))
                cut = await engine.extend(ASK, HOW)
                proxy.clear()
                same = dataclasses.replace(
                    cut, usage=dataclasses.replace(cut.usage, seconds=whole.usage.seconds)
                )
                assert same == whole
            return whole.text

    assert run(job) == TEXT


def test_every_toxic_ends_in_the_right_text_or_in_a_named_error():
    toxics = [
        Toxic("latency", latency=0.05, jitter=0.05),
        Toxic("bandwidth", rate=20_000),
        Toxic("slow_close", delay=0.1),
        Toxic("slicer", average_size=20, size_variation=15),
        Toxic("down"),
        Toxic("reset_peer", timeout=0.01),
        Toxic("timeout"),
        *(Toxic("limit_data", bytes=n) for n in (0, 1, 100, 300, 1000, 2000)),
        Toxic("limit_data", stream="upstream", bytes=50),
        Toxic("reset_peer", timeout=0.0),
    ]

    async def job():
        async with behind(patience=2.0) as (mock, engine, proxy):
            await engine.extend(ASK, HOW)
            came = []
            for toxic in toxics:
                proxy.add(toxic)
                [outcome] = await asyncio.gather(engine.extend(ASK, HOW), return_exceptions=True)
                proxy.clear()
                came.append(outcome)
                assert isinstance(outcome, EngineError) or outcome.text == TEXT, toxic
                again = await layered(engine).extend(ASK, HOW)
                assert again.text == TEXT, "it heals"
            await until(lambda: mock.counters.in_flight == 0)
            return came

    came = run(job)
    assert all(not isinstance(outcome, EngineError) for outcome in came[:4])
    assert all(isinstance(outcome, TransientError) for outcome in came[6:10])
