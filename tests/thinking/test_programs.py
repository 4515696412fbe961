"""Programs in texts, the examples of questions in whatever notation, and inputs made from them."""

import pytest

from ponder.core.executions import Call, Execution
from ponder.core.prefix import Prefix, Prompt
from ponder.thinking.examples import examples, probes, written_calls
from ponder.thinking.programs import asked, program
from ponder.thinking.selecting import (
    Draft,
    behaviour,
    best_of,
    clusters,
    differences,
    most_points,
    pairs,
    spoken,
)
from ponder.thinking.values import pack, unpack


def question(doc, head="def f(a, b):", before=""):
    return f'Complete this Python function:\n\n```python\n{before}{head}\n    """{doc}"""\n```'


def shown(doc, head="def f(a, b):"):
    return [(*unpack(one.call.args)[0], unpack(one.expected)) for one in examples(question(doc, head))]


@pytest.mark.parametrize(
    ("doc", "found"),
    [
        (">>> f(1, 2)\n    3\n    >>> f(2, 2)\n    4", [(1, 2, 3), (2, 2, 4)]),
        (">>> f([1], 'a)b')\n    ['a', (1,)]\n\n    More words.", [([1], "a)b", ["a", (1,)])]),
        ("f(1, 2) == 3", [(1, 2, 3)]),
        ("f(1, 2) = 3", [(1, 2, 3)]),
        ("f(1, 2) => 3", [(1, 2, 3)]),
        ("f(1, 2)==>True", [(1, 2, True)]),
        ("f(1, 2) -> -1", [(1, 2, -1)]),
        ("f(1, 2) ➞ [1, 2]", [(1, 2, [1, 2])]),
        ("f(1, 2) returns 'x' # because", [(1, 2, "x")]),
        ("f(1, 2) should return false.", [(1, 2, False)]),
        ("f('5 and 6', 19) ->19 - 5 - 6 = 8", [("5 and 6", 19, 8)]),
        ("* f(1, 2) => 1.5 (the mean)", [(1, 2, 1.5)]),
        ("f(1, b=2) == 3", [(1, 3)]),
        (">>> f(1, 2) == 3", [(1, 2, 3)]),
        ("Input: a = [1, 2], b = 3\n    Output: [2]", [([1, 2], 3, [2])]),
        ("Input:\n    a = 5\n    b = 'x'\n    Output: 6", [(5, "x", 6)]),
        ("For a = 1, b = 2 the output should be 3.", [(1, 2, 3)]),
        ("assert f(1, 2) == 3", [(1, 2, 3)]),
        ("g(1, 2) == 3 in a docstring that has another name", [(1, 2, 3)]),
        ("f(n, 2) == f(n - 1, 2)", []),
        ('f(1, 2) == ""unquoted"', []),
        ("f(1, 2) is fine.", []),
        ("f(1, 2", []),
        ("f(1, 2) == 3 * x", []),
        ("nothing is shown", []),
    ],
)
def test_examples_are_read_in_each_notation(doc, found):
    assert shown(doc) == found


def test_one_nameless_input_is_the_only_parameter():
    assert shown("Input: [4, 2]\n    Output: [2, 1]", "def f(nodes):") == [([4, 2], [2, 1])]


def test_hostile_calls_are_no_calls_and_take_no_time():
    text = "\n".join(
        ["f(" + "[" * 3000 + "]" * 3000 + ")", "f(1)", "f(__import__('os').remove('x'))", "f(2, x=3)"]
    )
    assert [call.args for call in written_calls(text, "f", 9)] == [
        pack(((1,), {})),
        pack(((2,), {"x": 3})),
    ]
    assert written_calls("f(" * 20_000, "f", 5) == []


def test_probes_belong_to_the_question_alone_and_begin_with_its_examples():
    asks = question(">>> f([3, 1, 2], 'ab')\n    1")
    once, again = probes(asks), probes(asks)
    assert once == again
    assert once[0].args == pack((([3, 1, 2], "ab"), {}))
    assert len({one.args for one in once}) == len(once) == 16
    kinds = {(type(a), type(b)) for a, b in (unpack(one.args)[0] for one in once)}
    assert kinds == {(list, str)}
    assert probes("What is 6 * 7?") == []


