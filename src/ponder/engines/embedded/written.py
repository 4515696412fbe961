"""The text that tokens write: characters across tokens, and stop strings across both."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class Written:
    """Text assembled from the bytes of tokens.

    A token may end inside a character; the character appears with the token that completes it, and both tokens
    end where that one ends, so that cutting the text at an end never keeps half a character in the ids.
    Bytes that are no UTF-8 become U+FFFD once that is certain: at the next byte, or at `finish`.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self.text = ""
        self._ends: list[int] = []
        self._open = 0  # the last tokens whose end is not known yet
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stop = stop
        self._longest = max(map(len, stop), default=0)

    def add(self, piece: bytes) -> str:
        """What one more token adds to the text, perhaps nothing yet."""
        return self._add(self._decoder.decode(piece))

    def _add(self, more: str) -> str:
        self.text += more
        self._ends.append(len(self.text))
        self._open += 1
        if not self._decoder.getstate()[0]:
            self._close()
        return more

    def _close(self) -> None:
        if self._open:
            self._ends[-self._open :] = [len(self.text)] * self._open
        self._open = 0

    def finish(self) -> str:
        """What the last, incomplete character adds."""
        more = self._decoder.decode(b"", final=True)
        self.text += more
        self._close()
        return more

    @property
    def ends(self) -> tuple[int, ...]:
        """For each token, where in the text it ends."""
        closed = len(self._ends) - self._open
        return (*self._ends[:closed], *[len(self.text)] * self._open)

    def stopped_by(self, more: str) -> str | None:
        """The stop string that first occurs in the text, if `more`, its newest part, completed one.

        Of several that begin at the same place it is the longest.
        """
        if not self._stop or not more:
            return None
        start = max(0, len(self.text) - len(more) - self._longest + 1)
        found = [(at, -len(stop), stop) for stop in self._stop if (at := self.text.find(stop, start)) >= 0]
        return min(found)[2] if found else None
