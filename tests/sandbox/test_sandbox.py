"""What the sandbox gives back, limits, refuses, and leaves behind."""

import errno
import os
import select
import struct
import subprocess
import sys
from functools import cache, partial

import anyio
import pytest
from sandbox.boxes import living, needed

from ponder.core.errors import NoSandbox
from ponder.core.executions import Call, Stdin
from ponder.sandbox import Limits, Sandbox, bubblewrap, seccomp
from ponder.sandbox.attacks import ATTACKS, FORGERIES, HONEST, TEST
from ponder.sandbox.seccomp import program
from ponder.sandbox.strength import strength
from ponder.thinking.values import key, pack

MB = 1 << 20
NAMES = [one.name for one in (*ATTACKS, *FORGERIES)]


@cache
def whole():
    return anyio.run(strength)


async def used(job, limits=None, **options):
    sandbox = Sandbox(limits, **options)
    try:
        return await job(sandbox)
    finally:
        await sandbox.aclose()


def executed(code, *inputs, limits=None):
    return anyio.run(used, lambda sandbox: sandbox.execute(code, inputs), limits)


def calls(function, *args):
    return Call(function, pack((args, {})))


@needed
@pytest.mark.parametrize("name", NAMES)
def test_an_attack_gets_nothing(name):
    (tried,) = [one for one in whole().tried if one.name == name]
    assert tried.held, tried.outcome


@needed
def test_the_host_saw_nothing_of_the_attacks_and_what_is_honest_works():
    found = whole()
    assert (found.writes, found.packets) == (0, 0)
    assert [one.name for one in found.tried] == NAMES


@needed
def test_outputs_are_those_of_the_function():
    code = "import math\ndef f(x, *, y=1): return [x, (y,), {'pi': round(math.pi, 2)}, {1, 2}, None, float('inf')]"
    (one,) = executed(code, Call("f", pack((("a",), {"y": 2}))))
    assert one.error is None
    assert key(one.output or "") == key(pack(["a", (2,), {"pi": 3.14}, {2, 1}, None, float("inf")]))


@needed
def test_programs_that_read_and_print():
    found = executed("n = int(input())\nprint(n * n)", Stdin("12\n"), Stdin("x\n"), Stdin(""))
    assert found[0].output == pack("144\n")
    assert [one.error.partition(":")[0] for one in found[1:]] == ["ValueError", "EOFError"]


@needed
def test_what_a_program_says_of_itself_is_left_out():
    (one,) = executed("def f(): return 1\nprint(f())\nassert f() == 2\nf(1, 2)\nexit()", calls("f"))
    assert one.output == "1"


@needed
def test_what_prepares_is_run():
    code = "import sys\nsys.setrecursionlimit(4000)\nseen = [1]\nseen.append(2)\ndef f(n): return f(n - 1) + 1 if n else len(seen)"
    (one,) = executed(code, calls("f", 2000))
    assert one.output == "2002"


@needed
def test_an_input_that_fails_does_not_take_the_others_with_it():
    code = "def f(n):\n    while n == 1: pass\n    return 1 // n"
    found = executed(code, *(calls("f", n) for n in (2, 0, 1, 3)), limits=Limits(seconds=2.0))
    assert [one.output for one in found] == ["0", None, None, "0"]
    assert ["ZeroDivision" in found[1].error, "Timeout" in found[2].error] == [True, True]


@needed
def test_a_program_that_is_no_program_is_an_error_for_each_input():
    for code in ("def f(:", "import nothing_of_that_name", "x = 1 / 0", "\0", "def g(): pass"):
        found = executed(code, calls("f"), calls("f"))
        assert [one.output for one in found] == [None, None], code
        assert all(one.error for one in found)


@needed
def test_nothing_is_kept_from_one_program_to_the_next():
    async def job(sandbox):
        leaves = "def f():\n    open('/tmp/left', 'w').write('x')\n    import builtins; builtins.left = 1\n    return 1"
        looks = "def f():\n    import os, builtins\n    return os.path.exists('/tmp/left') or hasattr(builtins, 'left')"
        return [
            (await sandbox.execute(code, [calls("f")]))[0].output for code in (leaves, looks, leaves, looks)
        ]

    assert anyio.run(used, job) == ["1", "false", "1", "false"]


