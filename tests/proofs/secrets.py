"""Secrets, and words that look like none, put wherever a person or a server may put them, and looked for everywhere else."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web
from gateway.test_passing import echoing
from gateways import opened_keys
from serving import run

from ponder.engines.servers.found import Found
from proofs import Figure, row

if TYPE_CHECKING:
    from proofs import Tier

KEYS = ("environment", "file", "client", "wrong")
"""Canaries that nobody is told."""
WORDS = ("prompt", "header", "query", "field")
"""Canaries that a client sends: only who sends them may see them again."""
FATES = ("good", "400", "401", "500", "broken")
CONFIG = """
[models.front]
url = "{url}/v1"
model = "upstream-model"
key = "${{env:BIG_KEY}}"
attempts = 1

[models.other]
url = "{url}/v1"
model = "upstream-model"
key = "file:{file}"
attempts = 1
"""
PONDER = [sys.executable, "-m", "ponder"]


@row(
    "R36",
    "Canaries as the keys of servers (environment, file), the keys of clients, prompts, headers, queries and unknown fields, "
    "with a server that says its key again in every error: they are in no log, trace, report, metric, error, file or "
    "argument of a process",
    "0 canaries found",
)
def canaries(folder: Path, tier: Tier) -> Figure:
    del tier
    looked, found = run(_hidden, folder, seconds=300)
    return Figure(
        f"{len(KEYS + WORDS)} canaries, {looked} places ({', '.join(sorted(found)) or 'none'}): "
        f"{sum(map(len, found.values()))} found",
        held=not any(found.values()),
    )


async def _tells(request: web.Request) -> web.StreamResponse:
    """Answers, or fails as its question says, and tells the key that it was given."""
    body = await request.json()
    asked, given = json.dumps(body["messages"]), request.headers["authorization"]
    fate = next(
        fate
        for fate in (*FATES, "good")
        if f"fate-{fate}" in asked or (fate == "good" and "fate-" not in asked)
    )
    if fate.isdigit():
        error = {
            "message": f"Not with {given}, that is {given.removeprefix('Bearer ')}.",
            "type": "x",
            "code": "y",
        }
        return web.json_response({"error": error}, status=int(fate))
    text = "The answer is 42."
    usage = {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}
    if not body.get("stream"):
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return web.json_response({"object": "chat.completion", "choices": [choice], "usage": usage})
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    events: list[Any] = [{"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}]
    if fate == "broken":
        events.append({"error": {"message": "It broke.", "code": 500}})
    events += [
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": usage},
    ]
    for event in events:
        await response.write(f"data: {json.dumps(event)}\n\n".encode())
    await response.write(b"data: [DONE]\n\n")
    return response


async def _hidden(folder: Path) -> tuple[int, dict[str, list[str]]]:
    hidden = {name: f"canary{name}{secrets.token_hex(8)}" for name in KEYS + WORDS}
    home = folder / "home"
    (folder / "key").write_text(hidden["file"])
    keys = opened_keys(home)
    secret, _ = keys.create("x")
    watcher, _ = keys.create("watcher", scopes=["metrics"])
    hidden["client"] = secret.rpartition("_")[2]
    env = {**os.environ, "PONDER_HOME": str(home), "BIG_KEY": hidden["environment"]}
    async with echoing(_tells) as (url, _):
        (folder / "ponder.toml").write_text(CONFIG.format(url=url, file=folder / "key"))
        Found(url, "upstream-model", can=frozenset({"streams"})).save(
            home / "cache" / "servers", "upstream-model"
        )
        told = await _served(folder, env, hidden, secret, watcher)
        told |= await asyncio.to_thread(_by_hand, folder, env)
    files = b"".join(path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file())
    told["files"] = files.decode("utf-8", "replace")
    found = {}
    for place, text in told.items():
        may = WORDS if place in ("answers", "commands", "reports") else ()  # questions are in them on purpose
        found[place] = [name for name, canary in hidden.items() if canary in text and name not in may]
    return len(told), found


def _started(words: list[str], env: dict[str, str], folder: Path) -> subprocess.Popen[str]:
    pipes: dict[str, Any] = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(words, env=env, text=True, cwd=folder, **pipes)


def _arguments(process: subprocess.Popen[str]) -> str:
    path = Path(f"/proc/{process.pid}/cmdline")
    return path.read_text("utf-8") if path.exists() else ""


async def _served(
    folder: Path, env: dict[str, str], hidden: dict[str, str], secret: str, watcher: str
) -> dict[str, str]:
    """What a gateway says to its clients and of itself."""
    words = [*PONDER, "serve", "--config", str(folder / "ponder.toml"), "--port", "0"]
    process = _started(words, env, folder)
    assert process.stderr is not None
    first = await asyncio.to_thread(process.stderr.readline)
    at = re.search(r"http://\S+(?=/v1)", first)
    if at is None:
        raise RuntimeError(first + process.communicate()[1])
    answers, own = [], []
    headers = {"authorization": f"Bearer {secret}", "x-note": hidden["header"]}
    async with aiohttp.ClientSession(at[0], headers=headers) as session:

        async def post(body: Any, **more: Any) -> None:
            path = f"/v1/chat/completions?k={hidden['query']}"
            async with session.post(path, json=body, **more) as answer:
                answers.append(f"{answer.status} {dict(answer.headers)} {await answer.text()}")

        for model in ("front", "other"):
            for fate in FATES:
                said = [{"role": "user", "content": f"{hidden['prompt']} fate-{fate}"}]
                for stream in (False, True):
                    for ponder in ({}, {"strategy": "self-consistency:n=2"}):
                        field = {} if ponder else {hidden["field"]: 1}
                        await post(
                            {"model": model, "messages": said, "stream": stream, "ponder": ponder, **field}
                        )
        await post({"model": hidden["prompt"], "messages": said})
        await post({"model": "front", "messages": [{"role": hidden["prompt"]}]})
        await post(
            {"model": "front", "messages": said}, headers={"authorization": f"Bearer {hidden['wrong']}"}
        )
        await post({"model": "front", "messages": said, "ponder": {"strategy": hidden["prompt"]}})
        for path in ("/v1/models", "/v1/strategies", "/openapi.json", "/metrics"):
            who = {"authorization": f"Bearer {watcher}"} if path == "/metrics" else {}
            async with session.get(path, headers=who) as answer:
                own.append(f"{answer.status} {await answer.text()}")
    line = _arguments(process)
    process.send_signal(signal.SIGTERM)
    out, err = await asyncio.to_thread(process.communicate, None, 60)
    if '"model": "front"' not in err or not any(text.startswith("200") for text in answers):
        raise RuntimeError(f"it served nobody: {err[-300:]}")
    return {
        "answers": "\n".join(answers), "of itself": "\n".join(own), "logs": first + out + err, "arguments": line,
    }  # fmt: skip


def _by_hand(folder: Path, env: dict[str, str]) -> dict[str, str]:
    """What commands say and write, where a person asks the same servers."""

    def ponder(*words: str) -> str:
        done = subprocess.run(
            [*PONDER, *words], env=env, capture_output=True, text=True, cwd=folder, timeout=120
        )
        return done.stdout + done.stderr

    asked = [{"id": str(i), "question": f"What is {i} + {40 - i}?", "answer": "42"} for i in range(3)]
    (folder / "asked.jsonl").write_text("".join(json.dumps(one) + "\n" for one in asked))
    said = ponder("solve", "What is 6 * 7? fate-401", "-m", "front", "--json")
    said += ponder("solve", "What is 6 * 7?", "-m", "other", "--json")
    said += ponder("eval", "asked.jsonl", "-m", "front", "-s", "direct", "-s", "self-consistency:n=2")
    said += ponder("report", "-o", "report.html") + ponder("export", "-o", "outcomes.jsonl")
    reports = "".join(
        path.read_text("utf-8")
        for path in (folder / "report.html", folder / "outcomes.jsonl")
        if path.exists()
    )
    if not reports:
        raise RuntimeError(f"there is no report: {said[-300:]}")
    return {"commands": said, "reports": reports}
