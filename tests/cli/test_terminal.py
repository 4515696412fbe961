"""Sentences on a terminal: broken between words, and commands whole."""

from pathlib import Path

import pytest

from ponder.cli.board import _told
from ponder.cli.terminal import broken

SENTENCE = "SmolLM2-135M: llama.cpp has no fast kernel for Q4_1 weights here; as Q8_0 it reads faster."


@pytest.mark.parametrize("width", [20, 40, 80])
def test_lines_end_between_words_and_fit(width):
    lines = broken(SENTENCE, width).split("\n")
    assert " ".join(lines) == SENTENCE
    assert all(len(line) <= width for line in lines)


@pytest.mark.parametrize("command", ["ponder view 20261125-1948-nb5r", "pip install 'ponder[gateway]'"])
def test_a_command_at_the_end_stays_on_one_line(command):
    for width in range(20, 120):
        lines = broken(f"16 calls, 28.1 s · some more to say of it: {command}", width).split("\n")
        assert lines[-1].endswith(command), width
    assert broken(f"Go on: {command}", 80) == f"Go on: {command}"


def test_a_long_command_is_left_to_the_terminal():
    command = (
        "ponder eval chain_sum -s cot -s self-consistency:n=4 -s self-consistency:n=16 -b 4k --limit 100"
    )
    assert broken(f"Stopped after 23 of 300 attempts. Go on: {command}", 60).split("\n")[-1] == command


@pytest.mark.parametrize(("seconds", "said"), [(0, "0 min"), (5940, "99 min"), (100_000, "28 h")])
def test_a_time_to_wait_is_as_coarse_as_it_is_known(seconds, said):
    assert _told(seconds) == said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
@pytest.mark.parametrize("words", [["strategies"], ["strategies", "--json"], ["--version"]])
def test_a_full_disk_is_one_sentence(ponder, words):
    with Path("/dev/full").open("w") as full:
        done = ponder(*words, stdout=full)
    assert done.returncode == 3
    assert done.stderr.strip().splitlines()[-1].endswith("Send it somewhere else.")
    assert "Traceback" not in done.stderr