@needed
def test_tests_pass_fail_and_break():
    async def job(sandbox):
        wrong = "def check(candidate):\n    assert candidate(2) == undefined"
        ends = "def check(candidate):\n    import os; os._exit(0)"
        return [
            (await sandbox.test(HONEST, "square", test)).outcome for test in (TEST, wrong, ends, "def check(")
        ] + [
            (await sandbox.test("def square(n): return n", "square", "assert square(1) == 2")).outcome,
            (
                await sandbox.test("def square(n): return n", "square", "assert square(one) == 1", "one = 1")
            ).outcome,
        ]

    assert anyio.run(used, job) == ["passed", "broken", "broken", "broken", "failed", "passed"]


@needed
def test_what_a_program_says_can_be_written_down():
    code = "def f(n):\n    if n: raise ValueError('half \\ud800')\n    return '\\ud800'"
    for one in executed(code, calls("f", 0), calls("f", 1)):
        (one.output or one.error).encode()


ANSWERS_FIRST = """
import gc, signal, time
from ponder.sandbox.inside import _Line
def f(*_):
    (line,) = [one for one in gc.get_objects() if type(one) is _Line]
    for _ in range(9):
        line.send(output="1")
    signal.setitimer(signal.ITIMER_REAL, 0)
    time.sleep(600)
"""


@needed
def test_a_program_that_answers_and_does_not_read_is_ended():
    long = "x" * 40_000
    found = executed(ANSWERS_FIRST, *(calls("f", long, n) for n in range(6)), limits=Limits(seconds=0.3))
    assert [one.output for one in found][:2] == ["1", "1"]
    assert "did not read" in found[-1].error

    async def job(sandbox):
        test = "def check(candidate):\n    for _ in range(6):\n        candidate('x' * 40_000)"
        return await sandbox.test(ANSWERS_FIRST, "f", test)

    verdict = anyio.run(used, job, Limits(seconds=0.3))
    assert (verdict.outcome, "did not read" in verdict.why) == ("failed", True)


@needed
def test_many_in_parallel_leave_no_process():
    mark = 700 * MB + os.getpid()

    async def job(sandbox):
        async with anyio.create_task_group() as group:
            for n in range(24):
                code = "def f():\n    while True: pass" if n % 3 else "def f(): return 1"
                group.start_soon(sandbox.execute, code, [calls("f")])

    anyio.run(partial(used, at_once=12), job, Limits(seconds=0.3, cpu=1, memory=mark))
    assert living(str(mark)) == []


@needed
def test_a_task_that_is_cancelled_leaves_no_process():
    mark = 600 * MB + os.getpid()

    async def job(sandbox):
        with anyio.move_on_after(0.5):
            await sandbox.execute("def f():\n    while True: pass", [calls("f")])

    anyio.run(used, job, Limits(memory=mark))
    assert living(str(mark)) == []


HOLDS_ONE = """
import sys, time, anyio
from ponder.core.executions import Call
from ponder.sandbox import Limits
from ponder.sandbox.box import Box
async def job():
    box = Box(Limits(memory=int(sys.argv[1])))
    await box.begin(program="def f(): return 1")
    await box.send(**Call("f").message())
    await box.receive()
    print("ready", flush=True)
    time.sleep(600)
anyio.run(job)
"""


@needed
def test_who_is_killed_leaves_no_process():
    mark = 500 * MB + os.getpid()
    with subprocess.Popen([sys.executable, "-c", HOLDS_ONE, str(mark)], stdout=subprocess.PIPE) as owner:
        assert owner.stdout.readline() == b"ready\n"
        inside = [int(pid) for pid in living(str(mark)) if int(pid) != owner.pid]
        watched = [os.pidfd_open(pid) for pid in inside]
        assert watched
        owner.kill()
        for one in watched:
            assert select.select([one], [], [], 60)[0], "it lives on"
            os.close(one)


