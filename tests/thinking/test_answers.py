"""Labelled texts (found.jsonl) and labelled pairs of answers (pairs.jsonl), and what no text may do to the reader."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ponder.core.problem import KINDS
from ponder.thinking.answers import extract, find, key, outline


def table(name):
    lines = (Path(__file__).parent / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


FOUND = table("found")
PAIRS = table("pairs")


def test_the_tables_are_large_enough():
    assert len(FOUND) + len(PAIRS) >= 300
    assert sum(not pair["equal"] for pair in PAIRS) >= 60


@pytest.mark.parametrize("row", FOUND, ids=lambda row: f"{row['kind']}: {row['text'][:40]}")
def test_finds_the_answer_and_whether_it_was_declared(row):
    found = find(row["text"], row["kind"])
    assert (found and found.text) == row["expected"]
    assert bool(found and found.declared) == row["declared"]
    assert extract(row["text"], row["kind"]) == row["expected"]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda p: f"{p['kind']}: {p['a'][:20]} | {p['b'][:20]}")
def test_pure_keys_agree_with_the_labels(pair):
    one, other = key(pair["a"], pair["kind"]), key(pair["b"], pair["kind"])
    if one is not None and other is not None:
        assert (one == other) == pair["equal"]


@pytest.mark.parametrize("row", FOUND, ids=lambda row: row["text"][:40])
def test_what_was_found_is_found_again_in_its_own_declaration(row):
    if row["expected"] and row["kind"] in ("math", "choice", "yesno"):
        again = extract(f"The answer is {row['expected']}.", row["kind"])
        assert again is not None
        assert outline(again, row["kind"]) == outline(row["expected"], row["kind"])


def test_choices_bound_the_letters():
    assert extract("The answer is E.", "choice", choices=4) is None
    assert extract("The answer is K.", "choice") is None
    assert extract("The answer is K.", "choice", choices=12) == "K"


def test_open_box_of_a_text_cut_off_is_no_declaration():
    found = find(r"We get 12 and then \boxed{1", "math")
    assert found is not None
    assert not found.declared


def test_a_long_thought_left_open_gives_no_loose_number():
    assert extract("<think>" + "maybe 7, " * 60_000, "math") is None
    assert extract("x" * 500_000, "open") == "x" * 500_000


def test_pure_keys_never_do_arithmetic_on_giants():
    began = time.thread_time()
    assert key("9" * 10_000, "math") == "num:" + "9" * 10_000
    assert key("-" + "0" * 5_000 + "7", "math") == "num:-7"
    assert key(r"9^{9^{9}}", "math") is None
    for text in (
        "1e999999999",
        "1e-999999999",
        "0." + "3" * 100_000,
        "1/" + "7" * 50_000,
        "9" * 3_000_000,
        r"\frac{" * 900,
    ):
        key(text, "math")
    assert time.thread_time() - began < 2


SEEDS = (
    "\\boxed{", "{", "[[1,", "(", "the answer ", "answer answer is ", "#### ", "1,234,", "1 1/1 ", "\\frac{1}{", "$", "<think>",
    "**", "```\n", '{"a":[', "(A) ", "no, ", "答案是", "a", "\n", "-", ".", "option ", "\\[", "'", "\\text{", "x=", "\\", "½", "\ud800",
)  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS, ids=ascii)
def test_a_megabyte_of_anything_is_read_in_time(seed):
    text = (seed * (1_000_000 // len(seed) + 1))[:1_000_000]
    began = time.thread_time()
    for kind in ("math", "auto"):
        find(text, kind)
    took = time.thread_time() - began
    assert took < 4, f"{took:.1f} s for two kinds"


@pytest.mark.parametrize("seed", SEEDS, ids=ascii)
def test_keys_of_long_answers_are_quick(seed):
    began = time.thread_time()
    for size in (100, 3_900):
        for kind in ("auto", "json"):
            key(("5" + seed * size)[:size], kind)
    assert time.thread_time() - began < 2


@settings(max_examples=150, deadline=None)
@given(
    st.text(st.sampled_from("0123456789.,/%$-+=^_{}()[]\\ abxABfrcdoe\n。，１\ud800"), max_size=60),
    st.sampled_from(KINDS),
)
def test_nothing_raises_and_a_key_can_be_stored(text, kind):
    extract(text, kind)
    name = key(text, kind)
    if name is not None:
        name.encode()


@given(st.fractions(max_denominator=10_000))
def test_every_spelling_of_a_fraction_has_one_key(value):
    tex = rf"\frac{{{value.numerator}}}{{{value.denominator}}}"
    assert key(f"{value}", "math") == key(tex, "math") == f"num:{value}"
    assert key(f"x = ${tex}$ cm", "math") == f"num:{value}"


@given(st.integers(-(10**15), 10**15), st.integers(0, 6))
def test_decimals_are_exact(digits, places):
    number = f"{digits / 10**places:.{places}f}" if places else str(digits)
    assert key(number, "math") == key(number + "0" if places else number, "math")
    assert key(f"{digits:,}", "math") == key(str(digits), "math") == f"num:{digits}"


def test_of_several_blocks_of_code_the_one_that_defines_is_the_answer():
    text = "```python\ndef f(n):\n    return n\n```\nFor example:\n```python\nprint(f(1))\n```"
    assert find(text, "code", function="f").text == "def f(n):\n    return n"
    assert find(text, "code", function="g").text == "print(f(1))"
    assert find(text, "code").text == "print(f(1))"
