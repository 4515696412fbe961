"""Reading criticism: formats that models are asked to keep, and often do not."""

import pytest

from ponder import Prefix, Prompt
from ponder.core.prefix import Segment
from ponder.thinking.critique import found_correct, improved, most_useful, shape
from ponder.thinking.prompts.fences import fenced

ASKED = Prompt(raw="Q")


def written(text, finish="eos"):
    tokens = [text[i : i + 3] for i in range(0, len(text), 3)]
    ends = tuple(len("".join(tokens[: i + 1])) for i in range(len(tokens)))
    segment = Segment(
        text, ends=ends, logprobs=tuple(-float(i) for i in range(len(tokens))), finish=finish, place="0.1"
    )
    return Prefix(Prompt(raw="other"), (segment,))


@pytest.mark.parametrize(
    ("text", "finish", "found"),
    [
        ("<IMPROVED_VARIABLE>\nFour.\n</IMPROVED_VARIABLE>", "eos", "Four."),
        ("Sure: <IMPROVED_VARIABLE>Four.</IMPROVED_VARIABLE> Done.", "length", "Four."),
        ("<IMPROVED_VARIABLE>a</IMPROVED_VARIABLE><IMPROVED_VARIABLE>b</IMPROVED_VARIABLE>", "eos", "b"),
        ("<IMPROVED_VARIABLE>Four.", "eos", "Four."),
        ("<IMPROVED_VARIABLE>Four.", "length", None),
        ("<IMPROVED_VARIABLE> </IMPROVED_VARIABLE>", "eos", None),
        ("Four.", "eos", None),
        ("", "eos", None),
    ],
)
def test_an_improved_text_stands_between_its_tags(text, finish, found):
    path = improved(written(text, finish), ASKED)
    assert (path.text if path else None) == found
    if path:
        [segment] = path.segments
        assert (path.prompt, path.place, path.cut, segment.token_ids) == (ASKED, "0.1", False, None)


def test_only_tokens_inside_the_tags_count():
    text = "ab <IMPROVED_VARIABLE>one two three</IMPROVED_VARIABLE>"
    [segment] = improved(written(text), ASKED).segments
    whole = written(text).segments[0]
    start, end = text.index("one"), text.index("</")
    inside = [
        i for i, stop in enumerate(whole.ends) if (whole.ends[i - 1] if i else 0) >= start and stop <= end
    ]
    assert segment.logprobs == tuple(-float(i) for i in inside)
    assert inside


def test_constructive_feedback_comes_first():
    praise = "The response is perfectly helpful. However, it could be shorter."
    good = "The response is slightly helpful. The second step is wrong. It should be 7 + 5."
    long = "The response is slightly helpful. " + "But it is wrong. " * 12
    free = "There is an error: it should say 12, but the model fails to carry."
    idle = "The response is mostly helpful. It says what was asked."
    assert most_useful([praise, idle, "  ", good, long, free], 2) == [good, free]
    assert len(most_useful([praise, idle, "  ", good, long, free], 9)) == 5
    assert most_useful(["", "\n"], 3) == []
    assert most_useful([idle, idle + " "], 1) == [idle], "the first seen on a tie"


def test_the_stop_phrase():
    assert found_correct("It is correct.")
    assert found_correct("I checked it all: it is\ncorrect!")
    assert not found_correct("It is not correct.")
    assert not found_correct("")


@pytest.mark.parametrize(
    ("n", "ratio", "chains", "depth"),
    [
        (16, 1, 4, 4),
        (16, 16, 1, 16),
        (16, 1 / 16, 16, 1),
        (64, 4, 4, 16),
        (128, 2, 8, 16),
        (12, 1, 4, 3),
        (1, 5, 1, 1),
    ],
)
def test_attempts_are_laid_out_as_the_ratio_says(n, ratio, chains, depth):
    assert shape(n, ratio) == (chains, depth)


def test_no_shape_loses_an_attempt():
    for n in range(1, 130):
        for ratio in (1e-6, 0.1, 0.5, 1, 3, 1000):
            chains, depth = shape(n, ratio)
            assert chains * depth == n
    for n, ratio in ((0, 1), (4, 0), (4, float("nan"))):
        with pytest.raises(ValueError, match="shape"):
            shape(n, ratio)


@pytest.mark.parametrize("text", ["", "plain", "a ``` b", "````\nx\n````", "`" * 9])
def test_a_fence_is_longer_than_any_mark_in_it(text):
    first, *inner, last = fenced(text).split("\n")
    assert first == last
    assert set(first) == {"`"}
    assert first not in "\n".join(inner)
