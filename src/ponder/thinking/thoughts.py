"""Thoughts: where one approach ends and another begins, and how much of a wrong answer came after a right idea."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

SWITCHES: Final = (
    "alternatively",
    " alternatively",
    "Alternatively",
    " Alternatively",
    "\nAlternatively",
    " Another approach",
    "Another approach",
)
"""What begins a switch of thought, with spaces and case as they are written (TIP, 2501.18585, section 4)."""

_ORDINARY: Final = (
    *(
        "a",
        "an",
        "and",
        "any",
        "all",
        "also",
        "always",
        "almost",
        "already",
        "although",
        "along",
        "add",
        "at",
        "after",
    ),
    *("again", "algebra", "alter", "area", "another number", "angle", "answer", "amount", "so", "the", "let"),
)
"""Words that begin like a switch and are none; a first token that one of them has, too, is ambiguous."""

_SWITCH: Final = re.compile(
    r"(?:(?<=\n)|(?<=[.!?:)\]}\u3002] )|(?<=[.!?])|^)"
    r"(?:(?:But |Or |Hmm,? |So )?(?:[Aa]lternatively\b|(?:[Aa]nother|[Aa] different) (?:approach|way|method|idea)\b)"
    r"|Wait\b|Hmm\b|Let(?:'s| me|\u2019s) (?:try|think of|use|consider|look at) (?:another|a different|it differently|again)"
    r"|(?:On second thought|Let me re-?(?:think|consider|check|calculate|compute))\b)"
)


class Switches(NamedTuple):
    """Tokens that begin a switch of thought, and the surface forms whose first token begins ordinary words, too."""

    tokens: tuple[int, ...]
    forms: tuple[str, ...]
    left_out: tuple[str, ...]


def switches(encode: Callable[[str], tuple[int, ...]], forms: Iterable[str] = SWITCHES) -> Switches:
    """The first token of each form, unless it is also that of an ordinary word with the same space and case."""
    kept: dict[str, int] = {}
    left_out = []
    for form in forms:
        ids = encode(form)
        if not ids:
            continue
        if len(ids) > 1 and any(ids[0] == other for word in _like(form) for other in encode(word)[:1]):
            left_out.append(form)
        else:
            kept[form] = ids[0]
    return Switches(tuple(dict.fromkeys(kept.values())), tuple(kept), tuple(left_out))


def _like(form: str) -> list[str]:
    """Ordinary words with the space and case of a form."""
    space = form[: len(form) - len(form.lstrip())]
    capital = form.strip()[0].isupper()
    return [space + (word.capitalize() if capital else word) for word in _ORDINARY]


SPELT: Final = tuple(dict.fromkeys((*SWITCHES, *(word for form in SWITCHES for word in _like(form)))))
"""All texts whose tokens `switches` asks for."""


def thoughts(text: str) -> list[str]:
    """The thoughts of a text, in order; joined they are the text.

    A new one begins where a sentence does that says so ("Alternatively", "Wait", "Let me try another way"). The paper
    has a model of 70B split them.
    """
    starts = [m.start() for m in _SWITCH.finditer(text) if text[: m.start()].strip()]
    cuts = [0, *starts, len(text)]
    return [text[a:b] for a, b in itertools.pairwise(cuts) if a < b]


def underthinking(responses: Sequence[tuple[float, float | None]]) -> float:
    """The underthinking score of wrong responses (2501.18585, section 3.2): the mean of 1 - T'/T.

    Args:
        responses: of each, its tokens T, and the tokens T' up to the end of its first right thought; None where no
            thought is right, which counts 0.

    Raises:
        ValueError: there are no responses.

    """
    if not responses:
        raise ValueError("The score is a mean over wrong responses, and there are none.")
    shares = [0.0 if first is None else 1 - first / whole for whole, first in responses]
    return sum(shares) / len(shares)
