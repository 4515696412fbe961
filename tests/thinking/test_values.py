"""Values that travel as JSON: whole, in one way, and without asking them."""

import math

import pytest

from ponder.thinking.values import NotPlain, key, literal, pack, unpack

VALUES = [
    None, True, 0, -1, 2**53, 10**60, 1.5, 0.0, "", "a\ud800\n", [], [1, [2]], (), (1,), (1, (2, [3])), set(), {1, 2},
    {}, {"a": [1]}, {(1, 2): {3}}, {None: None}, b"\0x", 1 + 2j, range(3), {"tuple": 1},
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_as_it_was(value):
    again = unpack(pack(value))
    assert again == value
    assert type(again) is type(value)


def test_what_no_json_has_comes_back_too():
    assert math.isnan(unpack(pack(float("nan"))))
    assert unpack(pack(float("-inf"))) == -math.inf


def test_a_value_s_own_methods_are_not_asked():
    class Liar(list):
        def __iter__(self):
            raise AssertionError

        def __eq__(self, other):
            return True

        __hash__ = None

    class Number(int):
        def __repr__(self):
            return "9"

    assert pack(Liar([1, 2])) == "[1,2]"
    assert pack(Number(7)) == "7"


@pytest.mark.parametrize(
    "value",
    [object(), lambda: 1, [object()], {1: int}, 10**5000, iter([])],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_plain_says_so(value):
    with pytest.raises(NotPlain):
        pack(value)


def test_what_is_too_deep_says_so():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(NotPlain, match="deeply"):
        pack(deep)


@pytest.mark.parametrize(
    "text", ['{"tuple": 1}', "{}", '{"no": 1}', '{"a":1,"b":2}', "x", '{"set": [[]]}', "[" * 9999]
)
def test_what_is_no_value_is_refused(text):
    with pytest.raises(ValueError):
        unpack(text)
    assert key(text)
    assert literal(text)


def test_keys_are_equal_where_python_says_so():
    same = [
        (1, 1.0),
        (1, True),
        ([1], [1.0]),
        ({1: 2, 3: 4}, {3: 4, 1: 2}),
        (0.1 + 0.2, 0.3),
        ({1, 2}, {2, 1}),
    ]
    other = [([1], (1,)), (1, "1"), (0, None), ([], ()), ({1}, [1]), (1.0, 1.1), ({1: 2}, {1: 3})]
    assert all(key(pack(a)) == key(pack(b)) for a, b in same)
    assert not any(key(pack(a)) == key(pack(b)) for a, b in other)
