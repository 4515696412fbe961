"""Runs that end otherwise than by themselves: what was finished is never lost."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ponder.core.events import Extended
from ponder.store import RunFile

LONG = ("-s", "self-consistency:n=64", "-b", "100k", "--seed", "1")
"""Far longer than any test waits."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send")


def until_an_answer(process):
    """What it said until two samples had come to their end with an answer."""
    said = ""
    for line in process.stderr:
        said += line
        if len(re.findall(r"answer is .* tokens\)$", said, re.MULTILINE | re.IGNORECASE)) == 2:
            return said
    raise AssertionError(f"It ended first: {said}")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_who_ends_a_run_gets_the_best_answer_so_far(ponder, model, how):
    process = ponder.start("solve", "What is 2 + 3?", "-m", model, *LONG)
    until_an_answer(process)
    process.send_signal(how)
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert re.fullmatch(r".+\n", stdout), "of so few samples it may be that 2 + 3 = 5, or worse"
    assert "you ended it" in stderr.splitlines()[-1]
    [run] = json.loads(ponder("runs", "--json").stdout)
    assert (run["stop"], run["answer"]) == ("cancelled", stdout.strip())
    drawn = ponder("view", run["run"])
    assert drawn.returncode == 0
    assert "⊖ cancelled" in drawn.stdout
    assert f"answer {stdout.strip()} · cancelled" in drawn.stdout
    assert run["run"] in stderr.splitlines()[-1], "the last line says how to look at it"


def kept(ponder, run):
    """How many samples are on disk."""
    with RunFile.open(ponder.home / "runs" / f"{run.id}.sqlite") as file:
        return len(file.events(kinds=(Extended,)))


def test_a_run_that_is_killed_shows_what_was_finished(ponder, model):
    process = ponder.start("solve", "What is 2 + 3?", "-m", model, *LONG)
    said = until_an_answer(process)
    told = len(re.findall(r"^\d+: ", said, re.MULTILINE))
    ponder.until(process, lambda run: kept(ponder, run) >= told)  # what was told is on disk a moment later
    [run] = json.loads(ponder("runs", "--json").stdout)
    assert run["stop"] == "running"
    process.kill()
    process.communicate()
    [run] = json.loads(ponder("runs", "--json").stdout)
    assert run["stop"] == "interrupted"
    drawn = ponder("view")
    assert drawn.returncode == 0
    assert "interrupted: no end was recorded" in drawn.stdout
    assert "⋯ running" in drawn.stdout
    assert len(re.findall(r" tokens  ■", drawn.stdout)) >= told > 1


def test_asked_twice_it_ends_at_once(ponder, model):
    process = ponder.start("solve", "What is 2 + 3?", "-m", model, *LONG)
    until_an_answer(process)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Traceback" not in stderr


@pytest.mark.skipif(
    not Path("/proc/self/maps").exists(), reason="the system does not tell how far a process is"
)
@pytest.mark.parametrize("mapped", ["", "numpy", "xllamacpp", ".gguf"])
def test_ended_before_it_began(ponder, model, mapped):
    """While Python starts, modules are imported, the model is loaded, or the question is read."""
    process = ponder.start("solve", "What is 2 + 3?", "-m", model, *LONG)
    while mapped not in Path(f"/proc/{process.pid}/maps").read_text():
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=300)
    assert stdout == "" or "you ended it" in stderr
    if process.returncode == 130:
        assert "Traceback" not in stderr
    else:
        assert mapped == "", stderr  # Python's own end, of which there are two while it starts
        assert process.returncode == -signal.SIGINT or "init_import_site" in stderr


def test_a_home_that_cannot_be_written(ponder, model):
    """A file where a folder should be: that stops root, too."""
    (ponder.folder / "file").write_text("")
    home = ponder.folder / "file" / "home"
    done = ponder("solve", "What is 2 + 3?", "-m", model, "-s", "direct", home=home)
    assert (done.returncode, done.stdout) == (3, "5\n")
    complaints = [line for line in done.stderr.splitlines() if "trace" in line]
    assert len(complaints) == 1
    assert "The trace could not be kept" in complaints[0]
    assert "cannot be written" in complaints[0]
    assert "ponder view" not in done.stderr
    sick = ponder("doctor", "-m", model, home=home)
    assert sick.returncode == 3
    assert "cannot be written" in " ".join(sick.stdout.split())


@pytest.fixture(params=["16k", "100k"])
def small_disk(request, tmp_path):
    """A file system that is full before the run's file is laid out, or while the run goes on."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = shutil.which("mount")
    words = ["-t", "tmpfs", "-o", f"size={request.param}", "tmpfs", str(folder)]
    if not mount or subprocess.run([mount, *words], capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_costs_the_trace_and_not_the_answer(ponder, model, small_disk):
    home = small_disk / "home"
    words = ("-s", "self-consistency:n=40,max_tokens=8,shots=0", "--json")
    done = ponder("solve", "What is 2 + 3?", "-m", model, *words, home=home)
    told = json.loads(done.stdout)
    assert told["usage"]["calls"] == len(told["candidates"]) == 40
    assert "Traceback" not in done.stderr
    assert done.stderr.count("The trace could not be kept") == 1
    assert "full" in done.stderr or "No space left" in done.stderr
    assert done.returncode == 3
    listed = ponder("runs", home=home)
    assert listed.returncode == 0
    assert "Traceback" not in listed.stderr


def test_a_full_disk_ends_an_evaluation_which_goes_on_once_there_is_room(ponder, tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    mount = shutil.which("mount")
    words = ["-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    if not mount or subprocess.run([mount, *words], capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    command = ("eval", "simulated", "-m", "simulated", "-s", "self-consistency:n=8", "--limit", "60")
    try:
        full = ponder(*command, home=folder / "home")
        assert full.returncode == 3
        assert "Traceback" not in full.stderr
        assert "the disk is full" in full.stderr
        subprocess.run([mount, "-o", "remount,size=20m", str(folder)], check=True)
        done = ponder(*command, home=folder / "home")
        assert done.returncode == 0, done.stderr
        assert "Going on with the run" in done.stderr
        assert re.search(r"self-consistency:n=8\s+4k\s+60\s", done.stdout)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_second_evaluation_of_the_same_is_refused_and_told_who_the_first_is(ponder):
    command = ("eval", "simulated", "-m", "simulated:rate=1", "-s", "cot", "--limit", "40")
    first = ponder.start(*command)
    try:
        ponder.until(first, lambda run: run.attempts)
        second = ponder(*command)
        assert second.returncode == 3
        assert f"is being written by process {first.pid}" in second.stderr
        assert "Traceback" not in second.stderr
    finally:
        first.kill()
        first.communicate()
