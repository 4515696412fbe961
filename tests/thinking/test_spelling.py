from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ponder import UsageError
from ponder.core.protocols import Strategy
from ponder.thinking.spelling import Catalogue, Probability, parameters

SHAPES = Catalogue("shape", {}, {})


@SHAPES.add
class Shape:
    name: ClassVar[str] = "shape"
    aliases: ClassVar[tuple[str, ...]] = ("form",)

    by: str = "plain"
    share: Probability = 0.5
    maybe: str | None = None
    inner: Strategy | None = None

    async def solve(self, problem, run): ...


balanced = some.recursive(
    some.text(some.characters(exclude_characters="()", exclude_categories=["Cs"]), max_size=8),
    lambda inner: some.builds("{}({})".format, inner, inner),
    max_leaves=6,
)


@given(balanced, some.none() | balanced, some.floats(0, 1))
def test_whatever_a_parameter_holds_is_read_as_it_was_written(by, maybe, share):
    value = Shape(by, share, maybe)
    assert SHAPES.parse(str(value)) == value
    nested = Shape(by=by, inner=value)
    assert SHAPES.parse(str(nested)) == nested


def test_texts_with_commas_stand_in_parentheses():
    assert str(Shape("judge:mode=pairwise,samples=3")) == "shape:by=(judge:mode=pairwise,samples=3)"
    assert SHAPES.parse("form:by=(a(b),c),share=1").by == "a(b),c"
    assert SHAPES.parse("shape:by=judge:mode=pairwise").by == "judge:mode=pairwise"
    assert SHAPES.parse("shape:by=http://host:80/x?y=z").by == "http://host:80/x?y=z"


def test_none_is_not_the_word_none():
    assert str(Shape(maybe="none")) == "shape:maybe=(none)"
    assert SHAPES.parse("shape:maybe=none").maybe is None
    assert SHAPES.parse("shape:maybe=(none)").maybe == "none"


@pytest.mark.parametrize("by", ["a)b", "(", ")("])
def test_what_could_not_be_written_down_is_refused(by):
    with pytest.raises(UsageError, match="parentheses"):
        Shape(by)


def test_nesting_is_bounded():
    with pytest.raises(UsageError, match="more than 64"):
        SHAPES.parse("shape:inner=(" * 100 + "shape" + ")" * 100)


def test_parameters_say_their_types():
    assert parameters(Shape) == [
        ("by", "str", "plain"),
        ("share", "float 0 to 1", 0.5),
        ("maybe", "str | none", None),
        ("inner", "Strategy | none", None),
    ]
