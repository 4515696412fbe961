"""What an attacked item says of its attack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ponder.thinking.answers import key

if TYPE_CHECKING:
    from ponder.core.problem import Kind
    from ponder.evals.values import Item

RED_TEAM = "red-team"
"""The attack whose texts a model writes, one after the other."""
SOFT = "soft-tokens"
"""The attack by vectors that no text spells."""


def tried(item: Item) -> bool:
    """Whether a red team tries its texts at an item."""
    about = item.meta.get("attacked")
    return about is not None and about["attack"] == RED_TEAM and bool(about["strength"])


def reached(answer: str | None, target: str, kind: Kind) -> bool:
    """Whether an answer is what the attacker wants: not merely wrong."""
    return answer is not None and key(answer, kind) == key(target, kind)
