"""aiohttp against httpx on many streams: processor time, and how long it takes to leave all of them.

python benchmarks/upstream.py [STREAMS ...]      200 and 1000 by default; needs the extra `servers`, and httpx beside it

The mock server runs in a process of its own. Each client opens so many streams, each of a token a second, reads for
some seconds with our parser of events once all are open, and then leaves. Processor time is the client's, for the
reading and for the leaving; "gone" is the time until the server sees no request in flight any more.
"""

from __future__ import annotations

import asyncio
import importlib.util
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


async def aiohttp_client(url: str, streams: int, seen: list[int], leave: asyncio.Event) -> None:
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

        await _crowd(one, streams, leave)


async def httpx_client(url: str, streams: int, seen: list[int], leave: asyncio.Event) -> None:
    import httpx

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=60) as client:

        async def one() -> None:
            parser = Parser()
            async with client.stream("POST", url, json=BODY) as response:
                async for more in response.aiter_raw():
                    seen[0] += len(parser.feed(more))

        await _crowd(one, streams, leave)


async def _crowd(one: Callable[[], Awaitable[None]], streams: int, leave: asyncio.Event) -> None:
    tasks = [asyncio.ensure_future(one()) for _ in range(streams)]
    await leave.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def spent() -> float:
    """Processor seconds of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def measure(name: str, url: str, streams: int) -> dict[str, Any]:
    """One client in this process."""
    clients = {"aiohttp": aiohttp_client, "httpx": httpx_client}

    async def main() -> dict[str, Any]:
        seen, leave = [0], asyncio.Event()
        task = asyncio.ensure_future(clients[name](url + "/v1/chat/completions", streams, seen, leave))
        while await asyncio.to_thread(counted, url, "writing") < streams:  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.1)
        before, began = seen[0], spent()
        await asyncio.sleep(READING)
        read, reading = seen[0] - before, spent() - began
        left, began = time.monotonic(), spent()
        leave.set()
        await task
        ours = time.monotonic() - left
        leaving = spent() - began
        while await asyncio.to_thread(counted, url, "in_flight"):  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.01)
        gone = time.monotonic() - left
        return {"events": read, "reading": reading, "leaving": leaving, "ours": ours, "gone": gone}

    return asyncio.run(main())


def counted(url: str, what: str) -> int:
    with urllib.request.urlopen(f"{url}/mock/counters") as answer:  # noqa: S310 - our own mock
        return int(json.load(answer)[what])


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(sys.argv[2], sys.argv[3], int(sys.argv[4]))))
        return
    names = [name for name in ("aiohttp", "httpx") if importlib.util.find_spec(name) is not None]
    if "httpx" not in names:
        print("httpx is not installed here, so aiohttp is measured alone. To have both: pip install httpx")
    ponder = [sys.executable, "-m", "ponder", "mock", "--port", "0", "--pace", str(PACE)]
    mock = subprocess.Popen([*ponder, "--dialect", "vllm"], stderr=subprocess.PIPE, text=True)
    assert mock.stderr is not None  # noqa: S101
    found = re.search(r"http://[\d.:]+", mock.stderr.readline())
    assert found is not None  # noqa: S101
    try:
        print("client   streams    events   us/event   CPU s to leave   left after s   gone after s")
        for streams in map(int, sys.argv[1:] or ["200", "1000"]):
            for name in names:
                words = [sys.executable, __file__, "--one", name, found[0], str(streams)]
                done = subprocess.run(words, capture_output=True, text=True, check=True)
                r = json.loads(done.stdout)
                each = r["reading"] / max(1, r["events"]) * 1e6
                print(
                    f"{name:8} {streams:7}  {r['events']:8,}  {each:9.1f}  {r['leaving']:15.2f}  {r['ours']:13.2f}  "
                    f"{r['gone']:13.2f}"
                )
    finally:
        mock.send_signal(signal.SIGTERM)
        mock.wait(20)


if __name__ == "__main__":
    main()
