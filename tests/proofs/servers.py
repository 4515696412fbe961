"""Model servers that fail, and clients that leave."""

from __future__ import annotations

import asyncio
import contextlib
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from servers.test_faults import ASK, MANY, ONE, TEXT, crowd, solver
from servers.test_sse import STREAMS
from servers.test_sse import read as events
from serving import DIALECTS, layered, run, served, until

from ponder.core.calls import Sampling
from ponder.core.errors import TransientError
from ponder.engines.layers import Breaking
from ponder.mock.faults import Faults
from proofs import Figure, row

if TYPE_CHECKING:
    from pathlib import Path

    from proofs import Tier


@row(
    "R6",
    "On a server with a bad day (5 % 500, 5 % resets, 2 % malformed, 2 % silent, 2 % 429, 1 % cut off, 1 % doubled or late, "
    "1 % miscounted) every run ends in the right answer or in a named error",
    "0 wrong answers, 0 hangs, at most 4 tries of a call; at least 99.9 % of runs answered where a strategy takes several "
    "samples, or where broken calls may be paid for twice",
)
def bad_day(_: Path, tier: Tier) -> Figure:
    size = 10 if tier == "N" else 1
    came = []
    for names, replay, dialect, runs in (
        (MANY, False, "vllm", 250 * size),
        (MANY + ONE, True, "openai", 120 * size),
        (ONE, False, "llama-server", 120 * size),
    ):
        how: dict[str, Any] = {"replay": replay, "seed": 7, "dialect": dialect}
        came.append(run(partial(crowd, names, runs, **how), seconds=600.0))
    requests = sum(counters.requests for *_, counters in came)
    wrong = sum(len(wrong) for _, wrong, _, _ in came)
    most = max(max(most) for _, _, most, _ in came)
    done = [(counts["answered"], sum(counts.values())) for counts, *_ in came]
    well = all(right >= 0.999 * whole for right, whole in done[:2])
    return Figure(
        f"{requests:,} requests: {wrong} wrong answers, at most {most} tries; answered: {done[0][0]} of {done[0][1]} runs "
        f"of several samples, {done[1][0]} of {done[1][1]} with replay, {done[2][0]} of {done[2][1]} of one sample without",
        held=wrong == 0 and most <= 4 and well,
    )


@row("R7", "A server that always answers 503 is not asked again and again", "at most 4 requests for a call")
def one_budget(_: Path, tier: Tier) -> Figure:
    calls = 500 if tier == "N" else 50

    async def job() -> int:
        async with served(faults=Faults({"503": 1.0})) as (mock, server):
            engine = layered(server)
            many = (engine.extend(ASK, Sampling(seed=i)) for i in range(calls))
            await asyncio.gather(*many, return_exceptions=True)
            return int(mock.counters.requests)

    requests = run(job)
    return Figure(f"{requests} requests for {calls} calls", held=requests <= 4 * calls)


@row(
    "R8",
    "A call that broke after it had written is not made again unasked, and what it spent is counted",
    "0 requests repeated after a token; 0 counts that differ",
)
def no_replay(_: Path, tier: Tier) -> Figure:
    rounds = 100 if tier == "N" else 20

    async def job() -> tuple[int, int, int]:
        broke = repeated = differ = 0
        for dialect in DIALECTS:
            async with served(dialect, solver()) as (mock, server):
                for seed in range(rounds):
                    mock.faults = Faults(script=[("break", "malformed", "truncate")[seed % 3]], seed=seed)
                    before, seen = mock.counters.requests, []
                    call = layered(server).extend(ASK, Sampling(max_tokens=40, seed=1), seen.append)
                    [came] = await asyncio.gather(call, return_exceptions=True)
                    if isinstance(came, TransientError):
                        broke += 1
                        repeated += mock.counters.requests - before > 1
                        differ += came.spent != sum(delta.tokens for delta in seen)
                    else:
                        differ += came.text != TEXT
        return broke, repeated, differ

    broke, repeated, differ = run(job, seconds=300.0)
    return Figure(
        f"{broke} calls broke after a token: {repeated} repeated, {differ} counts differ",
        held=not repeated | differ,
    )


