"""A file or a folder of texts as passages, short enough to stand in a prompt."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ponder.core.errors import UsageError
from ponder.thinking.steps import split

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIXES: Final = frozenset({".txt", ".md", ".rst", ".org", ".csv", ".tsv"})
"""What is read of a folder. A file that is named itself may be called anything."""

MOST: Final = 800
"""Characters of a passage; a longer paragraph is cut between sentences, or between words."""

LEAST: Final = 60
"""A shorter paragraph, such as a heading, joins the one after it."""

_SENTENCE = re.compile(r"(?<=[.!?。！？])\s*")


def passages(path: Path) -> list[str]:
    """The paragraphs of a text file, or of every text file in a folder and in those below, in order of name.

    Hidden files and folders are left out.

    Raises:
        UsageError: there is no such place, no text in it, or a file that is not UTF-8 text.

    """
    if not path.exists():
        raise UsageError(f"There is no file or folder {path} to recall from.")
    found = [passage for file in _files(path) for passage in cut(_read(file))]
    if not found:
        kinds = ", ".join(sorted(SUFFIXES))
        raise UsageError(
            f"There is no text in {path} to recall. A folder is searched for files called {kinds}."
        )
    return found


def cut(text: str) -> list[str]:
    """The paragraphs of a text, none longer than `MOST`."""
    found: list[str] = []
    for paragraph in split(text):
        if found and len(found[-1]) < LEAST:
            paragraph = f"{found.pop()}\n{paragraph}"  # noqa: PLW2901 - joined to its heading
        found += _pieces(paragraph)
    return found


def _pieces(paragraph: str) -> Iterator[str]:
    piece = ""
    for sentence in _SENTENCE.split(paragraph):
        if piece and len(piece) + len(sentence) > MOST:
            yield piece.strip()
            piece = ""
        piece += sentence + " "
        while len(piece) > MOST:
            at = piece.rfind(" ", 1, MOST) + 1 or MOST
            yield piece[:at].strip()
            piece = piece[at:]
    if piece.strip():
        yield piece.strip()


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for file in sorted(path.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
        if not hidden and file.is_file() and file.suffix.lower() in SUFFIXES:
            yield file


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{file} cannot be read as UTF-8 text: {error}. Convert it or move it away."
        ) from None
