"""Our gateway beside OptiLLM and its_hub, in one run, in front of the same mock server.

python benchmarks/gateway.py [--latency 0.05 0.2] [--clients 1 50 200 500] [--seconds 2] [--rounds 3] [--only PART ...]

Parts: pass, vote, first, broken, leaving. In the first a relay that only carries bytes is the floor. Those of the peers
that `make .peers/optillm/.done .peers/its-hub/.done` installed are measured beside ours. wrk makes the load (Debian's
package; it needs 5 us a request, the fastest of us hundreds). The mock needs 0.2 ms for a plain answer, and shares the
machine's cores with who is measured. Each gateway runs alone, as it is by default; ours has `requests = 2000`, as it would
otherwise refuse more than 256 at once. "CPU" is the processor time of the gateway's process for each request, which other
programs on the machine disturb least.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from contenders import ITS, OPTILLM, OURS, RELAY, get, installed, mock, post, running

if TYPE_CHECKING:
    from contenders import Contender

PARTS = ("pass", "vote", "first", "broken", "leaving")
FAULTS = ("400", "429", "500", "503", "reset", "break", "stall", "malformed", "truncate")
LEAVING = 500
HELD = (
    "ponder_requests_in_flight",
    "ponder_requests_admitted",
    "ponder_calls_in_flight",
    "ponder_calls_reserved",
    "ponder_tokens_reserved",
    "ponder_tasks",
)
"""Gauges of ours that are to be as they were, once nobody asks any more."""


class Load(NamedTuple):
    """What wrk saw, and what the server spent."""

    rate: float
    p50: float
    p99: float
    failed: int
    processor: float
    memory: float


def best(
    upstream: Contender, all_of_them: list[tuple[Contender, str]], clients: int, rounds: int, seconds: float
) -> dict[tuple[str, str], Load]:
    """The best of each contender's turns, which they take one after the other: what else the machine does befalls all."""
    found: dict[tuple[str, str], list[Load]] = {}
    for _ in range(rounds):
        for it, kind in all_of_them:
            found.setdefault((it.name, kind), []).append(loaded(it, it.body(kind), clients, seconds))
            rest(upstream)
    return {
        who: Load(
            max(one.rate for one in loads),
            min((one.p50 for one in loads if one.p50), default=0.0),
            min((one.p99 for one in loads if one.p99), default=0.0),
            sum(one.failed for one in loads),
            min(one.processor for one in loads),
            max(one.memory for one in loads),
        )
        for who, loads in found.items()
    }


def rest(upstream: Contender) -> None:
    """Wait until nobody works for clients that have left: OptiLLM goes on for them, in the time of the next one."""
    quiet, until = 0, time.monotonic() + 30
    while quiet < 4 and time.monotonic() < until:
        time.sleep(0.1)
        quiet = 0 if get(f"{upstream.url}/mock/counters")["in_flight"] else quiet + 1


