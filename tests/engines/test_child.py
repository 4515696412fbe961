"""An engine in a child process keeps the laws, and what befalls the child does not befall the parent."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
import trio.lowlevel

from ponder.core.calls import Sampling
from ponder.core.errors import EngineError, ModelFileError, PonderError, TransientError
from ponder.core.prefix import Prefix, Prompt
from ponder.core.problem import Message
from ponder.engines.child.engine import Child
from ponder.engines.child.process import PAUSES
from ponder.engines.laws import check_engine

pytestmark = pytest.mark.anyio

SCRIPT = Path(__file__).with_name("scripted_child.py")
ENVIRON = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def child(**how):
    return Child([sys.executable, str(SCRIPT)], ENVIRON, how)


def ask(text):
    return Prefix(Prompt((Message("user", text),)))


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


@pytest.mark.parametrize(
    "how", [{}, {"context": 100}, {"without": ["logprobs", "continue", "stoppable"]}, {"delay": 1e-4}]
)
async def test_it_keeps_the_laws(how):
    report = await check_engine(child(**how), close=True)
    assert len(report) > 15


async def test_what_it_cannot_open_is_raised_as_it_was_there():
    with pytest.raises(ModelFileError, match="Name one"):
        child(broken=True)
    notes = []
    Child([sys.executable, str(SCRIPT)], ENVIRON, {}, notes.append).close()
    assert notes == ["Opening it."]
    with pytest.raises(EngineError, match="cannot be started"):
        Child(["/nonexistent"], ENVIRON, {})
    with pytest.raises(TransientError, match="exit code 3"):
        Child([sys.executable, "-c", "raise SystemExit(3)"], ENVIRON, {})


async def test_no_secret_is_in_its_environment(monkeypatch):
    monkeypatch.setenv("BIG_KEY", "canary")
    engine = child()
    told = await engine.extend(ask("environment"), Sampling(max_tokens=500))
    assert "PYTHONPATH" in told.text
    assert "BIG_KEY" not in told.text
    assert b"canary" not in of(engine.pid, "environ")
    engine.close()


def of(pid, what):
    """What the system says of a process, where it says it in files."""
    path = Path(f"/proc/{pid}/{what}")
    return path.read_bytes() if path.exists() else b""


async def gone(pid, seconds=300.0):
    """Whether a process ends; it is looked for again and again."""
    with anyio.move_on_after(seconds):
        while alive(pid):  # noqa: ASYNC110
            await anyio.sleep(0.005)
    return not alive(pid)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return (
        Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
        if Path("/proc").is_dir()
        else True
    )


async def test_a_death_fails_what_is_in_flight_and_nothing_that_comes_after():
    engine = child(delay=0.01)
    pid, seen, errors = engine.pid, [], []

    async def one(text):
        try:
            await engine.extend(ask(text), Sampling(max_tokens=200), seen.append)
        except TransientError as error:
            errors.append(error)

    with anyio.fail_after(300):
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(one, "long")
            while len(seen) < 9:  # noqa: ASYNC110
                await anyio.sleep(0.005)
            os.kill(pid, signal.SIGKILL)
        assert len(errors) == 3
        assert all("SIGKILL" in str(error) for error in errors)
        assert sum(error.spent for error in errors) == len(seen)
        again = await engine.extend(ask("x"), Sampling(max_tokens=20, temperature=0))
    assert again.text.startswith("First")
    assert engine.pid != pid
    assert engine.encode("First") != ()
    engine.close()
    assert await gone(engine.pid)


async def test_children_that_die_young_are_started_less_and_less_often():
    engine = child()
    over = threading.Event()
    engine._process._over.wait = lambda pause: pause and over.wait()  # a pause lasts until we say so
    with anyio.fail_after(300):
        with pytest.raises(TransientError, match="SIGKILL"):
            await engine.extend(ask("die"), Sampling())
        with pytest.raises(TransientError, match="SIGKILL"):
            await engine.extend(ask("die"), Sampling())  # the first is replaced at once
        with pytest.raises(TransientError, match="SIGKILL") as told:
            await engine.extend(ask("x"), Sampling(max_tokens=1))
        assert 0 < told.value.retry_after <= PAUSES[1]
        with pytest.raises(TransientError):
            engine.encode("x")
        over.set()
        while engine._process._down:  # noqa: ASYNC110 - a thread's
            await anyio.sleep(0.005)
        await engine.extend(ask("x"), Sampling(max_tokens=1))
    engine.close()


async def test_a_cancelled_call_ends_in_the_child():
    engine = child(delay=0.005)
    seen = []

    async def written():
        segment = await engine.extend(ask("written"), Sampling(max_tokens=20))
        return int(segment.text.split()[0])

    with anyio.fail_after(300):
        with anyio.CancelScope() as scope:

            def watch(delta):
                seen.append(delta)
                if len(seen) == 5:
                    left()

            def left():
                if isinstance(token, trio.lowlevel.TrioToken):
                    token.run_sync_soon(scope.cancel)
                else:
                    token.call_soon_threadsafe(scope.cancel)

            token = anyio.lowlevel.current_token().native_token
            await engine.extend(ask("long"), Sampling(max_tokens=400), watch)
        told, before = len(seen), await written()
        assert 5 <= told < 200
        assert before <= told + 1, "one token at most is drawn ahead of what was told"
        last = await engine.extend(ask("long"), Sampling(max_tokens=30))
        assert last.usage.completion == 30
        assert len(seen) == told
    engine.close()


async def test_closed_while_another_child_is_started_it_leaves_none():
    engine = child()
    os.kill(engine.pid, signal.SIGKILL)
    while engine._process._there:  # noqa: ASYNC110 - a thread's
        await anyio.sleep(0.0001)
    engine.close()
    engine._process._thread.join(300)
    assert await gone(engine.pid)


async def test_one_that_hangs_is_ended(monkeypatch):
    monkeypatch.setattr("ponder.engines.child.engine.PATIENCE", 0.2)
    engine = child()
    pid = engine.pid
    async with anyio.create_task_group() as group:
        group.start_soon(hung, engine)
        with pytest.raises(TransientError, match="did not answer"):
            await asked_until_it_hangs(engine)
    assert await gone(pid)
    with anyio.fail_after(300):
        await engine.extend(ask("x"), Sampling(max_tokens=1))
    engine.close()


async def asked_until_it_hangs(engine):
    with anyio.fail_after(300):
        while not engine._process._waiting:  # noqa: ASYNC110 - told from a thread
            await anyio.sleep(0.005)
        while True:
            engine.encode("x")
            await anyio.sleep(0.005)


async def hung(engine):
    with pytest.raises(TransientError):
        await engine.extend(ask("hang"), Sampling())


NONSENSE = (
    "{", "[]", '{"id":1,"done":5}', '{"id":1,"delta":["x",1.5,[]]}', '{"ready":{}}', '{"failed":{"kind":"SystemExit"}}',
    '{"id":1,"done":{"__class__":"os.system"}}', '{"id":1}', '{"id":true,"delta":1}', "[" * 100_000,
    '{"id":1,"error":{"kind":"KeyboardInterrupt","said":""}}',
)  # fmt: skip
LIAR = """
import json, socket, sys
channel = socket.socket(fileno=0)
asked = channel.makefile("rb")
how = json.loads(asked.readline())["open"]
ready = {"name": "liar", "can": ["streams"], "context": None, "tokenizer": None, "thinking": None}
channel.sendall(json.dumps({"ready": ready, "offers": []}).encode() + b"\\n")
for _ in asked:
    channel.sendall(how.encode() + b"\\n")
"""


@pytest.mark.parametrize("nonsense", NONSENSE)
async def test_a_child_that_says_nonsense_is_ended_and_runs_nothing(nonsense):
    engine = Child([sys.executable, "-c", LIAR], ENVIRON, nonsense)
    pid = engine.pid
    with anyio.fail_after(300), pytest.raises(PonderError, match="makes no sense"):
        await engine.extend(ask("x"), Sampling(), lambda _: True)
    assert await gone(pid)
    engine.close()


def test_it_ends_with_its_parent():
    program = f"""
import sys, time
from ponder.engines.child.engine import Child
engine = Child([sys.executable, {str(SCRIPT)!r}], {ENVIRON!r}, {{}})
print(engine.pid, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    assert alive(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert anyio.run(gone, pid)
