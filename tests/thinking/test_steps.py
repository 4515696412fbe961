"""Texts with the steps that a person sees in them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ponder.thinking.steps import spans, split

FENCE = "```python\ndef f():\n\n    return 1\n```"
TEX = "\\[\nx = 1\n\n+ 2\n\\]"
ALIGN = "\\begin{align}\na &= b\n\n\\\\ c &= d\n\\end{align}"
TABLE = {
    "one": ("a = 1", ["a = 1"]),
    "two": ("a\n\nb", ["a", "b"]),
    "nothing": ("", []),
    "only blank lines": ("\n \n\t\n", []),
    "a trailing delimiter": ("a\n\nb\n\n", ["a", "b"]),
    "many blank lines, some with spaces": ("a\n \n\t\n\n\nb", ["a", "b"]),
    "blank lines before": ("\n\n\na", ["a"]),
    "one line break": ("a\nb\n\nc", ["a\nb", "c"]),
    "carriage returns": ("a\r\n\r\nb\r\n", ["a", "b"]),
    "an indented first line": ("  a\n\n  b", ["  a", "  b"]),
    "a list of items": ("1. a\n\n2. b\n\n- c", ["1. a", "2. b", "- c"]),
    "an item that goes on": ("1. a\n\n   more\n\n2. b", ["1. a\n\n   more", "2. b"]),
    "an item with a tab": ("* a\n\n\tmore", ["* a\n\n\tmore"]),
    "a tight list": ("Sum:\n- a\n- b\n\nc", ["Sum:\n- a\n- b", "c"]),
    "a fence": (f"a\n\n{FENCE}\n\nb", ["a", FENCE, "b"]),
    "a fence of tildes in one of backticks": ("```\n~~~\n\nx\n```\n\nb", ["```\n~~~\n\nx\n```", "b"]),
    "a longer fence": ("````\n```\n\nx\n````\n\nb", ["````\n```\n\nx\n````", "b"]),
    "a fence with a language does not close": (
        "```\nx\n```py\n\ny\n```\n\nb",
        ["```\nx\n```py\n\ny\n```", "b"],
    ),
    "a fence that never ends": ("a\n\n```\nx\n\ny", ["a", "```\nx\n\ny"]),
    "a formula in brackets": (f"a\n\n{TEX}\n\nb", ["a", TEX, "b"]),
    "a formula in dollars": ("$$\nx\n\ny\n$$\n\nb", ["$$\nx\n\ny\n$$", "b"]),
    "an environment": (f"{ALIGN}\n\nb", [ALIGN, "b"]),
    "an environment in brackets": (f"\\[\n{ALIGN}\n\n\\]\n\nb", [f"\\[\n{ALIGN}\n\n\\]", "b"]),
    "a formula on one line": ("$$x$$\n\n\\[y\\]\n\nb", ["$$x$$", "\\[y\\]", "b"]),
    "a formula that never ends": ("a \\[ x\n\nb $$ c\n\nd", ["a \\[ x", "b $$ c", "d"]),
    "an end without a beginning": ("a \\]\n\n\\end{align} b\n\nc", ["a \\]", "\\end{align} b", "c"]),
    "dollars in code": ("```\n$$\n```\n\nb\n\n$$", ["```\n$$\n```", "b", "$$"]),
    "Chinese": ("先算三加四。\n\n得七。\n\n", ["先算三加四。", "得七。"]),
    "Chinese with wide blanks": ("一\n\u3000\n\u3000二", ["一", "\u3000二"]),
    "a Japanese list": ("1、足す\n\n2、引く", ["1、足す", "2、引く"]),
    "headings": (
        "## Step 1: add\n3 + 4 = 7\n\n## Step 2: end",
        ["## Step 1: add\n3 + 4 = 7", "## Step 2: end"],
    ),
    "a rule belongs to what is before it": ("a\n\n---\n\nb\n\n***\n", ["a\n\n---", "b\n\n***"]),
}


@pytest.mark.parametrize("name", TABLE)
def test_steps_are_what_a_person_sees(name):
    text, steps = TABLE[name]
    assert split(text) == steps


lines = some.sampled_from(
    ["a", "", " ", "```", "~~~~", "- x", "  y", "$$", "\\[", "\\]", "---", "\\begin{a}", "\\end{a}", "三"]
)


@given(some.lists(lines))
def test_nothing_is_lost_and_no_step_is_empty(parts):
    text = "\n".join(parts)
    steps = split(text)
    assert all(step.strip() for step in steps)
    assert "".join("".join(steps).split()) == "".join(text.split())
    assert [text[a:b] for a, b in spans(text)] == steps
    assert split(text + "\n\n") == steps, "a trailing delimiter changes nothing"


@given(some.lists(some.sampled_from(["a", "b = 1", "- x", "三"]), min_size=1))
def test_what_was_split_stays_so_when_more_is_written(parts):
    text = "\n\n".join(parts)
    assert split(text + "\n\nmore")[: len(parts)] == split(text)


@pytest.mark.parametrize(
    "hostile", ["\\[\n\n", "$$\n\n", "\\begin{a}\n\n", "```\n\n", "- \n\n", "\\begin{ab}\\end{a}"]
)
def test_a_long_text_costs_no_more_than_its_length(hostile):
    started = time.process_time()
    split(hostile * 40_000)
    assert time.process_time() - started < 5