def test_without_bubblewrap_nothing_is_run(monkeypatch):
    monkeypatch.setattr(bubblewrap.shutil, "which", lambda *_, **__: None)
    with pytest.raises(NoSandbox, match="apt install bubblewrap"):
        executed("def f(): return 1", calls("f"))


@needed
def test_where_a_sandbox_cannot_be_made_nothing_is_run(monkeypatch):
    """As on a host without user namespaces: bubblewrap says so and ends."""
    monkeypatch.setattr(bubblewrap, "_mounts", lambda: ("--ro-bind", "/nowhere", "/nowhere"))
    with pytest.raises(NoSandbox, match=r"bubblewrap cannot make one here.*nowhere"):
        executed("def f(): return 1", calls("f"))


@pytest.mark.parametrize(
    ("said", "way"),
    [
        ("Unknown option --disable-userns", "0.8 or a newer one"),
        ("No permissions to create a new namespace", "user.max_user_namespaces"),
        ("setting up uid map: Permission denied", "apparmor_restrict_unprivileged_userns"),
    ],
)
def test_where_bubblewrap_refuses_what_to_do_is_said(monkeypatch, tmp_path, said, way):
    path = tmp_path / "bwrap"
    path.write_text(f"#!/bin/sh\necho 'bwrap: {said}' >&2\nexit 1\n")
    path.chmod(0o755)
    monkeypatch.setattr(bubblewrap.shutil, "which", lambda *_, **__: str(path))
    with pytest.raises(NoSandbox, match=way) as raised:
        executed("def f(): return 1", calls("f"))
    assert said in str(raised.value)


def answered(filter_, number, architecture=0xC000003E, argument=0):
    """What the filter answers to a system call, by running it."""
    lines = list(struct.iter_unpack("<HBBI", filter_))
    data = struct.pack("<IIQ6Q", number, architecture, 0, 0, argument, 0, 0, 0, 0)
    at = word = 0
    while True:
        code, yes, no, k = lines[at]
        at += 1
        if code == 0x20:
            (word,) = struct.unpack_from("<I", data, k)
        elif code == 0x06:
            return k
        else:
            at += yes if (word == k if code == 0x15 else word >= k) else no


ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS


def test_the_filter_by_itself_on_both_machines():
    x86, arm = program("x86_64"), program("aarch64")
    assert [answered(x86, n) for n in (0, 1, 9, 59, 57, 56, 41, 435, 425)] == [ALLOW] * 4 + [EPERM] * 3 + [
        ENOSYS,
        EPERM,
    ]
    assert [answered(x86, n) for n in (471, 1000, 0x40000000, 0x40000000 + 39)] == [ENOSYS] * 4
    assert [answered(x86, 16, argument=a) for a in (0x5401, 0x5412, 0x541C, 0x5412 | 1 << 32)] == [
        ALLOW,
        EPERM,
        EPERM,
        EPERM,
    ]
    assert answered(x86, 0, 0x40000003) == KILL
    named = 0xC00000B7
    assert [answered(arm, n, named) for n in (63, 64, 220, 198, 435)] == [ALLOW, ALLOW, EPERM, EPERM, ENOSYS]
    assert answered(arm, 63) == KILL


def test_the_filter_knows_what_each_machine_calls_the_same():
    """What is denied on one machine is denied on the other, where both have it."""
    x86, arm = set(seccomp._X86_64), set(seccomp._AARCH64)
    assert arm <= x86
    assert x86 - arm == {  # none of these is there on ARM64
        *("fork", "vfork", "iopl", "ioperm", "modify_ldt", "uselib", "sysfs", "_sysctl", "inotify_init")
    }
    for numbers in (seccomp._X86_64, seccomp._AARCH64, seccomp._SINCE_5_1):
        assert len(set(numbers.values())) == len(numbers)


def test_a_machine_that_is_not_known_runs_nothing():
    with pytest.raises(NoSandbox, match="riscv64"):
        program("riscv64")