def loaded(it: Contender, body: dict[str, Any], clients: int, seconds: float) -> Load:
    """So many clients, each of which asks again as soon as it is answered."""
    script = Path(__file__).with_name("load.lua")
    words = ["wrk", "-t1", f"-c{clients}", f"-d{seconds:g}s", "--timeout", "60s", "-s", str(script)]
    before = it.processor()
    done = subprocess.run(
        [*words, f"{it.url}/v1/chat/completions"],
        env={**os.environ, "BODY": json.dumps(body)},
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    good = max(1, told["requests"] - told["failed"])
    spent = (it.processor() - before) / max(1, told["requests"])
    return Load(good / told["seconds"], told["p50"], told["p99"], told["failed"], spent, it.memory())


class Table:
    """Lines that are printed as they are known, and verdicts at the end."""

    def __init__(self) -> None:
        self.targets: list[str] = []

    def line(self, *cells: object) -> None:
        print("  ".join(f"{cell:>10}" if i else f"{cell:<22}" for i, cell in enumerate(cells)), flush=True)

    def target(self, what: str, got: float | None, bound: float, *, least: bool, unit: str = "") -> None:
        """A target of ours and whether it is met."""
        if got is None:
            self.targets.append(f"?       {what}: not measured here")
            return
        met = got >= bound if least else got <= bound
        said = f"{'met   ' if met else 'MISSED'}  {what}: {got:.3g}{unit}, aim {'at least' if least else 'at most'}"
        self.targets.append(f"{said} {bound:g}{unit}")


def passing(all_of_them: list[Contender], asked: argparse.Namespace, table: Table) -> None:
    """A plain request through each."""
    table.line("pass-through", "clients", "requests/s", "p50 ms", "p99 ms", "CPU ms", "MB", "failed")
    for many in asked.clients:
        got = best(all_of_them[0], [(it, "plain") for it in all_of_them], many, asked.rounds, asked.seconds)
        for (name, _), load in got.items():
            _told(table, name, many, load)
        direct, ours, its = got["direct", "plain"], got[OURS, "plain"], got.get((ITS, "plain"))
        for (name, _), load in got.items():
            added = (load.p50 - direct.p50) * 1000, (load.p99 - direct.p99) * 1000
            if name != "direct":
                table.line(f"  {name} adds", many, "", f"{added[0]:.2f}", f"{added[1]:.2f}")
        if many == 1:
            table.target("pass-through adds", (ours.p50 - direct.p50) * 1000, 1, least=False, unit=" ms")
        elif many in (50, 200):
            share = ours.rate / its.rate if its else None
            table.target(f"requests/s at {many} clients, times its_hub's", share, 1, least=True)
            share = its.processor / ours.processor if its else None
            table.target(f"requests per CPU second at {many} clients, times its_hub's", share, 1, least=True)
        if many == 200:
            table.target("memory at 200 clients", ours.memory, 100, least=False, unit=" MB")


def voting(all_of_them: list[Contender], asked: argparse.Namespace, table: Table) -> None:
    """A majority of 8 through each: OptiLLM asks once with n=8, its_hub eight times, ours in both ways."""
    kinds = [(it, kind) for it in all_of_them[1:] for kind in ("vote", "eight")[: 1 + (it.name == OURS)]]
    table.line("majority of 8", "clients", "requests/s", "p50 ms", "p99 ms", "CPU ms", "MB", "failed")
    for many in asked.clients:
        if many > 200:
            continue
        got = best(all_of_them[0], kinds, many, asked.rounds, asked.seconds)
        for (name, kind), load in got.items():
            _told(table, name + (", 8 calls" if kind == "eight" else ""), many, load)
        if many != 50:
            continue
        for name, kind, how, bound in (
            (OPTILLM, "vote", "one n=8 call", 10),
            (ITS, "vote", "one n=8 call", 2),
            (ITS, "eight", "8 calls", 2),
        ):
            ours, peer = got[OURS, kind], got.get((name, "vote"))
            share = ours.rate / peer.rate if peer else None
            table.target(f"majority of 8 by {how} at 50 clients, times {name}'s", share, bound, least=True)
            share = peer.processor / ours.processor if peer else None
            table.target(f"  the same per CPU second, times {name}'s", share, bound, least=True)


def _told(table: Table, name: str, clients: int, load: Load) -> None:
    times = f"{load.p50 * 1000:.2f}", f"{load.p99 * 1000:.2f}", f"{load.processor * 1000:.2f}"
    table.line(name, clients, f"{load.rate:.1f}", *times, f"{load.memory:.0f}", load.failed or "")


async def _first(it: Contender, kind: str) -> tuple[float, float, int]:
    """Seconds to the first content and to the end of one stream, and how many pieces it had."""
    import aiohttp

    began = time.perf_counter()
    first, pieces = 0.0, 0
    async with aiohttp.ClientSession() as session:
        body = it.body(kind, stream=True)
        async with session.post(f"{it.url}/v1/chat/completions", json=body) as answer:
            async for line in answer.content:
                if not line.startswith(b"data: {"):
                    continue
                choices = json.loads(line[6:]).get("choices") or [{}]
                if choices[0].get("delta", {}).get("content"):
                    first = first or time.perf_counter() - began
                    pieces += 1
    return first, time.perf_counter() - began, pieces


def firsts(all_of_them: list[Contender], table: Table) -> None:
    """When the first word of a stream comes; the mock writes a token each 10 ms. The middle of 9."""
    table.line("stream", "first ms", "end ms", "pieces")
    middle: dict[str, float] = {}
    for it in all_of_them:
        tries = sorted(asyncio.run(_first(it, "plain")) for _ in range(9))
        first, end, pieces = tries[4]
        middle[it.name] = first
        table.line(it.name, f"{first * 1000:.1f}", f"{end * 1000:.1f}", pieces)
    late = (middle[OURS] - middle["direct"]) * 1000
    table.target("first content after the upstream's", late, 10, least=False, unit=" ms")


def broken(all_of_them: list[Contender], table: Table) -> None:
    """The third of the calls to the mock goes wrong, and so does the first: who still answers, of 16 for each fault."""
    direct = all_of_them[0]
    table.line("failed of 16, by fault", *FAULTS)
    for it in all_of_them[1:]:
        failed = []
        for fault in FAULTS:
            bad = 0
            for i in range(16):
                post(f"{direct.url}/mock/faults", {"script": ["ok"] * (2 * (i % 2)) + [fault]})
                status, told = it.post(it.body("vote"))
                said = json.dumps(told)
                bad += status != 200 or "The answ" not in said  # of 16 tokens no more need be there
            failed.append(bad)
            post(f"{direct.url}/mock/faults", {})
        table.line(it.name, *failed)
        if it.name == OURS:
            table.target("requests that fail with one sample", sum(failed), 0, least=False)


async def _leave(it: Contender, clients: int, seconds: float) -> None:
    import aiohttp

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def one() -> None:
            body = it.body("vote", stream=True)
            async with session.post(f"{it.url}/v1/chat/completions", json=body) as answer:
                await answer.read()

        tasks = [asyncio.ensure_future(one()) for _ in range(clients)]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def leaving(all_of_them: list[Contender], table: Table) -> None:
    """Clients that leave in the middle of a vote; then 20 ask one after the other."""
    direct = all_of_them[0]
    head = ("in flight 1 s on", "answered of 20", "sockets more", "MB more", "MB")
    table.line(f"{LEAVING} left mid-vote", *head)
    for it in all_of_them[1:]:
        for _ in range(3):
            it.post(it.body("vote"))
        time.sleep(0.5)
        sockets, memory = it.sockets(), it.memory()
        at_rest = _gauges(it) if it.name == OURS else {}
        asyncio.run(_leave(it, LEAVING, 3.0))
        time.sleep(1.0)
        left = get(f"{direct.url}/mock/counters")["in_flight"]
        good = 0
        for _ in range(20):
            status, _told_it = it.post(it.body("vote"), 10)
            good += status == 200
            if status == 0:
                break
        time.sleep(0.5)
        more = it.sockets() - sockets
        table.line(it.name, left, good, more, f"{it.memory() - memory:.0f}", f"{it.memory():.0f}")
        if it.name == OURS:
            table.target("upstream calls 1 s after 500 left", left, 0, least=False)
            table.target("answers of 20 after 500 left", good, 20, least=True)
            after = _gauges(it)
            held = {name: after[name] - at_rest[name] for name in HELD}
            table.line("  more than before", *(f"{k.removeprefix('ponder_')} {v:g}" for k, v in held.items()))
            worst = max(map(abs, held.values()))
            table.target("requests, calls, tokens and tasks held by nobody", worst, 0, least=False)


def _gauges(it: Contender) -> dict[str, float]:
    """What is held at the moment, of all models together, as /metrics tells it."""
    found: dict[str, float] = {}
    for line in str(get(f"{it.url}/metrics")).splitlines():
        name, _, value = line.rpartition(" ")
        if (name := name.partition("{")[0]) in HELD:
            found[name] = found.get(name, 0.0) + float(value)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--latency", type=float, nargs="+", default=[0.05, 0.2], metavar="S")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 50, 200, 500], metavar="N")
    parser.add_argument("--seconds", type=float, default=2.0, metavar="S", help="of a turn")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="turns of each; the best counts")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--peers", nargs="*", choices=(OPTILLM, ITS), default=None)
    asked = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk makes the load. Install it: apt-get install wrk")
    names = [n for n in installed() if n == OURS or asked.peers is None or n in asked.peers]
    print(f"{', '.join(names)}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    table = Table()
    rounds = [(latency, 0.0, [p for p in asked.only if p in ("pass", "vote")]) for latency in asked.latency]
    rounds.append((0.05, 0.01, [p for p in asked.only if p in ("first", "leaving")]))
    rounds.append((0.0, 0.0, [p for p in asked.only if p == "broken"]))
    for latency, pace, parts in rounds:
        if not parts:
            continue
        with ExitStack() as stack:
            upstream = stack.enter_context(mock(latency, pace))
            all_of_them = [upstream, *(stack.enter_context(running(n, upstream.url)) for n in names)]
            for it in all_of_them[1:]:
                for kind in ("plain", "vote"):
                    status, said = it.post(it.body(kind))
                    if status != 200:
                        sys.exit(f"{it.name} does not answer: {said}")
            print(
                f"\nA mock server that begins after {latency * 1000:g} ms, {pace * 1000:g} ms a token",
                flush=True,
            )
            if "pass" in parts:
                with running(RELAY, upstream.url) as relay:
                    passing([*all_of_them, relay], asked, table)
            if "vote" in parts:
                voting(all_of_them, asked, table)
            if "first" in parts:
                firsts(all_of_them, table)
            if "leaving" in parts:
                leaving(all_of_them, table)
            if "broken" in parts:
                broken(all_of_them, table)
    print("\n" + "\n".join(table.targets))


if __name__ == "__main__":
    main()
