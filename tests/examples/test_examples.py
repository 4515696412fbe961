"""The examples are run as they stand: against `ponder serve` with a real model, as a person would."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import openai
import pytest
from serving import run

from ponder.core.errors import UsageError
from ponder.engines.scripted import Scripted
from ponder.gateway.options import Options
from ponder.mock.server import Mock

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
pytestmark = pytest.mark.model

SAYS = {
    "vote.py": r"plain: .*\nvoted: .*('share'|None).*\nsamples: \{.*'finished': 8",
    "progress.py": r"tokens in all",
    "budget.py": r"1000 tokens: 8 samples.*\n150 tokens: \d samples.*\n3 tokens: budget_exhausted",
    "tools.py": r"JSON:  \{'animal': '(mouse|horse|elephant)', 'large': (True|False)\}.*\n(.*\n)*ended:",
}
"""What each prints, whatever the model says."""


@contextlib.contextmanager
def serving(words, folder):
    """`ponder serve`, once it listens: its URL."""
    env = {**os.environ, "PONDER_THREADS": "1", "PONDER_HOME": str(folder)}
    words = [sys.executable, "-m", "ponder", "serve", *words, "--port", "0"]
    with subprocess.Popen(words, env=env, stderr=subprocess.PIPE, text=True) as process:
        said = ""
        try:
            for line in process.stderr:
                said += line
                if url := re.search(r"at (http://\S+/v1)", line):
                    break
            else:
                raise AssertionError(said)
            reading = threading.Thread(target=process.stderr.read)  # what it logs is read away
            reading.start()
            yield url[1]
            process.send_signal(signal.SIGTERM)
            reading.join()
        finally:
            process.kill()


@pytest.fixture(scope="module")
def url(smollm2, tmp_path_factory):
    with serving(["-m", str(smollm2)], tmp_path_factory.mktemp("home")) as url:
        yield url


def printed(*words, **env):
    done = subprocess.run(
        [sys.executable, "-W", "error", *words],
        capture_output=True,
        text=True,
        timeout=500,
        env={**os.environ, "PONDER_THREADS": "1", **env},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", SAYS)
def test_an_example_of_the_gateway(name, url):
    assert re.search(SAYS[name], out := printed(str(EXAMPLES / name), url, "smollm2-135m")), out


def test_the_example_of_the_library(smollm2, tmp_path):
    out = printed(str(EXAMPLES / "library.py"), str(smollm2), PONDER_HOME=str(tmp_path))
    assert re.search(r"vote: .*\d+ tokens\nbest of 4: .*\nevents: .*'started': 1", out), out


def test_the_gateway_in_front_of_a_llama_server(tmp_path):
    """The file as it stands, but for the port of a mock server that speaks like one."""
    text = (EXAMPLES / "llama-server/ponder.toml").read_text("utf-8")

    ask = [{"role": "user", "content": "What is 6 * 7?"}]

    def asked(folder):
        with (
            serving(["--config", str(folder / "ponder.toml")], folder) as url,
            openai.OpenAI(base_url=url, api_key="none") as client,
        ):
            models = [model.id for model in client.models.list()]
            return models, client.chat.completions.create(
                model="local", messages=ask, reasoning_effort="high"
            )

    async def job():
        async with Mock(Scripted.solver(1.0, text="Well. The answer is {answer}."), "llama-server") as mock:
            (tmp_path / "ponder.toml").write_text(text.replace("http://127.0.0.1:8000", mock.url))
            return await asyncio.to_thread(asked, tmp_path)

    models, got = run(job)
    assert models == ["local", "local@quick", "local@majority8"]
    assert got.choices[0].message.content == "Well. The answer is 42."
    assert got.ponder["samples"]["finished"] == 8


def test_every_example_is_named_and_every_setting_is_known():
    named = (EXAMPLES / "README.md").read_text("utf-8")
    for path in EXAMPLES.rglob("*.*"):
        if path.name != "README.md" and "__pycache__" not in path.parts:
            assert f"]({path.relative_to(EXAMPLES).as_posix()})" in named
    assert {p.name for p in EXAMPLES.glob("*.py")} == {*SAYS, "library.py"}
    with pytest.raises(UsageError):
        Options.of({"gateway": {"budgett": "4k"}})
