"""Grades agree with votes, scorers are killed when they take too long, and nobody's process is left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import PATIENT, running

from ponder.core.errors import UnknownName, UsageError
from ponder.core.problem import Message, Problem
from ponder.evals.graders import Graders
from ponder.evals.tasks import _gym, load
from ponder.evals.values import Item
from ponder.runtime.equality import Equality

pytestmark = pytest.mark.skipif(find_spec("reasoning_gym") is None, reason="reasoning-gym is not installed")

SPELT = [
    "42",
    "42.0",
    "84/2",
    "\\boxed{42}",
    "$42$",
    "6*7",
    "\\sqrt{1764}",
    "43",
    "-42",
    "{42, 43}",
    "42 or 43",
    "no",
    "x+1",
    "1+x",
]


def item(gold, kind="math", **more):
    return Item(Problem("p", (Message("user", "?"),), kind), gold, **more)


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def graders():
    equality = Equality(limit=PATIENT)
    graders = Graders(equality, limit=PATIENT)
    yield graders
    await graders.aclose()
    await equality.aclose()


@pytest.fixture(scope="module")
def countdown():
    return load("countdown:min_numbers=3,max_numbers=3", limit=4, seed=1).items


@pytest.fixture(scope="module")
def integrals():
    """Items whose scorer really evaluates what was written."""
    return load("simple_integration", limit=2, seed=1).items


@pytest.mark.anyio
async def test_no_gold_no_grade_and_no_answer_no_credit(graders):
    assert await graders.grade(item(None), "42") is None
    assert await graders.grades(item("42"), [None, "", "  \n", "42", "43"]) == [
        False,
        False,
        False,
        True,
        False,
    ]


@pytest.mark.anyio
async def test_a_whole_text_is_graded_by_its_last_declaration(graders):
    assert await graders.grade(item("42"), "The answer is 41. Wait. The answer is 42.", whole=True)
    assert not await graders.grade(item("42"), "The answer is 42. Wait. The answer is 41.", whole=True)
    assert not await graders.grade(item("42"), "The answer is 42 or 41.", whole=True)
    assert not await graders.grade(item("42"), "", whole=True)
    assert not await graders.grade(item("42"), "The answer is 42.")  # a sentence is no answer


@pytest.mark.anyio
async def test_answers_of_one_key_have_one_grade(graders):
    for gold in SPELT:
        by_key = {}
        for answer in SPELT:
            key = await graders.equality.key(answer, "math")
            by_key.setdefault(key, set()).add(await graders.grade(item(gold), answer))
        assert all(len(grades) == 1 for grades in by_key.values())
        assert await graders.grade(item(gold), gold) is True


def test_grading_is_the_key_of_the_gold_for_any_two_texts():
    part = st.sampled_from(
        [
            "1",
            "2",
            "1/2",
            "x",
            "\\sqrt{2}",
            "\\sqrt{4}",
            "2\\pi",
            "a b",
            "no",
            "(1,2)",
            "2x+x",
            "\\text{A}",
            "50%",
            "\u00e9",
            '"q"',
        ]
    )
    joined = st.builds(
        lambda parts, sep, around: around[0] + sep.join(parts) + around[1],
        st.lists(part, min_size=1, max_size=4),
        st.sampled_from([", ", " or ", ";", " = ", "+", "\\cup "]),
        st.sampled_from(["  ", "()", "[)", "{}", "$$"]),
    )
    equality = Equality(limit=PATIENT)
    graders = Graders(equality, limit=PATIENT)

    @settings(max_examples=150, deadline=None)
    @given(joined, joined, st.sampled_from(["math", "auto", "choice", "open", "yesno", "json"]))
    def check(gold, answer, kind):
        async def ask():
            return await graders.grade(item(gold, kind), answer), await equality.same(gold, answer, kind)

        grade, same = anyio.run(ask)
        assert grade is same

    check()
    anyio.run(equality.aclose)


@pytest.mark.anyio
async def test_an_answer_of_many_hard_expressions_costs_the_time_of_one(graders):
    await graders.grade(item("42"), "\\sqrt{4}")
    graders.equality.limit = 1.0
    hard = ", ".join(f"9^{{9^{{9^{{{n}}}}}}}" for n in range(2, 100))
    assert await graders.grade(item("42"), hard) is False
    assert graders.equality.undecided <= 1
    graders.equality.limit = PATIENT
    assert await graders.grade(item("42"), "\\sqrt{1764}") is True


@pytest.mark.anyio
async def test_an_unknown_grader_is_named(graders):
    with pytest.raises(UnknownName, match="mathh"):
        await graders.grade(item("42", grader="mathh"), "42")


@pytest.mark.anyio
async def test_countdown_takes_any_right_expression_and_no_other(graders, countdown):
    for task in countdown:
        assert await graders.grade(task, task.gold) is True
        assert await graders.grade(task, f"`{task.gold}`") is True
        assert await graders.grade(task, f"({task.gold}) + 0 * 9999") is False  # a number that is not there
        assert await graders.grade(task, f"{task.gold} + 1") is False
        assert await graders.grade(task, "42") is False


@pytest.mark.anyio
async def test_puzzle24_takes_the_given_numbers_only(graders):
    for task in load("puzzle24", limit=3).items:
        assert await graders.grade(task, task.gold) is True
        given = sorted(re.findall(r"\d+", task.gold))
        others = [
            text for text in ("1*2*3*4", "8*3*1*1", "6*4+1-1") if sorted(re.findall(r"\d", text)) != given
        ]
        for wrong in (*others, f"{task.gold}+0.9", f"({task.gold})**1", f"{task.gold}+0"):
            assert await graders.grade(task, wrong) is False


@pytest.mark.anyio
async def test_what_an_answer_is_evaluated_from_cannot_be_a_program(graders, countdown, tmp_path):
    mark = tmp_path / "mark"
    programs = [
        f"open('{mark}', 'w').write('x')",
        f"__import__('os').system('touch {mark}')",
        f"().__class__.__base__.__subclasses__() or '{mark}'",
        f"exec(\"open('{mark}','w')\")",
        "1 .__class__",
        "f(lambda x: x)",
    ]
    for program in programs:
        assert not _gym.is_harmless(program)
        assert await graders.grade(countdown[0], program) is False
    assert not mark.exists()
    for plain in ("1+2*(3-4)/5", "x**2 + sin(x)/3 - exp(-x)", "2.5e3*C", "log(x) + sqrt(x)"):
        assert _gym.is_harmless(plain)


@pytest.mark.anyio
async def test_a_scorer_past_its_limit_is_killed_and_the_next_answer_is_right(graders, integrals):
    assert await graders.grade(integrals[0], integrals[0].gold) is True
    first = graders.scorers._idle[0].pid
    graders.scorers.limit = 1.0
    with anyio.fail_after(PATIENT):
        assert await graders.grade(integrals[0], "9**9**9**9") is False
    graders.scorers.limit = PATIENT
    assert graders.scorers.killed == 1
    assert not running(first)
    assert await graders.grade(integrals[1], integrals[1].gold) is True


@pytest.mark.anyio
async def test_a_scorer_has_512_megabytes(graders, countdown):
    await graders.grade(countdown[0], "1")
    limits = Path(f"/proc/{graders.scorers._idle[0].pid}/limits").read_text()  # noqa: ASYNC240 - no disk is asked
    row = next(line for line in limits.splitlines() if line.startswith("Max address space"))
    assert row.split()[3:5] == [str(512 << 20)] * 2


@pytest.mark.anyio
async def test_a_scorer_that_dies_is_replaced(graders, countdown):
    await graders.grade(countdown[0], "1")
    os.kill(graders.scorers._idle[0].pid, signal.SIGKILL)
    await graders.grade(countdown[0], "2")  # may be lost with the worker, must not raise
    assert await graders.grade(countdown[0], countdown[0].gold) is True


@pytest.mark.anyio
async def test_cancelling_leaves_no_scorer_out_of_step(graders, integrals):
    await graders.grade(integrals[0], "1")
    with anyio.move_on_after(0.2) as scope:
        await graders.grade(integrals[0], "9**9**9**8")
    assert scope.cancelled_caught
    assert [await graders.grade(task, task.gold) for task in integrals] == [True] * 2


@pytest.mark.anyio
async def test_an_item_of_another_version_is_an_error_and_not_a_wrong_answer(graders, countdown):
    changed = replace(countdown[0], meta={**countdown[0].meta, "digest": "0" * 16})
    with pytest.raises(UsageError, match="version"):
        await graders.grade(changed, "42")
    assert await graders.grade(countdown[0], countdown[0].gold) is True


def test_exit_without_closing_leaves_no_process():
    program = (
        "import anyio\n"
        "from ponder.evals.graders import Graders\n"
        "from ponder.evals.tasks import load\n"
        "from ponder.runtime.equality import Equality\n"
        "item = load('countdown', limit=1).items[0]\n"
        "g = Graders(Equality(), limit=60.0)\n"
        "print(anyio.run(g.grade, item, item.gold), g.scorers._idle[0].pid)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=500
    )
    assert done.stderr == ""
    grade, pid = done.stdout.split()
    assert grade == "True"
    assert not running(int(pid))
