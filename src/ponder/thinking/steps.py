r"""Where a step ends. Steps are what search extends, scores and rewinds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DELIMITER = "\n\n"
"""What ends a step where nothing else is said (Snell et al. 2024; search-and-learn)."""

_FENCE = re.compile(r"[ \t]{0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r"[ \t]*(?:[-*+•‣・]|\d{1,3}[.)、．])\s")
_INSIDE = re.compile(r"[ \t]{2,}|\t|\u3000")
_RULE = re.compile(r"[-*_=~\s]+")
_MATH = re.compile(r"\$\$|\\\[|\\\]|\\(begin|end)\{([A-Za-z*]{1,24})\}")


def split(text: str) -> list[str]:
    """The steps of a text: its paragraphs.

    A code fence, a displayed formula and a list item with what is indented below it are never cut, whatever blank
    lines they hold. A trailing delimiter makes no empty last step: under "last" aggregation the score of an empty
    step would be what a search ranks by (METHODS 3.6d). A line of dashes belongs to the step before it.
    """
    return [text[start:end] for start, end in spans(text)]


def spans(text: str) -> list[tuple[int, int]]:
    """Where each step begins and ends, without the line breaks around it. Linear in the length of the text."""
    found: list[tuple[int, int]] = []
    start = end = 0
    fence, item, apart = "", False, True  # an open fence; a list item; a blank line was just seen
    math = _Math(text)
    for begin, line in _lines(text):
        bare = line.strip()
        inside = bool(fence) or math.open
        if not inside and not bare:
            apart = True
            continue
        goes_on = inside or not apart or (item and _INSIDE.match(line)) or (_RULE.fullmatch(line) and end)
        if not goes_on:
            if end:
                found.append((start, end))
            start, item = begin, False
        elif not end:
            start = begin
        apart = False
        if bare:
            end = begin + len(line)
        item = item or bool(_ITEM.match(line))
        mark = _FENCE.match(line)
        if fence:
            fence = "" if mark and mark[1].startswith(fence) and bare == mark[1] else fence
        elif mark:
            fence = mark[1]
        else:
            math.read(begin, line)
    return [*found, (start, end)] if end else []


def before_last_line(text: str) -> str:
    """The text without its last line that is not empty; the line break before that line stays."""
    return text[: text.rstrip().rfind("\n") + 1]


class _Math:
    """Whether a displayed formula is open. One that is never closed was none."""

    def __init__(self, text: str) -> None:
        self._last: dict[str, int] = {}  # where each kind of end stands last
        for m in _MATH.finditer(text):
            self._last[m[2] if m[1] == "end" else m[0]] = m.start()
        self._open: list[str] = []  # the ends that are waited for

    @property
    def open(self) -> bool:
        return bool(self._open)

    def read(self, begin: int, line: str) -> None:
        for m in _MATH.finditer(line):
            end = m[2] if m[1] else "\\]" if m[0] == "\\[" else m[0]
            if self._open and end == self._open[-1] and m[1] != "begin" and m[0] != "\\[":
                self._open.pop()
            elif m[1] != "end" and m[0] != "\\]" and self._last.get(end, -1) > begin + m.start():
                self._open.append(end)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Each line, without its break, and where it begins."""
    at = 0
    for line in text.split("\n"):
        yield at, line.rstrip("\r")
        at += len(line) + 1


def head(text: str, share: float) -> str:
    """The first `share` of a text's steps, one at least and not all; of its words, where it is a single step."""
    ends = [start for start, _ in spans(text)[1:]]
    ends = ends or [word.end() for word in re.finditer(r"\S+", text)][:-1]
    return text[: ends[max(0, min(int(share * (len(ends) + 1)), len(ends)) - 1)]] if ends else ""
