"""Pages about places that do not exist, each with a number to ask for: no model can know the answer by heart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

_FIRST = ("Var", "Ost", "Kel", "Mir", "Tol", "Bran", "Hes", "Lun", "Dor", "Pell")
_LAST = ("nmouth", "aby", "wick", "stead", "holm", "ington", "ford", "dale")
_THINGS = ("bridge", "lighthouse", "town hall", "library", "mill", "railway station")


@dataclass(frozen=True, slots=True)
class Fact:
    """A page, a question about it, and its answer."""

    paragraphs: tuple[str, ...]
    question: str
    answer: str


def facts(rng: random.Random) -> Iterator[Fact]:
    """Facts without end."""
    while True:
        place, thing = rng.choice(_FIRST) + rng.choice(_LAST), rng.choice(_THINGS)
        year, people = rng.randint(1700, 1990), rng.randint(2, 98) * 100
        paragraphs = (
            f"{place} is a small town by the river.",
            f"Its {thing} was built in {year} and has been repaired twice since then.",
            f"About {people} people live there, and most of them work in the harbour.",
        )
        yield Fact(paragraphs, f"In which year was the {thing} of {place} built?", str(year))
