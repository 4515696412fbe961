"""Programming problems from files, graded by tests in a sandbox; nothing is lost where rows or tests are wrong."""

import json

import anyio
import pytest
from sandbox.boxes import needed
from support import Keys

from ponder.core import events as e
from ponder.core.calls import Usage
from ponder.core.errors import NoSandbox, UnknownName, UsageError
from ponder.core.executions import Call, Execution, Verdict
from ponder.evals.executions import Shared, recorded
from ponder.evals.graders import Graders
from ponder.evals.study import item_body, item_of
from ponder.evals.tasks import load
from ponder.runtime.equality import Equality
from ponder.sandbox import Sandbox

ROW = {
    "task_id": "T/1",
    "prompt": 'def helper(x):\n    return x\n\n\ndef double(n):\n    """Twice n.\n    >>> double(2)\n    4\n    """\n',
    "entry_point": "double",
    "canonical_solution": "    return 2 * helper(n)\n",
    "test": "def check(candidate):\n    for n in range(5):\n        assert candidate(n) == 2 * helper(n)\n    assert abs(candidate(0.5) - 1) < 1e-9\n",
}
MBPP = {
    "task_id": 2,
    "text": "Write a function to add one.",
    "code": "def plus(n):\n    return n + one",
    "test_list": ["assert plus(1) == 2", "assert plus(-1) == 0"],
    "test_setup_code": "",
    "challenge_test_list": ["assert plus(10) == 11"],
}


def loaded(tmp_path, *rows):
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    return load(str(path))


def graded(items_and_answers):
    async def job():
        sandbox, equality = Sandbox(), Equality()
        graders = Graders(equality, sandbox=sandbox)
        try:
            return [
                await graders.grade(item, answer) for item, answer in items_and_answers
            ], graders.programs.wrong
        finally:
            await graders.aclose()
            await equality.aclose()
            await sandbox.aclose()

    return anyio.run(job)


def test_rows_of_both_kinds_are_problems(tmp_path):
    (one,) = loaded(tmp_path, ROW).items
    assert one.problem.id == "mine/T-1"
    assert (one.problem.kind, one.grader, one.problem.public_tests) == ("code", "tests", ())
    assert "check(candidate)" not in one.problem.question
    assert "return 2 * helper" not in one.problem.question
    (two,) = loaded(tmp_path, MBPP).items
    assert "assert plus(1) == 2" in two.problem.question
    assert "plus(-1)" not in two.problem.question
    assert "plus(10)" not in two.problem.question
    assert two.meta["function"] == "plus"
    assert [line.partition(" == ")[0] for line in two.meta["test"].split("\n")] == [
        "assert plus(1)",
        "assert plus(-1)",
        "assert plus(10)",
    ]
    again = item_of(one.problem.id, json.loads(json.dumps(item_body(one))))
    assert (again.problem, again.meta, again.gold) == (one.problem, one.meta, one.gold)


def test_problems_on_which_choosing_by_examples_shows_nothing_are_families_of_their_own(tmp_path):
    alone = MBPP | {"task_id": 3, "test_list": MBPP["test_list"][:1], "challenge_test_list": []}
    silent = ROW | {"prompt": 'def double(n):\n    """Twice n."""\n'}
    unread = MBPP | {"task_id": 4, "test_list": ["assert set(plus(1)) == {2}", "assert plus(2) == 3"]}
    found = loaded(tmp_path, MBPP, alone, silent, unread)
    assert [item.family for item in found.items] == [
        "",
        "mine, no test that is not shown",
        "mine, no example that can be read",
        "mine, no example that can be read",
    ]
    assert all(set(item.meta) == {"function", "test", "given", "solution"} for item in found.items)
    assert ["2 of 4 problems have no example" in c for c in found.complaints] == [True, False]
    assert "1 of 4 problems have no test that is not shown" in found.complaints[1]


def test_how_many_tests_are_shown_can_be_said(tmp_path):
    loaded(tmp_path, MBPP)
    path = tmp_path / "mine.jsonl"
    for shown, n in (("1", 1), ("2", 2), ("all", 2), ("9", 2)):
        (item,) = load(f"{path}:shown={shown}").items
        assert item.problem.question.count("assert plus") == n
        assert item.family == ""  # the challenge tests are hidden
    for wrong in ("0", "-1", "none", "1.5"):
        with pytest.raises(UsageError, match="shown=all"):
            load(f"{path}:shown={wrong}")
    path.write_text('{"question": "x?", "answer": "1"}', "utf-8")
    with pytest.raises(UnknownName, match="no programming problems"):
        load(f"{path}:shown=1")


