"""Runs real commands on a terminal of 100 columns and draws what it showed, for README.md.

    python docs/capture.py            docs/images/solve.svg and view.svg, with the default model

The second picture is of the run that the first one made.
"""
# ruff: noqa: INP001

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS, ROWS = 100, 45
IMAGES = Path(__file__).parent / "images"
PONDER = Path(sys.executable).with_name("ponder")
SOLVE = ("solve", "What is 17 + 48 - 29?", "-s", "self-consistency:n=16", "-b", "4k")
"""The model should be here already (`ponder pull qwen2.5-coder-0.5b`): the picture shows an answer, not a download."""

# rich's own template without its web font: a page that shows the picture should fetch nothing.
SVG = """<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" xml:space="preserve">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
<rect fill="#292929" width="{width}" height="{height}" rx="8"/>
<g transform="translate({terminal_x}, 12)" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def run(*arguments: str) -> str:
    """Everything the command wrote to its terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        environment.pop(name, None)
    command: list[str | Path] = [PONDER, *arguments]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)  # noqa: S603
    os.close(theirs)
    written = b""
    while True:
        try:
            more = os.read(ours, 1 << 16)
        except OSError:  # how Linux says that nobody holds the other end
            break
        if not more:
            break
        written += more
    os.close(ours)
    if process.wait():
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}:\n{written.decode('utf-8')}")
    return written.decode("utf-8")


def screen(written: str) -> list[str]:
    """The lines that stand at the end, with their colours.

    Enough of a terminal for rich, which goes up, erases a line and writes it again, and moves no other way.
    """
    lines, row, fresh = [""], 0, False
    for part in re.split(r"(\x1b\[[0-9;?]*[A-Za-z]|\r\n|\r|\n)", written):
        if part in ("\n", "\r\n"):
            row += 1
            if row == len(lines):
                lines.append("")
            fresh = part == "\n"
        elif part == "\r":
            fresh = True
        elif part.startswith("\x1b[") and part.endswith("A"):
            row = max(0, row - int(part[2:-1] or 1))
        elif part.startswith("\x1b[") and part.endswith("K"):
            lines[row] = ""
        elif part and not part.startswith("\x1b[?"):  # text or its colour
            if fresh:
                lines[row], fresh = "", False
            lines[row] += part
    return lines


def draw(command: str, lines: list[str], path: Path) -> None:
    """The command and what it showed, as a picture."""
    console = Console(
        record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(Text.assemble(("$ ", "bold green"), (command, "bold")), soft_wrap=True)
    while lines and not Text.from_ansi(lines[-1]).plain.strip():
        lines.pop()
    for line in lines:
        text = Text.from_ansi(line)
        for row in text.divide(range(COLUMNS, text.cell_len, COLUMNS)):  # as a terminal breaks it
            console.print(row, soft_wrap=True)
    path.parent.mkdir(exist_ok=True)
    path.write_text(console.export_svg(title="", code_format=SVG, unique_id=path.stem), "utf-8")


def main() -> None:
    for name, arguments in (("solve", SOLVE), ("view", ("view",))):
        command = " ".join(["ponder", *(f'"{a}"' if " " in a else a for a in arguments)])
        draw(command, screen(run(*arguments)), IMAGES / f"{name}.svg")


if __name__ == "__main__":
    main()
