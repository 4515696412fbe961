"""Server-sent events: bytes in, events out. Pure, and the same result however the bytes are cut.

As the HTML standard has it (section 9.2.6): UTF-8 with at most one BOM at the start; lines end with CR, LF or
CRLF; a line that begins with a colon is a comment; several data lines of an event are joined by LF; an event that
no blank line ends is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST = 4 * 1024 * 1024
"""Bytes of one event at most. No event of a model server is near it; beyond it someone floods us."""

_BOM = b"\xef\xbb\xbf"


class TooLong(ValueError):
    """An event of more than `MOST` bytes."""


@dataclass(frozen=True, slots=True)
class Event:
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
        events: list[Event] = []
        start = 0
        while start < len(more):
            if self._after_cr:
                self._after_cr = False
                if more[start] == 0x0A:
                    start += 1
                    continue
            end = _line_end(more, start)
            self._line += more[start : len(more) if end < 0 else end]
            if len(self._line) + self._size > MOST:
                raise TooLong(f"An event has more than {MOST:,} bytes.")
            if end < 0:
                break
            self._after_cr = more[end] == 0x0D
            start = end + 1
            if (event := self._ended()) is not None:
                events.append(event)
        return events

    @property
    def between(self) -> bool:
        """Whether all that was fed is whole events, so that a comment may stand here."""
        return not (self._line or self._data or self._name)

    def _ended(self) -> Event | None:
        """One line is whole; the event that it ends, if it is a blank one."""
        line = bytes(self._line)
        self._line.clear()
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


def _line_end(text: bytes, start: int) -> int:
    lf, cr = text.find(b"\n", start), text.find(b"\r", start)
    return max(lf, cr) if lf < 0 or cr < 0 else min(lf, cr)