@row(
    "R9",
    "A dead server is left alone and found again",
    "left alone within 2 s, asked at most once a second then, used again within 2 s of its return",
)
def breaker(_: Path, tier: Tier) -> Figure:
    down = 30.0 if tier == "N" else 5.0

    async def job() -> tuple[float, float, float]:
        async with served("vllm", solver()) as (mock, server):
            breaking = Breaking(server)
            ended = asyncio.Event()

            async def caller() -> None:
                while not ended.is_set():
                    with contextlib.suppress(TransientError):
                        await breaking.extend(ASK, Sampling(max_tokens=40, seed=1))
                    await asyncio.sleep(0.02)

            callers = [asyncio.ensure_future(caller()) for _ in range(8)]
            await asyncio.sleep(0.5)
            mock.faults = Faults({"500": 1.0})
            began = time.monotonic()
            await until(lambda: breaking.open)
            opened, before = time.monotonic() - began, mock.counters.requests
            await asyncio.sleep(down)
            rate = (mock.counters.requests - before) / down
            mock.faults = Faults()
            began = time.monotonic()
            await until(lambda: not breaking.open)
            closed = time.monotonic() - began
            ended.set()
            await asyncio.gather(*callers)
            return opened, rate, closed

    opened, rate, closed = run(job, seconds=90.0)
    return Figure(
        f"left alone after {opened:.2f} s, asked {rate:.2f} times a second for {down:g} s, used again after {closed:.2f} s",
        held=opened <= 2 and rate <= 1 + 1 / down and closed <= 2,
    )


@row(
    "R12",
    "Who leaves a call takes the server's work with him: before its first token and while it writes, alone and in a crowd",
    "100 % gone from the server; alone within 100 ms, 1,000 at once within 1 s",
)
def leaving(_: Path, tier: Tier) -> Figure:
    rounds = 200 if tier == "N" else 40

    async def job() -> tuple[list[float], float, int, int]:
        times: list[float] = []
        async with served("vllm", solver(), patience=120.0) as (mock, server):
            for n in range(rounds):
                mock.latency, mock.pace = (30.0, 0.0) if n % 2 else (0.0, 0.02)
                task = asyncio.ensure_future(server.extend(ASK, Sampling(max_tokens=40, seed=n)))
                await until(lambda: mock.counters.writing == 1)
                await asyncio.sleep(0.03)
                began = time.monotonic()
                task.cancel()
                await until(lambda: mock.counters.in_flight == 0)
                times.append(time.monotonic() - began)
            alone = len(mock.counters.aborted)
            mock.latency, mock.pace = 0.0, 1.0
            tasks = [
                asyncio.ensure_future(server.extend(ASK, Sampling(max_tokens=40, seed=n)))
                for n in range(1000)
            ]
            await until(lambda: mock.counters.writing == 1000, 60.0)
            began = time.monotonic()
            for task in tasks:
                task.cancel()
            await until(lambda: mock.counters.in_flight == 0, 60.0)
            crowd_gone = time.monotonic() - began
            await asyncio.gather(*tasks, return_exceptions=True)
            return times, crowd_gone, alone, len(mock.counters.aborted) - alone

    times, crowd_gone, alone, together = run(job, seconds=240.0)
    times.sort()
    return Figure(
        f"alone {alone} of {rounds} gone, p50 {times[len(times) // 2] * 1e3:.0f} ms, max {times[-1] * 1e3:.0f} ms; "
        f"{together} of 1,000 at once gone in {crowd_gone:.2f} s (server and clients in one process)",
        held=alone == rounds and together == 1000 and times[-1] <= 0.1 and crowd_gone <= 1.0,
    )


@row(
    "R22",
    "A stream of events is read alike however the network cuts it: CR, LF and CRLF, BOM, comments, several data lines, UTF-8",
    "the same events for every way of cutting it in two and three, and byte by byte",
)
def cuts(_: Path, tier: Tier) -> Figure:
    del tier
    ways = differ = 0
    for stream, expected in STREAMS.values():
        n = len(stream)
        pieces = [[stream[:i], stream[i:j], stream[j:]] for i in range(n + 1) for j in range(i, n + 1)]
        for cut in (*pieces, [bytes([b]) for b in stream]):
            ways += 1
            differ += [event.data for event in events(cut)] != expected
    return Figure(f"{len(STREAMS)} streams, {ways:,} ways: {differ} differ", held=differ == 0)
