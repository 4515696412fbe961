"""The gateway under races, leaving clients, broken samples and its own end."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import aiohttp
import anyio
from gateways import ASK, asked, crossed, gateway, in_front_of, opened_keys, raced
from serving import run, until
from support import Flaky, virtual

from ponder.core.calls import Budget
from ponder.engines.scripted import Scripted
from ponder.gateway.served import Served
from proofs import Figure, row

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ponder.core.problem import Kind
    from ponder.core.protocols import KeysOf
    from proofs import Tier

TEXT = "Let me think. The answer is {answer}."


@row(
    "R12.1",
    "A client that leaves a stream or a plain request, before or while its answer is written, ends all work upstream",
    "100 % of calls ended, every reservation given back, what was spent recorded; the time from leaving to the last call's "
    "end is at most 100 ms in the middle (busy machines: shown, not bounded, beyond)",
)
def leaving(folder: Path, tier: Tier) -> Figure:
    both, spent, held = run(_left, folder, 200 if tier == "N" else 40, seconds=300)
    times, busy = zip(*both, strict=True)
    middle, longest = sorted(times)[len(times) // 2], max(times)
    return Figure(
        f"{len(times)} clients left: every call upstream ended, {spent} tokens recorded; p50 {middle * 1000:.0f} ms, "
        f"the longest {longest * 1000:.0f} ms; of the processor, for all three parties, p50 "
        f"{sorted(busy)[len(busy) // 2] * 1000:.1f} ms, the most {max(busy) * 1000:.1f} ms",
        held=held and middle <= 0.1,
    )


async def _left(folder: Path, clients: int) -> tuple[list[tuple[float, float]], int, bool]:
    keys = opened_keys(folder)
    secret, _ = keys.create("x", budget=Budget(tokens=10_000_000))
    engine = Scripted.solver(1.0, text="word " * 400 + "The answer is {answer}.")
    times = []
    async with in_front_of("vllm", engine, keys=keys, pace=0.01) as (it, url, mock):
        for i in range(clients):
            strategy, stream = ("none", "self-consistency:n=4")[i % 2], i % 4 < 2
            body = {"model": "front", "messages": ASK, "stream": stream, "ponder": {"strategy": strategy}}
            body |= {"max_tokens": 400}
            session = aiohttp.ClientSession(headers={"authorization": f"Bearer {secret}"})
            asking = asyncio.create_task(session.post(f"{url}/v1/chat/completions", json=body))
            await until(lambda want=4 if i % 2 and stream else 1: mock.counters.writing == want)
            await asyncio.sleep((i % 5) * 0.01)
            began = time.perf_counter(), time.process_time()
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await session.close()
            await until(lambda: mock.counters.in_flight == 0)
            times.append((time.perf_counter() - began[0], time.process_time() - began[1]))
            await until(lambda: it.callers.in_flight == 0)
        ledger = it.callers.ledger
        spent = keys.named("x").spent.completion
        held = (ledger._reserved, ledger._live, ledger.spent.completion) == (0, 0, spent)
        return times, spent, held and mock.counters.finished == 0


@row(
    "R15",
    "500 requests at once with one key that has funds for 50, a third of whose clients leave, never spend more than it has",
    "overspent 0; what is recorded is what the engine wrote; nothing stays reserved",
)
def race(folder: Path, tier: Tier) -> Figure:
    del tier
    told, held = [], True
    for i, strategy in enumerate(("none", "self-consistency:n=2")):
        got, keys, it, engine = raced(folder / str(i), strategy, requests=500, funds=500)
        spent, ledger = keys.named("x").spent.completion, it.callers.ledger
        held &= spent == engine.completion_tokens <= 500 and ledger._reserved == ledger._live == 0
        good = sum(status == 200 for status, _ in got)
        told.append(
            f"{strategy}: {spent} of 500 tokens spent, {engine.completion_tokens} written, {good} answers"
        )
    return Figure("; ".join(told), held=held)


@row(
    "R17",
    "Interleaved requests with other strategies, parameters and budgets get their own answers",
    "0 answers of another's question, strategy or budget",
)
def isolation(folder: Path, tier: Tier) -> Figure:
    del folder, tier
    wrong = crossed(1000)
    return Figure(f"1,000 requests at once: {wrong} got another's", held=wrong == 0)


class Slow:
    """An equivalence of answers that takes its time now and then."""

    def __init__(self, equality: KeysOf, rng: random.Random) -> None:
        self.equality, self.rng = equality, rng

    async def keys(self, answers: Sequence[str], kind: Kind = "auto") -> list[str]:
        await anyio.sleep(self.rng.choice((0.0, 0.0, 0.3, 3.0)))
        return await self.equality.keys(answers, kind)


@row(
    "R24",
    "A deadline ends a request with the best answer so far, or with 504, also where votes are slow to compare",
    "answer or 504 by the deadline and 100 ms; on a virtual clock",
)
def deadlines(folder: Path, tier: Tier) -> Figure:
    del folder
    late = statuses = 0
    cases = 500 if tier == "N" else 100
    for i in range(cases):
        seconds = 0.05 + i * 5 / cases

        async def job(seconds: float = seconds, seed: int = i) -> tuple[int, float]:
            engine = Scripted.solver(
                1.0, text=TEXT, name="solver", latency=lambda p, rng: rng.random() * 4, delay=0.01
            )
            it = gateway([Served("solver", engine)])
            it.world.equality = Slow(it.world.equality, random.Random(seed))
            started = anyio.current_time()
            ponder = {"strategy": "self-consistency:n=8", "deadline_s": seconds}
            status, _, _ = await asked(it, {"model": "solver", "messages": ASK, "seed": 1, "ponder": ponder})
            return status, anyio.current_time() - started

        status, took = virtual(job)
        late += took > seconds + 0.1 or status not in (200, 504)
        statuses += status == 200
    return Figure(
        f"{cases} deadlines of 50 ms to 5 s: {statuses} answers, {cases - statuses} times 504, {late} late",
        held=not late,
    )


@row(
    "R25",
    "SIGTERM under load lets every running request end and refuses new ones with 503",
    "0 answers cut off, exit code 0 within 31 s",
)
def ending(folder: Path, tier: Tier) -> Figure:
    del tier
    return run(_terminated, folder, seconds=120)


def _started(words: list[str], env: dict[str, str], folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(words, env=env, stderr=subprocess.PIPE, text=True, cwd=folder)


async def _terminated(folder: Path) -> Figure:
    env = {**os.environ, "PONDER_HOME": str(folder)}
    # 200 tokens a second, so that answers take a moment.
    words = [sys.executable, "-m", "ponder", "serve", "-m", "simulated:rate=50", "--port", "0"]
    process = _started(words, env, folder)
    assert process.stderr is not None
    line = await asyncio.to_thread(process.stderr.readline)
    url = re.search(r"Serving (\S+) at (http://\S+?/v1)", line)
    if url is None:
        return Figure(f"did not start: {line[:100]}", held=False)

    async def ask(session: aiohttp.ClientSession) -> int:
        body = {"model": url[1], "messages": ASK, "ponder": {"strategy": "chain-of-thought"}}
        async with session.post(f"{url[2]}/chat/completions", json=body) as answer:
            told = await answer.json()
            return answer.status if "choices" in told else -answer.status

    async with aiohttp.ClientSession() as session:
        running = [asyncio.create_task(ask(session)) for _ in range(20)]
        await asyncio.sleep(0.5)
        early = sum(task.done() for task in running)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.05)
        new = await asyncio.gather(ask(session), return_exceptions=True)
        got = await asyncio.gather(*running, return_exceptions=True)
    code = await asyncio.to_thread(process.wait, 60)
    took = time.monotonic() - began
    good = sum(one == 200 for one in got)
    return Figure(
        f"{len(running)} in flight ({early} done before): {good} whole, a new one got {new[0]}; exit {code} after {took:.1f} s",
        held=good == len(running) and new[0] == -503 and code == 0 and took <= 31,
    )


@row(
    "R30",
    "When some samples of a request fail, the answer says so and counts them; when all fail it is an error",
    '`stop` is "degraded" and the counts are right in every answer, 502 where all failed; 0 silent',
)
def degraded(folder: Path, tier: Tier) -> Figure:
    del folder
    cases, silent, errors = (1000 if tier == "N" else 200), 0, 0
    for seed in range(cases):

        async def job(seed: int = seed) -> tuple[int, dict, int]:
            flaky = Flaky(Scripted.solver(1.0, text=TEXT, name="solver"), 0.4, seed=seed)
            it = gateway([Served("solver", flaky)])
            status, _, sent = await asked(it, {"model": "solver@vote4", "messages": ASK, "seed": seed})
            return status, json.loads(b"".join(piece for _, piece in sent)), flaky.failures

        status, body, failures = virtual(job)
        if status != 200:
            errors += 1
            silent += failures != 4 or status != 502
        else:
            told = body["ponder"]
            silent += (
                told["stop"] != ("degraded" if failures else "answered")
                or told["samples"]["failed"] != failures
            )
    return Figure(
        f"{cases} requests with failing samples, {errors} of which all failed: {silent} silent or miscounted",
        held=not silent,
    )
