"""The gateways that are compared, each in its own process in front of the same mock server."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PEERS = Path(__file__).parent.parent / ".peers"
TICK = os.sysconf("SC_CLK_TCK")
ASK = [{"role": "user", "content": "What is 17 + 48 - 29?"}]
MOST = 64
OURS, OPTILLM, ITS = "ponder", "optillm", "its_hub"
RELAY = "relay"
"""No gateway: it carries bytes, and shows what a process in between adds at the least."""


@dataclass(frozen=True)
class Contender:
    """One server that listens. `models` are what it calls the model under each of `plain` and `vote`."""

    name: str
    url: str
    pid: int

    def body(self, kind: str, **more: Any) -> dict[str, Any]:
        """A request: "plain", "vote" of 8, or "eight", a vote of 8 that may not be one call."""
        body: dict[str, Any] = {"model": "mock", "messages": ASK, "max_tokens": MOST, **more}
        if self.name == OPTILLM:
            return body | {"model": "none-mock" if kind == "plain" else "majority_voting-mock"}
        if self.name == ITS:
            return body | {"budget": 1 if kind == "plain" else 8}
        if self.name == OURS and kind != "plain":
            params = {"n": 8, "shots": 0}  # the others ask as they are asked, without examples
            body["ponder"] = {"strategy": "self-consistency", "params": params}
            if kind == "eight":
                body["seed"] = 1  # who names a seed gets a call for each sample
        return body

    def processor(self) -> float:
        """Seconds of processor time that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory(self) -> float:
        """Megabytes that are resident now."""
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text("ascii"))
        return int(found[1]) / 1024 if found else 0.0

    def sockets(self) -> int:
        return sum(1 for fd in Path(f"/proc/{self.pid}/fd").iterdir() if _leads(fd).startswith("socket:"))

    def post(self, body: Mapping[str, Any], seconds: float = 30.0) -> tuple[int, Any]:
        """One request: the status, 0 where none came in time, and the answer."""
        return post(f"{self.url}/v1/chat/completions", body, seconds)


def post(url: str, body: Mapping[str, Any], seconds: float = 30.0) -> tuple[int, Any]:
    headers = {"content-type": "application/json", "authorization": "Bearer none"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - our own servers
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode("utf-8", "replace")
    except (OSError, ValueError) as error:
        return 0, str(error)


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own servers
        text = answer.read()
    return json.loads(text) if text[:1] in b"{[" else text.decode()


def installed() -> list[str]:
    """Those that can run here."""
    there = {OURS: True, OPTILLM: (PEERS / "optillm/.done").exists(), ITS: (PEERS / "its-hub/.done").exists()}
    return [name for name, found in there.items() if found]


@contextmanager
def mock(latency: float, pace: float = 0.0, *, port: int = 0) -> Iterator[Contender]:
    """The mock server that all have behind them."""
    words = [sys.executable, "-m", "ponder", "mock", "--port", str(port), "--latency", str(latency)]
    with _process([*words, "--pace", str(pace)], {}) as (process, log):
        url = _told(process, log, r"http://[\d.:]+")
        yield Contender("direct", url, process.pid)


@contextmanager
def running(name: str, upstream: str) -> Iterator[Contender]:
    """A gateway in front of the mock."""
    port = _free()
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        words, env = _command(name, upstream, port, Path(folder))
        with _process(words, env | {"PONDER_HOME": folder}, folder) as (process, log):
            _wait(process, log, f"{url}/v1/models")
            if name == ITS:
                told = {"endpoint": f"{upstream}/v1", "api_key": "none", "model": "mock", "budget": 8}
                told |= {"alg": "self-consistency", "regex_patterns": [r"answer is (\d+)"]}
                status, said = post(f"{url}/configure", told)
                if status != 200:
                    raise SystemExit(f"its_hub could not be configured: {said}")
            yield Contender(name, url, process.pid)


def _command(name: str, upstream: str, port: int, folder: Path) -> tuple[list[str], dict[str, str]]:
    if name == RELAY:
        relay = Path(__file__).with_name("relay.py")
        return [sys.executable, str(relay), upstream.removeprefix("http://"), str(port)], {}
    if name == OPTILLM:
        words = [*_script("optillm/bin/optillm"), "--base-url", f"{upstream}/v1", "--port", port]
        return [*map(str, words), "--log", "error"], {"OPENAI_API_KEY": "none"}
    if name == ITS:
        words = [*_script("its-hub/bin/its-iaas"), "--port", port, "--log-level", "ERROR"]
        return list(map(str, words)), {}
    config = folder / "ponder.toml"
    settings = f'[models.mock]\nurl = "{upstream}/v1"\npatience = 2\n[gateway]\nrequests = 2000\n'
    config.write_text(settings, "utf-8")
    return [sys.executable, "-m", "ponder", "serve", "--config", str(config), "--port", str(port)], {}


def _script(path: str) -> list[Path | str | int]:
    """A script of an environment, which may have been moved since it was made."""
    script = PEERS / path
    return [script.with_name("python"), script]


@contextmanager
def _process(
    words: list[str], env: Mapping[str, str], folder: str | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    with tempfile.TemporaryDirectory() as place:
        log = Path(place) / "log"
        with log.open("wb") as out:
            process = subprocess.Popen(words, stdout=out, stderr=out, env={**os.environ, **env}, cwd=folder)
        try:
            yield process, log
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _told(process: subprocess.Popen[bytes], log: Path, what: str) -> str:
    for _ in range(600):
        if found := re.search(what, log.read_text("utf-8", "replace")):
            return found[0]
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit(f"A server did not start:\n{log.read_text('utf-8', 'replace')[-2000:]}")


def _wait(process: subprocess.Popen[bytes], log: Path, url: str) -> None:
    for _ in range(1200):
        try:
            get(url)
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"A server did not start:\n{log.read_text('utf-8', 'replace')[-2000:]}")


def _free() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _leads(fd: Path) -> str:
    try:
        return str(fd.readlink())
    except OSError:
        return ""
