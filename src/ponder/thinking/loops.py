"""Whether a text only repeats itself, as models do that are kept from ending."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from ponder.core.protocols import Delta

COPIES: Final = 3
LEAST: Final = 240
_TAIL: Final = 24
_WINDOW: Final = 6000
_TRIED: Final = 40


def repeats(text: str, copies: int = COPIES, least: int = LEAST) -> str | None:
    """Says "repetition" where the text ends in the same words at least `copies` times and over `least` characters, else None.

    Quick enough to be asked after every token: it compares slices where the last few characters stood before.
    """
    end = len(text)
    if end < least:
        return None
    tail, first = text[-_TAIL:], max(0, end - _WINDOW)
    at = end - _TAIL
    for _ in range(_TRIED):
        at = text.rfind(tail, first, at + _TAIL - 1)
        if at < 0:
            return None
        period = end - _TAIL - at
        span = max(copies * period, least)
        if span <= end - first and text[-span:-period] == text[end - span + period :]:
            return "repetition"
    return None


def looping() -> Callable[[Delta], str | None]:
    """Makes a rule that halts a text once it only repeats itself."""
    text = ""

    def rule(delta: Delta) -> str | None:
        nonlocal text
        text += delta.text
        return repeats(text)

    return rule
