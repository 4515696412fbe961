"""A text shown piece by piece is the text shown whole, however it is cut, and takes no longer for being long."""

import random

import pytest

from ponder.core.markers import Markers
from ponder.gateway.rendering import split
from ponder.gateway.showing import Showing

THINK = Markers("<think>\n", "</think>")
OPENED = Markers("", "</think>")
HARMONY = Markers(
    "<|channel|>analysis<|message|>", "<|end|>", "<|start|>assistant<|channel|>final<|message|>"
)
TEXTS = {
    "no thinking": (None, "Let me see.\n\n42"),
    "a tag that means nothing": (None, "<think>a</think>b"),
    "thought and said": (THINK, "<think>\nHm, 6 * 7.\n\nSo.\n</think>\n\nThe answer is 42."),
    "after spaces": (THINK, " \n<think>a < b </thin b</think>x"),
    "opened by the template": (OPENED, "Hm.\n</think>\n42"),
    "never closed": (THINK, "<think>on and on"),
    "not opened": (THINK, "42"),
    "nothing thought": (THINK, "<think>\n\n</think>\n\n42"),
    "closed at once": (THINK, "</think>42"),
    "another tag": (THINK, "<thing> 42"),
    "gpt-oss": (HARMONY, "<|channel|>analysis<|message|>Hm.<|end|>42"),
    "nothing": (THINK, ""),
}


def shown(markers, pieces, hold=0):
    showing = Showing(markers, hold)
    told = [showing.more(piece) for piece in pieces]
    assert "".join(showing.thought) == "".join(thought for thought, _ in told)
    return "".join(showing.thought), "".join(showing.said)


@pytest.mark.parametrize("name", TEXTS)
def test_it_is_the_whole_text_however_it_is_cut(name):
    markers, text = TEXTS[name]
    rng = random.Random(name)
    for _ in range(300):
        at = sorted(rng.randrange(len(text) + 1) for _ in range(rng.randrange(6)))
        pieces = [text[i:j] for i, j in zip([0, *at], [*at, len(text)], strict=True)]
        thought, said = shown(markers, pieces)
        whole = split(text, markers)
        assert (thought.rstrip("\n"), said) == (whole[0], whole[1]), pieces


@pytest.mark.parametrize("name", TEXTS)
def test_what_may_become_a_stop_is_kept_back(name):
    markers, text = TEXTS[name]
    whole = split(text, markers)[1]
    assert shown(markers, list(text), hold=3)[1] == whole[: max(0, len(whole) - 3)]


@pytest.mark.parametrize("markers", [None, THINK, OPENED])
def test_of_a_long_text_no_more_is_looked_at_again_than_may_become_a_marker_or_a_stop(markers):
    showing = Showing(markers, hold=5)
    for piece in ["<think>", *["word "] * 5_000, "</think>", *["word "] * 5_000]:
        showing.more(piece)
        assert len(showing._kept) <= len("</think>")
    assert "".join(showing.thought + showing.said).count("word ") == 9_999
