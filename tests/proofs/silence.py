"""Streams in which nothing is said for long."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import aiohttp
from gateway.test_rules import pings
from gateways import ASK, listening
from serving import run, until

from ponder.engines.scripted import Scripted
from ponder.gateway import replying
from proofs import Figure, row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from proofs import Tier

NGINX = """daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port}; location / {{
    proxy_pass {url}; proxy_http_version 1.1; proxy_set_header Host localhost; proxy_read_timeout {patience}; }} }}
}}
"""


@row(
    "R23",
    "A stream in which no token comes for ten minutes says every 15 seconds that it lives, so that nginx, which ends those "
    "that are silent, lets it live",
    "a ping each 15 s, within 1 s; behind nginx with a read timeout of 60 s the answer comes whole after 150 s of silence "
    "(tier C: all of it a hundred times as fast; and without pings nginx does end it)",
)
def silence(folder: Path, tier: Tier) -> Figure:
    gaps = pings(600.0)
    held = len(gaps) in (38, 39) and all(abs(gap - 15.0) <= 1.0 for gap in gaps)
    said = f"{len(gaps) + 1} pings in ten minutes of a virtual clock, {min(gaps):g} to {max(gaps):g} s apart"
    if shutil.which("nginx") is None:
        return Figure(f"{said}; nginx is not installed", held=False)
    if tier == "N":
        whole, took = run(_behind, folder, 150.0, "60s", seconds=300)
        return Figure(
            f"{said}; behind nginx {'whole' if whole else 'cut off'} after {took:.0f} s", held=held and whole
        )
    ping = replying.PING
    try:
        replying.PING = 0.5
        whole, took = run(_behind, folder, 5.0, "2s")
        replying.PING = 3600.0
        cut, _ = run(_behind, folder, 5.0, "2s")
    finally:
        replying.PING = ping
    told = f"behind nginx {'whole' if whole else 'cut off'} after {took:.0f} s, {'whole' if cut else 'cut off'} without pings"
    return Figure(f"{said}; {told}", held=held and whole and not cut)


async def _behind(folder: Path, seconds: float, patience: str) -> tuple[bool, float]:
    """Whether an answer that comes after such a silence comes whole through nginx, and how long it took."""
    engine = Scripted.solver(1.0, name="solver", latency=seconds)
    async with (
        listening(engine) as (_, url),
        _nginx(folder, url, patience) as front,
        aiohttp.ClientSession() as session,
    ):
        began = time.monotonic()
        body = {"model": "solver", "messages": ASK, "stream": True, "ponder": {"strategy": "direct"}}
        try:
            async with session.post(f"{front}/v1/chat/completions", json=body) as answer:
                text = await answer.text()
        except aiohttp.ClientError:
            text = ""
        return text.endswith("data: [DONE]\n\n"), time.monotonic() - began


@contextlib.asynccontextmanager
async def _nginx(folder: Path, url: str, patience: str) -> AsyncIterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    _write(folder / "nginx.conf", NGINX.format(folder=folder, url=url, port=port, patience=patience))
    process = await asyncio.create_subprocess_exec(
        "nginx", "-c", str(folder / "nginx.conf"), stderr=subprocess.DEVNULL
    )

    def listens() -> bool:
        with socket.socket() as there:
            return there.connect_ex(("127.0.0.1", port)) == 0

    try:
        await until(listens, 20.0)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


def _write(path: Path, text: str) -> None:
    path.write_text(text)
