"""The real command, in a process and a home of its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ponder.store import list_runs

COMMAND = str(Path(sys.executable).with_name("ponder"))


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background jobs ignore Ctrl-C, and so do their children; `ponder` is to be started as in front.
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Cli:
    """`ponder` with a home below `folder`, which is also where it works."""

    def __init__(self, folder):
        self.folder = folder
        self.home = folder / "home"
        # One thread: two of them wait for each other wherever something else runs too.
        own = {"PONDER_HOME": str(self.home), "PONDER_THREADS": "1", "COLUMNS": "100", "TERM": "dumb"}
        own["PYTHONFAULTHANDLER"] = "1"  # one that hangs is asked where, see `__call__`
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PONDER_")}
        self.env = kept | own

    def __call__(self, *words, home=None, stdin="", env=None, **more):
        """Run it to its end."""
        env = self.env | (env or {}) | ({"PONDER_HOME": str(home)} if home else {})
        with subprocess.Popen(
            [COMMAND, *words],
            cwd=self.folder,
            env=env,
            text=True,
            stdin=subprocess.PIPE,
            stdout=more.get("stdout", subprocess.PIPE),
            stderr=more.get("stderr", subprocess.PIPE),
        ) as process:
            try:
                out, err = process.communicate(stdin, timeout=300)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGABRT)  # it says where each of its threads is
                out, err = process.communicate()
                pytest.fail(f"ponder {' '.join(words)} did not end within 300 s. It said: {out}\n{err}")
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def start(self, *words, **more):
        """Start it."""
        return subprocess.Popen(
            [COMMAND, *words],
            cwd=self.folder,
            env=self.env,
            text=True,
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more,
        )

    def until(self, process, true):
        """Wait until this holds of the newest run in its home, while the process is at work: the run."""
        while not (runs := list_runs(self.home / "runs", 1)) or not true(runs[0]):
            assert process.poll() is None
            time.sleep(0.01)
        return runs[0]


@pytest.fixture
def ponder(tmp_path):
    return Cli(tmp_path)


@pytest.fixture(scope="session")
def model(smollm2):
    return str(smollm2)
