"""aiohttp against httpx on many streams: processor time, and how long it takes to leave all of them.

python benchmarks/upstream.py [STREAMS ...]      200 and 1000 by default; needs the extra `servers`, and httpx

The mock server runs in a process of its own. Each client opens so many streams at once, reads for some seconds with
our parser of events, and then leaves. Processor time is the client's, from the first byte to the leaving; "gone" is
the time until the server sees no request in flight any more.
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import signal
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any

from ponder.engines.servers.sse import Parser

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

READING = 4.0
PACE = 0.1
BODY = {
    "messages": [{"role": "user", "content": "Go."}],
    "max_tokens": 400,
    "min_tokens": 399,
    "stream": True,
}


async def aiohttp_client(url: str, streams: int, seen: list[int]) -> None:
    import aiohttp

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def one() -> None:
            parser = Parser()
            response = await session.post(url, json=BODY)
            try:
                async for more in response.content.iter_any():
                    seen[0] += len(parser.feed(more))
            finally:
                response.close()

        await _crowd(one, streams)


async def httpx_client(url: str, streams: int, seen: list[int]) -> None:
    import httpx

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=60) as client:

        async def one() -> None:
            parser = Parser()
            async with client.stream("POST", url, json=BODY) as response:
                async for more in response.aiter_raw():
                    seen[0] += len(parser.feed(more))

        await _crowd(one, streams)


async def _crowd(one: Callable[[], Awaitable[None]], streams: int) -> None:
    tasks = [asyncio.ensure_future(one()) for _ in range(streams)]
    await asyncio.sleep(READING + streams / 500)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def measure(name: str, url: str, streams: int) -> dict[str, Any]:
    """One client in this process."""
    clients = {"aiohttp": aiohttp_client, "httpx": httpx_client}
    seen = [0]

    async def main() -> float:
        task = asyncio.ensure_future(clients[name](url + "/v1/chat/completions", streams, seen))
        await asyncio.sleep(READING + streams / 500)
        left = time.monotonic()
        while await asyncio.to_thread(in_flight, url):  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.01)
        gone = time.monotonic() - left
        await task
        return gone

    began = resource.getrusage(resource.RUSAGE_SELF)
    gone = asyncio.run(main())
    ended = resource.getrusage(resource.RUSAGE_SELF)
    spent = ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime
    return {"events": seen[0], "cpu": spent, "per_event": spent / max(1, seen[0]), "gone": gone}


def in_flight(url: str) -> int:
    with urllib.request.urlopen(f"{url}/mock/counters") as answer:  # noqa: S310 - our own mock
        return int(json.load(answer)["in_flight"])


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(sys.argv[2], sys.argv[3], int(sys.argv[4]))))
        return
    ponder = [sys.executable, "-m", "ponder", "mock", "--port", "0", "--pace", str(PACE)]
    mock = subprocess.Popen([*ponder, "--dialect", "vllm"], stderr=subprocess.PIPE, text=True)
    assert mock.stderr is not None  # noqa: S101
    found = re.search(r"http://[\d.:]+", mock.stderr.readline())
    assert found is not None  # noqa: S101
    try:
        print("client   streams    events   CPU s   us/event   all gone after s")
        for streams in map(int, sys.argv[1:] or ["200", "1000"]):
            for name in ("aiohttp", "httpx"):
                words = [sys.executable, __file__, "--one", name, found[0], str(streams)]
                done = subprocess.run(words, capture_output=True, text=True, check=True)
                r = json.loads(done.stdout)
                print(
                    f"{name:8} {streams:7}  {r['events']:8,}  {r['cpu']:6.2f}  {r['per_event'] * 1e6:9.1f}  "
                    f"{r['gone']:17.2f}"
                )
    finally:
        mock.send_signal(signal.SIGTERM)
        mock.wait(20)


if __name__ == "__main__":
    main()
