"""Clients of the gateway: too many, too fast, the same request twice, and what is passed on for them."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.test_passing import others, passed
from gateway.test_rules import admitted
from gateway.test_safety import once
from gateways import ASK
from serving import run

from proofs import Figure, row

if TYPE_CHECKING:
    from proofs import Tier


@row(
    "R16",
    "Ten times as many requests as a key may make a minute, while the clock of the machine jumps an hour on and back: as "
    "many are let in as it may make, the minute in hand at the start included, and the others are told when to come again",
    "within 1 % of the limit",
)
def rates(folder: Path, tier: Tier) -> Figure:
    told, held = [], True
    for rate, minutes in ((6, 100), (60, 10), (600, 1)):
        seconds = 60 * minutes * (4 if tier == "N" else 1)
        got, limit = admitted(folder / str(rate), rate, seconds), rate * (1 + seconds / 60)
        told.append(f"{got:,} of {limit:,.0f} at {rate} a minute")
        held &= abs(got - limit) <= 0.01 * limit
    return Figure("; ".join(told), held=held)


@row(
    "R18",
    "What is passed on as it is reaches the server and comes back letter by letter: conversations, tools, JSON, log-"
    "probabilities, images, refusals, reasoning, zeros, fields that nobody knows",
    "every letter the same but the model's name, streamed and not",
)
def fidelity(folder: Path, tier: Tier) -> Figure:
    del folder, tier
    shapes = differ = 0
    for streamed in (False, True):
        for text, status, sent, body, told in passed(streamed):
            shapes += 1
            differ += status != 200 or told != body or others(sent.decode()) != others(text)
    return Figure(f"{shapes} exchanges, half of them streamed: {differ} differ", held=differ == 0)


@row(
    "R27",
    "The same Idempotency-Key at twenty clients at once, and again after a restart, is one execution and one answer; under "
    "another body it is refused",
    "1 execution, the same bytes for all, 409 for another body",
)
def idempotency(folder: Path, tier: Tier) -> Figure:
    rounds = 20 if tier == "N" else 2
    wrong = answers = 0
    for i, stream, model in itertools.product(range(rounds), (False, True), ("solver", "solver@vote4")):
        body = {"model": model, "messages": ASK, "stream": stream}
        got, other, engine, keys = once(folder / f"{i}{stream}{model}", body)
        answers += len(got)
        calls = engine.calls == (4 if "@" in model else 1) and keys.named("x").requests == 1
        conflict = (other[0], json.loads(other[1])["error"]["code"]) == (409, "idempotency_conflict")
        wrong += not (calls and conflict and set(got) == {got[0]} and got[0][0] == 200)
    return Figure(
        f"{answers} answers of {rounds * 4} requests: {wrong} requests made twice, told otherwise or not refused",
        held=wrong == 0,
    )


@row(
    "R10",
    "5,000 connected clients, 500 of them asking each second, against 200 requests served at once and 400 in line: who is too "
    "many is told so at once and when to come again, everyone who was let in gets the right answer, and memory stays",
    "503 with retry-after within 50 ms for 99 of 100, 0 answers missing or wrong, at most 64 MB more (tier C: a tenth of all)",
)
def crowd(folder: Path, tier: Tier) -> Figure:
    scale = 1 if tier == "N" else 10
    return run(_crowd, folder, scale, seconds=300)


async def _crowd(folder: Path, scale: int) -> Figure:
    clients, most, line = 5_000 // scale, 200 // scale, 400 // scale
    _write(folder / "ponder.toml", f"[gateway]\nrequests = {most}\nqueue = {line}\n")
    words = [sys.executable, "-m", "ponder", "serve", "-m", "simulated:rate=20", "--port", "0"]
    env = {**os.environ, "PONDER_HOME": str(folder / "home")}
    more = {"stderr": asyncio.subprocess.PIPE, "cwd": folder, "env": env}
    process = await asyncio.create_subprocess_exec(*words, "--config", str(folder / "ponder.toml"), **more)
    assert process.stderr is not None
    at = re.search(r"Serving (\S+) at http://([\d.]+):(\d+)/v1", (await process.stderr.readline()).decode())
    if at is None:
        return Figure("it did not start", held=False)
    reading = asyncio.create_task(process.stderr.read())  # its log
    before = _memory(process.pid)
    open_ = asyncio.Semaphore(100)

    async def connected() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with open_:
            return await asyncio.open_connection(at[2], int(at[3]), limit=4096)

    streams = await asyncio.gather(*(connected() for _ in range(clients)))
    body = json.dumps({"model": at[1], "messages": ASK, "ponder": {"strategy": "chain-of-thought"}}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    asked = head + b"content-length: %d\r\n\r\n" % len(body) + body
    began = time.monotonic()

    async def one(i: int) -> tuple[int, float, bool]:
        await asyncio.sleep(max(0.0, began + i * 10.0 / clients - time.monotonic()))
        reader, writer = streams[i]
        started = time.monotonic()
        writer.write(asked)
        told = await reader.readuntil(b"\r\n\r\n")
        took = time.monotonic() - started
        length = re.search(rb"content-length: (\d+)", told)
        said = await reader.readexactly(int(length[1]) if length else 0)
        status = int(told.split()[1])
        good = b'"finish_reason"' in said if status == 200 else b"\r\nretry-after: " in told
        return status, took, good

    got = await asyncio.gather(*(one(i) for i in range(clients)), return_exceptions=True)
    peak = _memory(process.pid, "VmHWM")
    for _, writer in streams:
        writer.transport.abort()
    process.send_signal(signal.SIGTERM)
    await process.wait()
    await reading
    whole = [one for one in got if not isinstance(one, BaseException)]
    answered = sum(status == 200 and good for status, _, good in whole)
    refused = sorted(took for status, took, good in whole if status == 503 and good)
    p99 = refused[int(len(refused) * 0.99)] if refused else 0.0
    missing, grown = clients - answered - len(refused), peak - before
    return Figure(
        f"{clients:,} clients in 10 s: {answered:,} answered, {len(refused):,} refused with 503 (p50 "
        f"{refused[len(refused) // 2] * 1000 if refused else 0:.0f} ms, p99 {p99 * 1000:.0f} ms), {missing} lost; "
        f"{grown:.0f} MB more at most (server and clients on the same two cores)",
        held=bool(refused) and p99 <= 0.05 and not missing and grown <= 64,
    )


def _memory(process: int, what: str = "VmRSS") -> float:
    """Megabytes of a process."""
    text = Path(f"/proc/{process}/status").read_text("utf-8")
    found = re.search(rf"{what}:\s+(\d+)", text)
    return int(found[1]) / 1024 if found else 0.0


def _write(path: Path, text: str) -> None:
    path.write_text(text)
