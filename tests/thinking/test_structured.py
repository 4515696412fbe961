"""JSON that models write, however deep."""

import pytest

from ponder.thinking.structured import json_key, last_value


@pytest.mark.parametrize("depth", [90, 101, 600, 100_000])
def test_json_that_is_nested_without_end_is_no_answer(depth):
    text = '{"a":' * depth + "1" + "}" * depth
    key = json_key(text)
    assert (key is None) == (depth > 100)
    assert (last_value(text) is None) == (depth > 100)