def test_what_is_asked_for():
    found = asked(question("", before="import math\n\ndef helper(x):\n    return x\n\n"))
    assert (found.function, found.names) == ("f", ("a", "b"))
    assert found.given == "import math\n\ndef helper(x):\n    return x"
    mbpp = asked("Write a function.\n\nassert set(similar((1, 2), (2, 3))) == {2}")
    assert mbpp.function == "similar"
    for said in (
        "Write a function count(text) that counts. count('a') == 1",
        "Write a function called `count`.",
        "Count what it holds: `count('(a)')` -> 1",
        "Count it.\ncount('a', (1, 2)) == 1",
    ):
        assert asked(said).function == "count"
    assert asked("What is 6 * 7?") is None
    assert asked("If f(x) = 2x, what is f(3)?") is None
    assert asked("f(" * 50_000) is None  # and soon


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("```python\ndef f(a, b):\n    return 1\n```\nThen:\n```python\nprint(f(1, 2))\n```", "return 1"),
        ("```\ndef g(): pass\n```\n```py\ndef f(a, b):\n    return 2\n```", "return 2"),
        ("def f(a, b):\n    return 3", "return 3"),
        ("```python\ndef f(a, b):\n    return 4", "return 4"),
        ("```python\nreturn a + b\n```", '    """"""\n    return a + b'),
        ("```bash\nls\n```", None),
        ("The answer is 42.", None),
        ("", None),
    ],
)
def test_the_program_in_an_answer(text, holds):
    found = program(text, question(""))
    assert found is None if holds is None else holds in found


def test_what_the_question_gives_stands_before_the_program():
    found = program(
        "```python\ndef f(a, b):\n    return helper(a)\n```",
        question("", before="def helper(x):\n    return x\n\n"),
    )
    assert found.startswith("def helper(x)")


def draft(name, passed=1.0):
    return Draft(Prefix(Prompt(raw=name)), name, passed)


def gave(*values):
    return [Execution(error="E: x") if v is None else Execution(pack(v)) for v in values]


def test_clusters_are_by_outputs_and_the_largest_comes_first():
    a, b, c, d = map(draft, "abcd")
    found = clusters([a, b, c, d], [gave(1, 2), gave(1.0, 3), gave(None, None), gave(True, 3)])
    assert [[x.code for x in cluster.drafts] for cluster in found] == [["b", "d"], ["a"]]
    assert len(clusters([c], [gave(None)])) == 1
    with pytest.raises(ValueError, match="programs"):
        clusters([], [])


def test_of_the_drafts_the_best_are_those_that_pass_most():
    drafts = [draft("a", 0.5), draft("b", 0.75), Draft(Prefix(Prompt(raw="")), "", 1.0), draft("c", 0.75)]
    assert [x.code for x in best_of(drafts)] == ["b", "c"]
    assert best_of([Draft(Prefix(Prompt(raw="")))]) == []


def test_inputs_that_tell_two_programs_apart():
    inputs = [Call("f", pack(((n,), {}))) for n in range(3)]
    assert differences(inputs, gave(1, 2, None), gave(1, 3, 4)) == [("f(1)", "2", "3")]
    assert differences(inputs, gave(1, 2, None), gave(1, 2, 4)) == [("f(2)", "E: x", "4")]
    assert differences(inputs, gave(1, 2, 3), gave(1.0, 2, 3)) == []
    assert spoken(Call("f", pack(((1,), {"x": [2]})))) == "f(1, x=[2])"


def test_duels_and_points():
    assert pairs(3, 9) == [(0, 1), (0, 2), (1, 2)]
    assert pairs(4, 2) == [(0, 1), (0, 2)]
    assert pairs(1, 9) == []
    assert most_points(3, [(0, 1), (0, 2), (1, 2)], [(0, 1), (0.5, 0.5), (1, 0)]) == 1
    assert most_points(2, [(0, 1)], [(0, 0)]) == 0


def test_behaviour_is_equal_where_outputs_are():
    assert behaviour(gave(1, None)) == behaviour(gave(1.0, None)) != behaviour(gave(1, 2))
    assert behaviour(gave(None, None)) is None
