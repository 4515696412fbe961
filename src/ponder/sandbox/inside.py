"""What waits inside a sandbox: it runs one program, and answers one line for each line that it is sent.

It stands there with `thinking/values.py` and the standard library, and nothing else of ours. Nothing that it says is
trusted: the program that it runs can read and change all of it. What it cannot do is say anything but its own outputs.

The first line says what to run; each line after it is one input, and is sent only once the one before was answered:

    {"nonce", "program"}                     then {"function", "args"} or {"stdin"}   -> {"output"} or {"error"}
    {"nonce", "test", "given", "function"}   runs a test, which asks {"call"} and is told {"output"} or {"error"},
                                             and ends with {"verdict"}
"""

from __future__ import annotations

import ast
import io
import json
import os
import resource
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from ponder.thinking.values import NotPlain, pack, unpack

if TYPE_CHECKING:
    from types import FrameType

READY = b"ready\n"


class _TimeUp(BaseException):
    """One input took too long."""


class _Wrong(Exception):
    """The candidate gave no output, so the test is failed."""


class _Line:
    """The pipes to the outside, out of the way of what programs print and read."""

    def __init__(self, limit: int) -> None:
        self._in = os.fdopen(os.dup(0), "rb")
        self._out = os.dup(1)
        self.limit = limit
        self.nonce = ""
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.close(null)

    def ready(self) -> None:
        os.write(self._out, READY)

    def receive(self) -> dict[str, Any]:
        line = self._in.readline()
        if not line:
            os._exit(0)
        message: dict[str, Any] = json.loads(line)
        return message

    def send(self, **message: object) -> None:
        data = json.dumps({"nonce": self.nonce, **message}).encode("ascii") + b"\n"
        while data:
            data = data[os.write(self._out, data) :]


def main() -> NoReturn:
    """Limit ourselves, say that we wait, do what the first line says, and end."""
    memory, cpu, file, files, output = map(int, sys.argv[1:6])
    seconds = float(sys.argv[6])
    line = _Line(output)
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_FSIZE, file),
        (resource.RLIMIT_NOFILE, files),
        (
            resource.RLIMIT_CORE,
            1,
        ),  # 0 still starts the handler that the host may have for crashes; 1 byte does not
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_SIGPENDING, files),  # timers count here, and against the user outside
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NICE, 0),
        (resource.RLIMIT_RTPRIO, 0),
    ):
        resource.setrlimit(what, (most, most))
    line.ready()
    first = line.receive()
    line.nonce = first["nonce"]
    if "test" in first:
        _test(line, first)
    else:
        _serve(line, first["program"], seconds)
    os._exit(0)


def _serve(line: _Line, program: str, seconds: float) -> None:
    """Run the program, then answer inputs until there are no more."""
    signal.signal(signal.SIGALRM, _alarm)
    space: dict[str, Any] | None = None
    broken = ""
    while True:
        asked = line.receive()
        if "stdin" in asked:
            line.send(**_limited(seconds, partial(_read_and_print, program, str(asked["stdin"]), line.limit)))
            continue
        if space is None:
            space = {"__name__": "__candidate__"}
            began = _limited(seconds, partial(_defined, program, space))
            broken = began.get("error", "")
        if broken:
            line.send(error=broken)
            continue
        line.send(**_limited(seconds, partial(_called, space, asked, line.limit)))


def _limited(seconds: float, job: Any) -> dict[str, str]:
    """What the job gives within its time, or why it gave nothing."""
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            return {"output": job()}
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except _TimeUp:
        return {"error": f"TimeoutError: it took longer than {seconds:g} s"}
    except NotPlain as error:
        return {"error": f"NotPlain: the output is {error}"}
    except SystemExit:
        return {"error": "SystemExit: it ended itself"}
    except BaseException as error:  # noqa: BLE001 - whatever a program raises is its outcome
        try:
            said = str(error)[:300]
        except BaseException:  # noqa: BLE001 - its own text may raise, too
            said = ""
        return {"error": f"{type(error).__name__}: {said}"}


def _alarm(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise _TimeUp


def _defined(program: str, space: dict[str, Any]) -> str:
    """Run what defines. What a program says of itself, its own tests and what it prints, is left out: models often write
    assertions and calls below a function, which end the program where they are wrong. What only prepares, as
    `sys.setrecursionlimit(9999)` or `primes.extend(...)`, is not.
    """
    tree = ast.parse(program)
    own = {
        line.name
        for line in tree.body
        if isinstance(line, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    }
    tree.body = [line for line in tree.body if not _says(line, own | _SAYING)]
    exec(compile(tree, "<program>", "exec"), space)  # noqa: S102 - what this sandbox is for
    return ""


_SAYING = frozenset({"print", "input", "exit", "quit", "doctest", "unittest", "pytest"})


def _says(line: ast.stmt, names: frozenset[str] | set[str]) -> bool:
    """Whether a line tests, prints, or calls what the program itself defines."""
    if not isinstance(line, ast.Expr):
        return isinstance(line, ast.Assert)
    return any(isinstance(node, ast.Name) and node.id in names for node in ast.walk(line))


def _called(space: dict[str, Any], asked: dict[str, Any], limit: int) -> str:
    name = asked["function"]
    if name not in space:
        raise NameError(f"there is no function {name}")
    given = unpack(asked["args"])
    return _bounded(pack(space[name](*given[0], **given[1])), limit)


def _read_and_print(program: str, text: str, limit: int) -> str:
    printed = io.StringIO()
    sys.stdin, sys.stdout = io.StringIO(text), printed
    try:
        exec(compile(program, "<program>", "exec"), {"__name__": "__main__"})  # noqa: S102
    except SystemExit as end:
        if end.code not in (None, 0):
            raise
    finally:
        sys.stdin, sys.stdout = sys.__stdin__, sys.__stdout__
    return _bounded(pack(printed.getvalue()), limit)


def _bounded(packed: str, limit: int) -> str:
    if len(packed) > limit:
        raise OverflowError(f"the output is longer than {limit} bytes")
    return packed


def _test(line: _Line, first: dict[str, Any]) -> None:
    """Run a test whose candidate is somewhere else; the verdict is "passed", "failed" or "broken", and why."""

    def candidate(*args: object, **named: object) -> Any:
        line.send(call=pack((args, named)))
        told = line.receive()
        if "error" in told:
            raise _Wrong(told["error"])
        return unpack(told["output"])

    space: dict[str, Any] = {"__name__": "__test__"}
    try:
        exec(compile(first["given"], "<given>", "exec"), space)  # noqa: S102
        space[first["function"]] = space["candidate"] = candidate
        exec(compile(first["test"], "<test>", "exec"), space)  # noqa: S102
        if callable(check := space.get("check")):
            check(candidate)
    except AssertionError as error:
        line.send(verdict="failed", why=f"AssertionError: {error!s:.200}")
    except _Wrong as error:
        line.send(verdict="failed", why=str(error)[:200])
    except BaseException as error:  # noqa: BLE001 - of the test, or of an output that it could not take
        line.send(verdict="broken", why=f"{type(error).__name__}: {error!s:.200}")
    else:
        line.send(verdict="passed", why="")
