"""What is written by others cannot act on a page."""

import re
import unicodedata

import pytest
from evals.test_report_studies import read
from hypothesis import given
from hypothesis import strategies as st

from ponder.evals.report.markup import Html, block, clean, clip, foreign, join, shorten, tag

ANY = st.text(st.characters(), max_size=200)  # surrogates among them


@given(ANY)
def test_any_text_comes_back_as_it_was_cleaned(text):
    root = read(tag("p", text, title=text))
    (p,) = root.children
    assert p.text == clean(text)
    assert p.attributes["title"] == clean(text)


@given(ANY)
def test_what_is_clean_has_nothing_that_acts(text):
    for char in clean(text):
        kind = unicodedata.category(char)
        assert kind not in ("Cc", "Cf", "Cs") or char in "\n\t\u200c\u200d"
    clean(text).encode("utf-8")
    assert not re.search(r"[\u0300-\u036f]{5}", clean(text))


@given(ANY)
def test_cleaning_twice_is_cleaning_once(text):
    assert clean(clean(text)) == clean(text)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=100))
def test_ordinary_text_is_left_alone(text):
    assert clean(text) == text.replace("\ufffe", "\ufffd")


@pytest.mark.parametrize("text", ["नमस्ते", "می‌خواهم", "👩‍👩‍👧", "Tiếng Việt", "x̂ᵢ", "שָׁלוֹם"])
def test_scripts_of_the_world_are_left_alone(text):
    assert clean(text) == text


def test_markup_is_taken_as_it_is_and_text_is_not():
    assert tag("b", Html("<i>x</i>"), "<i>") == "<b><i>x</i>&lt;i&gt;</b>"
    assert tag("p", ["a", [tag("br"), None, 1, 2.0, 0.25]], class_="k", hidden=True, lang=None, x_y=3) == (
        '<p class="k" hidden x-y="3">a<br>120.2</p>'
    )
    assert join(["<", Html("<")], "|") == "&lt;|<"


@given(ANY, st.integers(0, 50))
def test_clipped_text_says_how_much_is_missing(text, most):
    clipped = clip(text, most)
    if len(text) <= most:
        assert clipped == text
    else:
        assert clipped == f"{text[:most]} … ({len(text) - most:,} more characters)"


@given(ANY)
def test_foreign_text_stands_alone(text):
    for made in (foreign(text), block(text)):
        (node,) = read(made).children
        assert "said" in node.classes
        assert node.name == "bdi" or node.attributes["dir"] == "auto"
    assert "\n" not in foreign(text)


@given(ANY, st.integers(1, 40))
def test_a_shortened_text_fits_on_its_line(text, cells):
    short = shorten(text, cells)
    wide = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in short)
    assert wide <= cells
    assert "\n" not in short
    whole = clean(" ".join(text.split()))
    assert short == whole or (short[-1] == "…" and whole.startswith(short[:-1]))
