"""Scorers by name, as values that can be written down: "self-certainty", "judge:mode=pairwise,samples=3"."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from ponder.thinking.spelling import Catalogue, Count, Natural, Probability, Temperature

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ponder.core.protocols import Scorer

__all__ = ["CATALOGUE", "ByName", "Count", "Natural", "Probability", "Temperature", "scorer"]

CATALOGUE: dict[str, type[Scorer]] = {}
ALIASES: dict[str, str] = {}

S = TypeVar("S")


@typing.dataclass_transform(frozen_default=True)
def scorer(cls: type[S]) -> type[S]:
    """Make a class a scorer: a frozen dataclass whose parameters keep to their ranges, in the catalogue under its
    `name` and `aliases`, and written by `str` as it is read.
    """
    return Catalogue("scorer", CATALOGUE, ALIASES).add(cls)


class ByName(Mapping[str, "Scorer"]):
    """Every scorer by its text, made when it is first asked for and kept: the same text is the same scorer.

    Asked for a text that means none it raises UnknownName, which suggests near ones, or UsageError.

    Args:
        more: classes that join those of the catalogue.

    """

    def __init__(self, more: Mapping[str, type[Scorer]] | None = None) -> None:
        self.classes: dict[str, type[Scorer]] = {**CATALOGUE, **(more or {})}
        self._parse = Catalogue("scorer", self.classes, ALIASES).parse
        self._made: dict[str, Scorer] = {}

    def __getitem__(self, text: str) -> Scorer:
        if text not in self._made:
            made = self._parse(text)
            self._made[text] = self._made.setdefault(str(made), made)
        return self._made[text]

    def __iter__(self) -> Iterator[str]:
        return iter(self.classes)

    def __len__(self) -> int:
        return len(self.classes)
