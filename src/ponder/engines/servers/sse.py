"""Server-sent events: bytes in, events out. Pure, and the same result however the bytes are cut.

As the HTML standard has it (section 9.2.6): UTF-8 with at most one BOM at the start; lines end with CR, LF or
CRLF; a line that begins with a colon is a comment; several data lines of an event are joined by LF; an event that
no blank line ends is dropped.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MOST = 4 * 1024 * 1024
"""Bytes of one event at most. No event of a model server is near it; beyond it someone floods us."""

_BOM = b"\xef\xbb\xbf"
_END = re.compile(rb"\r\n|\n|\r")


class TooLong(ValueError):
    """An event of more than `MOST` bytes."""


class Event(NamedTuple):
    """One event; `name` is "message" where none was given."""

    data: str
    name: str = "message"


class Parser:
    """Reads one stream.

    `feed` returns the events that the bytes complete. Bytes that are no UTF-8 become U+FFFD, as in a browser.
    """

    def __init__(self) -> None:
        self._line = bytearray()
        self._data: list[bytes] = []
        self._name = b""
        self._size = 0
        self._first = True
        self._after_cr = False

    def feed(self, more: bytes) -> list[Event]:
        """The events that end within `more`.

        Raises:
            TooLong: one of them has more than `MOST` bytes.

        """
        if self._after_cr and more:
            self._after_cr, more = False, more.removeprefix(b"\n")
        if not more:
            return []
        self._after_cr = more.endswith(b"\r")
        events: list[Event] = []
        *lines, rest = more.split(b"\n") if b"\r" not in more else _END.split(more)
        if lines:
            lines[0], self._line = bytes(self._line) + lines[0], bytearray()
        for line in lines:
            self._bound(len(line))
            if (event := self._ended(line)) is not None:
                events.append(event)
        self._line += rest
        self._bound(len(self._line))
        return events

    @property
    def between(self) -> bool:
        """Whether all that was fed is whole events, so that a comment may stand here."""
        return not (self._line or self._data or self._name)

    def _bound(self, size: int) -> None:
        if size + self._size > MOST:
            raise TooLong(f"An event has more than {MOST:,} bytes.")

    def _ended(self, line: bytes) -> Event | None:
        """One line is whole; the event that it ends, if it is a blank one."""
        if self._first:
            self._first = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatched()
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            self._size += len(value) + 1
        elif field == b"event":
            self._name = value
        return None  # a comment, an id, a retry time, or a field that does not exist

    def _dispatched(self) -> Event | None:
        data, name = self._data, self._name
        self._data, self._name, self._size = [], b"", 0
        if not data:
            return None
        return Event(
            b"\n".join(data).decode("utf-8", "replace"), name.decode("utf-8", "replace") or "message"
        )
