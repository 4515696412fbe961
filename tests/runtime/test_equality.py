"""One key for every answer: labels, transitivity, hostile mathematics, and no process left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from support import PATIENT, running

from ponder.runtime import _symbolic
from ponder.runtime.equality import Equality

PAIRS = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "thinking" / "pairs.jsonl")
    .read_text(encoding="utf-8")
    .splitlines()
]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


@pytest.fixture
async def equality():
    equality = Equality(limit=PATIENT)
    yield equality
    await equality.aclose()


@pytest.mark.anyio
async def test_all_labelled_pairs_and_transitivity(equality):
    for kind in {pair["kind"] for pair in PAIRS}:
        pairs = [pair for pair in PAIRS if pair["kind"] == kind]
        answers = [text for pair in pairs for text in (pair["a"], pair["b"])]
        keys = dict(zip(answers, await equality.keys(answers, kind), strict=True))
        wrong = [pair for pair in pairs if (keys[pair["a"]] == keys[pair["b"]]) != pair["equal"]]
        assert wrong == []
        # No chain of pairs labelled equal may join a pair labelled different.
        group = {text: text for text in answers}

        def root(text, group=group):
            while group[text] != text:
                text = group[text]
            return text

        for pair in pairs:
            if pair["equal"]:
                group[root(pair["a"])] = root(pair["b"])
        assert all(root(p["a"]) != root(p["b"]) for p in pairs if not p["equal"])
        assert all(keys[text] == keys[root(text)] for text in answers)


HOSTILE = [
    r"9^{9^{9^{9}}}",
    "(" * 3_000 + "1" + ")" * 3_000,
    "(" * 400 + "x" + ")" * 400,
    "+".join(["x"] * 20_000),
    "(10^9)!",
    r"\sin(10^{10^{10}})",
    "\x00\\sqrt{\x00}",
    "\\sqrt{\ud800x}",
    r"\sqrt{" * 200 + "2" + "}" * 200,
    "x^" * 300 + "2",
    '"; import os; os.system("true") #^2',
]


@pytest.mark.anyio
@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:20]))
async def test_hostile_mathematics_ends_in_time_and_the_next_answer_is_right(text, anyio_backend_name):
    if anyio_backend_name == "trio" and text not in HOSTILE[:3]:
        return  # what the worker does with a text is not the event loop's business
    equality = Equality(workers=1, limit=1.0)
    try:
        assert await equality.key(r"\sqrt{4}", "math") == "num:2"
        with anyio.fail_after(PATIENT):
            name = await equality.key(text, "math")
        name.encode()
        assert name == await equality.key(text, "math")
        assert await equality.key(r"\sqrt{9}", "math") == "num:3"
    finally:
        await equality.aclose()


@pytest.mark.anyio
async def test_a_worker_past_its_limit_is_killed_and_replaced():
    equality = Equality(workers=1, limit=1.0)
    await equality.key(r"\sqrt{4}", "math")
    [worker] = equality._idle
    first = worker.pid
    assert (await equality.key(r"9^{9^{9^{9}}}", "math")).startswith("text:")
    assert equality.undecided == 1
    await equality.key(r"\sqrt{16}", "math")
    assert equality._idle == [worker], "nobody waits for an import after a kill"
    assert not running(first)
    second = equality._idle[0].pid
    assert second != first
    await equality.aclose()
    assert not running(second)


@pytest.mark.anyio
async def test_a_worker_that_dies_between_questions_is_replaced(equality):
    await equality.key(r"\sqrt{4}", "math")
    os.kill(equality._idle[0].pid, signal.SIGKILL)
    assert await equality.key(r"\sqrt{25}", "math") == "num:5"
    assert await equality.key(r"\sqrt{36}", "math") == "num:6"


@pytest.mark.anyio
async def test_cancelling_leaves_no_worker_out_of_step(equality):
    await equality.key(r"\sqrt{4}", "math")
    with anyio.move_on_after(0.2) as scope:
        await equality.key(r"9^{9^{9^{9}}}", "math")
    assert scope.cancelled_caught
    assert await equality.keys([r"\sqrt{4}", r"\sqrt{9}", r"\sqrt{49}"], "math") == [
        "num:2",
        "num:3",
        "num:7",
    ]


@pytest.mark.anyio
async def test_pure_answers_start_no_process(equality):
    keys = await equality.keys(["1/2", "0.5", r"\frac12", "50%", "7"], "math")
    assert keys == ["num:1/2"] * 4 + ["num:7"]
    assert equality._idle == []


@pytest.mark.anyio
async def test_at_most_so_many_workers(equality):
    await equality.keys([rf"\sqrt{{{n * n}}}" for n in range(2, 30)], "math")
    assert 1 <= len(equality._idle) <= 2


def test_one_instance_serves_several_event_loops_in_turn():
    equality = Equality(workers=1, limit=PATIENT)

    async def ask(text):
        return await equality.key(text, "math")

    assert anyio.run(ask, r"\sqrt{4}", backend="asyncio") == "num:2"
    assert anyio.run(ask, r"\sqrt{9}", backend="trio") == "num:3"
    anyio.run(equality.aclose)


def test_exit_without_closing_leaves_no_process():
    program = (
        "import anyio\n"
        "from ponder.runtime.equality import Equality\n"
        "e = Equality(limit=60.0)\n"
        "print(anyio.run(e.key, r'\\sqrt{4}', 'math'), e._idle[0].pid)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=500
    )
    assert done.stderr == ""
    name, pid = done.stdout.split()
    assert name == "num:2"
    assert not running(int(pid))


def test_a_worker_ends_with_its_owner():
    program = (
        "import anyio, os\n"
        "from ponder.runtime.equality import Equality\n"
        "e = Equality(limit=60.0)\n"
        "anyio.run(e.key, r'\\sqrt{4}', 'math'); print(e._idle[0].pid, flush=True); os._exit(0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=500)
    assert not running(int(done.stdout))


def test_constants_equal_to_many_digits_are_told_apart():
    assert _symbolic.key(r"e^{\pi\sqrt{163}}") != _symbolic.key("640320^3+744")
    assert _symbolic.key(r"\sqrt{3+2\sqrt{2}}-\sqrt{2}") == "num:1"
    assert _symbolic.key("x-x+5") == "num:5"