def test_rows_that_are_wrong_are_named_and_the_rest_is_kept(tmp_path):
    wrong = [
        ROW,
        ROW | {"test": "def check(candidate:"},
        ROW | {"test": "pass", "task_id": "T/3"},
        ROW | {"prompt": 7},
        ROW | {"entry_point": "no name"},
        {"test_list": [], "text": "x"},
        {"test_list": ["assert True"], "text": "x"},
        {"test_list": "assert f(1)"},
        {"entry_point": "f"},
    ]
    found = loaded(tmp_path, *wrong)
    assert [item.gold is None for item in found.items] == [False, True, True, True]
    assert len({item.problem.id for item in found.items}) == 4
    assert len(found.complaints) == 8
    assert "line 2: its tests are no Python; it is run and not graded" in found.complaints[0]


@needed
def test_grades(tmp_path):
    (item,) = loaded(tmp_path, ROW).items
    right = "def double(n):\n    return helper(n) + n"
    answers = [
        (right, True),
        (f"Here:\n```python\n{right}\n```\nIt works.", True),
        ("return 2 * n", True),
        ("def double(n):\n    return 4", False),
        ("def double(n):\n    raise AssertionError", False),
        ("def twice(n):\n    return 2 * n", False),
        ("print('OK')\nimport os\nos._exit(0)", False),
        ("def double(n):\n    while True: pass", False),
        ("no program at all (", False),
        ("", False),
        (None, False),
    ]
    grades, wrong = graded([(item, answer) for answer, _ in answers])
    assert grades == [grade for _, grade in answers]
    assert wrong == {}


@needed
def test_nobody_is_graded_by_tests_that_their_own_solution_fails(tmp_path):
    (item,) = loaded(tmp_path, MBPP).items  # its solution knows no `one`
    (sound,) = loaded(tmp_path, MBPP | {"code": "def plus(n): return n + 1", "task_id": 3}).items
    answer = "def plus(n):\n    return n + 1"
    other = "def plus(n): return 2 if n == 1 else 0"
    grades, wrong = graded(
        [(item, None), (item, ""), (item, answer), (sound, answer), (sound, other), (sound, None)]
    )
    assert grades == [None, None, None, True, False, False]
    assert list(wrong) == ["mine/2"]


@needed
def test_nobody_is_graded_by_tests_that_break_before_they_call(tmp_path):
    bare = {name: value for name, value in ROW.items() if name != "canonical_solution"}
    tests = {
        "T/import": "import nowhere\ndef check(candidate):\n    assert candidate(1) == 2",
        "T/called": "def check(candidate):\n    assert candidate(1) == undefined",  # may be the program's doing
        "T/good": ROW["test"],
    }
    items = loaded(tmp_path, *(bare | {"task_id": name, "test": test} for name, test in tests.items())).items
    answer = "def double(n):\n    return 2 * n"
    grades, wrong = graded([(item, answer) for item in (*items, items[0])])
    assert grades == [None, False, True, None]
    assert list(wrong) == ["mine/T-import"]
    assert "nowhere" in wrong["mine/T-import"]


def test_a_machine_that_is_late_once_changes_no_grade(tmp_path):
    (item,) = loaded(tmp_path, ROW | {"canonical_solution": None}).items
    late, right = Verdict("failed", "TimeoutError: it took longer than 2 s"), Verdict("passed")

    class Saying:
        def __init__(self, *verdicts):
            self.verdicts = list(verdicts)

        async def test(self, *_):
            return self.verdicts.pop(0)

    async def grade(*verdicts):
        return await Graders(Keys(), sandbox=Saying(*verdicts)).grade(item, "def double(n): return 2 * n")

    assert anyio.run(grade, late, right) is True
    assert anyio.run(grade, late, late) is False
    assert anyio.run(grade, Verdict("failed", "AssertionError")) is False


def test_without_a_sandbox_programs_are_not_graded(tmp_path):
    (item,) = loaded(tmp_path, ROW).items
    with pytest.raises(NoSandbox):
        anyio.run(Graders(Keys()).grade, item, "def double(n): return 2 * n")


def test_arms_share_executions_and_a_run_file_gives_them_back():
    asked = []

    class Counting:
        name = "counting"

        async def execute(self, program, inputs):
            asked.append(len(inputs))
            await anyio.lowlevel.checkpoint()
            return [Execution(one.args, None, 1.0) for one in inputs]

    async def job():
        shared = Shared(Counting())
        a, b, c = (Call("f", text) for text in "abc")
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(shared.execute, "program", [a, b])
        return await shared.execute("program", [c, b, c])

    assert [one.output for one in anyio.run(job)] == ["c", "b", "c"]
    assert [n for n in asked if n] == [2, 1]
    told = (('{"args": "a", "function": "f"}', "1", None), ('{"args": "b", "function": "f"}', None, "E: x"))
    known = recorded([e.Executed("0", "program", told, Usage(calls=1, seconds=4.0))])

    async def again():
        return await Shared(Counting(), known).execute("program", [Call("f", "b"), Call("f", "a")])

    assert anyio.run(again) == [Execution(None, "E: x", 2.0), Execution("1", None, 2.0)]
    assert [n for n in asked if n] == [2, 1]
