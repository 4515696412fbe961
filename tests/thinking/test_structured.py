"""JSON that models write, however deep."""

import json

import pytest

from ponder.thinking.answers import find, key
from ponder.thinking.structured import json_key, last_value


@pytest.mark.parametrize("depth", [90, 101, 600, 100_000])
def test_json_that_is_nested_without_end_is_no_answer(depth):
    text = '{"a":' * depth + "1" + "}" * depth
    found = json_key(text)
    assert (found is None) == (depth > 100)
    assert (last_value(text) is None) == (depth > 100)


@pytest.mark.parametrize("kind", ["json", "tool"])
def test_what_is_found_has_the_key_of_what_was_written_whatever_its_numbers(kind):
    values = ["60.2075397175594", "-1.50", "12E5", "1e-40", "0.0", "-0", "3", "1e" + "9" * 5_000]
    for value in values:
        text = (
            f'{{"a":[{value}, "1.50"]}}' if kind == "json" else f'{{"name":"f","arguments":{{"a":{value}}}}}'
        )
        found = find(f"Well.\n```json\n{text}\n```", kind).text
        assert key(found, kind) == key(text, kind)
        json.loads(found)


def test_a_number_is_exact_and_written_in_one_way():
    same = [("1", "1.0", "1e0", "10e-1"), ("0.0015", "15e-4", "1.50E-3"), ("-2000", "-2e3"), ("0", "-0.0")]
    for spellings in same:
        assert {json_key(f"[{one}]") for one in spellings} == {f"json:[{spellings[0]}]"}
    assert json_key("[0.1]") != json_key("[0.10000000000000000001]")
