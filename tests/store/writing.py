"""A child process that writes a run file until it is killed, or until it cannot.

    writing.py DIRECTORY [bytes that a file may have]

Says on standard output, one a line: the run file's path; "put N TIME" for each event handed over; "kept N" once
a flush has returned for all N.
"""

import os
import random
import resource
import signal
import sys
import time
from pathlib import Path

from ponder.core import events as e
from ponder.core.calls import Usage
from ponder.core.errors import StoreError
from ponder.store import RunWriter


def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def main():
    chance = random.Random(os.getpid())
    if len(sys.argv) > 2:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))
    try:
        writer = RunWriter.create(Path(sys.argv[1]))
    except StoreError as error:
        say("refused", error)
        return
    say(writer.path)
    n = 0
    try:
        while writer.error is None:
            watch = writer.attempt(number=n)
            watch(e.Started("", f"p{n}", "?", "s", {"solver": "m"}, "", 0))
            for i in range(chance.randrange(1, 40)):
                watch(e.Extended(f"0.{i}", "", "", "solver", "x" * 500, (1, 2), "eos", None, Usage(), None))
                time.sleep(0.0005)
                if chance.random() < 0.02:
                    writer.flush()
            watch(e.Finished("", "finished", "0.0", "36", (), Usage(), 0))
            n += 1
            say("put", n, time.monotonic())
            if chance.random() < 0.3:
                writer.flush()
                say("kept", n)
        writer.close()
    except StoreError as error:
        say("stopped", error)


main()
