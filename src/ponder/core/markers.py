"""How a model's thinking is told from its answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Markers:
    """What opens a model's thinking, what closes it, and what opens the answer after it.

    Args:
        start: written to open the thinking; "" where the chat template has opened it already.
        end: closes it, one special token as a rule; "" for a model without thinking tokens, which has thought when it
            would end its turn.
        answer: written after `end` to open the answer.

    """

    start: str = ""
    end: str = ""
    answer: str = ""
