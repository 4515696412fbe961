"""Inside a process that answers: it has imported what it needs once, and its children answer, which may be killed.

Parsers and computer algebra take a second to import, several on a busy machine. Nobody should wait for that because the
question before ended in a kill, so the process that has imported answers nothing itself: it forks a child that does, and
another as soon as that one dies. A fork takes milliseconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Answer = Callable[[dict[str, Any]], Iterable[dict[str, Any]]]


def prepare(memory: int) -> None:
    """Limit this process to so many bytes, before it imports anything; the timer in the kernel may end it."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the owner's business
    import logging
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.disable(logging.CRITICAL)


def output() -> IO[str]:
    """Where answers go: what a library prints must not come between our lines."""
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    return out


def serve(answer: Answer, out: IO[str]) -> None:
    """Answer lines of JSON by lines of JSON until standard input ends.

    Each child begins with `{"child": pid}`. An answer with "fatal" is its child's last. A child that died keeps its id
    until the next one has died, so that who means to kill it can never hit another process.
    """
    last = None
    while True:
        ended, end = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(ended)
            try:
                if not _answers(answer, out):
                    os.write(end, b".")
            finally:
                os._exit(0)
        os.close(end)
        if last is not None:
            os.waitpid(last, 0)
        last = child
        with os.fdopen(ended, "rb") as died:
            if died.read():  # it waits for the child's end, and reads nothing where that was no good one
                return


def _answers(answer: Answer, out: IO[str]) -> bool:
    """Whether there is more to do for another child."""
    with contextlib.suppress(BrokenPipeError):  # the owner is gone
        print(json.dumps({"child": os.getpid()}), file=out, flush=True)
        for line in sys.stdin:
            for said in answer(json.loads(line)):
                print(json.dumps(said), file=out, flush=True)
                if said.get("fatal"):
                    return True
    return False
