"""HTML by construction: a text is escaped when it becomes part of a page, unless it is markup already."""

from __future__ import annotations

import html
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    Child = str | int | float | None | Iterable["Child"]
    Attribute = str | int | float | bool | None

JOINERS = "\u200c\u200d"
"""Format characters that emoji, Persian and Indian scripts cannot do without."""

MARKS = 4
"""Combining marks that one letter may carry; more than that would be painted over its neighbours."""

VOID = frozenset({"meta", "br", "hr", "col"})


class Html(str):
    """Markup. Only `tag` and `join` make it, and the page's own style sheet."""

    __slots__ = ()


def tag(name: str, /, *children: Child, **attributes: Attribute) -> Html:
    """An element with escaped attributes, and children that are escaped unless they are `Html`.

    None and False leave an attribute or a child out, True gives an attribute without a value. In names `_` reads
    `-`, and a trailing `_` is dropped, so that `class_` can be said.
    """
    words = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-") if "_" in key else key  # noqa: PLW2901
        words.append(key if value is True else f'{key}="{html.escape(_text(value))}"')
    if name in VOID:
        return Html(f"<{' '.join(words)}>")
    return Html(f"<{' '.join(words)}>{join(children)}</{name}>")


def join(children: Iterable[Child], between: str = "") -> Html:
    """Children one after another."""
    return Html(between.join(_child(child) for child in children))


def clean(text: str) -> str:
    """The text with everything made visible that would act on a page instead of being read.

    Control characters become their pictures, bidirectional overrides and other format characters their names
    (⟨U+202E⟩), lone surrogates and noncharacters U+FFFD; piles of combining marks are cut off.
    """
    if text.isascii() and text.isprintable():
        return text
    text = text.replace("\r\n", "\n")
    shown, pile = [], 0
    for char in text:
        kind = unicodedata.category(char)
        pile = pile + 1 if kind in ("Mn", "Me") else 0
        if pile <= MARKS:
            shown.append(_visible(char, kind))
    return "".join(shown)


def clip(text: str, most: int) -> str:
    """The first `most` characters, and a note of how many more there were."""
    if len(text) <= most:
        return text
    return f"{text[:most]} … ({len(text) - most:,} more characters)"


def shorten(text: str, cells: int) -> str:
    """The beginning of a text on one line, for where there is no room to break it; wide characters take two cells."""
    text = clean(" ".join(text.split()))
    for i, char in enumerate(text):
        cells -= 2 if unicodedata.east_asian_width(char) in "WF" else 1
        if cells < 0 or (cells == 0 and i + 1 < len(text)):
            return f"{text[:i]}…"
    return text


def foreign(text: str, most: int = 200) -> Html:
    """What a model or a data set wrote, in one line: clipped, and unable to turn the text around it."""
    return tag("bdi", " ".join(clip(text, most).split()), class_="said")


def block(text: str, most: int = 2000) -> Html:
    """The same in lines of its own."""
    return tag("pre", clip(text, most), class_="said", dir="auto")


def _child(child: Child) -> str:
    if isinstance(child, Html):
        return child
    if child is None or child is False:
        return ""
    if isinstance(child, str | int | float):
        return html.escape(_text(child), quote=False)
    return join(child)


def _text(value: str | float) -> str:
    if isinstance(value, str):
        return clean(value)
    return str(value) if isinstance(value, int) else f"{value:.1f}".removesuffix(".0")


def _visible(char: str, kind: str) -> str:
    if char in "\n\t" or char in JOINERS:
        return char
    code = ord(char)
    if kind == "Cc" and code < 32:
        return chr(0x2400 + code)
    if kind in ("Cc", "Cf"):
        return f"⟨U+{code:04X}⟩"
    return "\ufffd" if kind == "Cs" or code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF else char
