"""The two ends of a command: answers go to stdout, everything else to stderr.

What models write is not trusted with a terminal: control characters never reach one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import textwrap
import unicodedata
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

STOPPED = "Stopped. What was fetched or finished is kept."
_COMMAND = re.compile(r"(?<=[:·] )(?:ponder|pip|make) \S.*\Z")
_SHOW_CURSOR = "\x1b[?25h"


@cache
def err() -> Console:
    """Where everything but the answer goes. Who stops reading it does not stop the run."""
    from rich.console import Console

    class Err(Console):
        def on_broken_pipe(self) -> None:
            self.quiet = True
            nowhere(sys.stderr.fileno())

    return Err(stderr=True)


@cache
def out() -> Console:
    """Where tables go."""
    from rich.console import Console

    class Out(Console):
        def on_broken_pipe(self) -> None:
            _reader_left()

    # In a pipe there is no width: lines are not folded where somebody searches them.
    return Out(width=None if sys.stdout.isatty() else shutil.get_terminal_size((120, 24)).columns)


def say(text: str) -> None:
    """One sentence for the person who watches, broken between words on a terminal; a pipe gets it on one line."""
    text = clean(text)
    if err().is_terminal:
        text = "\n".join(broken(line, err().width) for line in text.split("\n"))
    err().print(text, markup=False, highlight=False, soft_wrap=True)


def broken(text: str, width: int) -> str:
    """The text in lines of at most `width`. A command at its end stays on one line, however long, so that it can be copied."""
    found = _COMMAND.search(text)
    command = found[0] if found else ""
    lines = textwrap.wrap(
        text.removesuffix(command),
        width,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )
    if not command:
        return "\n".join(lines)
    if lines and len(lines[-1]) + 1 + len(command) <= width:
        return "\n".join([*lines[:-1], f"{lines[-1]} {command}"])
    return "\n".join([*lines, command])


def emit(text: str) -> None:
    """What the command was asked for, on a line of stdout."""
    try:
        sys.stdout.write((clean(text) if sys.stdout.isatty() else text) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _reader_left()
    except OSError as error:
        nowhere(sys.stdout.fileno())
        say(f"The answer could not be written: {error.strerror}. Send it somewhere else.")
        raise SystemExit(3) from None


def emit_json(values: Any) -> None:
    """The same as JSON."""
    emit(json.dumps(values, ensure_ascii=False, default=str))


def leave_at_once_on_ctrl_c() -> None:
    """End the process at Ctrl-C. A KeyboardInterrupt would be lost in the callbacks of a model being loaded."""

    def leave(*_: object) -> NoReturn:
        os.write(2, f"{_SHOW_CURSOR if os.isatty(2) else ''}{STOPPED}\n".encode())
        os._exit(130)

    signal.signal(signal.SIGINT, leave)


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """`leave_at_once_on_ctrl_c` for a while, in which there is nothing to lose."""
    before = signal.getsignal(signal.SIGINT)
    leave_at_once_on_ctrl_c()
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def clean(text: str) -> str:
    """Without anything that a terminal would obey."""
    return "".join(
        "\ufffd" if kind == "Cs" else char
        for char in text
        if (kind := unicodedata.category(char)) not in ("Cc", "Cf") or char in "\n\t"
    )


def one_line(text: str) -> str:
    """Clean, and on one line."""
    return " ".join(clean(text).split())


def _reader_left() -> NoReturn:
    nowhere(sys.stdout.fileno())  # or Python would complain again when it flushes at exit
    raise SystemExit(141)  # what a shell reports for SIGPIPE


def nowhere(fd: int) -> None:
    """Let what is still written to it be lost."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), fd)
