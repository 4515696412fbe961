"""What a path remembers: each fact once, and not without end."""

from __future__ import annotations

import re

_WORD = re.compile(r"\w+")


def remember(known: tuple[str, ...], fact: str, text: str = "", most: int = 1000) -> tuple[str, ...]:
    """The facts that a path remembers after one more.

    A fact that says nothing beyond what is known, or than the path's own text, is not added: its words, in their
    order, stand there already. Where the facts together would have more than `most` characters, the oldest are
    forgotten; a fact that is longer by itself is cut.
    """
    fact = fact[:most].strip()
    said = _plain(fact)
    if not said or any(f" {said} " in f" {_plain(other)} " for other in (*known, text)):
        return known
    facts = (*known, fact)
    while sum(map(len, facts)) > most:
        facts = facts[1:]
    return facts


def _plain(text: str) -> str:
    return " ".join(_WORD.findall(text.casefold()))
