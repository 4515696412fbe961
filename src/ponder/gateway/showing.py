"""A text shown while it is written: what is thought apart from what is said, and no more of a marker than of a stop.

Each piece is looked at once: a long text takes time linear in its length. `rendering.split` says the same of a whole text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ponder.core.markers import Markers


class Showing:
    """What of one text was shown so far: `thought` and `said`, in pieces.

    Args:
        markers: of the model's thinking.
        hold: characters of what is said that are kept back, for they may become a stop.

    """

    def __init__(self, markers: Markers | None, hold: int = 0) -> None:
        self.thought: list[str] = []
        self.said: list[str] = []
        self._start, self._end = (markers.start.strip(), markers.end) if markers else ("", "")
        self._hold = hold
        self._kept = ""  # not shown yet
        self._where: Literal["before", "thinking", "after", "saying"] = "before" if self._end else "saying"

    def more(self, piece: str) -> tuple[str, str]:
        """What may be shown now that this was written: of what is thought, and of what is said."""
        self._kept += piece
        if self._where == "before":
            self._begin()
        thought = self._thinking() if self._where == "thinking" else ""
        said = self._saying() if self._where in ("after", "saying") else ""
        if thought:
            self.thought.append(thought)
        if said:
            self.said.append(said)
        return thought, said

    def _begin(self) -> None:
        begun = self._kept.lstrip()
        if (
            not begun
            or (begun != self._start and self._start.startswith(begun))
            or self._end.startswith(begun)
        ):
            if begun == self._end:
                self._where, self._kept = "after", ""
            return  # a marker may yet stand here
        if begun.startswith(self._start):
            self._where, self._kept = "thinking", begun.removeprefix(self._start)
        elif begun.startswith(self._end):
            self._where, self._kept = "after", begun.removeprefix(self._end)
        else:
            self._where = "saying"

    def _thinking(self) -> str:
        if not self.thought:
            self._kept = self._kept.lstrip("\n")
        thought, end, after = self._kept.partition(self._end)
        if end:
            self._where, self._kept = "after", after
            return thought.rstrip("\n")
        begun = next((n for n in range(len(self._end) - 1, 0, -1) if thought.endswith(self._end[:n])), 0)
        thought, self._kept = thought[: len(thought) - begun], thought[len(thought) - begun :]
        return thought

    def _saying(self) -> str:
        if self._where == "after":
            self._kept = self._kept.lstrip("\n")
            self._where = "saying" if self._kept else "after"
        shown = max(0, len(self._kept) - self._hold)
        said, self._kept = self._kept[:shown], self._kept[shown:]
        return said
