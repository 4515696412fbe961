import pytest

from ponder.core.markers import Markers
from ponder.thinking import answers
from ponder.thinking.loops import repeats
from ponder.thinking.markers import FAMILIES, closing, named, of_template, tokens

QWEN3 = "{% if x %}<think>{% endif %}</think><|im_start|>assistant\n"


@pytest.mark.parametrize(
    ("source", "opened", "markers"),
    [
        (None, "", FAMILIES["text"]),
        ("{{ messages }}<|im_start|>assistant\n", "<|im_start|>assistant\n", FAMILIES["text"]),
        (QWEN3, "<|im_start|>assistant\n", FAMILIES["think"]),
        (QWEN3, "<|Assistant|><think>\n", Markers("", "</think>")),
        ("x<seed:think>y", "", Markers("<seed:think>\n", "</seed:think>")),
        ("<|channel|>analysis<|message|>", "<|start|>assistant", FAMILIES["gpt-oss"]),
    ],
)
def test_markers_are_those_of_the_chat_template(source, opened, markers):
    assert of_template(source, opened) == markers


def test_final_answer_comes_only_after_a_cut_where_there_are_markers():
    think = FAMILIES["think"]
    assert closing(think, "so 42.", cut=False) == "</think>"
    assert closing(think, "so 4", cut=True) == "\n</think>\nFinal Answer:"
    assert closing(think, "so 42\n", cut=True) == "</think>\nFinal Answer:"
    assert closing(FAMILIES["s1"], "so", cut=True) == "\n<|im_start|>answer\nFinal Answer:"
    assert closing(FAMILIES["text"], "so 42.", cut=False) == "\nFinal Answer:"


def test_one_token_stops_by_its_id_and_several_by_their_text():
    assert Markers("", "</think>", token=7).stops == {"stop_ids": (7,)}
    assert FAMILIES["think"].stops == {"stop": ("</think>",)}
    assert FAMILIES["text"].stops == {}


def test_thinking_is_counted_between_its_markers():
    think = FAMILIES["think"]
    assert tokens(think, "<think>\nab</think>42", (8, 9, 10, 18, 20), 5) == 2
    assert tokens(think, "<think>\nab", None, 5) == 5, "a section that never ends is thinking all through"
    assert tokens(think, "<think>ab</think>42", (7, 8, 9, 17, 19), 5) == 2
    assert tokens(think, "<think>\n</think>42", (8, 16, 18), 3) == 0
    assert tokens(think, "42", (2,), 1) == 0
    assert tokens(think, "abcd</think>", None, 6) == 2
    assert tokens(FAMILIES["text"], "abc", (3,), 1) == 0


def test_a_name_or_a_pair():
    assert named("auto", FAMILIES["think"]) is FAMILIES["think"]
    assert named("s1", FAMILIES["think"]) is FAMILIES["s1"]
    assert named("<a>...</a>", FAMILIES["text"]) == Markers("<a>", "</a>")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "<|channel|>analysis<|message|>The answer is 3?<|end|><|start|>assistant<|channel|>final<|message|>42",
            "42",
        ),
        ("<|im_start|>thinkThe answer is 3.<|im_start|>answer\nThe answer is 42.", "42"),
        ("<think>\nThe answer is 3.</think>\n\n42", "42"),
    ],
)
def test_what_is_only_thought_is_no_answer(text, found):
    assert answers.extract(text, "math") == found


@pytest.mark.parametrize(
    ("text", "loops"),
    [
        ("Let me try again. The sum is 66. " * 8, True),
        ("Start here. " + "ha" * 200, True),
        ("a b c d e f g h. " * 14, False),  # 238 characters
        (
            "x" * 100
            + "Let me try another way: 42 - 56 is -24, which cannot be. Let me see what else there is to do. "
            * 3,
            True,
        ),
        (
            "x" * 100
            + "Let me try another way: 42 - 56 is -24, which cannot be. Let me see what else there is to do. "
            * 2,
            False,
        ),
        ("\n".join(f"{n} + 1 = {n + 1}" for n in range(100)), False),
        ("", False),
    ],
)
def test_a_text_that_only_repeats_itself(text, loops):
    assert (repeats(text) == "repetition") == loops
